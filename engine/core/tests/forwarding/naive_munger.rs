//! The forwarder against an obviously right but hopeless munger.
//!
//! The oracle knows each publisher's whole stream, including what was lost. It does not predict
//! when a slot switches; it takes each run of packets of one source as it came out, and derives
//! every field of every packet by counting in the whole stream from the first packet of the run.

use std::collections::BTreeSet;

use sunup_engine_core::codec::{inspect, vp8};
use sunup_engine_core::forward::{Forwarder, PacketKind, Sink};
use sunup_engine_core::ids::{RoomId, SlotId, TrackId, TransportId};
use sunup_engine_core::params::{CodecName, MediaKind, SlotParams, TrackParams};
use sunup_engine_core::rng::Rng;
use sunup_engine_core::rtp::Packet;
use sunup_engine_netem::Dice;

use crate::publisher::{audio_codecs, extensions, rtp_packet, video_codecs, Head, OPUS, VP8};

const PUBLISHERS: usize = 3;
const START_US: u64 = 10_000_000;

/// A packet of a publisher, as it was sent.
#[derive(Clone)]
struct Sent {
    at_us: u64,
    sequence: u64,
    timestamp: u32,
    marker: bool,
    key_start: bool,
    /// Empty: padding.
    payload: Vec<u8>,
}

/// A packet of the slot, as it left.
struct Left {
    at_us: u64,
    /// How many arrivals there had been.
    arrived: usize,
    sequence: u64,
    timestamp: u32,
    marker: bool,
    publisher: usize,
    index: usize,
    payload: Vec<u8>,
}

#[derive(Default)]
struct Tape(Vec<Vec<u8>>);

impl Sink for Tape {
    fn push(
        &mut self,
        _: TransportId,
        kind: PacketKind,
        len: usize,
        write: impl FnOnce(&mut [u8]),
    ) {
        let mut bytes = vec![0xee; len];
        write(&mut bytes);
        if kind == PacketKind::Rtp {
            self.0.push(bytes);
        }
    }
}

/// Where the mark stands in a payload that names its publisher and place in the stream.
fn marked(publisher: usize, index: usize, mut head: Vec<u8>) -> Vec<u8> {
    head.extend((publisher as u32).to_be_bytes());
    head.extend((index as u32).to_be_bytes());
    head
}

fn video_stream(publisher: usize, dice: &mut Dice) -> Vec<Sent> {
    let mut stream = Vec::new();
    let mut sequence = 65_536 + 65_000 + dice.below(1_000);
    let mut timestamp = u32::MAX - dice.below(100_000) as u32;
    let (mut picture, mut tl0, mut key_index) = (
        dice.below(32_768) as u16,
        dice.below(256) as u8,
        dice.below(32) as u8,
    );
    for frame in 0..250u64 {
        let key = frame == 0 || dice.below(12) == 0;
        let at_us = START_US + frame * 40_000 + publisher as u64 * 13_000;
        timestamp = timestamp.wrapping_add(3_600);
        picture = (picture + 1) % 32_768;
        let temporal = if key { 0 } else { (frame % 2) as u8 };
        tl0 = tl0.wrapping_add(u8::from(temporal == 0));
        key_index = (key_index + u8::from(key)) % 32;
        let count = 1 + dice.below(4);
        for part in 0..count {
            let [high, low] = (picture | 0x8000).to_be_bytes();
            let start = if part == 0 { 0x10 } else { 0 };
            let tag = u8::from(!key);
            let head = vec![
                0x80 | start,
                0xf0,
                high,
                low,
                tl0,
                temporal << 6 | key_index,
                tag,
                0,
                0,
            ];
            stream.push(Sent {
                at_us: at_us + part * 100,
                sequence,
                timestamp,
                marker: part + 1 == count,
                key_start: key && part == 0,
                payload: marked(publisher, stream.len(), head),
            });
            sequence += 1;
        }
        for probe in 0..dice.below(4).saturating_sub(2) {
            let at_us = at_us + 5_000 + probe;
            let payload = Vec::new();
            stream.push(Sent {
                at_us,
                sequence,
                timestamp,
                marker: false,
                key_start: false,
                payload,
            });
            sequence += 1;
        }
    }
    stream
}

