//! Transport-wide congestion control: feedback that we owe publishers, feedback that we get.
//!
//! [`ArrivalRecorder`] notes when each packet of a peer came and writes feedback about every
//! 100 ms; without it a browser sends its lowest simulcast layer only, for ever. [`SendLog`]
//! remembers what left for a peer and joins the peer's feedback to it. Estimating the bandwidth
//! from that is not done here.

use std::collections::VecDeque;

use crate::rtcp::{write_transport_feedback, TransportFeedback};
use crate::rtp::Unwrapper;

const MIN_INTERVAL_US: u64 = 50_000;
const MAX_INTERVAL_US: u64 = 250_000;
/// Feedback may take a twentieth of the rate that it reports on; a packet is about 68 bytes.
const INTERVAL_BITS: u64 = 68 * 8 * 20;
/// Statuses in one feedback packet: with two bytes each it stays below 1,200 bytes.
const MAX_STATUSES: usize = 500;
/// Arrivals kept, reported ones included, so that a late packet can correct an earlier report.
const WINDOW: usize = 2_000;

/// When each packet of a peer came, by transport-wide sequence number.
#[derive(Debug, Default)]
pub struct ArrivalRecorder {
    unwrapper: Unwrapper<16>,
    /// Sequence number of the first entry of `arrivals`.
    start: u64,
    arrivals: VecDeque<Option<u64>>,
    /// The first one not yet reported.
    unreported: u64,
    due_us: Option<u64>,
    last_us: u64,
    bits: u64,
    feedback_count: u8,
    scratch: Vec<Option<u64>>,
}

impl ArrivalRecorder {
    /// A packet of `bytes` came.
    pub fn received(&mut self, now_us: u64, wire_sequence: u16, bytes: usize) {
        let sequence = self.unwrapper.unwrap(u64::from(wire_sequence));
        self.bits += bytes as u64 * 8;
        if self.arrivals.is_empty() {
            self.start = sequence;
            self.unreported = sequence;
        }
        if sequence < self.start {
            return; // older than the window
        }
        if sequence - self.start >= 2 * WINDOW as u64 {
            // A jump: nothing of the old run can be of interest.
            self.arrivals.clear();
            self.start = sequence;
            self.unreported = sequence;
        }
        let index = (sequence - self.start) as usize; // below 2 * WINDOW
        if index >= self.arrivals.len() {
            self.arrivals.resize(index + 1, None);
        }
        if let Some(entry) = self.arrivals.get_mut(index) {
            entry.get_or_insert(now_us);
        }
        self.unreported = self.unreported.min(sequence);
        if self.due_us.is_none() {
            self.due_us = Some(now_us.max(self.last_us + self.interval_us(now_us)));
        }
        while self.arrivals.len() > WINDOW {
            self.arrivals.pop_front();
            self.start += 1;
            self.unreported = self.unreported.max(self.start);
        }
    }

    /// When feedback is due; `None`: nothing new came.
    #[must_use]
    pub fn next_due_us(&self) -> Option<u64> {
        self.due_us
    }

    /// Appends one feedback packet to `out` if it is due; call again until it returns false.
    pub fn poll(
        &mut self,
        now_us: u64,
        sender_ssrc: u32,
        media_ssrc: u32,
        out: &mut Vec<u8>,
    ) -> bool {
        if self.due_us.is_none_or(|due| now_us < due) {
            return false;
        }
        let from = (self.unreported - self.start) as usize; // within the window
        self.scratch.clear();
        self.scratch
            .extend(self.arrivals.iter().skip(from).take(MAX_STATUSES));
        if self.scratch.is_empty() {
            self.due_us = None;
            self.last_us = now_us;
            self.bits = 0;
            return false;
        }
        let covered = write_transport_feedback(
            out,
            sender_ssrc,
            media_ssrc,
            self.feedback_count,
            self.unreported as u16, // the wire carries 16 bits
            &self.scratch,
        );
        self.feedback_count = self.feedback_count.wrapping_add(1);
        self.unreported += covered as u64;
        true
    }

