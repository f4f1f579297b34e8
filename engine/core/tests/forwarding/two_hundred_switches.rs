//! A slot is bound to one person after the other, and nobody is ever shown under a wrong name.

use sunup_engine_core::ids::{SlotId, TrackId};
use sunup_engine_netem::{Conditions, Dice};

use crate::publisher::Camera;
use crate::world::World;

const ROUGH: Conditions = Conditions {
    delay_us: 15_000,
    jitter_us: 5_000,
    loss: 0.02,
    burst: 1.0,
    reorder: 0.02,
    reorder_us: 6_000,
    duplicate: 0.01,
};

/// Every shown frame belongs to the binding in force at its timestamp.
fn check_names(world: &World, slot: SlotId) -> usize {
    let bindings = world.bindings(slot);
    for (at, binding) in bindings.iter().enumerate() {
        assert_eq!(binding.0 as usize, at + 1, "bindings count up");
    }
    for shown in &world.receiver(slot).shown {
        let owner = bindings
            .iter()
            .rev()
            .find(|binding| shown.timestamp.wrapping_sub(binding.2) as i32 >= 0)
            .expect("a frame before the first binding");
        let publisher = u64::from(shown.stamp.publisher) * 10 + 1;
        assert_eq!(
            owner.1,
            Some(TrackId(publisher)),
            "{shown:?} under {owner:?}"
        );
    }
    bindings.len()
}

#[test]
fn two_hundred_switches_show_no_frame_under_a_wrong_name() {
    let mut world = World::new(7);
    let mut tracks = Vec::new();
    for number in 1..=4 {
        world.join(number, ROUGH);
        let mut camera = Camera::single(number as u8, 320, 180);
        camera.h264 = number == 4;
        tracks.push(world.add_camera(number, camera));
    }
    world.join(9, ROUGH);
    let slot = world.add_video_slot(9);
    let mut dice = Dice(7);
    let mut at = 0;
    for _ in 0..200 {
        at = (at + 1 + dice.below(3) as usize) % 4;
        world.bind(slot, tracks[at]);
        world.run(1_100 + dice.below(200));
    }
    assert_eq!(check_names(&world, slot), 200);
    assert_eq!(world.slot_figure(slot, "switches"), 200);
}

#[test]
fn binds_faster_than_key_frames_come_end_with_the_last_one() {
    let mut world = World::new(8);
    let mut tracks = Vec::new();
    for number in 1..=3 {
        world.join(number, ROUGH);
        tracks.push(world.add_camera(number, Camera::single(number as u8, 320, 180)));
    }
    world.join(9, ROUGH);
    let slot = world.add_video_slot(9);
    for round in 0..300 {
        world.bind(slot, tracks[round % 3]);
        world.run(7);
    }
    world.bind(slot, tracks[1]);
    world.run(2_500);
    check_names(&world, slot);
    assert_eq!(world.bindings(slot).last().unwrap().1, Some(tracks[1]));
    let settled_us = world.now_us;
    world.run(1_000);
    assert!(world.receiver(slot).count(settled_us, 2, 0) > 20);
}
