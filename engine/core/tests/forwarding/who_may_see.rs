//! What must not leave: paused, foreign, unbound, unknown.

use sunup_engine_core::forward::{PacketKind, Sink};
use sunup_engine_core::ids::{RoomId, SlotId, TrackId, TransportId};
use sunup_engine_core::rtcp;

use crate::publisher::{rtp_packet, Camera, Head, Microphone, MID_ID, RID_ID, VP8};
use crate::world::{World, GOOD};

struct Count(usize);

impl Sink for Count {
    fn push(&mut self, _: TransportId, _: PacketKind, len: usize, write: impl FnOnce(&mut [u8])) {
        write(&mut vec![0; len]);
        self.0 += 1;
    }
}

fn scene(seed: u64) -> (World, TrackId, SlotId) {
    let mut world = World::new(seed);
    world.join(1, GOOD);
    let track = world.add_camera(1, Camera::simulcast(1));
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    world.bind(slot, track);
    world.run(1_000);
    assert!(world.receiver(slot).packets > 0);
    (world, track, slot)
}

#[test]
fn a_paused_track_reaches_nobody_and_resumes_with_a_key_frame() {
    let (mut world, track, slot) = scene(1);
    world.forwarder.pause_track(world.now_us, track, true);
    world.run(50);
    let packets = world.receiver(slot).packets;
    world.run(3_000);
    assert_eq!(world.receiver(slot).packets, packets);
    world.forwarder.pause_track(world.now_us, track, false);
    let resumed_us = world.now_us;
    world.run(1_000);
    let shown = &world.receiver(slot).shown;
    let first = shown.iter().find(|shown| shown.at_us > resumed_us).unwrap();
    assert!(first.key);
    let last_before = shown
        .iter()
        .rev()
        .find(|shown| shown.at_us <= resumed_us)
        .unwrap();
    let step_us = u64::from(first.timestamp.wrapping_sub(last_before.timestamp)) * 100 / 9;
    assert!(
        step_us.abs_diff(first.at_us - last_before.at_us) < 50_000,
        "real time passed"
    );
}

#[test]
fn nothing_said_while_muted_is_replayed() {
    let mut world = World::new(2);
    world.join(1, GOOD);
    let track = world.add_microphone(1, Microphone::new(1));
    world.run(500);
    world.forwarder.pause_track(world.now_us, track, true);
    world.run(500);
    let said = world.microphone(1).packets;
    world.forwarder.pause_track(world.now_us, track, false);
    world.join(2, GOOD);
    let lane = world.add_lanes(2, 1)[0];
    world.run(500);
    let first = world.receiver(lane).shown[0].stamp.frame;
    // One packet may be on the way when the pause ends.
    assert!(
        first + 1 >= said,
        "packet {first} was said while muted ({said})"
    );
}

#[test]
fn nothing_shown_while_muted_is_asked_for_or_repaired_afterwards() {
    let (mut world, track, slot) = scene(10);
    let packets = world.track_figure(track, "packets");
    world.forwarder.pause_track(world.now_us, track, true);
    world.run(200);
    assert!(
        world.track_figure(track, "packets") == packets,
        "dropped at the door"
    );
    let muted = world.camera(1).encodings[0].frames;
    world.run(300);
    let unmuted = world.camera(1).encodings[0].frames;
    world.forwarder.pause_track(world.now_us, track, false);
    world.run(2_000);
    let shown = &world.receiver(slot).shown;
    assert!(shown
        .iter()
        .all(|shown| !(muted..unmuted).contains(&shown.stamp.frame)));
    assert!(shown.last().unwrap().stamp.frame > unmuted);
    assert_eq!(world.track_figure(track, "nacks_sent"), 0);
    assert_eq!(world.track_figure(track, "repaired"), 0);
}

#[test]
fn a_track_of_another_room_cannot_be_bound() {
    let (mut world, track, _) = scene(3);
    world.forwarder.add_room(RoomId(2));
    let stranger = TransportId(77);
    world.forwarder.add_transport(stranger, RoomId(2));
    world
        .forwarder
        .set_transport_ready(world.now_us, stranger, true);
    let params = sunup_engine_core::params::SlotParams {
        kind: sunup_engine_core::params::MediaKind::Video,
        mid: "9".into(),
        codecs: crate::publisher::video_codecs(),
        extensions: crate::publisher::extensions(),
        auto: false,
        ssrc: 9,
        rtx_ssrc: Some(10),
        cname: "c".into(),
    };
    world
        .forwarder
        .add_slot(world.now_us, SlotId(900), stranger, &params);
    world
        .forwarder
        .bind_slot(world.now_us, SlotId(900), Some(track));
    world.run(500); // a packet for a stranger would panic in the world
    assert_eq!(
        world.figure(Some(world.forwarder.figures()), "binds_refused"),
        1
    );
}

