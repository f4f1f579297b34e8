//! A token bucket for each source address and transport, so that guessing passwords stays cheap for us.
//!
//! Only checks that name a transport and are signed wrongly take tokens, and only of that transport's
//! bucket: who does not know a neighbour's user name fragment cannot drain what the neighbour needs,
//! be it from the same address or by forging it. The table has a fixed size; what falls on one place
//! shares it.

use std::net::IpAddr;

use crate::bucket::Bucket;
use crate::ids::TransportId;
use crate::rng::Rng;

/// Wrongly signed checks for one transport that one address may send at once.
pub const BURST: u64 = 200;
/// Microseconds until one more is allowed: 50 a second.
pub const REFILL_EVERY: u64 = 20_000;
const BUCKETS: usize = 1024;

/// The table.
pub struct Limiter {
    key: (u64, u64),
    buckets: Box<[Bucket<BURST, REFILL_EVERY>; BUCKETS]>,
}

impl Limiter {
    /// A table in which nobody can foresee who shares a place.
    #[must_use]
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            key: (rng.next_u64(), rng.next_u64()),
            buckets: Box::new([Bucket::default(); BUCKETS]),
        }
    }

    /// Whether the address still has a token for this transport.
    #[must_use]
    pub fn allows(&self, now: u64, address: IpAddr, id: TransportId) -> bool {
        self.buckets[self.place(address, id)].allows(now)
    }

    /// Takes a token.
    pub fn charge(&mut self, now: u64, address: IpAddr, id: TransportId) {
        let place = self.place(address, id);
        self.buckets[place].charge(now);
    }

    fn place(&self, address: IpAddr, id: TransportId) -> usize {
        let (high, low) = match address {
            IpAddr::V4(ip) => (4, u64::from(ip.to_bits())),
            // Who has an IPv6 address has its whole /64.
            IpAddr::V6(ip) => (6, (ip.to_bits() >> 64) as u64),
        };
        let address = fold(high ^ self.key.0, low ^ self.key.1);
        let place = fold(address ^ self.key.0, id.0 ^ self.key.1);
        (place % BUCKETS as u64) as usize
    }
}

fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate() {
        let mut limiter = Limiter::new(&mut Rng::from_seed(1));
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let mut passed = 0;
        for now in (0..10_000_000).step_by(1_000) {
            if limiter.allows(now, address, TransportId(1)) {
                limiter.charge(now, address, TransportId(1));
                passed += 1;
            }
        }
        let rate = 10_000_000 / REFILL_EVERY;
        assert!(
            (BURST + rate - 2..=BURST + rate + 2).contains(&passed),
            "{passed}"
        );
    }

    #[test]
    fn one_address_does_not_use_up_anothers_tokens() {
        let mut limiter = Limiter::new(&mut Rng::from_seed(1));
        let id = TransportId(7);
        let noisy = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1));
        let neighbour = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9));
        let other = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1));
        for _ in 0..BURST {
            limiter.charge(0, noisy, id);
        }
        assert!(!limiter.allows(0, noisy, id));
        assert!(!limiter.allows(0, neighbour, id), "same /64");
        assert!(limiter.allows(0, other, id));
        assert!(
            limiter.allows(0, noisy, TransportId(8)),
            "another transport"
        );
    }
}
