//! The key frame, or the request for it, does not arrive.

use sunup_engine_core::events::Event;
use sunup_engine_netem::Conditions;

use crate::publisher::Camera;
use crate::world::{World, GOOD};

const DEAD: Conditions = Conditions { loss: 1.0, ..GOOD };

/// Someone watches a camera, someone else joins late.
fn scene(
    seed: u64,
) -> (
    World,
    sunup_engine_core::ids::TrackId,
    sunup_engine_core::ids::SlotId,
) {
    let mut world = World::new(seed);
    world.join(1, GOOD);
    let track = world.add_camera(1, Camera::single(1, 640, 360));
    world.run(2_000);
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    (world, track, slot)
}

#[test]
fn a_lost_request_is_repeated() {
    let (mut world, track, slot) = scene(1);
    world.person(1).down.set_conditions(DEAD);
    world.bind(slot, track);
    world.run(100);
    world.person(1).down.set_conditions(GOOD);
    world.run(300);
    assert!(world.receiver(slot).shown.is_empty());
    world.run(300);
    assert!(!world.receiver(slot).shown.is_empty());
    assert_eq!(world.track_figure(track, "plis_sent"), 2);
}

#[test]
fn a_key_frame_lost_on_the_way_in_is_repaired_and_shown_with_what_came_after_it() {
    let (mut world, track, slot) = scene(2);
    world.bind(slot, track);
    // The request reaches the camera after 10 ms; its next frame is the key frame.
    let before = world.camera(1).encodings[0].keyframes;
    while world.camera(1).encodings[0].keyframes == before {
        let next = world.camera(1).next_us() <= world.now_us + 1_000;
        world
            .person(1)
            .up
            .set_conditions(if next { DEAD } else { GOOD });
        world.run(1);
    }
    let key = world.camera(1).encodings[0].frames - 1;
    world.person(1).up.set_conditions(GOOD);
    world.run(300);
    let receiver = world.receiver(slot);
    assert_eq!(receiver.shown[0].stamp.frame, key);
    assert!(receiver.shown.len() >= 4, "{}", receiver.shown.len());
    assert!(world.track_figure(track, "repaired") >= 3);
    let keyframes = world.camera(1).encodings[0].keyframes;
    assert_eq!(keyframes, before + 1, "no second key frame was needed");
}

#[test]
fn a_camera_whose_first_picture_was_lost_is_asked_though_nobody_watches() {
    let mut world = World::new(5);
    world.join(1, GOOD);
    world.person(1).up.set_conditions(DEAD);
    world.add_camera(1, Camera::single(1, 640, 360));
    while world.camera(1).encodings[0].frames == 0 {
        world.run(1);
    }
    world.person(1).up.set_conditions(GOOD);
    world.run(1_000);
    assert_eq!(world.camera(1).encodings[0].keyframes, 2);
}

#[test]
fn a_publisher_that_sends_none_is_reported_after_four_requests() {
    let (mut world, track, slot) = scene(3);
    world.person(1).down.set_conditions(DEAD);
    world.bind(slot, track);
    world.run(9_000);
    let failed = world.events.iter().filter(
        |(_, event)| matches!(event, Event::KeyframeFailed { track: id, .. } if *id == track),
    );
    assert_eq!(failed.count(), 1);
}

#[test]
fn a_slot_keeps_the_old_picture_while_the_new_one_does_not_come_but_not_for_ever() {
    let (mut world, _, slot) = scene(4);
    let old = world.add_camera(2, Camera::single(2, 320, 180));
    world.join(3, GOOD);
    let new = world.add_camera(3, Camera::single(3, 320, 180));
    world.run(1_000);
    world.bind(slot, old);
    world.run(1_000);
    world.person(3).down.set_conditions(DEAD);
    world.bind(slot, new);
    let asked_us = world.now_us;
    world.run(2_000);
    assert!(
        world.receiver(slot).count(asked_us + 1_000_000, 2, 0) > 20,
        "the old one flows on"
    );
    world.run(2_000);
    assert_eq!(
        world.receiver(slot).count(asked_us + 3_400_000, 2, 0),
        0,
        "and ends"
    );
    let tracks: Vec<_> = world
        .bindings(slot)
        .iter()
        .map(|binding| binding.1)
        .collect();
    assert_eq!(tracks, [Some(old), None]);
    world.person(3).down.set_conditions(GOOD);
    world.run(4_500);
    assert_eq!(world.bindings(slot).last().unwrap().1, Some(new));
}