#[test]
fn a_wish_for_a_key_frame_on_an_empty_slot_disturbs_nobody() {
    let (mut world, _, slot) = scene(4);
    world.forwarder.bind_slot(world.now_us, slot, None);
    world.run(1_000);
    let before = world.person(1).pli;
    let mut pli = Vec::new();
    rtcp::write_pli(&mut pli, 1, world.receiver(slot).ssrc);
    rtcp::write_fir(&mut pli, 1, world.receiver(slot).ssrc, 1);
    for _ in 0..10 {
        let now_us = world.now_us;
        world
            .forwarder
            .handle_rtcp(now_us, TransportId(2), &pli, &mut Count(0));
        world.run(100);
    }
    assert_eq!(world.person(1).pli, before);
    assert_eq!(world.bindings(slot).last().unwrap().1, None);
}

#[test]
fn one_receiver_cannot_make_a_publisher_send_key_frames_all_the_time() {
    let (mut world, _, slot) = scene(5);
    let before = world.camera(1).encodings[0].keyframes;
    let mut pli = Vec::new();
    rtcp::write_pli(&mut pli, 1, world.receiver(slot).ssrc);
    for _ in 0..1_000 {
        let now_us = world.now_us;
        world
            .forwarder
            .handle_rtcp(now_us, TransportId(2), &pli, &mut Count(0));
        world.run(10);
    }
    let keyframes = world.camera(1).encodings[0].keyframes - before;
    assert!((8..=11).contains(&keyframes), "{keyframes} in 10 s");
}

#[test]
fn a_nack_storm_is_answered_within_bounds() {
    let (mut world, _, slot) = scene(6);
    let before = world.slot_figure(slot, "retransmitted_packets");
    let all: Vec<u16> = (0..=u16::MAX).step_by(17).collect();
    for _ in 0..20 {
        for part in all.chunks(200) {
            let mut nack = Vec::new();
            let whole: Vec<u16> = part
                .iter()
                .flat_map(|&first| first..first.saturating_add(17))
                .collect();
            rtcp::write_nack(&mut nack, 1, world.receiver(slot).ssrc, &whole);
            let now_us = world.now_us;
            world
                .forwarder
                .handle_rtcp(now_us, TransportId(2), &nack, &mut Count(0));
        }
        world.run(10);
    }
    let sent = world.slot_figure(slot, "retransmitted_packets") - before;
    assert!((1..150).contains(&sent), "{sent} sent again");
}

#[test]
fn a_stream_that_nothing_explains_is_dropped_and_cannot_take_over_another() {
    let (mut world, track, slot) = scene(7);
    let before = world.figure(Some(world.forwarder.figures()), "rtp_unknown_ssrc");
    let mut out = Count(0);
    let head = Head {
        payload_type: VP8,
        marker: true,
        sequence: 1,
        timestamp: 1,
        ssrc: 0,
    };
    let probe = rtp_packet(&head, &[], &mut 0, &[1; 50]);
    world
        .forwarder
        .handle_rtp(world.now_us, TransportId(1), &probe, &mut out);
    let wrong_rid = [(MID_ID, &b"1"[..]), (RID_ID, &b"zz"[..])];
    let unknown = rtp_packet(&Head { ssrc: 5, ..head }, &wrong_rid, &mut 0, &[1; 50]);
    world
        .forwarder
        .handle_rtp(world.now_us, TransportId(1), &unknown, &mut out);
    // The subscriber sends what looks like the publisher's stream.
    let ssrc = world.camera(1).encodings[0].ssrc;
    let spoofed = rtp_packet(&Head { ssrc, ..head }, &wrong_rid, &mut 0, &[1; 50]);
    world
        .forwarder
        .handle_rtp(world.now_us, TransportId(2), &spoofed, &mut out);
    assert_eq!(out.0, 0);
    let dropped = world.figure(Some(world.forwarder.figures()), "rtp_unknown_ssrc") - before;
    assert_eq!(dropped, 3);
    let frames = world.receiver(slot).shown.len();
    world.run(500);
    assert!(world.receiver(slot).shown.len() > frames + 10);
    assert_eq!(world.track_figure(track, "duplicates"), 0);
}

#[test]
fn what_is_removed_says_goodbye_and_empties_the_slots_that_showed_it() {
    let (mut world, track, slot) = scene(8);
    world.forwarder.remove_track(world.now_us, track);
    world.person(1).camera = None;
    world.run(100);
    assert_eq!(world.bindings(slot).last().unwrap().1, None);
    let ssrc = world.receiver(slot).ssrc;
    world.forwarder.remove_slot(world.now_us, slot);
    world.run(100);
    assert_eq!(world.person(2).goodbyes, [ssrc]);
    // Late commands are counted and do nothing.
    world.forwarder.set_slot_size(world.now_us, slot, 1, 1);
    world.forwarder.pause_track(world.now_us, track, true);
    world.forwarder.bind_slot(world.now_us, slot, Some(track));
    assert_eq!(
        world.figure(Some(world.forwarder.figures()), "stale_commands"),
        3
    );
}

#[test]
fn a_publisher_that_leaves_takes_everything_with_it() {
    let (mut world, _, slot) = scene(9);
    world.leave(1);
    world.run(5_000);
    assert_eq!(world.bindings(slot).last().unwrap().1, None);
    world.leave(2);
    world.run(1_000);
    assert_eq!(
        world.forwarder.next_timeout(),
        None,
        "nobody is left to wake up for"
    );
}
