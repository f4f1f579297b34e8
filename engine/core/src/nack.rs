//! What is missing of a stream that we receive, and when to ask for it again.
//!
//! A gap waits 10 ms for reordering, is asked for at most eight times with growing pauses, and is
//! given up after a second or when a newer key frame makes it worthless. Too many gaps at once
//! mean that a new key frame is cheaper. Answering NACKs of receivers is in `resend.rs`.

/// Time that a packet may be late before it is asked for.
const REORDER_GUARD_US: u64 = 10_000;
const MAX_TRIES: u32 = 8;
const GIVE_UP_US: u64 = 1_000_000;
const MIN_PAUSE_US: u64 = 20_000;
const MAX_PAUSE_US: u64 = 400_000;
/// More missing packets than this are not asked for: the picture is lost.
pub const MAX_MISSING: usize = 300;

#[derive(Debug)]
struct Missing {
    sequence: u64,
    since_us: u64,
    due_us: u64,
    tries: u32,
}

/// What happened to the list when a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Nothing that needs an answer now.
    Fine,
    /// More is missing than can be asked for; a key frame is needed.
    TooLarge,
}

/// The missing packets of one stream, by unwrapped sequence number.
#[derive(Debug, Default)]
pub struct LossTracker {
    highest: Option<u64>,
    /// Ascending.
    missing: Vec<Missing>,
}

impl LossTracker {
    /// A packet came, for the first time or again.
    pub fn received(&mut self, now_us: u64, sequence: u64) -> Gap {
        let Some(highest) = self.highest else {
            self.highest = Some(sequence);
            return Gap::Fine;
        };
        if sequence <= highest {
            if let Ok(at) = self.find(sequence) {
                self.missing.remove(at);
            }
            return Gap::Fine;
        }
        self.highest = Some(sequence);
        // Saturating: the list never holds more than MAX_MISSING + 1 in any case.
        let gap = usize::try_from(sequence - highest - 1).unwrap_or(usize::MAX);
        if self.missing.len().saturating_add(gap) > MAX_MISSING {
            self.missing.clear();
            return Gap::TooLarge;
        }
        self.missing
            .extend((highest + 1..sequence).map(|sequence| Missing {
                sequence,
                since_us: now_us,
                due_us: now_us + REORDER_GUARD_US,
                tries: 0,
            }));
        Gap::Fine
    }

    /// A key frame began here: what is older is of no use any more.
    pub fn key_frame(&mut self, sequence: u64) {
        let older = self
            .missing
            .partition_point(|missing| missing.sequence < sequence);
        self.missing.drain(..older);
    }

    /// Forgets everything, for a stream that starts anew.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Appends to `lost` what is to be asked for now, in ascending order.
    pub fn poll(&mut self, now_us: u64, rtt_us: u64, lost: &mut Vec<u16>) {
        self.missing.retain_mut(|missing| {
            if now_us >= missing.since_us + GIVE_UP_US {
                return false;
            }
            if now_us < missing.due_us {
                return true;
            }
            if missing.tries == MAX_TRIES {
                return false;
            }
            lost.push(missing.sequence as u16); // the wire carries 16 bits
            missing.due_us = now_us + pause_us(rtt_us, missing.tries);
            missing.tries += 1;
            true
        });
    }

    /// When [`Self::poll`] has something to do.
    #[must_use]
    pub fn next_due_us(&self) -> Option<u64> {
        self.missing.iter().map(|missing| missing.due_us).min()
    }

    fn find(&self, sequence: u64) -> Result<usize, usize> {
        self.missing
            .binary_search_by_key(&sequence, |missing| missing.sequence)
    }
}

/// RTT x 1.25^n, within bounds.
fn pause_us(rtt_us: u64, tries: u32) -> u64 {
    let grown = (0..tries).fold(rtt_us.max(MIN_PAUSE_US), |pause, _| {
        pause.saturating_mul(5) / 4
    });
    grown.clamp(MIN_PAUSE_US, MAX_PAUSE_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: u64 = 100_000;

    fn ask(tracker: &mut LossTracker, now_us: u64) -> Vec<u16> {
        let mut lost = Vec::new();
        tracker.poll(now_us, RTT, &mut lost);
        lost
    }

    #[test]
    fn a_reordered_packet_is_not_asked_for() {
        let mut tracker = LossTracker::default();
        tracker.received(0, 65_535);
        tracker.received(0, 65_537);
        assert_eq!(ask(&mut tracker, 9_999), []);
        tracker.received(9_999, 65_536);
        assert_eq!(ask(&mut tracker, 10_000), []);
        assert_eq!(tracker.next_due_us(), None);
    }

    #[test]
    fn a_lost_packet_is_asked_for_with_growing_pauses_and_then_given_up() {
        let mut tracker = LossTracker::default();
        tracker.received(0, 1);
        tracker.received(0, 4);
        assert_eq!(tracker.next_due_us(), Some(10_000));
        let mut asked = Vec::new();
        for now_us in (0..2 * GIVE_UP_US).step_by(1_000) {
            if !ask(&mut tracker, now_us).is_empty() {
                asked.push(now_us / 1_000);
            }
        }
        assert_eq!(asked, [10, 110, 235, 392, 588, 833]);
        assert_eq!(tracker.next_due_us(), None);
    }

    #[test]
    fn a_short_path_stops_after_eight_tries() {
        let mut tracker = LossTracker::default();
        tracker.received(0, 1);
        tracker.received(0, 3);
        let mut asked = 0;
        for now_us in (0..GIVE_UP_US).step_by(1_000) {
            let mut lost = Vec::new();
            tracker.poll(now_us, 1_000, &mut lost);
            asked += lost.len();
        }
        assert_eq!(asked, 8);
    }

    #[test]
    fn a_newer_key_frame_ends_the_asking() {
        let mut tracker = LossTracker::default();
        tracker.received(0, 1);
        tracker.received(0, 3);
        tracker.received(0, 5);
        tracker.key_frame(3);
        assert_eq!(ask(&mut tracker, 10_000), [4]);
    }

    #[test]
    fn a_huge_gap_wants_a_key_frame_and_is_not_asked_for() {
        let mut tracker = LossTracker::default();
        tracker.received(0, 1);
        assert_eq!(tracker.received(0, 302), Gap::Fine);
        tracker.reset();
        tracker.received(0, 1);
        assert_eq!(tracker.received(0, 303), Gap::TooLarge);
        assert_eq!(ask(&mut tracker, 10_000), []);
    }

    #[test]
    fn many_small_gaps_are_a_huge_one() {
        let mut tracker = LossTracker::default();
        for sequence in (1..=2 * MAX_MISSING as u64 + 1).step_by(2) {
            assert_eq!(tracker.received(0, sequence), Gap::Fine);
        }
        let next = 2 * MAX_MISSING as u64 + 3;
        assert_eq!(tracker.received(0, next), Gap::TooLarge);
        assert_eq!(ask(&mut tracker, 10_000), []);
        assert_eq!(tracker.received(0, next + 2), Gap::Fine, "it begins anew");
        assert_eq!(ask(&mut tracker, 10_000), [next as u16 + 1]);
    }
}
