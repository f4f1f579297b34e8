//! Five percent of all packets are lost, both ways, on a path of 100 ms round trip.

use sunup_engine_netem::Conditions;

use crate::publisher::{Camera, Microphone};
use crate::world::World;

const LOSSY: Conditions = Conditions {
    delay_us: 25_000,
    jitter_us: 5_000,
    loss: 0.05,
    burst: 1.0,
    reorder: 0.01,
    reorder_us: 8_000,
    duplicate: 0.01,
};

#[test]
fn nearly_all_frames_arrive_and_repairs_are_counted_on_both_paths() {
    for seed in 1..=4 {
        let mut world = World::new(seed);
        world.join(1, LOSSY);
        let mut camera = Camera::single(1, 640, 360);
        camera.h264 = seed % 2 == 0;
        let track = world.add_camera(1, camera);
        world.join(2, LOSSY);
        let slot = world.add_video_slot(2);
        world.bind(slot, track);
        world.run(20_000);
        let sent = world.camera(1).encodings[0].frames as usize;
        let receiver = world.receiver(slot);
        let shown = receiver.count(0, 1, 0);
        assert!(shown * 100 >= sent * 95, "{shown} of {sent} frames");
        assert!(receiver.repaired > 50, "{} repaired", receiver.repaired);
        assert!(world.slot_figure(slot, "retransmitted_packets") >= receiver.repaired);
        assert!(world.track_figure(track, "repaired") > 50);
        assert!(world.track_figure(track, "nacks_sent") > 50);
        assert!(world.person(1).nacked > 0);
    }
}

#[test]
fn bursts_of_loss_cost_key_frames_but_the_picture_comes_back() {
    let bursts = Conditions {
        loss: 0.15,
        burst: 8.0,
        ..LOSSY
    };
    let mut world = World::new(11);
    world.join(1, bursts);
    let track = world.add_camera(1, Camera::single(1, 640, 360));
    world.join(2, bursts);
    let slot = world.add_video_slot(2);
    world.bind(slot, track);
    world.run(30_000);
    let sent = world.camera(1).encodings[0].frames as usize;
    let receiver = world.receiver(slot);
    let shown = receiver.count(0, 1, 0);
    assert!(shown * 100 >= sent * 60, "{shown} of {sent} frames");
    let longest = receiver
        .shown
        .windows(2)
        .map(|pair| pair[1].at_us - pair[0].at_us)
        .max();
    assert!(longest.unwrap() < 3_000_000, "a hole of {longest:?} us");
}

#[test]
fn a_publisher_gets_feedback_every_100_ms_and_reports_every_second() {
    let mut world = World::new(21);
    world.join(1, LOSSY);
    world.add_camera(1, Camera::simulcast(1));
    world.run(10_000);
    let feedback = world.person(1).feedback_packets;
    // Every 50 ms at this rate, and five percent are lost on the way.
    assert!((100..=200).contains(&feedback), "{feedback} in 10 s");
}

#[test]
fn a_voice_with_losses_is_neither_asked_for_nor_shown_twice() {
    let mut world = World::new(31);
    world.join(1, LOSSY);
    let track = world.add_microphone(1, Microphone::new(1));
    world.join(2, LOSSY);
    let lane = world.add_lanes(2, 1)[0];
    world.run(10_000);
    let sent = world.microphone(1).packets as usize;
    let shown = world.receiver(lane).shown.len();
    assert!(
        shown * 100 >= sent * 86 && shown < sent,
        "{shown} of {sent}"
    );
    assert_eq!(world.track_figure(track, "nacks_sent"), 0);
}
