//! A token bucket, kept as the time at which it is full again (GCRA).

/// `BURST` tokens at once, and one more every `EVERY` microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket<const BURST: u64, const EVERY: u64> {
    full_at: u64,
}

impl<const BURST: u64, const EVERY: u64> Bucket<BURST, EVERY> {
    /// Whether there is a token.
    #[must_use]
    pub fn allows(&self, now: u64) -> bool {
        self.next_at() <= now
    }

    /// When there is a token; in the past means now.
    #[must_use]
    pub fn next_at(&self) -> u64 {
        self.full_at.saturating_sub((BURST - 1) * EVERY)
    }

    /// Takes a token, or runs up a debt.
    pub fn charge(&mut self, now: u64) {
        self.full_at = self.full_at.max(now) + EVERY;
    }

    /// Takes a token, if there is one; returns whether.
    pub fn take(&mut self, now: u64) -> bool {
        let allowed = self.allows(now);
        if allowed {
            self.charge(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate() {
        let mut bucket = Bucket::<4, 250>::default();
        let taken: Vec<u64> = (1_000..2_000).filter(|&now| bucket.take(now)).collect();
        assert_eq!(taken, [1_000, 1_001, 1_002, 1_003, 1_250, 1_500, 1_750]);
        assert_eq!(bucket.next_at(), 2_000);
        assert!(bucket.allows(2_000) && !bucket.allows(1_999));
    }
}
