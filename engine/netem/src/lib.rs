//! A bad network in virtual time: seeded loss, delay, jitter, reordering and duplication.
//!
//! For tests only. A [`Link`] is one direction of a path: give it datagrams with
//! [`Link::send`], move your clock to [`Link::next_us`], take them with [`Link::receive`]. The same
//! seed and the same calls give the same network. Bandwidth is not limited here.
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// How bad the network is. Shares are of packets, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Conditions {
    /// One-way delay.
    pub delay_us: u64,
    /// Up to so much more, evenly spread; the order is kept.
    pub jitter_us: u64,
    /// Share of packets lost.
    pub loss: f64,
    /// Mean number of packets lost in a row; below 1 counts as 1.
    pub burst: f64,
    /// Share of packets that are overtaken by those behind them.
    pub reorder: f64,
    /// How much later those come.
    pub reorder_us: u64,
    /// Share of packets that come twice.
    pub duplicate: f64,
}

/// One direction of a path.
#[derive(Debug)]
pub struct Link {
    conditions: Conditions,
    dice: Dice,
    /// (when, counter): the counter keeps the order of equal times.
    arrivals: BinaryHeap<Reverse<(u64, u64)>>,
    datagrams: BTreeMap<u64, Vec<u8>>,
    counter: u64,
    latest_us: u64,
    in_burst: bool,
    /// Datagrams given to the link.
    pub sent: u64,
    /// Datagrams that it lost.
    pub lost: u64,
}

impl Link {
    /// A link with its own dice.
    #[must_use]
    pub fn new(seed: u64, conditions: Conditions) -> Self {
        Self {
            conditions,
            dice: Dice(seed),
            arrivals: BinaryHeap::new(),
            datagrams: BTreeMap::new(),
            counter: 0,
            latest_us: 0,
            in_burst: false,
            sent: 0,
            lost: 0,
        }
    }

    /// From now on the network is like this; what is on the way is not touched.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// Puts a datagram on the way.
    pub fn send(&mut self, now_us: u64, datagram: &[u8]) {
        self.sent += 1;
        if self.is_lost() {
            self.lost += 1;
            return;
        }
        self.put(now_us, datagram);
        if self.dice.roll() < self.conditions.duplicate {
            self.put(now_us, datagram);
        }
    }

    /// When the next datagram arrives.
    #[must_use]
    pub fn next_us(&self) -> Option<u64> {
        self.arrivals.peek().map(|next| next.0 .0)
    }

    /// A datagram that has arrived by now.
    pub fn receive(&mut self, now_us: u64) -> Option<Vec<u8>> {
        if self.next_us()? > now_us {
            return None;
        }
        let Reverse((_, counter)) = self.arrivals.pop()?;
        self.datagrams.remove(&counter)
    }

    fn put(&mut self, now_us: u64, datagram: &[u8]) {
        let Conditions {
            delay_us,
            jitter_us,
            reorder,
            reorder_us,
            ..
        } = self.conditions;
        // A share of the jitter; the cast drops fractions of a microsecond.
        let jitter_us = (self.dice.roll() * jitter_us as f64) as u64;
        let mut at_us = now_us + delay_us + jitter_us;
        if self.dice.roll() < reorder {
            at_us += reorder_us;
        } else {
            at_us = at_us.max(self.latest_us);
            self.latest_us = at_us;
        }
        self.arrivals.push(Reverse((at_us, self.counter)));
        self.datagrams.insert(self.counter, datagram.to_vec());
        self.counter += 1;
    }

    /// Gilbert's model: a good state without loss, a bad one in which all is lost.
    fn is_lost(&mut self) -> bool {
        let Conditions { loss, burst, .. } = self.conditions;
        let leave = 1.0 / burst.max(1.0);
        // With this chance of entering, a share of `loss` of the packets meets the bad state.
        let enter = (loss * leave / (1.0 - loss).max(f64::EPSILON)).min(1.0);
        if self.in_burst && self.dice.roll() < leave {
            self.in_burst = false;
        }
        if !self.in_burst {
            self.in_burst = self.dice.roll() < enter;
        }
        self.in_burst
    }
}

/// Splitmix64: small, seeded, good enough for dice.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// Evenly spread between 0 (included) and 1 (excluded).
    pub fn roll(&mut self) -> f64 {
        // 53 bits fit an f64 exactly.
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound.max(1)
    }

    /// 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: u64 = 20_000;

    /// Sends numbered datagrams 1 ms apart and returns (arrival, number) in order of arrival.
    fn run(conditions: Conditions) -> Vec<(u64, u64)> {
        let mut link = Link::new(7, conditions);
        for n in 0..COUNT {
            link.send(n * 1_000, &n.to_be_bytes());
        }
        let mut got = Vec::new();
        while let Some(at_us) = link.next_us() {
            let bytes = link.receive(at_us).unwrap();
            got.push((at_us, u64::from_be_bytes(bytes.try_into().unwrap())));
        }
        got
    }

    #[test]
    fn a_good_network_only_delays() {
        let got = run(Conditions {
            delay_us: 50,
            ..Conditions::default()
        });
        assert_eq!(got.len() as u64, COUNT);
        assert!(got
            .iter()
            .enumerate()
            .all(|(n, &(at, number))| { number == n as u64 && at == number * 1_000 + 50 }));
    }

    #[test]
    fn nothing_arrives_before_its_time() {
        let mut link = Link::new(
            1,
            Conditions {
                delay_us: 50,
                ..Conditions::default()
            },
        );
        link.send(0, b"x");
        assert_eq!(link.receive(49), None);
        assert_eq!(link.receive(50), Some(b"x".to_vec()));
    }

    #[test]
    fn loss_has_the_wanted_share_and_burst_length() {
        for (loss, burst) in [(0.05, 1.0), (0.05, 4.0), (0.3, 10.0)] {
            let got = run(Conditions {
                loss,
                burst,
                ..Conditions::default()
            });
            let share = 1.0 - got.len() as f64 / COUNT as f64;
            assert!(
                (share - loss).abs() < loss / 3.0,
                "{loss} x {burst}: {share}"
            );
            let gaps = got
                .windows(2)
                .filter(|pair| pair[1].1 - pair[0].1 > 1)
                .count();
            let mean = share * COUNT as f64 / gaps as f64;
            assert!(
                (mean - burst).abs() < burst / 3.0,
                "{loss} x {burst}: runs of {mean}"
            );
        }
        assert!(run(Conditions {
            loss: 1.0,
            ..Conditions::default()
        })
        .is_empty());
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_does_not() {
        let jitter = run(Conditions {
            jitter_us: 5_000,
            ..Conditions::default()
        });
        assert!(jitter.windows(2).all(|pair| pair[0].1 < pair[1].1));
        let reordered = run(Conditions {
            reorder: 0.1,
            reorder_us: 2_500,
            ..Conditions::default()
        });
        let swaps = reordered
            .windows(2)
            .filter(|pair| pair[0].1 > pair[1].1)
            .count() as f64;
        assert!((swaps / COUNT as f64 - 0.1).abs() < 0.03, "{swaps}");
    }

    #[test]
    fn duplicates_come_twice() {
        let got = run(Conditions {
            duplicate: 0.1,
            ..Conditions::default()
        });
        let share = got.len() as f64 / COUNT as f64 - 1.0;
        assert!((share - 0.1).abs() < 0.02, "{share}");
    }
}
