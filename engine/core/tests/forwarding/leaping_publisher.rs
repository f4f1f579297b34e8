//! A publisher whose numbers leap about silences nobody who speaks in the same slot after it.

use sunup_engine_core::forward::{Forwarder, PacketKind, Sink};
use sunup_engine_core::ids::{RoomId, SlotId, TrackId, TransportId};
use sunup_engine_core::munge::MAX_STEP;
use sunup_engine_core::params::{MediaKind, SlotParams, TrackParams};
use sunup_engine_core::rng::Rng;
use sunup_engine_core::rtp::{Packet, Unwrapper};
use sunup_engine_core::srtp::{Inbound, Keys, MasterKey, Outbound, Profile, MAX_OVERHEAD};
use sunup_engine_netem::Dice;

use crate::publisher::{
    audio_codecs, extensions, rtp_packet, video_codecs, Head, MID_ID, OPUS, RID_ID, VP8,
};

const FRAME_US: u64 = 20_000;
const LISTENER: TransportId = TransportId(9);
const SLOT: SlotId = SlotId(1);
const SLOT_SSRC: u32 = 900;
const RIDS: [&str; 3] = ["f", "h", "q"];
const KEY: &[u8] = &[
    0x90, 0x80, 0x11, 0x10, 0, 0, 0x9d, 1, 0x2a, 0x80, 0x02, 0x68, 0x01,
];

/// What a slot sends, sealed as on the wire.
struct Wire {
    seal: Outbound,
    sealed: Vec<Vec<u8>>,
    /// Sequence number and timestamp of each packet, unwrapped.
    sent: Vec<(u64, u32)>,
    unwrapper: Unwrapper<16>,
}

impl Sink for Wire {
    fn push(
        &mut self,
        _: TransportId,
        kind: PacketKind,
        len: usize,
        write: impl FnOnce(&mut [u8]),
    ) {
        let mut bytes = vec![0; len + MAX_OVERHEAD];
        write(&mut bytes[..len]);
        if kind == PacketKind::Rtcp {
            return;
        }
        let rtp = Packet::parse(&bytes[..len]).unwrap();
        let sequence = self.unwrapper.unwrap(u64::from(rtp.sequence));
        self.sent.push((sequence, rtp.timestamp));
        let len = self.seal.seal_rtp(&mut bytes, len).unwrap();
        bytes.truncate(len);
        self.sealed.push(bytes);
    }
}

/// Two publishers, one after the other in the slot of a listener who loses every twentieth packet.
struct Scene {
    kind: MediaKind,
    now_us: u64,
    forwarder: Forwarder,
    wire: Wire,
    open: Inbound,
    dice: Dice,
}

impl Scene {
    fn new(kind: MediaKind, seed: u64) -> Self {
        println!("seed {seed}");
        let master = |byte: u8| MasterKey {
            key: vec![byte; 16],
            salt: vec![byte; 12],
        };
        let keys = |ours, theirs| {
            Keys::new(Profile::AeadAes128Gcm, master(ours), master(theirs))
                .unwrap()
                .contexts()
        };
        let mut forwarder = Forwarder::new(Rng::from_seed(seed));
        forwarder.add_room(RoomId(1));
        let is_video = kind.is_video();
        let codecs = if is_video {
            video_codecs()
        } else {
            audio_codecs()
        };
        for publisher in [1, 2] {
            let params = TrackParams {
                kind,
                mid: "0".into(),
                codecs: codecs.clone(),
                extensions: extensions(),
                rids: RIDS
                    .iter()
                    .filter(|_| is_video)
                    .map(ToString::to_string)
                    .collect(),
                ssrcs: Vec::new(),
            };
            forwarder.add_transport(TransportId(publisher), RoomId(1));
            forwarder.add_track(0, TrackId(publisher), TransportId(publisher), &params);
        }
        let params = SlotParams {
            kind,
            mid: "5".into(),
            codecs,
            extensions: extensions(),
            auto: false,
            ssrc: SLOT_SSRC,
            rtx_ssrc: None,
            cname: "c".into(),
        };
        forwarder.add_transport(LISTENER, RoomId(1));
        forwarder.set_transport_ready(0, LISTENER, true);
        forwarder.add_slot(0, SLOT, LISTENER, &params);
        Self {
            kind,
            now_us: 10_000_000,
            forwarder,
            wire: Wire {
                seal: keys(1, 2).1,
                sealed: Vec::new(),
                sent: Vec::new(),
                unwrapper: Unwrapper::default(),
            },
            open: keys(2, 1).0,
            dice: Dice(seed),
        }
    }

    fn show(&mut self, publisher: u64) {
        self.forwarder
            .bind_slot(self.now_us, SLOT, Some(TrackId(publisher)));
    }

