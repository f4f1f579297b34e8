//! The last packets of one layer, as plaintext, each held once for all its receivers.
//!
//! Answers NACKs, and replays a key frame or the onset of a voice to a slot that starts late. A
//! slot keeps no copies: its numbering is a constant distance from the layer's (see `munge.rs`),
//! so a wanted packet is looked up here and rewritten again.

use crate::codec::FrameInfo;
use crate::params::CodecName;

/// One packet of a layer, as its slots see it.
#[derive(Clone, Copy, Debug)]
pub struct MediaPacket<'a> {
    /// Counts the layer's packets without gaps for padding (see `numbering.rs`).
    pub number: u64,
    /// RTP timestamp on the publisher's line.
    pub timestamp: u32,
    /// When it came.
    pub arrival_us: u64,
    /// The marker bit.
    pub marker: bool,
    /// What the payload is.
    pub codec: CodecName,
    /// What the payload says about its frame.
    pub frame: FrameInfo,
    /// RFC 6464 byte, if any.
    pub audio_level: Option<u8>,
    /// Coordination of video orientation byte, if any.
    pub video_orientation: Option<u8>,
    /// The payload without padding. Empty for padding that came too late to be left out.
    pub payload: &'a [u8],
}

/// A ring of the last packets of one layer.
#[derive(Debug)]
pub struct History {
    entries: Box<[Entry]>,
}

#[derive(Debug)]
struct Entry {
    /// The packet with an empty payload; `None` until the place is first used.
    head: Option<MediaPacket<'static>>,
    /// Keeps its capacity, so a running stream allocates nothing.
    payload: Vec<u8>,
}

impl History {
    /// A ring of `packets` places (at least one).
    #[must_use]
    pub fn new(packets: usize) -> Self {
        let entry = || Entry {
            head: None,
            payload: Vec::new(),
        };
        Self {
            entries: std::iter::repeat_with(entry).take(packets.max(1)).collect(),
        }
    }

    /// Keeps a packet, unless a newer one has its place.
    pub fn insert(&mut self, packet: &MediaPacket<'_>) {
        let index = self.index(packet.number);
        let entry = &mut self.entries[index];
        if entry.head.is_some_and(|head| head.number >= packet.number) {
            return;
        }
        entry.head = Some(MediaPacket {
            payload: &[],
            ..*packet
        });
        entry.payload.clear();
        entry.payload.extend_from_slice(packet.payload);
    }

    /// The packet with this number, if it came and is still held.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<MediaPacket<'_>> {
        let entry = &self.entries[self.index(number)];
        let head = entry.head.filter(|head| head.number == number)?;
        Some(MediaPacket {
            payload: &entry.payload,
            ..head
        })
    }

    fn index(&self, number: u64) -> usize {
        // The remainder is below the length, which is a usize.
        (number % self.entries.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u64, payload: &[u8]) -> MediaPacket<'_> {
        MediaPacket {
            number,
            timestamp: 0,
            arrival_us: 0,
            marker: false,
            codec: CodecName::Vp8,
            frame: FrameInfo::default(),
            audio_level: None,
            video_orientation: None,
            payload,
        }
    }

    #[test]
    fn a_packet_is_held_until_a_newer_one_takes_its_place() {
        let mut history = History::new(4);
        history.insert(&packet(1, b"one"));
        history.insert(&packet(2, b"two"));
        assert_eq!(history.get(1).unwrap().payload, b"one");
        history.insert(&packet(5, b"five"));
        assert!(history.get(1).is_none());
        assert_eq!(history.get(5).unwrap().payload, b"five");
        assert_eq!(history.get(2).unwrap().payload, b"two");
    }

    #[test]
    fn a_very_late_packet_does_not_push_out_a_newer_one() {
        let mut history = History::new(4);
        history.insert(&packet(5, b"five"));
        history.insert(&packet(1, b"one"));
        assert!(history.get(1).is_none());
        assert_eq!(history.get(5).unwrap().payload, b"five");
    }
}
