//! The packet engine, sans-I/O: datagrams and commands in, datagrams and events out.
//!
//! No socket, no clock, no thread; time is an argument and randomness comes from a seeded
//! generator, so the same inputs give the same bytes.
#![forbid(unsafe_code)]

mod answer;
pub mod bucket;
pub mod codec;
pub mod commands;
pub mod core;
#[macro_use]
pub mod counters;
pub mod demux;
mod egress;
pub mod events;
pub mod figures;
pub mod forward;
pub mod history;
pub mod ice;
pub mod ids;
pub mod keyframes;
pub mod layers;
pub mod limiter;
pub mod munge;
pub mod nack;
pub mod numbering;
pub mod outbox;
pub mod params;
pub mod reports;
pub mod resend;
pub mod rng;
pub mod rtcp;
pub mod rtp;
pub mod slot;
pub mod speakers;
pub mod srtp;
pub mod ssrcs;
pub mod stun;
pub mod track;
pub mod transport;
pub mod twcc;

#[cfg(test)]
mod test_support;
