//! Which DTLS records reach the owner: only those of an address that was checked.

mod support;

use sunup_engine_core::srtp::Profile;
use sunup_engine_core::transport::{DTLS_BURST, MAX_DTLS_BEFORE_KEYS};
use support::{path, Server, SECOND};

const CLIENT_HELLO: [u8; 60] = [22; 60];

#[test]
fn nothing_passes_before_a_check_and_everything_from_that_address_after() {
    let mut server = Server::new();
    let mut peer = server.add_transport();
    let from = path("192.0.2.1:1000");
    server.receive(from, &CLIENT_HELLO);
    assert_eq!(server.records_of(&peer).len(), 0);
    peer.check(&mut server, from);
    server.receive(from, &CLIENT_HELLO);
    assert_eq!(server.records_of(&peer), [CLIENT_HELLO]);
    // Another port of the same machine, or the same address to another of ours, is another path.
    server.receive(path("192.0.2.1:1001"), &CLIENT_HELLO);
    let mut other_local = from;
    other_local.local = "203.0.113.99".parse().unwrap();
    server.receive(other_local, &CLIENT_HELLO);
    assert_eq!(server.records_of(&peer).len(), 1);
    assert_eq!(server.core.counters().dropped_unverified, 3);
}

#[test]
fn a_peer_without_keys_cannot_fill_the_owners_memory() {
    let mut server = Server::new();
    let mut peer = server.add_transport();
    let from = path("192.0.2.1:1000");
    peer.check(&mut server, from);
    for _ in 0..200 {
        server.receive(from, &[22; 1000]);
    }
    let passed = MAX_DTLS_BEFORE_KEYS / 1000;
    assert_eq!(server.records_of(&peer).len(), passed);
    assert_eq!(
        server.core.counters().dropped_dtls_flood,
        200 - passed as u64
    );
    // With keys the association is the peer's own, and carries data channels.
    peer.exchange_keys(&mut server, Profile::AeadAes128Gcm);
    server.receive(from, &[23; 1000]);
    assert_eq!(server.records_of(&peer).len(), passed + 1);
}

#[test]
fn a_peer_with_keys_cannot_keep_the_owner_busy_with_tiny_records() {
    let mut server = Server::new();
    let from = path("192.0.2.1:1000");
    let peer = server.connect("192.0.2.1:1000", Profile::AeadAes128Gcm);
    let flood = 50_000;
    for _ in 0..flood {
        server.receive(from, &[23]);
        server.wait(20); // 50,000 a second
    }
    let passed = server.records_of(&peer).len() as u64;
    assert!((DTLS_BURST..DTLS_BURST + 202).contains(&passed), "{passed}");
    let figures = server.core.transport(peer.transport).unwrap().counters;
    assert_eq!(figures.dropped_dtls_flood, flood - passed);
    assert_eq!(server.core.counters().dropped_dtls_flood, flood - passed);
    // Others do not pay for it, and neither does the peer for long.
    let neighbour = server.connect("192.0.2.2:1000", Profile::AeadAes128Gcm);
    server.receive(path("192.0.2.2:1000"), &[23; 100]);
    assert_eq!(server.records_of(&neighbour).len(), 1);
    server.wait(SECOND);
    for _ in 0..500 {
        server.receive(from, &[23; 1_000]);
    }
    let again = server.records_of(&peer).len() as u64 - passed;
    assert!((200..=201).contains(&again), "{again}");
}
