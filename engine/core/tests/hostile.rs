//! Hostile bytes, seeded: whatever comes in, the core does not panic, does not grow without limit, and
//! goes on serving a well-behaved peer.
//!
//! The same inputs, made by a coverage-guided fuzzer instead of a seeded generator, are in
//! `engine/fuzz`. Each failure prints its seed.

mod support;

use sunup_engine_core::commands::Command;
use sunup_engine_core::ice::State;
use sunup_engine_core::ids::{SlotId, TrackId};
use sunup_engine_core::params::{Codec, CodecName, Extension, MediaKind, SlotParams, TrackParams};
use sunup_engine_core::rng::Rng;
use sunup_engine_core::srtp::{Profile, MAX_OVERHEAD};
use support::{path, rtp, Peer, Server};

const PEER: &str = "192.0.2.1:1000";
const STEPS: u32 = 30_000;

fn below(rng: &mut Rng, limit: usize) -> usize {
    rng.next_u32() as usize % limit.max(1)
}

fn random_bytes(rng: &mut Rng, max: usize) -> Vec<u8> {
    let mut bytes = vec![0; below(rng, max)];
    rng.fill(&mut bytes);
    bytes
}

/// Flips bits, cuts, doubles and overwrites with edge values, as a fuzzer does.
fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..=below(rng, 4) {
        if bytes.is_empty() {
            return;
        }
        let at = below(rng, bytes.len());
        match below(rng, 6) {
            0 => bytes[at] ^= 1 << below(rng, 8),
            1 => bytes[at] = [0, 0xff, 0x7f, 0x80][below(rng, 4)],
            2 => bytes.truncate(at),
            3 => {
                let tail = bytes[at..].to_vec();
                bytes.extend(tail);
            }
            4 => bytes.insert(at, rng.next_u32() as u8),
            _ => {
                bytes.remove(at);
            }
        }
    }
    bytes.truncate(1400);
}

/// Packets that are nearly right: the mutations start from what a browser sends.
fn rtp_seeds() -> Vec<Vec<u8>> {
    let mut with_extensions = rtp(21, 1, &[]);
    with_extensions[0] |= 0x10;
    with_extensions[1] = 96;
    // mid "1", rid "f", audio level, transport-wide sequence number; then a VP8 key frame.
    with_extensions.extend([
        0xbe, 0xde, 0, 3, 0x40, b'1', 0xa0, b'f', 0x10, 0x94, 0x31, 0, 1, 0, 0, 0,
    ]);
    with_extensions.extend([
        0x90, 0x80, 0x80, 0x01, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 1, 0xf0, 0,
    ]);
    let mut two_byte = rtp(22, 1, &[]);
    two_byte[0] |= 0x10;
    two_byte[1] = 96;
    two_byte.extend([0x10, 0x00, 0, 2, 4, 1, b'1', 10, 1, b'f', 0, 0]);
    let mut padded = rtp(21, 2, &[0xf8, 0, 0, 3]);
    padded[0] |= 0x20;
    let mut rtx = rtp(23, 1, &[0, 1, 0x90, 0x80]);
    rtx[1] = 97;
    vec![
        with_extensions,
        two_byte,
        padded,
        rtx,
        rtp(24, 65_535, &[1; 40]),
    ]
}