    /// One packet of each layer of a publisher; returns how many came and how many were opened.
    fn send(&mut self, publisher: u64, sequence: u16, timestamp: u32) -> (usize, usize) {
        self.now_us += FRAME_US;
        let layers = if self.kind.is_video() { 3 } else { 1 };
        for (layer, rid) in RIDS.iter().enumerate().take(layers) {
            let (payload_type, payload) = if self.kind.is_video() {
                (VP8, KEY)
            } else {
                (OPUS, &[0xf8, 1, 2][..])
            };
            let head = Head {
                payload_type,
                marker: true,
                sequence,
                timestamp,
                ssrc: publisher as u32 * 10 + layer as u32,
            };
            let rid = if layers > 1 { rid.as_bytes() } else { b"" };
            let packet = rtp_packet(&head, &[(MID_ID, b"0"), (RID_ID, rid)], &mut 0, payload);
            let from = TransportId(publisher);
            self.forwarder
                .handle_rtp(self.now_us, from, &packet, &mut self.wire);
        }
        self.forwarder.handle_timeout(self.now_us, &mut self.wire);
        let (mut came, mut opened) = (0, 0);
        for mut packet in std::mem::take(&mut self.wire.sealed) {
            if self.dice.below(20) > 0 {
                came += 1;
                opened += usize::from(self.open.open_rtp(&mut packet).is_ok());
            }
        }
        (came, opened)
    }

    /// So many packets of an honest source; returns as [`Self::send`].
    fn speak(&mut self, publisher: u64, packets: u16) -> (usize, usize) {
        let ticks = if self.kind.is_video() { 1_800 } else { 960 };
        (0..packets)
            .map(|n| self.send(publisher, n, u32::from(n) * ticks))
            .fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }

    /// How far the newest sequence number rose at most from one packet to the next.
    fn largest_rise(&self) -> u64 {
        let mut newest = self.wire.sent[0].0;
        let mut largest = 0;
        for &(sequence, _) in &self.wire.sent {
            largest = largest.max(sequence.saturating_sub(newest));
            newest = newest.max(sequence);
        }
        largest
    }
}

/// `leap` gives the next sequence number and timestamp from the ones before.
fn nobody_is_silenced(kind: MediaKind, leap: impl Fn(&mut Dice, u16, u32) -> (u16, u32)) {
    for seed in 0..20 {
        let mut scene = Scene::new(kind, seed);
        scene.show(1);
        scene.speak(1, 50);
        let (mut sequence, mut timestamp) = (49, 49 * 960);
        for _ in 0..300 {
            (sequence, timestamp) = leap(&mut scene.dice, sequence, timestamp);
            scene.send(1, sequence, timestamp);
        }
        let rise = scene.largest_rise();
        assert!(rise <= MAX_STEP, "a rise of {rise}");
        let from = scene.wire.sent.len();
        scene.show(2);
        let (came, opened) = scene.speak(2, 200);
        assert!(came > 170, "only {came} came");
        assert_eq!(opened, came, "packets of an honest publisher");
        for pair in scene.wire.sent[from..].windows(2) {
            assert_eq!(pair[1].0, pair[0].0 + 1);
        }
    }
}

#[test]
fn audio_that_leaps_by_twenty_thousand() {
    nobody_is_silenced(MediaKind::Audio, |_, sequence, timestamp| {
        (sequence.wrapping_add(20_000), timestamp + 960)
    });
}

#[test]
fn audio_that_leaps_at_random() {
    nobody_is_silenced(MediaKind::Audio, |dice, _, _| {
        (dice.next_u64() as u16, dice.next_u64() as u32)
    });
}

#[test]
fn video_of_three_layers_that_leaps_at_random() {
    nobody_is_silenced(MediaKind::Video, |dice, _, _| {
        (dice.next_u64() as u16, dice.next_u64() as u32)
    });
}

#[test]
fn a_leap_back_reaches_nobody() {
    let mut scene = Scene::new(MediaKind::Audio, 1);
    scene.show(1);
    scene.speak(1, 50);
    let sent = scene.wire.sent.len();
    for back in [129, 10_000, 30_000] {
        scene.send(1, 49u16.wrapping_sub(back), 49 * 960);
    }
    assert_eq!(scene.wire.sent.len(), sent);
}

#[test]
fn after_a_leap_nothing_from_before_it_leaves_and_the_clock_goes_on() {
    let mut scene = Scene::new(MediaKind::Audio, 2);
    scene.show(1);
    scene.speak(1, 50);
    let before = *scene.wire.sent.last().unwrap();
    // An outage: the publisher counted on, and so did its clock.
    scene.now_us += 1_000 * FRAME_US;
    scene.send(1, 1_050, 1_050 * 960);
    scene.send(1, 1_049, 1_049 * 960);
    scene.send(1, 1_051, 1_051 * 960);
    let after = &scene.wire.sent[50..];
    assert_eq!(
        after,
        [
            (before.0 + 2, before.1.wrapping_add(1_001 * 960)),
            (before.0 + 3, before.1.wrapping_add(1_002 * 960)),
        ]
    );
}

#[test]
fn timestamps_that_stray_are_brought_back_to_real_time() {
    for kind in [MediaKind::Audio, MediaKind::Video] {
        let rate = if kind.is_video() { 90 } else { 48 };
        let mut scene = Scene::new(kind, 3);
        scene.show(1);
        scene.speak(1, 50);
        let (start_us, start) = (scene.now_us, scene.wire.sent.last().unwrap().1);
        for n in 0..500 {
            let timestamp = scene.dice.next_u64() as u32;
            scene.send(1, 50 + n, timestamp);
        }
        let elapsed = (scene.now_us - start_us) / 1_000 * rate;
        let end = scene.wire.sent.last().unwrap().1.wrapping_sub(start);
        let strayed_ms = (i64::from(end) - elapsed as i64) / rate as i64;
        assert!(strayed_ms.abs() < 10_000, "{strayed_ms} ms from real time");
    }
}
