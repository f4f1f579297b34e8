//! A publisher's encoder starts anew: other SSRCs, other counters, same m-section.

use sunup_engine_netem::Conditions;

use crate::publisher::Camera;
use crate::world::{self, World};

const GOOD: Conditions = Conditions {
    delay_us: 20_000,
    jitter_us: 3_000,
    ..world::GOOD
};

#[test]
fn the_slot_goes_on_with_the_new_stream_as_if_nothing_happened() {
    let mut world = World::new(1);
    world.join(1, GOOD);
    let track = world.add_camera(1, Camera::simulcast(1));
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    world.size(slot, 640, 360);
    world.bind(slot, track);
    for _ in 0..5 {
        world.run(2_000);
        world.camera(1).restart();
    }
    world.run(2_000);
    let frames = world.camera(1).encodings[1].frames as usize;
    let shown = world.receiver(slot).count(0, 1, 1);
    assert!(shown + 5 * 5 >= frames, "{shown} of {frames}");
    assert_eq!(world.bindings(slot).len(), 1);
}

#[test]
fn padding_on_the_media_streams_leaves_no_gap() {
    let mut world = World::new(2);
    world.join(1, GOOD);
    let track = world.add_camera(1, Camera::single(1, 320, 180));
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    world.bind(slot, track);
    for _ in 0..50 {
        world.run(40);
        let now_us = world.now_us;
        world.person(1).probe(now_us);
    }
    world.run(500);
    assert_eq!(world.slot_figure(slot, "nacks_received"), 0);
    assert_eq!(
        world.receiver(slot).shown.len(),
        world.camera(1).encodings[0].frames as usize - 1
    );
}
