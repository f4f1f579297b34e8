//! Makes packets of ever-changing sources one unbroken RTP stream for the receiver of a slot.
//!
//! Within one source everything is a constant distance: sequence number, timestamp, VP8 picture
//! id, TL0PICIDX and KEYIDX. [`Munger::switch`] sets the distances at the first packet of a new
//! source, [`Munger::munge`] applies them, and [`Munger::source_number`] turns a receiver's NACK
//! back into the layer's numbering. Which source and when is for `slot.rs`.
//!
//! A source that leaps is not followed: SRTP receivers guess the rollover counter from what comes,
//! and one that guessed wrong would be deaf to whoever has the slot next. So the slot's sequence
//! numbers rise by [`MAX_STEP`] at most, and its timestamps stay near real time.

use crate::codec::{opus, vp8};
use crate::history::MediaPacket;
use crate::nack::MAX_MISSING;
use crate::params::CodecName;

/// RTP ticks per second of every video payload format in use (RFC 7741, RFC 6184).
pub const VIDEO_CLOCK_RATE: u32 = 90_000;

/// Assumed duration of an audio packet whose own is not known: 20 ms.
const AUDIO_PACKET: u32 = 960;

/// What a packet's sequence number may be above the newest that left: all that is asked for again
/// when it is missing fits in between. A receiver would have to miss a hundred such steps in a row.
pub const MAX_STEP: u64 = MAX_MISSING as u64 + 1;
/// What a timestamp may be ahead of real time, or behind the newest.
const STRAY_US: u64 = 5_000_000;

/// The header fields with which one packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Munged {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// VP8 counters, to be written into the descriptor if there is one.
    pub vp8: vp8::Patch,
}

/// Where the current source's line lies relative to the slot's.
#[derive(Clone, Copy, Debug)]
struct Source {
    first_number: u64,
    first_sequence: u64,
    timestamp_distance: u32,
    picture_distance: u16,
    tl0_distance: u8,
    key_distance: u8,
}

/// The newest packet that left.
#[derive(Clone, Copy, Debug)]
struct Newest {
    sequence: u64,
    /// The furthest one, which an honest source's newest packet has.
    timestamp: u32,
    /// When its frame left for the first time.
    at_us: u64,
    /// Ticks that the next source must step over at least.
    duration: u32,
    vp8: vp8::Patch,
}

/// The numbering of one slot's stream.
#[derive(Debug)]
pub struct Munger {
    newest: Newest,
    started: bool,
    source: Option<Source>,
}

impl Munger {
    /// A stream that will begin one after these random values. A sequence number below 2^15
    /// keeps early losses away from the first wrap, where SRTP receivers guess the rollover
    /// counter.
    #[must_use]
    pub fn new(sequence: u16, timestamp: u32) -> Self {
        Self {
            newest: Newest {
                sequence: u64::from(sequence & 0x7fff),
                timestamp,
                at_us: 0,
                duration: 1,
                vp8: vp8::Patch::default(),
            },
            started: false,
            source: None,
        }
    }

    /// Joins the line of a new source to the slot's: `first` will be the next packet.
    ///
    /// `line_us` is the instant to which the timestamp of `first` belongs: now, or earlier when
    /// newer packets of the source are already there and will follow at once.
    pub fn switch(&mut self, line_us: u64, first: &MediaPacket<'_>) {
        let timestamp = self.next_timestamp(line_us, clock_rate(first.codec));
        let newest = &self.newest;
        let descriptor = first.frame.vp8.unwrap_or_default();
        self.source = Some(Source {
            first_number: first.number,
            first_sequence: newest.sequence + 1,
            timestamp_distance: timestamp.wrapping_sub(first.timestamp),
            picture_distance: newest
                .vp8
                .picture_id
                .wrapping_add(1)
                .wrapping_sub(descriptor.picture_id.unwrap_or_default()),
            tl0_distance: newest
                .vp8
                .tl0_picture_index
                .wrapping_add(1)
                .wrapping_sub(descriptor.tl0_picture_index.unwrap_or_default()),
            key_distance: newest
                .vp8
                .key_index
                .wrapping_add(1)
                .wrapping_sub(descriptor.key_index.unwrap_or_default()),
        });
    }

    fn next_timestamp(&self, line_us: u64, clock_rate: u32) -> u32 {
        let newest = &self.newest;
        if !self.started {
            return newest.timestamp.wrapping_add(1);
        }
        // A u32 of ticks is 13 hours of video; a longer silence may wrap, as RTP does.
        let elapsed = ticks(line_us.saturating_sub(newest.at_us), clock_rate) as u32;
        newest.timestamp.wrapping_add(elapsed.max(newest.duration))
    }

    /// The line of the current source is broken off; nothing leaves before the next switch.
    pub fn stop(&mut self) {
        self.source = None;
    }

