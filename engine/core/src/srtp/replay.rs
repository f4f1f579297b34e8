//! Which packet indexes of one stream have been used (RFC 3711 section 3.3.2).
//!
//! The same window serves both directions: an index that was opened must not be opened again
//! (replay), and one that was sealed must not be sealed again (a repeated nonce would give away the
//! key stream and, with GCM, the authentication key).

/// Packets that may arrive late and still be told from replays; RFC 3711 asks for 64.
pub const WINDOW: u64 = 1024;
const WORDS: usize = (WINDOW / 64) as usize;

/// Largest RTP packet index: 32 bits of rollover counter, 16 of sequence number.
const MAX_RTP_INDEX: u64 = (1 << 48) - 1;

/// What a window says about an index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Not used yet.
    Fresh,
    /// Used before.
    Used,
    /// So old that nobody knows.
    TooOld,
}

/// A bitmap over the newest [`WINDOW`] indexes.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    highest: u64,
    // Bit `index % WINDOW`; a ring, so that moving on clears bits and shifts nothing.
    used: [u64; WORDS],
}

impl ReplayWindow {
    /// A window that has seen exactly this index.
    #[must_use]
    pub fn starting_at(index: u64) -> Self {
        let mut window = Self {
            highest: index,
            used: [0; WORDS],
        };
        window.mark(index);
        window
    }

    /// Whether an index may still be used. Records nothing: authentication comes first.
    #[must_use]
    pub fn check(&self, index: u64) -> Verdict {
        if index > self.highest {
            return Verdict::Fresh;
        }
        if self.highest - index >= WINDOW {
            return Verdict::TooOld;
        }
        let (word, bit) = place(index);
        if self.used[word] & bit != 0 {
            Verdict::Used
        } else {
            Verdict::Fresh
        }
    }

    /// Records an index for which [`ReplayWindow::check`] said fresh.
    pub fn record(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= WINDOW {
                self.used = [0; WORDS];
            } else {
                for passed in self.highest + 1..index {
                    let (word, bit) = place(passed);
                    self.used[word] &= !bit;
                }
            }
            self.highest = index;
        }
        self.mark(index);
    }

    /// The full index of a sequence number: the one nearest to the newest index
    /// (RFC 3711 section 3.3.1 and appendix A). `None` before the start or after the end of the key.
    #[must_use]
    pub fn estimate(&self, sequence_number: u16) -> Option<u64> {
        let newest = self.highest & 0xffff;
        let rollovers = self.highest >> 16;
        let sequence_number = u64::from(sequence_number);
        let rollovers = if newest < 0x8000 {
            if sequence_number > newest + 0x8000 {
                rollovers.checked_sub(1)?
            } else {
                rollovers
            }
        } else if newest - 0x8000 > sequence_number {
            rollovers + 1
        } else {
            rollovers
        };
        let index = rollovers << 16 | sequence_number;
        (index <= MAX_RTP_INDEX).then_some(index)
    }

    fn mark(&mut self, index: u64) {
        let (word, bit) = place(index);
        self.used[word] |= bit;
    }
}

fn place(index: u64) -> (usize, u64) {
    let at = index % WINDOW;
    ((at / 64) as usize, 1 << (at % 64)) // below WORDS, so nothing is cut
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the order, the window agrees with a set of everything that was recorded.
        #[test]
        fn agrees_with_a_set(
            start in 0u64..10_000,
            steps in prop::collection::vec(-1500i64..1500, 1..400),
        ) {
            let mut window = ReplayWindow::starting_at(start);
            let mut seen = HashSet::from([start]);
            let mut at = start as i64;
            for step in steps {
                at = (at + step).max(0);
                let index = at as u64;
                let highest = *seen.iter().max().unwrap();
                let expected = if index + WINDOW <= highest {
                    Verdict::TooOld
                } else if seen.contains(&index) {
                    Verdict::Used
                } else {
                    Verdict::Fresh
                };
                prop_assert_eq!(window.check(index), expected);
                if expected == Verdict::Fresh {
                    window.record(index);
                    seen.insert(index);
                }
                prop_assert_eq!(window.highest, *seen.iter().max().unwrap());
            }
        }

        /// The estimate is the index with this sequence number that is nearest to the newest.
        #[test]
        fn estimates_the_nearest_index(highest in 0x2_0000u64..0x10_0000, distance in -0x7fffi64..0x7fff) {
            let index = (highest as i64 + distance) as u64;
            let window = ReplayWindow::starting_at(highest);
            prop_assert_eq!(window.estimate(index as u16), Some(index));
        }
    }

    #[test]
    fn nothing_comes_before_the_first_rollover_or_after_the_last() {
        assert_eq!(ReplayWindow::starting_at(3).estimate(0xffff), None);
        assert_eq!(ReplayWindow::starting_at(MAX_RTP_INDEX).estimate(0), None);
    }
}
