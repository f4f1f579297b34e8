//! A receiver draws a slot larger, smaller, or not at all.

use sunup_engine_core::events::{Event, LayerReason};
use sunup_engine_core::ids::{SlotId, TrackId};
use sunup_engine_netem::Conditions;

use crate::publisher::Camera;
use crate::world::{self, World};

const GOOD: Conditions = Conditions {
    delay_us: 10_000,
    jitter_us: 2_000,
    ..world::GOOD
};

fn scene(seed: u64, h264: bool) -> (World, TrackId, SlotId) {
    let mut world = World::new(seed);
    world.join(1, GOOD);
    let mut camera = Camera::simulcast(1);
    camera.h264 = h264;
    let track = world.add_camera(1, camera);
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    (world, track, slot)
}

#[test]
fn the_received_layer_follows_the_size_both_ways() {
    for h264 in [false, true] {
        let (mut world, track, slot) = scene(1, h264);
        world.size(slot, 320, 180);
        world.bind(slot, track);
        for (width, height, layer) in [
            (320, 180, 2),
            (640, 360, 1),
            (1_280, 720, 0),
            (300, 200, 2),
            (1_920, 1_080, 0),
            (600, 300, 1),
        ] {
            world.size(slot, width, height);
            world.run(1_200);
            let settled_us = world.now_us;
            world.run(1_000);
            let receiver = world.receiver(slot);
            assert!(
                receiver.count(settled_us, 1, layer) >= 24,
                "{width}x{height}"
            );
            let others = receiver
                .shown
                .iter()
                .filter(|shown| shown.at_us >= settled_us);
            assert!(others.clone().all(|shown| shown.stamp.layer == layer));
        }
    }
}

#[test]
fn a_switch_between_layers_shows_every_frame_interval() {
    let (mut world, track, slot) = scene(2, false);
    world.size(slot, 320, 180);
    world.bind(slot, track);
    world.run(2_000);
    world.size(slot, 1_280, 720);
    world.run(1_000);
    let shown = &world.receiver(slot).shown;
    let hole = shown
        .windows(2)
        .map(|pair| pair[1].at_us - pair[0].at_us)
        .max()
        .unwrap();
    assert!(
        hole <= 50_000,
        "the old layer flows until the new one is here: {hole}"
    );
}

#[test]
fn a_hidden_slot_receives_nothing_and_comes_back_with_a_key_frame() {
    let (mut world, track, slot) = scene(3, false);
    world.bind(slot, track);
    world.run(2_000);
    world.size(slot, 0, 0);
    let packets = world.receiver(slot).packets;
    world.run(100);
    let packets_later = world.receiver(slot).packets;
    assert!(packets_later - packets < 10, "what was on the way");
    world.run(5_000);
    assert_eq!(world.receiver(slot).packets, packets_later);
    let paused = |event: &Event| {
        matches!(
            event,
            Event::SlotLayer {
                reason: LayerReason::Paused,
                width: 0,
                ..
            }
        )
    };
    assert_eq!(
        world
            .events
            .iter()
            .filter(|(_, event)| paused(event))
            .count(),
        1
    );
    world.size(slot, 640, 360);
    let back_us = world.now_us;
    world.run(500);
    let first = world
        .receiver(slot)
        .shown
        .iter()
        .find(|shown| shown.at_us > back_us)
        .unwrap();
    assert!(first.key && first.at_us < back_us + 150_000);
    assert_eq!(
        world.bindings(slot).len(),
        1,
        "the same person all the time"
    );
}

#[test]
fn cameras_whose_rids_are_in_the_wrong_order_are_ranked_by_what_they_send() {
    let mut world = World::new(4);
    world.join(1, GOOD);
    let camera = Camera::new(1, "1", &[("q", 160, 120), ("h", 320, 240), ("f", 640, 480)]);
    let track = world.add_camera(1, camera);
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    world.size(slot, 640, 480);
    world.bind(slot, track);
    world.run(2_000);
    let settled_us = world.now_us;
    world.run(1_000);
    assert!(world.receiver(slot).count(settled_us, 1, 2) >= 24);
}

#[test]
fn another_track_of_the_same_layers_is_told_of_anew() {
    let (mut world, track, slot) = scene(5, false);
    world.join(3, GOOD);
    let other = world.add_camera(3, Camera::simulcast(3));
    world.size(slot, 640, 360);
    world.bind(slot, track);
    world.run(2_000);
    let since_us = world.now_us;
    // The owner says "starting" now, and waits for another word.
    world.bind(slot, other);
    world.run(2_000);
    let told = |(at_us, event): &&(u64, Event)| {
        *at_us > since_us && matches!(event, Event::SlotLayer { slot: id, .. } if *id == slot)
    };
    let last = world.events.iter().rfind(told);
    assert!(
        matches!(
            last,
            Some((
                _,
                Event::SlotLayer {
                    reason: LayerReason::SmallTile,
                    ..
                }
            ))
        ),
        "{last:?}"
    );
}
