//! A publisher whose picture changes all the time: those who watch are told of it in measure.

use sunup_engine_core::events::{Event, LayerReason};
use sunup_engine_core::forward::{PacketKind, Sink};
use sunup_engine_core::ids::{SlotId, TransportId};
use sunup_engine_core::rtcp;

use crate::publisher::Camera;
use crate::world::{World, GOOD};

struct Nowhere;

impl Sink for Nowhere {
    fn push(&mut self, _: TransportId, _: PacketKind, len: usize, write: impl FnOnce(&mut [u8])) {
        write(&mut vec![0; len]);
    }
}

fn scene(seed: u64) -> (World, SlotId) {
    let mut world = World::new(seed);
    world.join(1, GOOD);
    let track = world.add_camera(1, Camera::single(1, 320, 180));
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    world.size(slot, 320, 180);
    world.bind(slot, track);
    world.run(2_000);
    (world, slot)
}

/// The next frame is a key frame of another width.
fn resize(world: &mut World, width: u16) {
    let encoding = &mut world.camera(1).encodings[0];
    encoding.width = width;
    let media_ssrc = encoding.ssrc;
    world
        .camera(1)
        .feedback(&rtcp::Packet::PictureLossIndication { media_ssrc }, &mut 0);
}

fn goodbye(world: &mut World) {
    let mut bye = Vec::new();
    rtcp::write_goodbye(&mut bye, world.camera(1).encodings[0].ssrc);
    let now_us = world.now_us;
    world
        .forwarder
        .handle_rtcp(now_us, TransportId(1), &bye, &mut Nowhere);
}

/// When the owner was told of a slot since a time, with the width and the reason.
fn told(world: &World, slot: SlotId, since_us: u64) -> Vec<(u64, u32, LayerReason)> {
    let of = |(at_us, event): &(u64, Event)| match event {
        Event::SlotLayer {
            slot: id,
            width,
            reason,
            ..
        } if *id == slot && *at_us > since_us => Some((*at_us, *width, *reason)),
        _ => None,
    };
    world.events.iter().filter_map(of).collect()
}

#[test]
fn sizes_that_change_with_every_frame_are_told_four_times_a_second_and_the_last_one_always() {
    let (mut world, slot) = scene(1);
    let since_us = world.now_us;
    for n in 0..250 {
        resize(&mut world, 320 + n % 250);
        world.run(40);
    }
    let events = told(&world, slot, since_us).len();
    assert!((40..=45).contains(&events), "{events} in 10 s");
    let end_us = world.now_us;
    world.run(300);
    let (_, width, _) = *told(&world, slot, end_us).last().unwrap();
    assert_eq!(width, 320 + 249);
    world.run(2_000);
    assert_eq!(told(&world, slot, end_us).len(), 1);
}

#[test]
fn goodbyes_between_the_packets_are_told_four_times_a_second() {
    let (mut world, slot) = scene(2);
    let since_us = world.now_us;
    for _ in 0..250 {
        goodbye(&mut world);
        world.run(40);
    }
    let events = told(&world, slot, since_us).len();
    assert!(events <= 45, "{events} in 10 s");
    world.run(2_000);
    let (_, width, reason) = *told(&world, slot, since_us).last().unwrap();
    assert_eq!((width, reason), (320, LayerReason::Fit));
}

#[test]
fn a_change_now_and_then_is_told_at_once() {
    let (mut world, slot) = scene(3);
    for n in 1..20 {
        let since_us = world.now_us;
        resize(&mut world, 320 + n);
        world.run(1_000);
        let told = told(&world, slot, since_us);
        assert_eq!(told.len(), 1);
        // A frame and the way up.
        assert!(told[0].0 - since_us <= 55_000);
        assert_eq!(told[0].1, 320 + u32::from(n));
    }
}
