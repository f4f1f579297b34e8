//! Someone joins while others have been talking for a while.

use crate::publisher::{Camera, Microphone, FRAME_US};
use crate::world::{World, GOOD};

#[test]
fn the_joiner_sees_a_picture_within_a_request_and_a_frame() {
    for h264 in [false, true] {
        let mut world = World::new(1);
        world.join(1, GOOD);
        let mut camera = Camera::single(1, 640, 360);
        camera.h264 = h264;
        let track = world.add_camera(1, camera);
        world.run(3_000);
        world.join(2, GOOD);
        let slot = world.add_video_slot(2);
        world.bind(slot, track);
        let asked_us = world.now_us;
        world.run(1_000);
        let shown = &world.receiver(slot).shown;
        let first = shown.first().expect("no picture");
        assert!(first.key);
        // PLI up, next frame, and down again: three times 10 ms and one frame interval.
        assert!(
            first.at_us - asked_us <= 30_000 + FRAME_US + 5_000,
            "{}",
            first.at_us - asked_us
        );
        assert!(shown.len() >= 22, "{} frames", shown.len());
        let [(1, Some(bound), timestamp)] = world.bindings(slot)[..] else {
            panic!("{:?}", world.bindings(slot))
        };
        assert_eq!((bound, timestamp), (track, first.timestamp));
    }
}

#[test]
fn a_wave_of_joiners_costs_one_key_frame() {
    let mut world = World::new(2);
    world.join(1, GOOD);
    let track = world.add_camera(1, Camera::single(1, 640, 360));
    world.run(3_000);
    let before = world.camera(1).encodings[0].keyframes;
    let mut slots = Vec::new();
    for number in 2..22 {
        world.join(number, GOOD);
        let slot = world.add_video_slot(number);
        world.bind(slot, track);
        slots.push(slot);
        world.run(10);
    }
    world.run(500);
    assert_eq!(world.camera(1).encodings[0].keyframes - before, 1);
    for slot in slots {
        assert!(!world.receiver(slot).shown.is_empty());
    }
}

#[test]
fn a_joiner_right_after_a_key_frame_gets_it_replayed_and_time_does_not_run_ahead() {
    let mut world = World::new(3);
    world.join(1, GOOD);
    let track = world.add_camera(1, Camera::single(1, 640, 360));
    world.run(200);
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    world.bind(slot, track);
    world.run(1_000);
    let keyframes = world.camera(1).encodings[0].keyframes;
    assert_eq!(keyframes, 1, "no key frame was asked for");
    let receiver = world.receiver(slot);
    let (first, last) = (receiver.shown[0], receiver.shown[receiver.shown.len() - 1]);
    assert_eq!(first.stamp.frame, 0);
    let media_us = u64::from(last.timestamp.wrapping_sub(first.timestamp)) * 100 / 9;
    // 200 ms of media came at once, the rest in real time.
    assert!(media_us.abs_diff(last.at_us - first.at_us) <= 250_000);
}

#[test]
fn a_slot_that_shows_someone_asks_instead_of_going_back_in_time() {
    let mut world = World::new(6);
    world.join(1, GOOD);
    let old = world.add_camera(1, Camera::single(1, 320, 180));
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    world.bind(slot, old);
    world.run(2_000);
    world.join(3, GOOD);
    let new = world.add_camera(3, Camera::single(3, 320, 180));
    world.run(250); // its first key frame is young enough for a replay
    world.bind(slot, new);
    world.run(1_000);
    assert_eq!(world.camera(3).encodings[0].keyframes, 2);
    let shown = &world.receiver(slot).shown;
    let (first, last) = (shown[0], shown[shown.len() - 1]);
    let media_us = u64::from(last.timestamp.wrapping_sub(first.timestamp)) * 100 / 9;
    assert!(
        media_us.abs_diff(last.at_us - first.at_us) < 60_000,
        "{media_us}"
    );
    let holes = shown
        .windows(2)
        .map(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp));
    assert!(holes.max().unwrap() < 3 * 3_600);
}

#[test]
fn a_slot_that_is_bound_before_its_transport_is_ready_starts_when_it_is() {
    let mut world = World::new(4);
    world.join(1, GOOD);
    let track = world.add_camera(1, Camera::single(1, 640, 360));
    world.join(2, GOOD);
    let transport = world.person(2).transport;
    world
        .forwarder
        .set_transport_ready(world.now_us, transport, false);
    let slot = world.add_video_slot(2);
    world.bind(slot, track);
    world.run(2_000);
    assert_eq!(world.receiver(slot).packets, 0);
    world
        .forwarder
        .set_transport_ready(world.now_us, transport, true);
    world.run(500);
    assert!(world.receiver(slot).shown.first().unwrap().key);
    assert_eq!(world.bindings(slot).len(), 1);
}

#[test]
fn a_lane_begins_with_the_last_words() {
    let mut world = World::new(5);
    world.join(1, GOOD);
    let track = world.add_microphone(1, Microphone::new(1));
    world.run(1_000);
    world.join(2, GOOD);
    let lanes = world.add_lanes(2, 3);
    let joined_us = world.now_us;
    world.run(500);
    let shown = &world.receiver(lanes[0]).shown;
    let on_join = shown
        .iter()
        .filter(|one| one.at_us < joined_us + 12_000)
        .count();
    assert!((4..=6).contains(&on_join), "{on_join} packets at once");
    assert!(shown
        .windows(2)
        .all(|pair| pair[1].stamp.frame == pair[0].stamp.frame + 1));
    assert_eq!(world.bindings(lanes[0])[0].1, Some(track));
    assert_eq!(world.receiver(lanes[1]).packets, 0);
}