fn audio_stream(publisher: usize, dice: &mut Dice) -> Vec<Sent> {
    let sequence = 65_536 + 65_000 + dice.below(1_000);
    let timestamp = u32::MAX - dice.below(100_000) as u32;
    (0..500)
        .map(|n| Sent {
            at_us: START_US + n * 20_000 + publisher as u64 * 7_000,
            sequence: sequence + n,
            timestamp: timestamp.wrapping_add(n as u32 * 960),
            marker: false,
            key_start: true,
            payload: marked(publisher, n as usize, vec![0xf8]),
        })
        .collect()
}

/// (when, publisher, index): with loss, delay and duplicates for media; padding comes as sent.
fn arrivals(streams: &[Vec<Sent>], dice: &mut Dice) -> Vec<(u64, usize, usize)> {
    let mut list = Vec::new();
    for (publisher, stream) in streams.iter().enumerate() {
        for (index, sent) in stream.iter().enumerate() {
            let media = !sent.payload.is_empty();
            if media && dice.below(20) == 0 {
                continue;
            }
            let late = if media && dice.below(10) == 0 {
                dice.below(60_000)
            } else {
                0
            };
            list.push((sent.at_us + late, publisher, index));
            if media && dice.below(30) == 0 {
                list.push((sent.at_us + late + dice.below(30_000), publisher, index));
            }
        }
    }
    list.sort_unstable();
    list
}

fn wire(publisher: usize, sent: &Sent, audio: bool) -> Vec<u8> {
    let head = Head {
        payload_type: if audio { OPUS } else { VP8 },
        marker: sent.marker,
        sequence: sent.sequence as u16,
        timestamp: sent.timestamp,
        ssrc: 100 + publisher as u32,
    };
    if sent.payload.is_empty() {
        let mut packet = rtp_packet(&head, &[], &mut 0, &[0, 0, 3]);
        packet[0] |= 0x20;
        return packet;
    }
    rtp_packet(&head, &[], &mut 0, &sent.payload)
}

fn forwarder(seed: u64, audio: bool) -> Forwarder {
    let mut forwarder = Forwarder::new(Rng::from_seed(seed));
    let kind = if audio {
        MediaKind::Audio
    } else {
        MediaKind::Video
    };
    let codecs = || {
        if audio {
            audio_codecs()
        } else {
            video_codecs()
        }
    };
    forwarder.add_room(RoomId(1));
    for publisher in 0..PUBLISHERS as u64 {
        let transport = TransportId(publisher + 1);
        forwarder.add_transport(transport, RoomId(1));
        let params = TrackParams {
            kind,
            mid: "0".into(),
            codecs: codecs(),
            extensions: extensions(),
            rids: Vec::new(),
            ssrcs: vec![(100 + publisher as u32, None)],
        };
        forwarder.add_track(0, TrackId(publisher + 1), transport, &params);
    }
    forwarder.add_transport(TransportId(9), RoomId(1));
    forwarder.set_transport_ready(0, TransportId(9), true);
    let (mid, ssrc, rtx_ssrc) = ("5".into(), 900, (!audio).then_some(901));
    let (codecs, extensions, auto) = (codecs(), extensions(), false);
    let params = SlotParams {
        kind,
        mid,
        codecs,
        extensions,
        auto,
        ssrc,
        rtx_ssrc,
        cname: "c".into(),
    };
    forwarder.add_slot(0, SlotId(1), TransportId(9), &params);
    forwarder
}

struct Run {
    streams: Vec<Vec<Sent>>,
    arrivals: Vec<(u64, usize, usize)>,
    left: Vec<Left>,
}

