//! Authenticated peers who send nonsense: nothing panics, nothing grows, others are not disturbed.

use sunup_engine_core::forward::{PacketKind, Sink};
use sunup_engine_core::ids::TransportId;
use sunup_engine_core::rtcp;
use sunup_engine_netem::Dice;

use crate::publisher::{rtp_packet, Camera, Head, LEVEL_ID, MID_ID, RID_ID, RRID_ID, VP8};
use crate::world::{World, GOOD};

/// Counts packets and bytes by transport.
#[derive(Default)]
struct Tally {
    to_others: usize,
    bytes: usize,
}

impl Sink for Tally {
    fn push(&mut self, to: TransportId, _: PacketKind, len: usize, write: impl FnOnce(&mut [u8])) {
        write(&mut vec![0; len]);
        self.bytes += len;
        self.to_others += usize::from(to != TransportId(3));
    }
}

/// An RTP packet that is well-formed in some places and absurd in others.
fn absurd_rtp(dice: &mut Dice) -> Vec<u8> {
    let byte = |dice: &mut Dice| dice.next_u64() as u8;
    let mut pick = |list: &[u32]| list[dice.below(list.len() as u64) as usize];
    let ssrc = pick(&[3_001, 3_002, 3_011, 3_012, 0, 1, 1_001, 77]);
    let payload_type = pick(&[96, 97, 102, 103, 111, 0, 127]) as u8;
    let sequence = dice.next_u64() as u16;
    let timestamp = dice.next_u64() as u32;
    let head = Head {
        payload_type,
        marker: dice.below(2) == 0,
        sequence,
        timestamp,
        ssrc,
    };
    let values: [&[u8]; 4] = [b"1", b"f", b"\xff\xff\xff", b""];
    let ids = [MID_ID, RID_ID, RRID_ID, LEVEL_ID];
    let elements: Vec<(u8, &[u8])> = (0..dice.below(4))
        .map(|_| (ids[dice.below(4) as usize], values[dice.below(4) as usize]))
        .collect();
    let payload: Vec<u8> = (0..dice.below(40)).map(|_| byte(dice)).collect();
    let mut packet = rtp_packet(&head, &elements, &mut (dice.next_u64() as u16), &payload);
    for _ in 0..dice.below(4) {
        let at = dice.below(packet.len() as u64) as usize;
        packet[at] = byte(dice);
    }
    packet.truncate(dice.below(packet.len() as u64 + 20) as usize);
    packet
}

fn absurd_rtcp(dice: &mut Dice) -> Vec<u8> {
    let ssrcs = [3_001, 1_001, 500_002, 500_004, 0, 9];
    let mut ssrc = || ssrcs[dice.below(6) as usize];
    let (a, b) = (ssrc(), ssrc());
    let mut bytes = Vec::new();
    let block = rtcp::ReportBlock {
        ssrc: a,
        fraction_lost: dice.next_u64() as u8,
        cumulative_lost: dice.next_u64() as i32,
        highest_sequence: dice.next_u64() as u32,
        jitter: dice.next_u64() as u32,
        last_sr: dice.next_u64() as u32,
        delay_since_last_sr: dice.next_u64() as u32,
    };
    match dice.below(7) {
        0 => rtcp::write_receiver_report(&mut bytes, b, &[block; 3]),
        1 => rtcp::write_pli(&mut bytes, 1, a),
        2 => rtcp::write_fir(&mut bytes, 1, a, dice.next_u64() as u8),
        3 => {
            let lost: Vec<u16> = (0..dice.below(50))
                .map(|_| dice.next_u64() as u16)
                .collect();
            rtcp::write_nack(&mut bytes, 1, a, &lost);
        }
        4 => rtcp::write_goodbye(&mut bytes, a),
        5 => {
            let arrivals: Vec<_> = (0..dice.below(60))
                .map(|_| Some(dice.below(1 << 40)))
                .collect();
            let base = dice.next_u64() as u16;
            rtcp::write_transport_feedback(&mut bytes, 1, a, 0, base, &arrivals);
        }
        _ => bytes.extend((0..dice.below(60)).map(|_| dice.next_u64() as u8)),
    }
    for _ in 0..dice.below(3) {
        if !bytes.is_empty() {
            let at = dice.below(bytes.len() as u64) as usize;
            bytes[at] = dice.next_u64() as u8;
        }
    }
    bytes
}