    fn interval_us(&self, now_us: u64) -> u64 {
        let elapsed_us = now_us.saturating_sub(self.last_us).max(1);
        let interval_us = INTERVAL_BITS * elapsed_us / self.bits.max(1);
        interval_us.clamp(MIN_INTERVAL_US, MAX_INTERVAL_US)
    }
}

/// One packet that left, and what the peer says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketResult {
    /// When it left.
    pub sent_us: u64,
    /// Bytes of the plaintext packet.
    pub bytes: u32,
    /// Arrival on the peer's clock, microseconds; `None`: lost.
    pub arrival_us: Option<i64>,
}

/// What left for a peer, by transport-wide sequence number.
#[derive(Debug, Default)]
pub struct SendLog {
    next: u64,
    ring: Vec<(u64, u64, u32)>,
    /// Packets that the peer has acknowledged.
    pub acknowledged: u64,
    /// Packets that the peer has reported lost, and not corrected since.
    pub lost: u64,
}

const SEND_LOG: usize = 4_096;

impl SendLog {
    /// Numbers a packet that leaves now.
    pub fn sent(&mut self, now_us: u64, bytes: usize) -> u16 {
        let sequence = self.next;
        self.next += 1;
        let entry = (sequence, now_us, u32::try_from(bytes).unwrap_or(u32::MAX));
        let at = (sequence % SEND_LOG as u64) as usize;
        match self.ring.get_mut(at) {
            Some(place) => *place = entry,
            None => self.ring.push(entry),
        }
        sequence as u16 // the wire carries 16 bits
    }

