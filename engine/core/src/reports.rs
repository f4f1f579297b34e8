//! The figures of sender and receiver reports (RFC 3550 section 6.4 and appendix A).
//!
//! [`ReceiveStats`] counts one stream that comes in, [`SendStats`] one that goes out, and
//! [`RoundTrip`] smooths what reception reports say about the path. Building and sending the
//! compound packets is in `forward/reporting.rs`.

use crate::rtcp::{ReportBlock, SenderInfo};

/// 32.32 fixed point seconds of the engine's clock. Like RFC 3550 section 4 allows, its origin is
/// not 1900 but the start of the clock; a second is added so that no report carries zero.
#[must_use]
pub fn ntp(now_us: u64) -> u64 {
    let us = now_us + 1_000_000;
    ((us / 1_000_000) << 32) | (((us % 1_000_000) << 32) / 1_000_000)
}

/// The middle 32 bits of [`ntp`].
fn compact_ntp(now_us: u64) -> u32 {
    (ntp(now_us) >> 16) as u32
}

/// What is received of one stream.
#[derive(Debug, Default)]
pub struct ReceiveStats {
    /// Packets, repaired ones not counted: a report tells of the path.
    pub packets: u64,
    /// Payload bytes.
    pub octets: u64,
    first: Option<u64>,
    highest: u64,
    prior_expected: u64,
    prior_packets: u64,
    transit: Option<u32>,
    /// RFC 3550 appendix A.8, scaled by 16.
    jitter: u32,
    last_sr: Option<(u32, u64)>,
}

impl ReceiveStats {
    /// A packet came on the stream's own SSRC.
    pub fn received(
        &mut self,
        now_us: u64,
        sequence: u64,
        timestamp: u32,
        clock_rate: u32,
        octets: usize,
    ) {
        self.packets += 1;
        self.octets += octets as u64;
        self.first.get_or_insert(sequence);
        self.highest = self.highest.max(sequence);
        // Both clocks wrap at 32 bits, and so does their difference.
        let arrival = (u128::from(now_us) * u128::from(clock_rate) / 1_000_000) as u32;
        let transit = arrival.wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let distance = (transit.wrapping_sub(before) as i32).unsigned_abs();
            let jitter = u64::from(self.jitter) + u64::from(distance);
            let jitter = jitter - u64::from((self.jitter + 8) >> 4).min(jitter);
            self.jitter = u32::try_from(jitter)
                .unwrap_or(u32::MAX >> 1)
                .min(u32::MAX >> 1);
        }
    }

    /// The publisher reported about the stream.
    pub fn sender_report(&mut self, now_us: u64, info: &SenderInfo) {
        self.last_sr = Some((info.compact_ntp(), now_us));
    }

    /// Packets that never came; negative when there were more duplicates.
    #[must_use]
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.packets as i64
    }

    /// Interarrival jitter in RTP timestamp units.
    #[must_use]
    pub fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// The block for the next report; `None` before the first packet.
    pub fn block(&mut self, now_us: u64, ssrc: u32) -> Option<ReportBlock> {
        self.first?;
        let expected = self.expected();
        let expected_since = expected - self.prior_expected;
        let lost_since = expected_since.saturating_sub(self.packets - self.prior_packets);
        self.prior_expected = expected;
        self.prior_packets = self.packets;
        let fraction = (lost_since * 256)
            .checked_div(expected_since)
            .unwrap_or(0)
            .min(255);
        let (last_sr, delay) = self.last_sr.map_or((0, 0), |(compact, at_us)| {
            (compact, now_us.saturating_sub(at_us) * 65_536 / 1_000_000)
        });
        Some(ReportBlock {
            ssrc,
            fraction_lost: fraction as u8,
            cumulative_lost: self.lost().clamp(-0x80_0000, 0x7f_ffff) as i32,
            // Unwrapped numbers start one turn up; the report counts turns from zero.
            highest_sequence: self.highest.wrapping_sub(1 << 16) as u32,
            jitter: self.jitter(),
            last_sr,
            delay_since_last_sr: u32::try_from(delay).unwrap_or(u32::MAX),
        })
    }

    fn expected(&self) -> u64 {
        self.first
            .map_or(0, |first| self.highest + 1 - first.min(self.highest))
    }
}

/// What was sent on one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendStats {
    /// Packets.
    pub packets: u64,
    /// Payload bytes.
    pub octets: u64,
    packets_reported: u64,
}

impl SendStats {
    /// A packet left.
    pub fn sent(&mut self, octets: usize) {
        self.packets += 1;
        self.octets += octets as u64;
    }

    /// Whether something left since the last [`Self::info`].
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.packets != self.packets_reported
    }

    /// The sender's half of an SR; counters modulo 2^32.
    pub fn info(&mut self, now_us: u64, rtp_timestamp: u32) -> SenderInfo {
        self.packets_reported = self.packets;
        SenderInfo {
            ntp: ntp(now_us),
            rtp_timestamp,
            packets: self.packets as u32,
            octets: self.octets as u32,
        }
    }
}

