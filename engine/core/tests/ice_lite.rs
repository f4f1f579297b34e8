//! Who gets an answer to a check, and when a transport is silent, lost or closed.

mod support;

use sunup_engine_core::commands::Command;
use sunup_engine_core::events::Event;
use sunup_engine_core::ice::{State, CONSENT_EXPIRES, QUIET_AFTER};
use sunup_engine_core::ids::{RoomId, TransportId};
use sunup_engine_core::limiter::BURST;
use sunup_engine_core::srtp::Profile;
use sunup_engine_core::stun::{Class, IntegrityKey, Message, Writer, BINDING};
use support::{path, rtp, Server, ROOM, SECOND};

const GCM: Profile = Profile::AeadAes128Gcm;

#[test]
fn a_check_with_the_password_is_answered_over_ipv4_and_ipv6() {
    let mut server = Server::new();
    for remote in ["192.0.2.1:1000", "[2001:db8::2]:1000"] {
        let mut peer = server.add_transport();
        peer.check(&mut server, path(remote));
        assert_eq!(server.states_of(&peer), [State::Checking]);
    }
}

#[test]
fn everyone_else_meets_silence() {
    let mut server = Server::new();
    let mut peer = server.add_transport();
    let from = path("192.0.2.1:1000");
    let good = peer.options();
    let mut cases = Vec::new();
    let mut wrong_password = good.clone();
    wrong_password.password.push('x');
    cases.push(peer.check_bytes(&wrong_password));
    let mut unknown = good.clone();
    unknown.username = "nobody:peer".into();
    cases.push(peer.check_bytes(&unknown));
    let mut empty = good.clone();
    empty.username = String::new();
    cases.push(peer.check_bytes(&empty));
    let mut buffer = [0; 100];
    for class in [Class::Indication, Class::Success, Class::Error] {
        let len = Writer::new(&mut buffer, class, BINDING, [0; 12])
            .username(&good.username)
            .fingerprint()
            .finish()
            .unwrap();
        cases.push(buffer[..len].to_vec());
    }
    let len = Writer::new(&mut buffer, Class::Request, BINDING, [0; 12])
        .username(&good.username)
        .fingerprint()
        .finish()
        .unwrap();
    cases.push(buffer[..len].to_vec()); // unsigned
    for bytes in &cases {
        server.receive(from, bytes);
    }
    assert_eq!(server.take_sent(), []);
    assert_eq!(server.state(&peer), Some(State::New));
    let counters = server.core.counters();
    assert_eq!(counters.dropped_stun_inauthentic, 2);
    assert_eq!(counters.dropped_stun_unknown, 2);
    assert_eq!(counters.dropped_stun_malformed, 3);
}

/// A source address can be forged: nothing larger than the check goes to it.
#[test]
fn an_answer_that_is_larger_than_the_check_is_not_sent() {
    let mut server = Server::new();
    let peer = server.add_transport();
    let mut buffer = [0; 100];
    for (remote, answers) in [("192.0.2.1:1000", 1), ("[2001:db8::2]:1000", 0)] {
        let len = Writer::new(&mut buffer, Class::Request, BINDING, [answers; 12])
            .username(&format!("{}:", peer.credentials.ufrag))
            .integrity(&IntegrityKey::new(&peer.credentials.pwd))
            .fingerprint()
            .finish()
            .unwrap();
        server.receive(path(remote), &buffer[..len]);
        let sent = server.take_sent();
        assert_eq!(
            sent.len(),
            usize::from(answers),
            "{len} bytes from {remote}"
        );
        assert!(sent.iter().all(|(_, answer)| answer.len() <= len));
    }
}

#[test]
fn a_controlled_peer_is_told_of_the_conflict_and_not_admitted() {
    let mut server = Server::new();
    let mut peer = server.add_transport();
    let mut options = peer.options();
    options.controlled = true;
    let answer = peer
        .check_with(&mut server, path("192.0.2.1:1000"), &options)
        .unwrap();
    let message = Message::parse(&answer).unwrap();
    assert_eq!(message.class, Class::Error);
    assert_eq!(message.error_code, Some(487));
    assert_eq!(server.state(&peer), Some(State::New));
}

#[test]
fn guessing_passwords_is_limited_for_each_source_address() {
    let mut server = Server::new();
    let mut peer = server.add_transport();
    let mut wrong = peer.options();
    wrong.password = "guess".into();
    for port in 0..BURST as u16 + 50 {
        let bytes = peer.check_bytes(&wrong);
        server.receive(path(&format!("192.0.2.9:{}", 1000 + port)), &bytes);
    }
    assert_eq!(server.core.counters().dropped_stun_inauthentic, BURST);
    assert_eq!(server.core.counters().dropped_stun_limited, 50);
    // The bucket is one address's; another one gets in at once, and this one a little later.
    peer.check(&mut server, path("192.0.2.10:1000"));
    // A neighbour behind the same address, whose fragment the guesser does not know, pays nothing.
    let mut neighbour = server.add_transport();
    neighbour.check(&mut server, path("192.0.2.9:999"));
    server.wait(SECOND);
    peer.check(&mut server, path("192.0.2.9:1000"));
}

#[test]
fn a_flood_of_wrong_checks_does_not_lock_a_verified_path_out() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    let mut wrong = peer.options();
    wrong.password = "guess".into();
    for port in 0..1000 {
        let bytes = peer.check_bytes(&wrong);
        server.receive(path(&format!("192.0.2.1:{}", 2000 + port)), &bytes);
    }
    assert!(server.core.counters().dropped_stun_limited > 0);
    peer.check(&mut server, path("192.0.2.1:1000"));
}