    /// The fields of a packet that leaves now; `None` when it is older than the switch or the
    /// last leap, or late with a timestamp of no time.
    pub fn munge(&mut self, now_us: u64, packet: &MediaPacket<'_>) -> Option<Munged> {
        let mut munged = self.resend(packet)?;
        let mut sequence = self.sequence(packet.number)?;
        let newest = self.newest.sequence;
        let strays = self.strays(now_us, munged.timestamp, packet.codec);
        if sequence > newest + MAX_STEP || strays {
            if sequence <= newest {
                return None;
            }
            self.leap(now_us, packet, strays);
            munged = self.resend(packet)?;
            sequence = self.sequence(packet.number)?;
        }
        if !self.started || self.ahead(now_us, munged.timestamp, packet.codec) > 0 {
            self.newest.timestamp = munged.timestamp;
            self.newest.at_us = now_us;
        }
        if !self.started || sequence > newest {
            let newest = &mut self.newest;
            newest.sequence = sequence;
            newest.duration = match packet.codec {
                CodecName::Opus => opus::duration(packet.payload).unwrap_or(AUDIO_PACKET),
                CodecName::Vp8 | CodecName::H264 => 1,
            };
            if let Some(descriptor) = packet.frame.vp8 {
                newest.vp8.keep_present(&descriptor, &munged.vp8);
            }
            self.started = true;
        }
        Some(munged)
    }

    /// Joins the line of the current source anew, at a packet that is far from the one before.
    /// One number is left out, so that the receiver knows that something is missing.
    fn leap(&mut self, now_us: u64, packet: &MediaPacket<'_>, strays: bool) {
        let timestamp = self.next_timestamp(now_us, clock_rate(packet.codec));
        let Some(source) = &mut self.source else {
            return;
        };
        source.first_number = packet.number;
        source.first_sequence = self.newest.sequence + 2;
        if strays {
            source.timestamp_distance = timestamp.wrapping_sub(packet.timestamp);
        }
    }

    /// Whether a timestamp has nothing to do with the time that passed since the newest.
    fn strays(&self, now_us: u64, timestamp: u32, codec: CodecName) -> bool {
        let tolerance = ticks(STRAY_US, clock_rate(codec)) as i64;
        let elapsed = self.elapsed(now_us, codec) as i64;
        let ahead = self.ahead(now_us, timestamp, codec);
        self.started && !(-tolerance..=elapsed + tolerance).contains(&ahead)
    }

    /// How far a timestamp is ahead of the newest one, in ticks. However long the silence was: of
    /// all that look alike modulo 2^32 it is the one nearest to now.
    fn ahead(&self, now_us: u64, timestamp: u32, codec: CodecName) -> i64 {
        let elapsed = self.elapsed(now_us, codec);
        let now = self.newest.timestamp.wrapping_add(elapsed as u32);
        i64::from(timestamp.wrapping_sub(now) as i32) + elapsed as i64
    }

    /// Ticks since the newest timestamp.
    fn elapsed(&self, now_us: u64, codec: CodecName) -> u64 {
        ticks(now_us.saturating_sub(self.newest.at_us), clock_rate(codec))
    }

    /// Where a packet of the current source stands in the slot's stream; `None`: before it.
    fn sequence(&self, number: u64) -> Option<u64> {
        let source = self.source.as_ref()?;
        Some(source.first_sequence + number.checked_sub(source.first_number)?)
    }

    /// The fields with which a packet of the current source left before, or would have.
    #[must_use]
    pub fn resend(&self, packet: &MediaPacket<'_>) -> Option<Munged> {
        let source = self.source.as_ref()?;
        let descriptor = packet.frame.vp8.unwrap_or_default();
        Some(Munged {
            // The wire carries the low 16 bits.
            sequence: self.sequence(packet.number)? as u16,
            timestamp: packet.timestamp.wrapping_add(source.timestamp_distance),
            vp8: vp8::Patch {
                picture_id: descriptor
                    .picture_id
                    .unwrap_or_default()
                    .wrapping_add(source.picture_distance)
                    % vp8::PICTURE_ID_MODULUS,
                tl0_picture_index: descriptor
                    .tl0_picture_index
                    .unwrap_or_default()
                    .wrapping_add(source.tl0_distance),
                key_index: descriptor
                    .key_index
                    .unwrap_or_default()
                    .wrapping_add(source.key_distance)
                    % vp8::KEY_INDEX_MODULUS,
            },
        })
    }

    /// Which packet of the current source a receiver means; `None` when it left before the
    /// switch, or never.
    #[must_use]
    pub fn source_number(&self, sequence: u16) -> Option<u64> {
        let source = self.source.as_ref()?;
        // The low 16 bits of the newest; how far back the wanted one lies.
        let back = (self.newest.sequence as u16).wrapping_sub(sequence);
        let wanted = self.newest.sequence.checked_sub(u64::from(back))?;
        Some(source.first_number + wanted.checked_sub(source.first_sequence)?)
    }