    /// Calls `result` for each packet of a feedback that is still remembered; each packet once
    /// at most as arrived.
    pub fn feedback(
        &mut self,
        feedback: &TransportFeedback<'_>,
        mut result: impl FnMut(PacketResult),
    ) {
        for (wire, arrival) in feedback.iter() {
            // Sequence numbers of the last half turn only; the newest is next - 1.
            let back = (self.next.wrapping_sub(1) as u16).wrapping_sub(wire);
            let Some(sequence) = self.next.checked_sub(1 + u64::from(back)) else {
                continue;
            };
            let at = (sequence % SEND_LOG as u64) as usize;
            let Some(place) = self.ring.get_mut(at).filter(|place| place.0 == sequence) else {
                continue;
            };
            let (_, sent_us, bytes) = *place;
            match arrival {
                Some(_) => {
                    self.acknowledged += 1;
                    place.0 = u64::MAX;
                }
                None => self.lost += 1,
            }
            let arrival_us = arrival.map(|us| us + feedback.reference_us);
            result(PacketResult {
                sent_us,
                bytes,
                arrival_us,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{parse, Packet};

    /// Polls and returns (base, statuses received?) of each feedback packet.
    fn poll(recorder: &mut ArrivalRecorder, now_us: u64) -> Vec<(u16, Vec<bool>)> {
        let mut list = Vec::new();
        loop {
            let mut bytes = Vec::new();
            if !recorder.poll(now_us, 1, 2, &mut bytes) {
                return list;
            }
            assert!(bytes.len() <= 1_200);
            let Some(Packet::TransportFeedback(feedback)) = parse(&bytes).next() else {
                panic!("not transport feedback")
            };
            list.push((
                feedback.base,
                feedback
                    .iter()
                    .map(|(_, arrival)| arrival.is_some())
                    .collect(),
            ));
        }
    }

    #[test]
    fn losses_and_arrivals_are_reported_once() {
        let mut recorder = ArrivalRecorder::default();
        for sequence in [65_534, 65_535, 1, 2] {
            recorder.received(1_000_000, sequence, 1_000);
        }
        let due = recorder.next_due_us().unwrap();
        assert_eq!(
            poll(&mut recorder, due),
            [(65_534, vec![true, true, false, true, true])]
        );
        assert_eq!(recorder.next_due_us(), None);
    }

    #[test]
    fn a_late_packet_corrects_an_earlier_report() {
        let mut recorder = ArrivalRecorder::default();
        recorder.received(0, 10, 100);
        recorder.received(0, 12, 100);
        poll(&mut recorder, 1_000_000);
        recorder.received(1_010_000, 11, 100);
        let due = recorder.next_due_us().unwrap();
        assert_eq!(poll(&mut recorder, due), [(11, vec![true, true])]);
    }

    #[test]
    fn a_lost_packet_at_the_start_of_a_report_is_reported() {
        let mut recorder = ArrivalRecorder::default();
        recorder.received(0, 10, 100);
        poll(&mut recorder, 1_000_000);
        recorder.received(1_010_000, 12, 100);
        let due = recorder.next_due_us().unwrap();
        assert_eq!(poll(&mut recorder, due), [(11, vec![false, true])]);
    }

    #[test]
    fn the_interval_follows_the_rate_between_50_and_250_ms() {
        for (bytes_per_ms, want_ms) in [(1_000, 50), (14, 97), (1, 250)] {
            let mut recorder = ArrivalRecorder::default();
            let mut at = Vec::new();
            for ms in 0..2_000u64 {
                recorder.received(ms * 1_000, ms as u16, bytes_per_ms);
                if !poll(&mut recorder, ms * 1_000).is_empty() {
                    at.push(ms);
                }
            }
            let gaps: Vec<_> = at
                .windows(2)
                .skip(1)
                .map(|pair| pair[1] - pair[0])
                .collect();
            assert!(
                gaps.iter().all(|gap| gap.abs_diff(want_ms) <= 3),
                "{bytes_per_ms}: {gaps:?}"
            );
        }
    }

    #[test]
    fn a_jump_of_the_counter_starts_a_new_run() {
        let mut recorder = ArrivalRecorder::default();
        recorder.received(0, 10, 100);
        recorder.received(0, 20_000, 100);
        assert_eq!(poll(&mut recorder, 1_000_000), [(20_000, vec![true])]);
    }

    #[test]
    fn a_flood_is_reported_in_packets_that_fit_a_datagram() {
        let mut recorder = ArrivalRecorder::default();
        for sequence in 0..1_600 {
            recorder.received(0, sequence, 100);
        }
        let counts: Vec<_> = poll(&mut recorder, 1_000_000)
            .iter()
            .map(|one| one.1.len())
            .collect();
        assert_eq!(counts, [500, 500, 500, 100]);
    }

    #[test]
    fn feedback_is_joined_to_what_left() {
        let mut log = SendLog::default();
        for n in 0..70_000u64 {
            log.sent(n, 100 + (n % 10) as usize);
        }
        let mut bytes = Vec::new();
        let base = 69_998u64 as u16;
        write_transport_feedback(&mut bytes, 1, 2, 0, base, &[Some(64_000), None]);
        let Some(Packet::TransportFeedback(feedback)) = parse(&bytes).next() else {
            panic!()
        };
        let mut results = Vec::new();
        log.feedback(&feedback, |result| results.push(result));
        log.feedback(&feedback, |result| results.push(result));
        assert_eq!(
            results[0],
            PacketResult {
                sent_us: 69_998,
                bytes: 108,
                arrival_us: Some(64_000)
            }
        );
        assert_eq!(results[1].arrival_us, None);
        assert_eq!((log.acknowledged, log.lost), (1, 2));
    }

    #[test]
    fn feedback_about_packets_that_never_left_is_ignored() {
        let mut log = SendLog::default();
        log.sent(0, 100);
        let mut bytes = Vec::new();
        write_transport_feedback(&mut bytes, 1, 2, 0, 500, &[Some(64_000), None]);
        let Some(Packet::TransportFeedback(feedback)) = parse(&bytes).next() else {
            panic!()
        };
        log.feedback(&feedback, |result| panic!("{result:?}"));
    }
}
