//! Counters that wrap on the wire, unwrapped to 64 bits.

/// Unwraps a counter of `BITS` bits (16: sequence numbers; 32: timestamps).
///
/// Each value is taken to be the one nearest to the highest seen so far (less than half a turn
/// before or after it), so reordering across a wrap is harmless. Unwrapped values start one
/// turn up, so that packets older than the first have a place below it.
#[derive(Clone, Debug, Default)]
pub struct Unwrapper<const BITS: u32> {
    highest: Option<u64>,
}

impl<const BITS: u32> Unwrapper<BITS> {
    const TURN: u64 = 1 << BITS;

    /// The unwrapped value, which becomes the highest if it is.
    pub fn unwrap(&mut self, wire: u64) -> u64 {
        let value = self.peek(wire);
        self.highest = Some(self.highest.map_or(value, |highest| highest.max(value)));
        value
    }

    /// The unwrapped value without remembering it.
    #[must_use]
    pub fn peek(&self, wire: u64) -> u64 {
        let wire = wire & (Self::TURN - 1);
        let Some(highest) = self.highest else {
            return Self::TURN + wire;
        };
        let forward = wire.wrapping_sub(highest) & (Self::TURN - 1);
        if forward < Self::TURN / 2 {
            highest + forward
        } else {
            highest.saturating_sub(Self::TURN - forward)
        }
    }

    /// The highest value so far.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reordering_across_the_wrap_keeps_the_order() {
        let mut sequence = Unwrapper::<16>::default();
        assert_eq!(sequence.unwrap(65_534), 131_070);
        assert_eq!(sequence.unwrap(1), 131_073);
        assert_eq!(sequence.unwrap(65_535), 131_071);
        assert_eq!(sequence.unwrap(0), 131_072);
        assert_eq!(sequence.highest(), Some(131_073));
    }

    #[test]
    fn timestamps_unwrap_at_32_bits() {
        let mut timestamp = Unwrapper::<32>::default();
        let first = timestamp.unwrap(u64::from(u32::MAX));
        assert_eq!(timestamp.unwrap(2_999), first + 3_000);
    }

    proptest! {
        #[test]
        fn steps_of_less_than_half_a_turn_are_followed(
            start in any::<u16>(),
            steps in prop::collection::vec(-20_000i64..32_000, 1..200),
        ) {
            let mut sequence = Unwrapper::<16>::default();
            let mut highest = sequence.unwrap(u64::from(start)) as i64;
            for step in steps {
                let truth = highest + step.max(1 - highest);
                let wire = (truth as u64) & 0xffff;
                prop_assert_eq!(sequence.unwrap(wire), truth as u64);
                highest = highest.max(truth);
            }
        }
    }
}