    /// Whether nothing has left since `then_us`, or ever.
    #[must_use]
    pub fn idle_since(&self, then_us: u64) -> bool {
        !self.started || self.newest.at_us <= then_us
    }

    /// The slot's RTP clock at `now_us`, for sender reports; `None` before the first packet.
    #[must_use]
    pub fn timestamp_at(&self, now_us: u64, clock_rate: u32) -> Option<u32> {
        let elapsed = ticks(now_us.saturating_sub(self.newest.at_us), clock_rate) as u32;
        self.started
            .then(|| self.newest.timestamp.wrapping_add(elapsed))
    }
}

impl vp8::Patch {
    /// Takes over the counters that the descriptor really has.
    fn keep_present(&mut self, descriptor: &vp8::Descriptor, sent: &Self) {
        if descriptor.picture_id.is_some() {
            self.picture_id = sent.picture_id;
        }
        if descriptor.tl0_picture_index.is_some() {
            self.tl0_picture_index = sent.tl0_picture_index;
        }
        if descriptor.key_index.is_some() {
            self.key_index = sent.key_index;
        }
    }
}

/// RTP ticks in a time.
fn ticks(us: u64, clock_rate: u32) -> u64 {
    us * u64::from(clock_rate) / 1_000_000
}

/// RTP ticks per second of a codec.
#[must_use]
pub fn clock_rate(codec: CodecName) -> u32 {
    match codec {
        CodecName::Opus => opus::CLOCK_RATE,
        CodecName::Vp8 | CodecName::H264 => VIDEO_CLOCK_RATE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{inspect, FrameInfo};

    const SECOND: u64 = 1_000_000;

    fn video(number: u64, timestamp: u32, picture_id: u16) -> MediaPacket<'static> {
        let [high, low] = (picture_id | 0x8000).to_be_bytes();
        let payload = [0x90, 0xf0, high, low, 200, 31, 0];
        MediaPacket {
            number,
            timestamp,
            arrival_us: 0,
            marker: false,
            codec: CodecName::Vp8,
            frame: inspect(CodecName::Vp8, &payload),
            audio_level: None,
            video_orientation: None,
            payload: &[0; 10],
        }
    }

    fn audio(number: u64, timestamp: u32) -> MediaPacket<'static> {
        let frame = FrameInfo {
            switch_point: true,
            ..FrameInfo::default()
        };
        // A TOC of CELT 20 ms.
        MediaPacket {
            codec: CodecName::Opus,
            frame,
            payload: &[0xf8, 1, 2],
            ..video(number, timestamp, 0)
        }
    }

    #[test]
    fn a_switch_goes_on_at_the_next_sequence_after_the_time_that_passed() {
        let mut munger = Munger::new(65_535, 1_000);
        munger.switch(0, &video(500, 9_000, 10));
        let first = munger.munge(SECOND, &video(500, 9_000, 10)).unwrap();
        assert_eq!((first.sequence, first.timestamp), (32_768, 1_001));
        let second = munger
            .munge(SECOND + 40_000, &video(501, 12_600, 11))
            .unwrap();
        assert_eq!(second.timestamp - first.timestamp, 3_600);
        munger.switch(SECOND + 60_000, &video(7, 4_000_000_000, 77));
        let third = munger
            .munge(SECOND + 60_000, &video(7, 4_000_000_000, 77))
            .unwrap();
        assert_eq!(third.sequence, second.sequence + 1);
        assert_eq!(third.timestamp - second.timestamp, 1_800, "20 ms at 90 kHz");
        assert_eq!(third.vp8.picture_id, second.vp8.picture_id + 1);
        assert_eq!(
            third.vp8.tl0_picture_index,
            second.vp8.tl0_picture_index.wrapping_add(1)
        );
        assert_eq!(third.vp8.key_index, (second.vp8.key_index + 1) % 32);
    }

    #[test]
    fn counters_that_a_source_does_not_have_stand_still_while_it_flows() {
        let (mut munger, with) = (Munger::new(0, 0), video(1, 0, 10));
        munger.switch(0, &with);
        let before = munger.munge(0, &with).unwrap();
        let payload = [0x10, 0]; // a descriptor of one byte
        let without = MediaPacket {
            frame: inspect(CodecName::Vp8, &payload),
            ..video(1, 0, 0)
        };
        assert_eq!(without.frame.vp8.unwrap().tl0_picture_index, None);
        munger.switch(SECOND, &without);
        munger.munge(SECOND, &without).unwrap();
        munger.switch(2 * SECOND, &with);
        let after = munger.munge(2 * SECOND, &with).unwrap();
        let next = vp8::Patch {
            picture_id: before.vp8.picture_id + 1,
            tl0_picture_index: before.vp8.tl0_picture_index.wrapping_add(1),
            key_index: (before.vp8.key_index + 1) % vp8::KEY_INDEX_MODULUS,
        };
        assert_eq!(after.vp8, next);
    }

    #[test]
    fn audio_steps_by_a_packet_at_least() {
        let mut munger = Munger::new(0, 0);
        munger.switch(0, &audio(1, 0));
        let first = munger.munge(0, &audio(1, 0)).unwrap();
        munger.switch(5_000, &audio(900, 77));
        let second = munger.munge(5_000, &audio(900, 77)).unwrap();
        assert_eq!(second.timestamp - first.timestamp, 960);
        munger.switch(SECOND, &audio(5, 5));
        let third = munger.munge(SECOND, &audio(5, 5)).unwrap();
        assert_eq!(third.timestamp - second.timestamp, 995 * 48);
    }

    #[test]
    fn what_is_older_than_the_switch_does_not_leave() {
        let mut munger = Munger::new(0, 0);
        assert!(munger.munge(0, &video(1, 0, 1)).is_none());
        munger.switch(0, &video(10, 0, 1));
        assert!(munger.munge(0, &video(9, 0, 0)).is_none());
        munger.stop();
        assert!(munger.munge(0, &video(11, 0, 0)).is_none());
    }

    #[test]
    fn a_nack_finds_its_packet_across_the_wrap_but_not_across_the_switch() {
        let mut munger = Munger::new(0x7ffe, 0);
        munger.switch(0, &video(100, 0, 1));
        for number in 100..100 + 40_000 {
            munger.munge(number, &video(number, 0, 1));
        }
        let sent = munger.resend(&video(33_000, 0, 1)).unwrap();
        assert_eq!(munger.source_number(sent.sequence), Some(33_000));
        munger.switch(0, &video(7, 0, 1));
        munger.munge(0, &video(7, 0, 1));
        assert_eq!(munger.source_number(sent.sequence), None);
    }

    #[test]
    fn a_late_packet_leaves_in_its_place_and_does_not_move_the_line() {
        let mut munger = Munger::new(0, 0);
        munger.switch(0, &video(10, 9_000, 1));
        munger.munge(0, &video(10, 9_000, 1));
        munger.munge(40_000, &video(12, 12_600, 2));
        let late = munger.munge(90_000, &video(11, 9_000, 1)).unwrap();
        assert_eq!(late, munger.resend(&video(11, 9_000, 1)).unwrap());
        munger.switch(50_000, &video(1, 0, 1));
        let next = munger.munge(50_000, &video(1, 0, 1)).unwrap();
        assert_eq!(next.sequence, late.sequence + 2);
        assert_eq!(next.timestamp, 1 + 3_600 + 900);
    }

    #[test]
    fn a_late_packet_of_no_time_does_not_leave_nor_break_the_line() {
        let mut munger = Munger::new(0, 0);
        munger.switch(0, &video(10, 9_000, 1));
        munger.munge(0, &video(10, 9_000, 1));
        let newest = munger.munge(40_000, &video(12, 12_600, 2)).unwrap();
        let stray = video(11, 2_000_000_000, 1);
        assert_eq!(munger.munge(50_000, &stray), None);
        let next = munger.munge(80_000, &video(13, 16_200, 3)).unwrap();
        assert_eq!(next.sequence, newest.sequence + 1);
        assert_eq!(next.timestamp, newest.timestamp + 3_600);
    }

    #[test]
    fn a_silence_of_hours_is_no_leap() {
        let mut munger = Munger::new(0, 0);
        munger.switch(0, &video(10, 0, 1));
        let first = munger.munge(0, &video(10, 0, 1)).unwrap();
        for (number, hours) in [(11, 8), (12, 20), (13, 100)] {
            let now_us = hours * 3_600 * SECOND;
            let clock = ticks(now_us, VIDEO_CLOCK_RATE) as u32;
            let sent = munger.munge(now_us, &video(number, clock, 1)).unwrap();
            assert_eq!(sent.sequence - first.sequence, number as u16 - 10);
            assert_eq!(sent.timestamp.wrapping_sub(first.timestamp), clock);
            assert!(!munger.idle_since(now_us - 1));
        }
    }

    #[test]
    fn the_slots_clock_runs_on_between_frames() {
        let mut munger = Munger::new(0, 0);
        assert_eq!(munger.timestamp_at(5, VIDEO_CLOCK_RATE), None);
        munger.switch(0, &video(10, 9_000, 1));
        munger.munge(SECOND, &video(10, 9_000, 1));
        assert_eq!(
            munger.timestamp_at(SECOND + 100_000, VIDEO_CLOCK_RATE),
            Some(1 + 9_000)
        );
    }
}
