//! Whether a packet that a receiver asks for again is sent again.
//!
//! Receivers repeat their NACKs faster than an answer can reach them, and a broken or hostile one
//! could turn a NACK of 16 bytes into 20 kB: so a packet is sent again at most three times, not
//! twice within a round trip, and within a budget that grows with what is sent anyway. Asking a
//! publisher again is in `nack.rs`.

const MAX_SENDS: u8 = 3;
const MIN_PAUSE_US: u64 = 30_000;
/// Retransmissions may take a quarter of what the slot sends,
const BUDGET_SHARE: u64 = 4;
/// and a burst of this many bytes at once.
const BUDGET_MAX: u64 = 65_536;
const REMEMBERED: usize = 128;

#[derive(Clone, Copy, Debug)]
struct Sent {
    sequence: u16,
    sends: u8,
    last_us: u64,
}

/// What a slot has sent again lately.
#[derive(Debug)]
pub struct Resends {
    recent: Vec<Sent>,
    next: usize,
    budget: u64,
}

impl Default for Resends {
    fn default() -> Self {
        Self {
            recent: Vec::new(),
            next: 0,
            budget: BUDGET_MAX,
        }
    }
}

impl Resends {
    /// A packet of so many bytes was sent for the first time.
    pub fn earn(&mut self, bytes: usize) {
        self.budget = (self.budget + bytes as u64 / BUDGET_SHARE).min(BUDGET_MAX);
    }

    /// The line was switched: old sequence numbers will not be asked for again.
    pub fn forget(&mut self) {
        self.recent.clear();
        self.next = 0;
    }

    /// Whether a packet may be sent again now; counts it if so.
    pub fn allow(&mut self, now_us: u64, rtt_us: u64, sequence: u16, bytes: usize) -> bool {
        let Some(budget) = self.budget.checked_sub(bytes as u64) else {
            return false;
        };
        if let Some(sent) = self
            .recent
            .iter_mut()
            .find(|sent| sent.sequence == sequence)
        {
            if sent.sends >= MAX_SENDS || now_us < sent.last_us + rtt_us.max(MIN_PAUSE_US) {
                return false;
            }
            sent.sends += 1;
            sent.last_us = now_us;
        } else {
            let first = Sent {
                sequence,
                sends: 1,
                last_us: now_us,
            };
            match self.recent.get_mut(self.next) {
                Some(oldest) => *oldest = first,
                None => self.recent.push(first),
            }
            self.next = (self.next + 1) % REMEMBERED;
        }
        self.budget = budget;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: u64 = 100_000;

    #[test]
    fn a_packet_is_sent_again_three_times_at_most_and_once_a_round_trip() {
        let mut resends = Resends::default();
        let sent: Vec<_> = (0..100)
            .filter(|ms| resends.allow(ms * 10_000, RTT, 7, 1_000))
            .collect();
        assert_eq!(sent, [0, 10, 20]);
        assert!(
            resends.allow(0, RTT, 8, 1_000),
            "another packet is another matter"
        );
    }

    #[test]
    fn the_budget_bounds_a_burst_and_grows_with_what_is_sent() {
        let mut resends = Resends::default();
        let burst = (0..1_000)
            .filter(|&n| resends.allow(0, RTT, n, 1_000))
            .count();
        assert_eq!(burst, 65);
        for _ in 0..8 {
            resends.earn(1_000);
        }
        let more = (1_000..2_000)
            .filter(|&n| resends.allow(0, RTT, n, 1_000))
            .count();
        assert_eq!(more, 2);
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut resends = Resends::default();
        for n in 0..1_000 {
            resends.earn(100_000);
            assert!(resends.allow(0, RTT, n, 10));
        }
        assert_eq!(resends.recent.len(), REMEMBERED);
        assert!(!resends.allow(0, RTT, 999, 10));
    }
}