#[test]
fn copies_cost_what_guesses_cost() {
    let mut server = Server::new();
    let mut peer = server.add_transport();
    let options = peer.options();
    let bytes = peer.check_bytes(&options);
    server.receive(path("192.0.2.1:1000"), &bytes);
    for port in 0..BURST as u16 + 50 {
        server.receive(path(&format!("192.0.2.9:{}", 1000 + port)), &bytes);
    }
    assert_eq!(server.core.counters().dropped_stun_repeated, BURST);
    assert_eq!(server.core.counters().dropped_stun_limited, 50);
}

#[test]
fn a_check_sent_again_does_not_renew_consent() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    let options = peer.options();
    let bytes = peer.check_bytes(&options);
    for _ in 0..30 {
        server.receive(path("192.0.2.1:1000"), &bytes);
        server.wait(SECOND);
    }
    assert_eq!(server.state(&peer), Some(State::Failed));
}

#[test]
fn silence_disconnects_and_lost_consent_stops_everything() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    let send = |server: &mut Server| {
        server.command(Command::SendDtls {
            transport: TransportId(1),
            datagram: vec![22; 10],
        });
        server.take_sent().len()
    };
    server.wait(QUIET_AFTER - 1);
    assert_eq!(server.state(&peer), Some(State::Connected));
    server.wait(1);
    assert_eq!(server.state(&peer), Some(State::Disconnected));
    assert_eq!(send(&mut server), 1, "consent is still fresh");
    server.wait(CONSENT_EXPIRES - QUIET_AFTER - 1);
    assert_eq!(send(&mut server), 1);
    server.wait(1);
    assert_eq!(server.state(&peer), Some(State::Failed));
    assert_eq!(send(&mut server), 0);
    // Old credentials do not bring consent back, and the old path is a stranger's.
    let options = peer.options();
    let from = path("192.0.2.1:1000");
    assert_eq!(peer.check_with(&mut server, from, &options), None);
    let packet = peer.seal_rtp(&rtp(7, 1, b"payload"));
    server.receive(from, &packet);
    assert_eq!(server.core.counters().dropped_unverified, 1);
    // An ICE restart does.
    server.restart(&mut peer);
    assert_eq!(peer.check_with(&mut server, from, &options), None);
    peer.check(&mut server, from);
    assert_eq!(send(&mut server), 1);
    assert_eq!(
        server.states_of(&peer),
        [
            State::Checking,
            State::Connected,
            State::Disconnected,
            State::Failed,
            State::New,
            State::Connected
        ]
    );
}

#[test]
fn an_authentic_packet_is_a_sign_of_life_but_no_consent() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    let from = path("192.0.2.1:1000");
    for sequence_number in 0..29 {
        server.wait(SECOND);
        let packet = peer.seal_rtp(&rtp(7, sequence_number, b"payload"));
        server.receive(from, &packet);
        assert_eq!(server.state(&peer), Some(State::Connected));
    }
    server.wait(SECOND);
    assert_eq!(server.state(&peer), Some(State::Failed));
}

#[test]
fn a_check_or_a_packet_ends_a_silence() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    let from = path("192.0.2.1:1000");
    server.wait(QUIET_AFTER);
    assert_eq!(server.state(&peer), Some(State::Disconnected));
    peer.check(&mut server, from);
    assert_eq!(server.state(&peer), Some(State::Connected));
    server.wait(QUIET_AFTER);
    assert_eq!(server.state(&peer), Some(State::Disconnected));
    let packet = peer.seal_rtp(&rtp(7, 1, b"payload"));
    server.receive(from, &packet);
    assert_eq!(server.state(&peer), Some(State::Connected));
}

#[test]
fn old_credentials_end_with_the_first_check_that_uses_the_new_ones() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    let old = peer.options();
    server.restart(&mut peer);
    let from = path("192.0.2.1:1000");
    assert!(peer.check_with(&mut server, from, &old).is_some());
    peer.check(&mut server, path("192.0.2.2:2000"));
    assert!(peer.check_with(&mut server, from, &old).is_none());
    assert_eq!(server.state(&peer), Some(State::Connected));
}

#[test]
fn old_credentials_end_after_thirty_seconds_in_any_case() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    let old = peer.options();
    server.restart(&mut peer);
    let from = path("192.0.2.1:1000");
    for _ in 0..14 {
        server.wait(2 * SECOND);
        assert!(peer.check_with(&mut server, from, &old).is_some());
    }
    server.wait(2 * SECOND);
    assert!(peer.check_with(&mut server, from, &old).is_none());
}

#[test]
fn closing_a_room_closes_its_transports_and_late_commands_are_counted() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    server.command(Command::CloseRoom { room: ROOM });
    assert_eq!(server.states_of(&peer).last(), Some(&State::Closed));
    assert_eq!(server.core.transports(), 0);
    let options = peer.options();
    let from = path("192.0.2.1:1000");
    assert_eq!(peer.check_with(&mut server, from, &options), None);
    server.receive(from, &[22, 1, 2, 3]);
    assert_eq!(server.records_of(&peer), Vec::<Vec<u8>>::new());
    server.command(Command::CloseTransport {
        transport: peer.transport,
    });
    server.command(Command::CloseRoom { room: RoomId(9) });
    assert_eq!(server.core.counters().stale_commands, 2);
    let closed = server
        .events
        .iter()
        .filter(|event| {
            matches!(
                event,
                Event::TransportState {
                    state: State::Closed,
                    ..
                }
            )
        })
        .count();
    assert_eq!(closed, 1);
}
