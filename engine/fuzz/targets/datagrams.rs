//! A sequence of any datagrams at a core with one connected transport, from its address or another.
//!
//! Input: for each datagram one byte for its address, one for its length, then its content.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/tests/support/mod.rs"]
mod support;

use sunup_engine_core::srtp::Profile;
use support::{path, Server};

fuzz_target!(|bytes: &[u8]| {
    let mut server = Server::new();
    server.connect("192.0.2.1:1000", Profile::AeadAes128Gcm);
    let mut rest = bytes;
    while let [address, length, tail @ ..] = rest {
        let (datagram, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        let from = if *address % 2 == 0 {
            path("192.0.2.1:1000")
        } else {
            path("192.0.2.2:2000")
        };
        server.receive(from, datagram);
        server.wait(u64::from(*address) * 100);
        rest = tail;
    }
});
