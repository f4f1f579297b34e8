//! More people talk than there are lanes.

use std::collections::BTreeSet;

use sunup_engine_core::events::Event;
use sunup_engine_core::ids::{SlotId, TrackId};

use crate::publisher::Microphone;
use crate::world::{World, GOOD, ROOM};

const VOICE: u8 = 25;
const QUIET: u8 = 75;

/// Six people with microphones and three lanes each.
fn scene(seed: u64) -> (World, Vec<Vec<SlotId>>) {
    let mut world = World::new(seed);
    let mut lanes = Vec::new();
    for number in 1..=6 {
        world.join(number, GOOD);
        world.add_microphone(number, Microphone::new(number as u8));
        lanes.push(world.add_lanes(number, 3));
    }
    (world, lanes)
}

fn speak(world: &mut World, speakers: &[u64]) {
    for number in 1..=6 {
        world.microphone(number).level = Some(if speakers.contains(&number) {
            VOICE
        } else {
            QUIET
        });
    }
}

/// Who was heard on these lanes since a time.
fn heard(world: &World, lanes: &[SlotId], since_us: u64) -> BTreeSet<u8> {
    lanes
        .iter()
        .flat_map(|lane| &world.receiver(*lane).shown)
        .filter(|shown| shown.at_us >= since_us)
        .map(|shown| shown.stamp.publisher)
        .collect()
}

#[test]
fn everyone_hears_the_three_loudest_others_and_never_themselves() {
    let (mut world, lanes) = scene(1);
    speak(&mut world, &[1, 2, 3]);
    world.run(2_000);
    let since_us = world.now_us;
    world.run(1_000);
    for number in 4..=6 {
        assert_eq!(
            heard(&world, &lanes[number - 1], since_us),
            BTreeSet::from([1, 2, 3])
        );
    }
    for number in 1..=3u8 {
        let others = heard(&world, &lanes[usize::from(number) - 1], since_us);
        assert!(!others.contains(&number), "{number} hears itself");
        assert_eq!(
            others.len(),
            3,
            "a speaker hears two speakers and the next in line"
        );
        assert_eq!(others.intersection(&BTreeSet::from([1, 2, 3])).count(), 2);
    }
}

#[test]
fn a_new_speaker_takes_a_lane_without_a_clipped_word_and_the_others_stay_where_they_are() {
    let (mut world, lanes) = scene(2);
    speak(&mut world, &[1, 2, 3]);
    world.run(3_000);
    let before: Vec<_> = lanes[5]
        .iter()
        .map(|lane| world.bindings(*lane).len())
        .collect();
    speak(&mut world, &[1, 2, 4]);
    world.run(3_000); // the third keeps its lane through the hangover
    let first_word = world.microphone(4).packets - 150;
    let listener = &lanes[5];
    assert_eq!(
        heard(&world, listener, world.now_us - 500_000),
        BTreeSet::from([1, 2, 4])
    );
    let changed = listener
        .iter()
        .zip(&before)
        .filter(|(lane, before)| world.bindings(**lane).len() != **before)
        .count();
    assert_eq!(changed, 1);
    let all = listener
        .iter()
        .flat_map(|lane| &world.receiver(*lane).shown);
    let fourth: Vec<u32> = all
        .filter(|shown| shown.stamp.publisher == 4)
        .map(|shown| shown.stamp.frame)
        .collect();
    assert!(fourth.windows(2).all(|pair| pair[1] == pair[0] + 1));
    let (first, last) = (fourth[0], fourth[fourth.len() - 1]);
    assert!(
        first > first_word && first < first_word + 80,
        "after the hangover: {first}"
    );
    assert!(last >= world.microphone(4).packets - 3);
}

#[test]
fn an_audio_switch_steps_by_a_packet_at_least_and_by_real_time_at_most() {
    let (mut world, lanes) = scene(3);
    for round in 0..12u64 {
        speak(
            &mut world,
            &[round % 5 + 1, (round + 1) % 5 + 1, (round + 2) % 5 + 1],
        );
        world.run(2_500);
    }
    for lane in &lanes[5] {
        let shown = &world.receiver(*lane).shown;
        assert!(world.bindings(*lane).len() > 3);
        for pair in shown.windows(2) {
            let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            assert!(step >= 960, "a step of {step}");
        }
        // Replays begin in the past; the line must not run away from real time for that.
        let (first, last) = (shown[0], shown[shown.len() - 1]);
        let media_us = u64::from(last.timestamp.wrapping_sub(first.timestamp)) * 1_000 / 48;
        let real_us = last.at_us - first.at_us;
        assert!(
            media_us < real_us + 500_000,
            "{media_us} us of media in {real_us}"
        );
    }
}