#[test]
fn a_hundred_thousand_absurd_packets_disturb_nobody() {
    let seed = 77;
    let mut dice = Dice(seed);
    let mut world = World::new(seed);
    world.join(1, GOOD);
    let track = world.add_camera(1, Camera::single(1, 320, 180));
    world.join(2, GOOD);
    let slot = world.add_video_slot(2);
    world.bind(slot, track);
    world.join(3, GOOD);
    world.add_camera(3, Camera::simulcast(3));
    world.person(3).camera = None;
    world.run(1_000);
    let (frames, shown) = (
        world.camera(1).encodings[0].frames,
        world.receiver(slot).shown.len(),
    );
    let mut tally = Tally::default();
    for round in 0..100_000 {
        let now_us = world.now_us;
        if dice.below(2) == 0 {
            let packet = absurd_rtp(&mut dice);
            world
                .forwarder
                .handle_rtp(now_us, TransportId(3), &packet, &mut tally);
        } else {
            let packet = absurd_rtcp(&mut dice);
            world
                .forwarder
                .handle_rtcp(now_us, TransportId(3), &packet, &mut tally);
        }
        if round % 50 == 0 {
            world.run(1);
        }
    }
    assert_eq!(tally.to_others, 0, "nobody is bound to the absurd track");
    world.run(100);
    let frames = (world.camera(1).encodings[0].frames - frames) as usize;
    let shown = world.receiver(slot).shown.len() - shown;
    assert!(shown.abs_diff(frames) <= 1, "{shown} of {frames}");
    let refused = world.figure(Some(world.forwarder.figures()), "ssrcs_refused");
    let unknown = world.figure(Some(world.forwarder.figures()), "rtp_unknown_ssrc");
    assert!(unknown > 1_000 && refused < 50_000, "{unknown} {refused}");
}

#[test]
fn those_who_watch_an_absurd_publisher_survive_it() {
    let seed = 78;
    let mut dice = Dice(seed);
    let mut world = World::new(seed);
    world.join(3, GOOD);
    let track = world.add_camera(3, Camera::simulcast(3));
    world.run(500);
    world.person(3).camera = None;
    for number in [1, 2] {
        world.join(number, GOOD);
    }
    let mut out = Tally::default();
    let mut forwarder = std::mem::replace(
        &mut world.forwarder,
        sunup_engine_core::forward::Forwarder::new(sunup_engine_core::rng::Rng::from_seed(0)),
    );
    let slots: Vec<_> = (0..4)
        .map(|n| (1 + n % 2, sunup_engine_core::ids::SlotId(100 + n)))
        .collect();
    for &(transport, slot) in &slots {
        let params = sunup_engine_core::params::SlotParams {
            kind: sunup_engine_core::params::MediaKind::Video,
            mid: "9".into(),
            codecs: crate::publisher::video_codecs(),
            extensions: crate::publisher::extensions(),
            auto: false,
            ssrc: 500_000 + slot.0 as u32,
            rtx_ssrc: Some(600_000 + slot.0 as u32),
            cname: "c".into(),
        };
        forwarder.add_slot(0, slot, TransportId(transport), &params);
        forwarder.bind_slot(0, slot, Some(track));
    }
    let mut now_us = world.now_us;
    for _ in 0..100_000 {
        now_us += dice.below(1_000);
        let packet = absurd_rtp(&mut dice);
        forwarder.handle_rtp(now_us, TransportId(3), &packet, &mut out);
        if dice.below(100) == 0 {
            let (_, slot) = slots[dice.below(4) as usize];
            let (width, height) = (dice.below(3) as u32 * 640, dice.below(3) as u32 * 360);
            forwarder.set_slot_size(now_us, slot, width, height);
        }
        if forwarder.next_timeout().is_some_and(|due| due <= now_us) {
            forwarder.handle_timeout(now_us, &mut out);
        }
        while forwarder.poll_event().is_some() {}
    }
    assert!(out.to_others > 0);
}

#[test]
fn a_packet_that_names_no_layer_is_of_the_only_one_or_of_none() {
    for (camera, unknown) in [(Camera::simulcast(1), 1), (Camera::single(1, 320, 180), 0)] {
        let mut world = World::new(79);
        world.join(1, GOOD);
        world.add_camera(1, camera);
        let head = Head {
            payload_type: VP8,
            marker: true,
            sequence: 1,
            timestamp: 1,
            ssrc: 1_900,
        };
        let packet = rtp_packet(&head, &[(MID_ID, b"1")], &mut 0, &[0x10; 20]);
        world
            .forwarder
            .handle_rtp(world.now_us, TransportId(1), &packet, &mut Tally::default());
        let figures = Some(world.forwarder.figures());
        assert_eq!(world.figure(figures, "rtp_unknown_ssrc"), unknown);
    }
}