/// Feeds the forwarder, re-binding the slot at random.
fn run(seed: u64, audio: bool) -> Run {
    let mut dice = Dice(seed);
    let stream = if audio { audio_stream } else { video_stream };
    let streams: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| stream(publisher, &mut dice))
        .collect();
    let arrivals = arrivals(&streams, &mut dice);
    let mut forwarder = forwarder(seed, audio);
    let mut left: Vec<Left> = Vec::new();
    for (before, &(at_us, publisher, index)) in arrivals.iter().enumerate() {
        let mut tape = Tape::default();
        if dice.below(40) == 0 {
            let track = TrackId(dice.below(PUBLISHERS as u64) + 1);
            forwarder.bind_slot(at_us, SlotId(1), Some(track));
        }
        if forwarder.next_timeout().is_some_and(|due| due <= at_us) {
            forwarder.handle_timeout(at_us, &mut tape);
        }
        note(&mut left, &tape, at_us, before);
        let packet = wire(publisher, &streams[publisher][index], audio);
        let mut tape = Tape::default();
        forwarder.handle_rtp(at_us, TransportId(publisher as u64 + 1), &packet, &mut tape);
        note(&mut left, &tape, at_us, before + 1);
    }
    Run {
        streams,
        arrivals,
        left,
    }
}

/// Reads what left, and unwraps its sequence numbers next to the newest.
fn note(left: &mut Vec<Left>, tape: &Tape, at_us: u64, arrived: usize) {
    for bytes in &tape.0 {
        let rtp = Packet::parse(bytes).unwrap();
        let mark = &rtp.payload[rtp.payload.len() - 8..];
        let number = |at: usize| u32::from_be_bytes(*mark[at..].first_chunk().unwrap()) as usize;
        let newest = left
            .iter()
            .map(|left| left.sequence)
            .max()
            .unwrap_or(65_536);
        let turn = (newest & !0xffff) + u64::from(rtp.sequence);
        let near = |sequence: &u64| sequence.abs_diff(newest);
        let candidates = [turn - 65_536, turn, turn + 65_536];
        left.push(Left {
            at_us,
            arrived,
            sequence: candidates.into_iter().min_by_key(near).unwrap(),
            timestamp: rtp.timestamp,
            marker: rtp.marker,
            publisher: number(0),
            index: number(4),
            payload: rtp.payload.to_vec(),
        });
    }
}

/// Media packets of a stream between two places.
fn media_between(stream: &[Sent], from: usize, to: usize) -> u64 {
    stream[from..to]
        .iter()
        .filter(|sent| !sent.payload.is_empty())
        .count() as u64
}

fn counters(payload: &[u8]) -> vp8::Descriptor {
    inspect(CodecName::Vp8, payload).vp8.unwrap()
}

fn check(run: &Run, audio: bool) -> usize {
    let mut runs = 0;
    let mut rest = &run.left[..];
    let mut before: &[Left] = &[];
    while let Some(first) = rest.first() {
        let len = rest
            .iter()
            .take_while(|left| left.publisher == first.publisher)
            .count();
        let (this, later) = rest.split_at(len);
        check_run(
            run,
            this,
            later
                .first()
                .map_or(run.arrivals.len(), |next| next.arrived),
            audio,
        );
        check_seam(run, before, first, audio);
        before = &run.left[..run.left.len() - later.len()];
        rest = later;
        runs += 1;
    }
    runs
}

