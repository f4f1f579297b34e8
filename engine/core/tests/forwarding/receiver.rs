//! A browser that receives: repairs losses, assembles frames, and checks the rules of a slot.
//!
//! The rules hold whatever happens in between: sequence numbers never repeat on the wire, one
//! timestamp per frame and rising, VP8 counters rising by frame, never two sources in one frame.

use std::collections::{BTreeMap, HashSet};

use sunup_engine_core::codec::{inspect, vp8};
use sunup_engine_core::params::CodecName;
use sunup_engine_core::rtcp;
use sunup_engine_core::rtp::{Packet, Unwrapper};

use crate::publisher::{Stamp, H264, H264_RTX, OPUS, VP8, VP8_RTX};

const NACK_GUARD_US: u64 = 10_000;
const NACK_REPEAT_US: u64 = 100_000;
const GIVE_UP_US: u64 = 1_000_000;
const PLI_AFTER_US: u64 = 400_000;

/// A frame that was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub at_us: u64,
    pub stamp: Stamp,
    pub timestamp: u32,
    pub key: bool,
}

struct Piece {
    stamp: Stamp,
    timestamp: u32,
    marker: bool,
    key: bool,
    descriptor: Option<vp8::Descriptor>,
    at_us: u64,
}

/// The receiving end of one slot.
pub struct Receiver {
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    /// Decoded frames (or audio packets), in order.
    pub shown: Vec<Shown>,
    pub packets: u64,
    pub repaired: u64,
    pub csrcs: Vec<u32>,
    unwrapper: Unwrapper<16>,
    pieces: BTreeMap<u64, Piece>,
    seen: HashSet<u64>,
    rtx_seen: HashSet<u16>,
    /// The next frame begins here.
    next: Option<u64>,
    missing: BTreeMap<u64, (u64, u64)>,
    last_shown_us: u64,
    last_pli_us: u64,
    last_frame: Option<(Stamp, Option<vp8::Descriptor>)>,
    /// Timestamp and arrival of the newest video packet.
    newest: Option<(u32, u64)>,
    last_sr: Option<rtcp::SenderInfo>,
    pub sender_reports: u64,
}

impl Receiver {
    pub fn new(ssrc: u32, rtx_ssrc: Option<u32>) -> Self {
        Self {
            ssrc,
            rtx_ssrc,
            shown: Vec::new(),
            packets: 0,
            repaired: 0,
            csrcs: Vec::new(),
            unwrapper: Unwrapper::default(),
            pieces: BTreeMap::new(),
            seen: HashSet::new(),
            rtx_seen: HashSet::new(),
            next: None,
            missing: BTreeMap::new(),
            last_shown_us: 0,
            last_pli_us: 0,
            last_frame: None,
            newest: None,
            last_sr: None,
            sender_reports: 0,
        }
    }

    /// A packet of the slot's SSRC or of its RTX SSRC.
    pub fn receive(&mut self, now_us: u64, bytes: &[u8]) {
        let rtp = Packet::parse(bytes).unwrap();
        let (sequence, payload, codec) = match rtp.payload_type {
            VP8 => (rtp.sequence, rtp.payload, CodecName::Vp8),
            H264 => (rtp.sequence, rtp.payload, CodecName::H264),
            OPUS => (rtp.sequence, rtp.payload, CodecName::Opus),
            pt @ (VP8_RTX | H264_RTX) => {
                let (osn, payload) = rtp.payload.split_first_chunk::<2>().unwrap();
                if !self.rtx_seen.insert(rtp.sequence) {
                    return;
                }
                self.repaired += 1;
                let codec = if pt == VP8_RTX {
                    CodecName::Vp8
                } else {
                    CodecName::H264
                };
                (u16::from_be_bytes(*osn), payload, codec)
            }
            other => panic!("payload type {other} was not negotiated"),
        };
        let sequence = self.unwrapper.unwrap(u64::from(sequence));
        if !self.seen.insert(sequence) {
            return;
        }
        self.packets += 1;
        self.note_gap(now_us, sequence);
        let csrc = u32::from_be_bytes(*bytes[12..].first_chunk().unwrap());
        if self.csrcs.last() != Some(&csrc) {
            self.csrcs.push(csrc);
        }
        if payload.is_empty() {
            panic!("an empty packet in a scenario without late padding");
        }
        let piece = piece(now_us, &rtp, payload, codec);
        if codec == CodecName::Opus {
            self.shown.push(Shown {
                at_us: now_us,
                stamp: piece.stamp,
                timestamp: piece.timestamp,
                key: true,
            });
            return;
        }
        if self.unwrapper.highest() == Some(sequence) {
            self.newest = Some((piece.timestamp, now_us));
        }
        self.next.get_or_insert(sequence);
        self.pieces.insert(sequence, piece);
        self.assemble(now_us);
    }