#[test]
fn speakers_are_reported_on_change_and_at_most_twice_a_second() {
    let (mut world, _) = scene(4);
    speak(&mut world, &[2]);
    world.run(2_000);
    speak(&mut world, &[5]);
    world.run(3_000);
    speak(&mut world, &[]);
    world.run(3_000);
    let reports: Vec<(u64, Vec<u64>)> = world
        .events
        .iter()
        .filter_map(|(at_us, event)| match event {
            Event::Speakers { room: ROOM, levels } => {
                Some((*at_us, levels.iter().map(|level| level.0 .0).collect()))
            }
            _ => None,
        })
        .collect();
    let lists: Vec<_> = reports.iter().map(|report| report.1.clone()).collect();
    assert_eq!(lists.first(), Some(&vec![22]));
    assert!(lists.contains(&vec![52]));
    assert_eq!(lists.last(), Some(&vec![]));
    assert!(reports
        .windows(2)
        .all(|pair| pair[1].0 - pair[0].0 >= 500_000));
    assert!(reports.len() <= 5, "{lists:?}");
}

#[test]
fn a_muted_track_gives_up_its_lane_at_once_and_a_pinned_one_always_has_one() {
    let (mut world, lanes) = scene(5);
    speak(&mut world, &[1, 2, 3]);
    world.run(2_000);
    world.forwarder.pause_track(world.now_us, TrackId(12), true);
    world.run(50);
    let since_us = world.now_us;
    world.run(1_000);
    assert!(!heard(&world, &lanes[5], since_us).contains(&1));
    world
        .forwarder
        .set_audio_policy(world.now_us, ROOM, 3, vec![TrackId(42)]);
    world.run(100);
    let since_us = world.now_us;
    world.run(1_000);
    assert!(heard(&world, &lanes[5], since_us).contains(&4));
    assert!(!heard(&world, &lanes[3], since_us).contains(&4));
}

#[test]
fn a_microphone_without_levels_is_heard_when_its_packets_grow() {
    let (mut world, lanes) = scene(6);
    speak(&mut world, &[1, 2]);
    world.microphone(5).level = None;
    world.microphone(5).size = 20;
    world.run(3_000);
    world.microphone(5).size = 90;
    world.run(1_000);
    assert!(heard(&world, &lanes[5], world.now_us - 500_000).contains(&5));
}

#[test]
fn while_there_are_lanes_for_all_even_the_silent_are_on_one() {
    let mut world = World::new(7);
    for number in 1..=4 {
        world.join(number, GOOD);
        world.add_microphone(number, Microphone::new(number as u8));
        world.microphone(number).level = Some(127);
    }
    let lanes = world.add_lanes(1, 3);
    world.run(1_000);
    assert_eq!(heard(&world, &lanes, 0), BTreeSet::from([2, 3, 4]));
    world.leave(3);
    world.run(200);
    let since_us = world.now_us;
    world.run(500);
    assert_eq!(heard(&world, &lanes, since_us), BTreeSet::from([2, 4]));
    let emptied = lanes
        .iter()
        .filter(|lane| world.bindings(**lane).last().unwrap().1.is_none());
    assert_eq!(emptied.count(), 1);
}

/// Two who speak or not, and a listener with fewer lanes than there are voices.
fn listener_with_one_lane(seed: u64) -> (World, SlotId) {
    let mut world = World::new(seed);
    for number in 1..=3 {
        world.join(number, GOOD);
    }
    let lane = world.add_lanes(3, 1)[0];
    for number in [1, 2] {
        world.add_microphone(number, Microphone::new(number as u8));
        world.run(50);
    }
    (world, lane)
}

#[test]
fn a_single_lane_carries_who_speaks_and_not_who_came_first() {
    let (mut world, lane) = listener_with_one_lane(8);
    world.microphone(1).muted = true;
    world.microphone(2).level = Some(VOICE);
    world.run(300);
    let since_us = world.now_us;
    world.run(1_000);
    assert_eq!(heard(&world, &[lane], since_us), BTreeSet::from([2]));
    assert!(world.receiver(lane).count(since_us, 2, 0) >= 49);
    // And when they take turns, whoever speaks now.
    world.microphone(1).muted = false;
    world.microphone(1).level = Some(VOICE);
    world.microphone(2).level = Some(QUIET);
    world.run(2_500);
    let since_us = world.now_us;
    world.run(1_000);
    assert_eq!(heard(&world, &[lane], since_us), BTreeSet::from([1]));
}

#[test]
fn a_single_lane_does_not_jump_between_two_who_are_nearly_as_loud() {
    let (mut world, lane) = listener_with_one_lane(9);
    for round in 0..40 {
        let louder = u8::from(round % 2 == 0) * 4;
        world.microphone(1).level = Some(VOICE + louder);
        world.microphone(2).level = Some(VOICE + 4 - louder);
        world.run(250);
    }
    let bindings = world.bindings(lane).len();
    assert!(bindings <= 2, "{bindings} bindings in 10 s");
}
