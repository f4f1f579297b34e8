//! What is counted in one measurement, and the order statistics of its latencies.

/// Counts of one measurement; the sink fills it in.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Datagrams of the measured round that authenticated and carried a stamp, or, for the
    /// baseline, that carried its round.
    pub delivered: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Other authentic RTP: warm-up, padding, retransmissions.
    pub other: u64,
    /// RTCP of the server.
    pub feedback: u64,
    /// Answers to our ICE checks.
    pub checks_answered: u64,
    /// What did not authenticate, was a replay or came from a stranger.
    pub refused: u64,
    /// Microseconds from the publisher's send to the kernel's receive.
    pub latencies: Vec<u32>,
}

impl Tally {
    /// The latency that the given share of the packets did not exceed, in microseconds.
    pub fn latency(&mut self, percent: usize) -> u32 {
        let count = self.latencies.len();
        if count == 0 {
            return 0;
        }
        // Nearest rank: the smallest value that so many percent do not exceed.
        let rank = (count * percent).div_ceil(100).clamp(1, count);
        *self.latencies.select_nth_unstable(rank - 1).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut tally = Tally {
            latencies: (1..=200).rev().collect(),
            ..Tally::default()
        };
        assert_eq!(tally.latency(50), 100);
        assert_eq!(tally.latency(99), 198);
        assert_eq!(tally.latency(100), 200);
        assert_eq!(Tally::default().latency(50), 0);
    }
}
