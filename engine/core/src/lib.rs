//! The packet engine, sans-I/O: datagrams and commands in, datagrams and events out.
//!
//! No socket, no clock, no thread; time is an argument and randomness comes from a seeded
//! generator, so the same inputs give the same bytes.
#![forbid(unsafe_code)]

pub mod commands;
pub mod core;
pub mod counters;
pub mod demux;
pub mod events;
pub mod forward;
pub mod ice;
pub mod ids;
pub mod limiter;
pub mod outbox;
pub mod params;
pub mod rng;
pub mod rtp;
pub mod srtp;
pub mod stun;
pub mod transport;

#[cfg(test)]
mod test_support;