    fn note_gap(&mut self, now_us: u64, sequence: u64) {
        self.missing.remove(&sequence);
        let highest = self.unwrapper.highest().unwrap();
        if highest == sequence {
            let known = self
                .seen
                .iter()
                .filter(|&&seen| seen < sequence)
                .max()
                .copied();
            for lost in known.map_or(sequence, |known| known + 1)..sequence {
                self.missing.insert(lost, (now_us, now_us + NACK_GUARD_US));
            }
        }
    }

    /// Decodes every frame that is whole; a delta frame needs the one before it.
    fn assemble(&mut self, now_us: u64) {
        while let Some(next) = self.next {
            if let Some(end) = self.whole_frame(next) {
                self.decode(now_us, next, end);
                self.next = Some(end + 1);
                continue;
            }
            // Skip to the next whole key frame, as a decoder does that gave up waiting.
            let key = self
                .pieces
                .range(next + 1..)
                .filter(|(_, piece)| piece.key)
                .map(|(&at, _)| at)
                .find(|&at| self.whole_frame(at).is_some());
            match key {
                Some(at) => self.next = Some(at),
                None => return,
            }
        }
    }

    /// The last packet of the frame that begins at `first`, if all of it is there.
    fn whole_frame(&self, first: u64) -> Option<u64> {
        let head = self
            .pieces
            .get(&first)
            .filter(|piece| piece.stamp.index == 0)?;
        let end = first + u64::from(head.stamp.last);
        (first..=end)
            .all(|at| self.pieces.contains_key(&at))
            .then_some(end)
    }

    fn decode(&mut self, now_us: u64, first: u64, end: u64) {
        let pieces: Vec<Piece> = (first..=end)
            .map(|at| self.pieces.remove(&at).unwrap())
            .collect();
        let head = &pieces[0];
        for (index, piece) in pieces.iter().enumerate() {
            assert_eq!(
                piece.timestamp, head.timestamp,
                "two timestamps in one frame"
            );
            assert_eq!(
                piece.stamp,
                Stamp {
                    index: index as u8,
                    ..head.stamp
                },
                "a mixed frame"
            );
            assert_eq!(piece.marker, first + index as u64 == end, "marker");
        }
        if let Some((before, descriptor)) = &self.last_frame {
            let last = self.shown.last();
            let follows = before.publisher == head.stamp.publisher
                && before.layer == head.stamp.layer
                && before.frame + 1 == head.stamp.frame;
            if !head.key && !follows {
                return; // not decodable: the reference is missing
            }
            if let Some(last) = last {
                let step = head.timestamp.wrapping_sub(last.timestamp) as i32;
                assert!(step > 0, "timestamp step {step} after {last:?}");
            }
            if let (Some(a), Some(b)) = (descriptor, &head.descriptor) {
                check_counters(
                    a,
                    b,
                    before.frame + 1 == head.stamp.frame && !head.key,
                    head.key,
                );
            }
        } else if !head.key {
            return;
        }
        self.last_frame = Some((head.stamp, head.descriptor));
        self.last_shown_us = now_us;
        self.shown.push(Shown {
            at_us: head.at_us.max(now_us),
            stamp: head.stamp,
            timestamp: head.timestamp,
            key: head.key,
        });
    }

