//! Names of the engine's objects: integers that are never zero and never used twice.
//!
//! Each kind of object has its own type, so a slot can never be passed where a track is meant.
//! The caller makes the ids with [`Ids`] before it sends a command, the core only looks them up:
//! a late command for a closed object finds nothing and is counted, it can never hit a newer one.
//! [`IdMap`] is the map for these keys; it must not be used with keys that a peer chooses.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! id {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u64);
    };
}

id!(
    /// Who may be heard by whom without an explicit bind.
    RoomId
);
id!(
    /// ICE and SRTP of one peer connection.
    TransportId
);
id!(
    /// What a peer publishes on a transport.
    TrackId
);
id!(
    /// What a peer receives on a transport.
    SlotId
);

/// Hands out ids in rising order, one counter for each kind; shared by all calling threads.
#[derive(Debug)]
pub struct Ids {
    rooms: AtomicU64,
    transports: AtomicU64,
    tracks: AtomicU64,
    slots: AtomicU64,
}

impl Ids {
    /// Counters that begin at 1.
    #[must_use]
    pub fn new() -> Self {
        Self {
            rooms: AtomicU64::new(1),
            transports: AtomicU64::new(1),
            tracks: AtomicU64::new(1),
            slots: AtomicU64::new(1),
        }
    }

    /// The next room.
    pub fn room(&self) -> RoomId {
        RoomId(next(&self.rooms))
    }

    /// The next transport.
    pub fn transport(&self) -> TransportId {
        TransportId(next(&self.transports))
    }

    /// The next track.
    pub fn track(&self) -> TrackId {
        TrackId(next(&self.tracks))
    }

    /// The next slot.
    pub fn slot(&self) -> SlotId {
        SlotId(next(&self.slots))
    }
}

impl Default for Ids {
    fn default() -> Self {
        Self::new()
    }
}

fn next(counter: &AtomicU64) -> u64 {
    // At one id a nanosecond the counter comes back to 0 after 584 years.
    counter.fetch_add(1, Ordering::Relaxed)
}

/// A map from ids that this engine made (or other small integers that no peer can choose freely).
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// One multiplication: enough for counters, and a tenth of the price of the default hasher.
#[derive(Default, Clone, Copy, Debug)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 / golden ratio (Knuth, multiplicative hashing); the rotation brings the well mixed
        // high bits down to where the table takes its bucket from.
        self.0 = (self.0 ^ number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_right(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_from_one_and_are_counted_per_kind() {
        let ids = Ids::new();
        assert_eq!(ids.transport(), TransportId(1));
        assert_eq!(ids.transport(), TransportId(2));
        assert_eq!(ids.slot(), SlotId(1));
    }

    #[test]
    fn consecutive_ids_fall_into_different_buckets() {
        use std::hash::BuildHasher;
        let build = BuildHasherDefault::<IdHasher>::default();
        let mut low: Vec<u64> = (1..=256u64).map(|n| build.hash_one(n) & 0xfff).collect();
        low.sort_unstable();
        low.dedup();
        assert!(low.len() > 230, "{} of 256 distinct", low.len());
    }
}
