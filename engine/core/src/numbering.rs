//! Counts a layer's packets without those that carry nothing but padding.
//!
//! Publishers probe the path with padding, which must not be forwarded; left out naively it would
//! look like loss to every receiver. Here each media packet gets a number that is gap-free if and
//! only if the publisher's media packets are, once for all receivers.

use std::collections::VecDeque;

/// Places where the distance between sequence and number changed that are remembered.
const REMEMBERED: usize = 128;

/// Maps unwrapped sequence numbers of one stream to packet numbers.
#[derive(Debug, Default)]
pub struct Numbering {
    highest: Option<u64>,
    removed: u64,
    /// (first sequence number, padding packets before it), oldest first.
    changes: VecDeque<(u64, u64)>,
}

impl Numbering {
    /// The number of a media packet; `None` when it is too old to know.
    pub fn media(&mut self, sequence: u64) -> Option<u64> {
        self.highest = self.highest.max(Some(sequence));
        self.number(sequence)
    }

    /// Takes a padding packet out of the count. `Some`: it came so late that receivers already
    /// see a gap in its place; an empty packet with this number fills it.
    pub fn padding(&mut self, sequence: u64) -> Option<u64> {
        if self.highest.is_some_and(|highest| sequence <= highest) {
            return self.number(sequence);
        }
        self.highest = Some(sequence);
        if self.changes.is_empty() {
            self.changes.push_back((0, 0));
        }
        self.removed += 1;
        self.changes.push_back((sequence + 1, self.removed));
        if self.changes.len() > REMEMBERED {
            self.changes.pop_front();
        }
        None
    }

    fn number(&self, sequence: u64) -> Option<u64> {
        if self.changes.is_empty() {
            return Some(sequence);
        }
        let change = self
            .changes
            .iter()
            .rev()
            .find(|change| change.0 <= sequence)?;
        Some(sequence - change.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn padding_in_order_leaves_no_gap() {
        let mut numbering = Numbering::default();
        assert_eq!(numbering.media(100), Some(100));
        assert_eq!(numbering.padding(101), None);
        assert_eq!(numbering.padding(102), None);
        assert_eq!(numbering.media(103), Some(101));
    }

    #[test]
    fn a_late_packet_from_before_the_padding_keeps_its_place() {
        let mut numbering = Numbering::default();
        numbering.media(100);
        numbering.padding(102);
        assert_eq!(numbering.media(103), Some(102));
        assert_eq!(numbering.media(101), Some(101));
    }

    #[test]
    fn padding_that_comes_after_its_successor_fills_the_gap() {
        let mut numbering = Numbering::default();
        numbering.media(100);
        numbering.media(102);
        assert_eq!(numbering.padding(101), Some(101));
    }

    #[test]
    fn a_packet_older_than_what_is_remembered_has_no_number() {
        let mut numbering = Numbering::default();
        numbering.media(100);
        for sequence in (102..102 + 2 * 200).step_by(2) {
            numbering.padding(sequence);
        }
        assert_eq!(numbering.media(101), None);
    }

    proptest! {
        #[test]
        fn media_numbers_have_no_gap_and_keep_their_order(
            padding in prop::collection::vec(any::<bool>(), 1..100),
            swaps in prop::collection::vec(0usize..100, 0..20),
        ) {
            // Media may be late; padding comes in order, as a probe burst does.
            let mut order: Vec<usize> = (0..padding.len()).collect();
            for at in swaps {
                if at + 1 < order.len() && !padding[order[at + 1]] && !padding[order[at]] {
                    order.swap(at, at + 1);
                }
            }
            let mut numbering = Numbering::default();
            let mut numbers: Vec<_> = order
                .into_iter()
                .filter_map(|at| {
                    let sequence = 1_000 + at as u64;
                    if padding[at] { numbering.padding(sequence) } else { numbering.media(sequence) }
                })
                .collect();
            numbers.sort_unstable();
            let media = padding.iter().filter(|&&padding| !padding).count() as u64;
            prop_assert_eq!(&numbers, &(numbers.first().copied().unwrap_or(0)..).take(media as usize).collect::<Vec<_>>());
        }
    }
}