/// A smoothed round-trip time.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundTrip {
    smoothed_us: Option<u64>,
}

impl RoundTrip {
    /// Assumed before the first measurement.
    pub const UNKNOWN_US: u64 = 100_000;

    /// Takes a reception report of one of our streams (RFC 3550 section 6.4.1).
    pub fn report(&mut self, now_us: u64, block: &ReportBlock) {
        if block.last_sr == 0 {
            return;
        }
        let ticks = compact_ntp(now_us)
            .wrapping_sub(block.last_sr)
            .wrapping_sub(block.delay_since_last_sr);
        // Half the range and more: a clock that ran backwards, or a forged report.
        if ticks < 1 << 20 {
            self.sample(u64::from(ticks) * 1_000_000 / 65_536);
        }
    }

    /// Takes a measurement made otherwise.
    pub fn sample(&mut self, rtt_us: u64) {
        self.smoothed_us = Some(
            self.smoothed_us
                .map_or(rtt_us, |old| (old * 7 + rtt_us) / 8),
        );
    }

    /// The estimate, or what is assumed without one.
    #[must_use]
    pub fn us(&self) -> u64 {
        self.smoothed_us.unwrap_or(Self::UNKNOWN_US)
    }

    /// The estimate, if there is one.
    #[must_use]
    pub fn measured_us(&self) -> Option<u64> {
        self.smoothed_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: u64 = 1 << 16;

    #[test]
    fn loss_is_counted_in_all_and_since_the_last_report() {
        let mut stats = ReceiveStats::default();
        for sequence in [0, 1, 2, 4, 5, 7] {
            stats.received(0, TURN + sequence, 0, 90_000, 10);
        }
        let block = stats.block(0, 9).unwrap();
        assert_eq!(
            (block.ssrc, block.cumulative_lost, block.fraction_lost),
            (9, 2, 64)
        );
        assert_eq!(block.highest_sequence, 7);
        for sequence in 8..16 {
            stats.received(0, TURN + sequence, 0, 90_000, 10);
        }
        let block = stats.block(0, 9).unwrap();
        assert_eq!((block.cumulative_lost, block.fraction_lost), (2, 0));
        assert_eq!((stats.packets, stats.octets), (14, 140));
    }

    #[test]
    fn wraps_stand_above_the_sequence_number() {
        let mut stats = ReceiveStats::default();
        stats.received(0, TURN + 65_535, 0, 90_000, 1);
        stats.received(0, 2 * TURN, 0, 90_000, 1);
        assert_eq!(stats.block(0, 9).unwrap().highest_sequence, 0x0001_0000);
    }

    #[test]
    fn duplicates_make_the_loss_negative_and_nothing_received_no_block() {
        let mut stats = ReceiveStats::default();
        assert_eq!(stats.block(0, 9), None);
        for _ in 0..3 {
            stats.received(0, TURN, 0, 90_000, 1);
        }
        let block = stats.block(0, 9).unwrap();
        assert_eq!((block.cumulative_lost, block.fraction_lost), (-2, 0));
    }

    #[test]
    fn an_even_stream_has_no_jitter_and_an_uneven_one_converges_to_its_mean_deviation() {
        let mut stats = ReceiveStats::default();
        for n in 0..500u32 {
            stats.received(
                u64::from(n) * 20_000,
                TURN + u64::from(n),
                n * 960,
                48_000,
                1,
            );
        }
        assert_eq!(stats.jitter(), 0);
        for n in 500..1_000u32 {
            let late = u64::from(n % 2) * 5_000;
            stats.received(
                u64::from(n) * 20_000 + late,
                TURN + u64::from(n),
                n * 960,
                48_000,
                1,
            );
        }
        assert!((235..=240).contains(&stats.jitter()), "{}", stats.jitter());
    }

    #[test]
    fn a_receivers_report_gives_the_round_trip_time() {
        let mut sent = SendStats::default();
        sent.sent(100);
        assert!(sent.has_news());
        let info = sent.info(5_000_000, 77);
        assert!(!sent.has_news());
        let mut there = ReceiveStats::default();
        there.received(0, TURN, 0, 90_000, 1);
        there.sender_report(40_000_000, &info); // another clock
        let block = there.block(40_300_000, 9).unwrap();
        let mut rtt = RoundTrip::default();
        assert_eq!(rtt.us(), RoundTrip::UNKNOWN_US);
        rtt.report(5_380_000, &block);
        assert!(rtt.us().abs_diff(80_000) < 50, "{}", rtt.us());
    }

    #[test]
    fn a_report_without_sr_or_from_the_future_says_nothing() {
        let mut rtt = RoundTrip::default();
        rtt.report(5_000_000, &ReportBlock::default());
        let ahead = ReportBlock {
            last_sr: compact_ntp(9_000_000),
            ..ReportBlock::default()
        };
        rtt.report(5_000_000, &ahead);
        assert_eq!(rtt.measured_us(), None);
    }

    #[test]
    fn the_clock_is_fixed_point_seconds() {
        assert_eq!(ntp(500_000), 1 << 32 | 1 << 31);
    }
}