    pub fn sender_report(&mut self, now_us: u64, info: &rtcp::SenderInfo) {
        self.sender_reports += 1;
        let before = self.last_sr.map_or(0, |before| before.packets);
        assert!(info.packets >= before, "a report counts backwards");
        if let Some((timestamp, at_us)) = self.newest {
            // The report's clock is the stream's, give or take the jitter of the path.
            let ahead = i64::from(info.rtp_timestamp.wrapping_sub(timestamp) as i32);
            let elapsed = ((now_us - at_us) * 90 / 1_000) as i64;
            assert!(
                (ahead - elapsed).abs() < 90 * 100,
                "SR is {ahead} ticks ahead after {elapsed}"
            );
        }
        self.last_sr = Some(*info);
    }

    /// NACKs and PLIs that are due, as one RTCP datagram.
    pub fn feedback(&mut self, now_us: u64, wants_picture: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let mut lost = Vec::new();
        self.missing.retain(|&sequence, (since_us, due_us)| {
            if now_us > *since_us + GIVE_UP_US {
                return false;
            }
            if now_us >= *due_us && lost.len() < 100 {
                lost.push(sequence as u16);
                *due_us = now_us + NACK_REPEAT_US;
            }
            true
        });
        if !lost.is_empty() && self.rtx_ssrc.is_some() {
            rtcp::write_nack(&mut out, 1, self.ssrc, &lost);
        }
        let waiting = now_us > self.last_shown_us.max(self.last_pli_us) + PLI_AFTER_US;
        if wants_picture && waiting && !self.pieces.is_empty() {
            self.last_pli_us = now_us;
            rtcp::write_pli(&mut out, 1, self.ssrc);
        }
        out
    }

    /// Frames of a publisher and layer that were shown since a time.
    pub fn count(&self, since_us: u64, publisher: u8, layer: u8) -> usize {
        self.shown
            .iter()
            .filter(|shown| shown.at_us >= since_us)
            .filter(|shown| shown.stamp.publisher == publisher && shown.stamp.layer == layer)
            .count()
    }
}

fn piece(now_us: u64, rtp: &Packet<'_>, payload: &[u8], codec: CodecName) -> Piece {
    let info = inspect(codec, payload);
    let head = match codec {
        CodecName::Vp8 => usize::from(info.vp8.unwrap().len) + 10,
        CodecName::Opus => 1,
        CodecName::H264 => match payload[0] & 0x1f {
            24 => 3 + usize::from(payload[2]) + 4,
            _ => 2,
        },
    };
    Piece {
        stamp: Stamp::parse(&payload[head..]),
        timestamp: rtp.timestamp,
        marker: rtp.marker,
        key: info.switch_point,
        descriptor: info.vp8,
        at_us: now_us,
    }
}

/// Picture id, TL0PICIDX and KEYIDX of two frames that are shown one after the other.
fn check_counters(a: &vp8::Descriptor, b: &vp8::Descriptor, adjacent: bool, key: bool) {
    let step = |a: u16, b: u16, modulus: u16| b.wrapping_sub(a) % modulus;
    let pictures = step(a.picture_id.unwrap(), b.picture_id.unwrap(), 0x8000);
    assert!((1..0x4000).contains(&pictures), "picture id {a:?} -> {b:?}");
    if adjacent {
        assert_eq!(pictures, 1, "picture id {a:?} -> {b:?}");
    }
    let base = b
        .tl0_picture_index
        .unwrap()
        .wrapping_sub(a.tl0_picture_index.unwrap());
    assert!(base < 128, "TL0PICIDX {a:?} -> {b:?}");
    if adjacent {
        assert_eq!(
            base,
            u8::from(b.temporal_layer == 0),
            "TL0PICIDX {a:?} -> {b:?}"
        );
    }
    let keys = b.key_index.unwrap().wrapping_sub(a.key_index.unwrap()) % 32;
    assert_eq!(keys > 0, key, "KEYIDX {a:?} -> {b:?}");
}
