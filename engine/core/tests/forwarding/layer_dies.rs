//! A publisher stops a simulcast layer, and starts it again.

use sunup_engine_core::events::{Event, LayerReason};
use sunup_engine_core::ids::SlotId;

use crate::publisher::Camera;
use crate::world::{World, GOOD};

fn last_layer(world: &World, slot: SlotId) -> (String, u32, LayerReason) {
    let of = |event: &Event| match event {
        Event::SlotLayer {
            slot: id,
            rid,
            width,
            reason,
            ..
        } if *id == slot => Some((rid.clone(), *width, *reason)),
        _ => None,
    };
    world
        .events
        .iter()
        .rev()
        .find_map(|(_, event)| of(event))
        .expect("no layer event")
}

#[test]
fn the_slot_falls_to_the_next_layer_and_comes_back() {
    let mut world = World::new(1);
    world.join(1, GOOD);
    let track = world.add_camera(1, Camera::simulcast(1));
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    world.size(slot, 1_280, 720);
    world.bind(slot, track);
    world.run(2_000);
    assert_eq!(
        last_layer(&world, slot),
        ("f".into(), 1_280, LayerReason::Fit)
    );

    world.camera(1).encodings[0].active = false;
    let stopped_us = world.now_us;
    world.run(3_000);
    assert_eq!(
        last_layer(&world, slot),
        ("h".into(), 640, LayerReason::TheirCamera)
    );
    let shown = &world.receiver(slot).shown;
    let hole = shown
        .windows(2)
        .map(|pair| pair[1].at_us - pair[0].at_us)
        .max()
        .unwrap();
    assert!(hole < 1_500_000, "a hole of {hole} us");
    assert!(world.receiver(slot).count(stopped_us, 1, 1) > 35);
    assert!(world.events.iter().any(|(_, event)| matches!(
        event, Event::TrackLayer { rid, live: false, .. } if rid == "f"
    )));

    world.camera(1).encodings[0].active = true;
    let back_us = world.now_us;
    world.run(1_500);
    assert_eq!(
        last_layer(&world, slot),
        ("f".into(), 1_280, LayerReason::Fit)
    );
    assert!(world.receiver(slot).count(back_us, 1, 0) > 25);
    assert_eq!(
        world.bindings(slot).len(),
        1,
        "the same person all the time"
    );
}

#[test]
fn a_still_screen_is_not_dead_after_a_second() {
    let mut world = World::new(2);
    world.join(1, GOOD);
    let track = world.add_camera(1, Camera::single(1, 1_280, 720));
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    world.bind(slot, track);
    world.run(1_000);
    world.camera(1).encodings[0].active = false;
    world.run(4_000);
    let frames = world.receiver(slot).shown.len();
    world.camera(1).encodings[0].active = true;
    world.run(500);
    assert!(
        world.receiver(slot).shown.len() >= frames + 10,
        "it went on without a key frame"
    );
    assert_eq!(world.camera(1).encodings[0].keyframes, 1);
}

#[test]
fn nobody_is_asked_for_key_frames_of_a_layer_that_died() {
    let mut world = World::new(3);
    world.join(1, GOOD);
    let track = world.add_camera(1, Camera::single(1, 640, 360));
    world.run(1_000);
    world.camera(1).encodings[0].active = false;
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    world.bind(slot, track);
    world.run(6_000);
    let asked = world.track_figure(track, "plis_sent");
    assert!(asked > 0, "while it was only silent");
    world.run(20_000);
    assert_eq!(world.track_figure(track, "plis_sent"), asked);
    world.camera(1).encodings[0].active = true;
    world.run(1_000);
    assert!(!world.receiver(slot).shown.is_empty());
}