/// Within a run every distance is that of the publisher's own stream, and nothing is missing.
fn check_run(run: &Run, this: &[Left], until: usize, audio: bool) {
    let stream = &run.streams[this[0].publisher];
    let first = &this[0];
    let first_sent = &stream[first.index];
    assert!(first_sent.key_start, "a run begins in the middle");
    for left in this {
        let sent = &stream[left.index];
        assert_eq!(
            left.sequence - first.sequence,
            media_between(stream, first.index, left.index)
        );
        let distance = sent.timestamp.wrapping_sub(first_sent.timestamp);
        assert_eq!(left.timestamp.wrapping_sub(first.timestamp), distance);
        assert_eq!(left.marker, sent.marker);
        if audio {
            assert_eq!(left.payload, sent.payload);
            continue;
        }
        assert_eq!(left.payload[6..], sent.payload[6..]);
        let (a, b) = (counters(&first.payload), counters(&left.payload));
        let (c, d) = (counters(&first_sent.payload), counters(&sent.payload));
        let pid = |x: &vp8::Descriptor, y: &vp8::Descriptor| {
            y.picture_id.unwrap().wrapping_sub(x.picture_id.unwrap()) % 0x8000
        };
        let tl0 = |x: &vp8::Descriptor, y: &vp8::Descriptor| {
            y.tl0_picture_index
                .unwrap()
                .wrapping_sub(x.tl0_picture_index.unwrap())
        };
        let key = |x: &vp8::Descriptor, y: &vp8::Descriptor| {
            y.key_index.unwrap().wrapping_sub(x.key_index.unwrap()) % 32
        };
        assert_eq!(
            (pid(&a, &b), tl0(&a, &b), key(&a, &b)),
            (pid(&c, &d), tl0(&c, &d), key(&c, &d))
        );
        assert_eq!(b.temporal_layer, d.temporal_layer);
    }
    // Everything that came from the first packet on left, once.
    let came: BTreeSet<usize> = run.arrivals[..until]
        .iter()
        .filter(|(_, publisher, _)| *publisher == first.publisher)
        .map(|(_, _, index)| *index)
        .filter(|index| *index >= first.index && !stream[*index].payload.is_empty())
        .collect();
    let mut left: Vec<usize> = this.iter().map(|left| left.index).collect();
    left.sort_unstable();
    assert_eq!(left, came.into_iter().collect::<Vec<_>>());
}

/// Between two runs the stream goes on: next number, next picture, the time that passed.
fn check_seam(run: &Run, before: &[Left], first: &Left, audio: bool) {
    let Some(newest) = before.iter().max_by_key(|left| left.sequence) else {
        return;
    };
    assert_eq!(first.sequence, newest.sequence + 1);
    let newest_frame_us = before
        .iter()
        .filter(|left| left.timestamp == newest.timestamp)
        .map(|left| left.at_us)
        .min();
    // The newest packet of the new source belongs to now; the first may be a little older.
    let stream = &run.streams[first.publisher];
    let ahead = run.arrivals[..first.arrived]
        .iter()
        .filter(|(_, publisher, _)| *publisher == first.publisher)
        .map(|(_, _, index)| {
            stream[*index]
                .timestamp
                .wrapping_sub(stream[first.index].timestamp)
        })
        .filter(|ahead| *ahead < 1 << 31)
        .max()
        .unwrap_or(0);
    let rate = if audio { 48 } else { 90 };
    let elapsed_us = (first.at_us - newest_frame_us.unwrap()) as i64;
    let elapsed = elapsed_us * rate / 1_000 - i64::from(ahead);
    let least = if audio { 960 } else { 1 };
    let step = i64::from(first.timestamp.wrapping_sub(newest.timestamp));
    assert!(
        (step - elapsed.max(least)).abs() <= 2,
        "a step of {step}, {elapsed} passed"
    );
    if !audio {
        let (a, b) = (counters(&newest.payload), counters(&first.payload));
        assert_eq!(b.picture_id.unwrap(), (a.picture_id.unwrap() + 1) % 0x8000);
        assert_eq!(
            b.tl0_picture_index.unwrap(),
            a.tl0_picture_index.unwrap().wrapping_add(1)
        );
        assert_eq!(b.key_index.unwrap(), (a.key_index.unwrap() + 1) % 32);
    }
}

#[test]
fn video_leaves_as_the_naive_munger_says() {
    let mut runs = 0;
    for seed in 0..60 {
        println!("seed {seed}");
        runs += check(&run(seed, false), false);
    }
    assert!(runs > 600, "{runs} switches");
}

#[test]
fn audio_leaves_as_the_naive_munger_says() {
    let mut runs = 0;
    for seed in 100..140 {
        println!("seed {seed}");
        runs += check(&run(seed, true), true);
    }
    assert!(runs > 400, "{runs} switches");
}