fn rtcp_seeds() -> Vec<Vec<u8>> {
    vec![
        // Sender report with one block, then source description.
        [
            &[0x81, 200, 0, 12, 0, 0, 0, 21][..],
            &[1; 20],
            &[
                0, 0, 0, 9, 1, 0, 0, 2, 0, 0, 1, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
            &[0x81, 202, 0, 3, 0, 0, 0, 21, 1, 2, b'a', b'b', 0, 0, 0, 0],
        ]
        .concat(),
        // Generic NACK, PLI, FIR.
        vec![0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 31, 0, 5, 0xff, 0xff],
        vec![0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 31],
        vec![
            0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 31, 3, 0, 0, 0,
        ],
        // Transport-wide feedback: base 1, 7 packets, a run and a vector.
        vec![
            0x8f, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 31, 0, 1, 0, 7, 0, 0, 1, 0, 0x20, 3, 0xb8, 0, 4,
            4, 4, 4,
        ],
        // REMB, BYE.
        vec![
            0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 3, 0x40, 0, 0, 0,
            0, 31,
        ],
        vec![0x81, 203, 0, 1, 0, 0, 0, 21],
    ]
}

fn params() -> (TrackParams, SlotParams) {
    let codecs = vec![
        Codec {
            payload_type: 96,
            name: CodecName::Vp8,
            clock_rate: 90_000,
            rtx_payload_type: Some(97),
        },
        Codec {
            payload_type: 98,
            name: CodecName::H264,
            clock_rate: 90_000,
            rtx_payload_type: Some(99),
        },
    ];
    let extensions: Vec<Extension> = [
        (4, "urn:ietf:params:rtp-hdrext:sdes:mid"),
        (10, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
        (11, "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"),
        (
            3,
            "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        ),
    ]
    .map(|(id, uri)| Extension {
        id,
        uri: uri.into(),
    })
    .into();
    let track = TrackParams {
        kind: MediaKind::Video,
        mid: "1".into(),
        codecs: codecs.clone(),
        extensions: extensions.clone(),
        rids: vec!["f".into(), "h".into(), "q".into()],
        ssrcs: Vec::new(),
    };
    let slot = SlotParams {
        kind: MediaKind::Video,
        mid: "6".into(),
        codecs,
        extensions,
        auto: false,
        ssrc: 31,
        rtx_ssrc: Some(32),
        cname: "c".into(),
    };
    (track, slot)
}

/// A server with one hostile publisher and one receiver of what it sends.
fn meeting() -> (Server, Peer, Peer) {
    let mut server = Server::new();
    let hostile = server.connect(PEER, Profile::AeadAes128Gcm);
    let receiver = server.connect("192.0.2.2:1000", Profile::Aes128CmSha1_80);
    let (track, slot) = params();
    server.command(Command::AddTrack {
        track: TrackId(1),
        transport: hostile.transport,
        params: Box::new(track),
    });
    server.command(Command::AddSlot {
        slot: SlotId(1),
        transport: receiver.transport,
        params: Box::new(slot),
    });
    server.command(Command::BindSlot {
        slot: SlotId(1),
        track: Some(TrackId(1)),
    });
    (server, hostile, receiver)
}

fn well_behaved_peer_is_served(server: &mut Server) {
    let mut peer = server.connect("192.0.2.77:7", Profile::AeadAes128Gcm);
    let packet = peer.seal_rtp(&rtp(7, 1, b"payload"));
    server.receive(path("192.0.2.77:7"), &packet);
    let transport = server.core.transport(peer.transport).unwrap();
    assert_eq!(transport.counters.srtp_packets_in, 1);
}

#[test]
fn anything_from_anywhere() {
    for seed in 1..=3 {
        println!("seed {seed}");
        let mut rng = Rng::from_seed(seed);
        let (mut server, mut peer, _receiver) = meeting();
        let options = peer.options();
        for step in 0..STEPS {
            let mut bytes = match below(&mut rng, 5) {
                0 => random_bytes(&mut rng, 300),
                1 | 2 => peer.check_bytes(&options),
                3 => rtp_seeds().swap_remove(below(&mut rng, 5)),
                _ => vec![20 + (step % 44) as u8; below(&mut rng, 100)],
            };
            mutate(&mut rng, &mut bytes);
            let from = match below(&mut rng, 3) {
                0 => path(PEER),
                1 => path("[2001:db8::9]:9"),
                _ => path(&format!("198.51.100.{}:9", rng.next_u32() % 256)),
            };
            server.receive(from, &bytes);
            server.wait(u64::from(rng.next_u32() % 2000));
            server.sent.clear();
            server.events.clear();
        }
        well_behaved_peer_is_served(&mut server);
    }
}

/// The worse case: a peer with keys, whose packets authenticate and whose content is hostile.
#[test]
fn authentic_packets_with_hostile_content() {
    for seed in 1..=3 {
        println!("seed {seed}");
        let mut rng = Rng::from_seed(seed);
        let (mut server, mut hostile, mut receiver) = meeting();
        let mut sequence_number = 0u16;
        let mut most_sent = 0;
        for step in 0..STEPS {
            // One end sends media, both send reports.
            let from_receiver = step % 4 == 3;
            let rtcp = from_receiver || below(&mut rng, 3) == 0;
            let seeds = if rtcp { rtcp_seeds() } else { rtp_seeds() };
            let mut packet = seeds[below(&mut rng, seeds.len())].clone();
            mutate(&mut rng, &mut packet);
            if packet.len() < 12 {
                packet.resize(12, 0);
            }
            // SRTP itself wants a version, and a sequence number that is not used up.
            packet[0] = 0x80 | (packet[0] & 0x3f);
            if !rtcp {
                sequence_number = sequence_number.wrapping_add(1 + (rng.next_u32() % 3) as u16);
                packet[2..4].copy_from_slice(&sequence_number.to_be_bytes());
            }
            let (peer, from) = if from_receiver {
                (&mut receiver, "192.0.2.2:1000")
            } else {
                (&mut hostile, PEER)
            };
            let len = packet.len();
            packet.resize(len + MAX_OVERHEAD, 0);
            let outbound = peer.outbound.as_mut().unwrap();
            let sealed = if rtcp {
                outbound.seal_rtcp(&mut packet, len)
            } else {
                outbound.seal_rtp(&mut packet, len)
            };
            if let Ok(len) = sealed {
                server.receive(path(from), &packet[..len]);
            }
            if step % 1000 == 0 {
                // Consent does not run out under fire.
                hostile.check(&mut server, path(PEER));
                receiver.check(&mut server, path("192.0.2.2:1000"));
            }
            server.wait(u64::from(rng.next_u32() % 2000));
            most_sent = most_sent.max(server.sent.len());
            server.sent.clear();
            server.events.clear();
        }
        let counters = server.core.counters();
        assert_eq!(
            counters.dropped_out_index_used, 0,
            "a number was sent twice"
        );
        assert_eq!(counters.dropped_out_unsealed, 0);
        // One datagram and the deadlines of 2 ms never answer with a flood.
        assert!(most_sent < 500, "{most_sent} datagrams at once");
        well_behaved_peer_is_served(&mut server);
    }
}

/// The shell calls `recover` after a panic; what was served is over when a call has returned.
#[test]
fn a_panic_costs_nobody_who_was_served_before_it() {
    let mut server = Server::new();
    let mut peer = server.connect(PEER, Profile::AeadAes128Gcm);
    peer.check(&mut server, path(PEER));
    server.core.recover(server.now);
    let packet = peer.seal_rtp(&rtp(7, 1, b"payload"));
    server.receive(path(PEER), &packet);
    server.core.recover(server.now);
    server.core.handle_timeout(server.now); // or the third would be one too many
    let (_, slot) = params();
    server.command(Command::AddSlot {
        slot: SlotId(1),
        transport: peer.transport,
        params: Box::new(slot),
    });
    server.core.recover(server.now);
    assert_eq!(server.core.counters().panics, 3);
    assert_eq!(server.state(&peer), Some(State::Connected));
}

#[test]
fn panics_in_a_row_close_everything_and_others_do_not() {
    let mut server = Server::new();
    let mut peer = server.connect(PEER, Profile::AeadAes128Gcm);
    for _ in 0..5 {
        server.core.recover(server.now);
        server.core.recover(server.now);
        server.core.handle_timeout(server.now);
    }
    assert_eq!(server.state(&peer), Some(State::Connected));
    // A timer that panics whenever it is due is not excused by the datagrams in between.
    for n in 0..3 {
        assert_eq!(server.state(&peer), Some(State::Connected), "{n} panics");
        peer.check(&mut server, path(PEER));
        server.core.recover(server.now);
    }
    assert_eq!(server.state(&peer), None);
}
