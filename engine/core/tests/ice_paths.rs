//! Where media goes: which path of a peer is used, when it moves, and who may take whose.

mod support;

use sunup_engine_core::commands::Command;
use sunup_engine_core::ice::{
    Path, State, CONSENT_EXPIRES, MAX_PATHS, MEDIA_FLOWS, NOMINATION_SETTLES, PATH_KEPT,
    PATH_SILENT, RECENT_CHECKS,
};
use sunup_engine_core::ids::TransportId;
use sunup_engine_core::srtp::Profile;
use support::{path, rtp, Peer, Server, SECOND};

const GCM: Profile = Profile::AeadAes128Gcm;

fn selected(server: &Server, peer: &Peer) -> Option<Path> {
    server.core.transport(peer.transport)?.agent.selected()
}

/// One packet of a stream, over a path.
fn send_media(server: &mut Server, peer: &mut Peer, from: Path, sequence_number: u16) {
    let packet = peer.seal_rtp(&rtp(7, sequence_number, b"payload"));
    server.receive(from, &packet);
}

/// Whoever has the password can check from everywhere: the oldest go, never the one in use.
#[test]
fn a_peer_has_a_limit_of_paths_and_keeps_the_selected_one() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    let own = path("192.0.2.1:1000");
    let mut options = peer.options();
    options.nominate = false;
    let other = |n: usize| path(&format!("198.51.100.5:{}", 2_000 + n));
    for n in 0..MAX_PATHS {
        server.wait(1_000);
        peer.check_with(&mut server, other(n), &options).unwrap();
    }
    assert_eq!(selected(&server, &peer), Some(own));
    for (number, from, unverified) in [(1, own, 0), (2, other(1), 0), (3, other(0), 1)] {
        let before = server.core.counters().dropped_unverified;
        send_media(&mut server, &mut peer, from, number);
        assert_eq!(
            server.core.counters().dropped_unverified - before,
            unverified
        );
    }
}

#[test]
fn media_follows_the_nominated_pair_and_moves_only_by_a_check() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    let dtls = |server: &mut Server| {
        server.command(Command::SendDtls {
            transport: TransportId(1),
            datagram: vec![22; 10],
        });
        server.take_sent().pop().map(|(to, _)| to)
    };
    assert_eq!(dtls(&mut server), Some(path("192.0.2.1:1000")));
    // Authentic media from elsewhere moves nothing: it was never checked there.
    let packet = peer.seal_rtp(&rtp(7, 1, b"payload"));
    server.receive(path("198.51.100.5:5"), &packet);
    assert_eq!(server.core.counters().dropped_unverified, 1);
    assert_eq!(dtls(&mut server), Some(path("192.0.2.1:1000")));
    // A check without nomination verifies, but does not move.
    let mut options = peer.options();
    options.nominate = false;
    peer.check_with(&mut server, path("198.51.100.5:5"), &options)
        .unwrap();
    assert_eq!(dtls(&mut server), Some(path("192.0.2.1:1000")));
    options.nominate = true;
    peer.check_with(&mut server, path("198.51.100.5:5"), &options)
        .unwrap();
    assert_eq!(dtls(&mut server), Some(path("198.51.100.5:5")));
    let transport = server.core.transport(peer.transport).unwrap();
    assert_eq!(transport.agent.migrations(), 1);
}

#[test]
fn of_pairs_nominated_at_once_the_one_with_the_highest_priority_wins() {
    let mut server = Server::new();
    let mut peer = server.add_transport();
    let mut options = peer.options();
    for (remote, priority) in [
        ("192.0.2.1:1", 100),
        ("192.0.2.1:2", 300),
        ("192.0.2.1:3", 200),
    ] {
        options.priority = priority;
        peer.check_with(&mut server, path(remote), &options)
            .unwrap();
    }
    assert_eq!(selected(&server, &peer), Some(path("192.0.2.1:2")));
    // Later a nomination of lower priority is a real move.
    server.wait(2 * SECOND);
    options.priority = 50;
    peer.check_with(&mut server, path("192.0.2.1:4"), &options)
        .unwrap();
    assert_eq!(selected(&server, &peer), Some(path("192.0.2.1:4")));
}

#[test]
fn a_check_sent_again_from_elsewhere_moves_nothing_and_is_not_answered() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    let neighbour = server.connect("192.0.2.2:2000", GCM);
    let (own, others) = (path("192.0.2.1:1000"), path("198.51.100.5:5"));
    let options = peer.options();
    let bytes = peer.check_bytes(&options);
    server.receive(own, &bytes);
    server.wait(PATH_KEPT); // nothing but what is known of the check keeps the path
    server.take_sent();
    server.receive(own, &bytes);
    assert_eq!(server.take_sent().len(), 1, "the answer may have got lost");
    for from in [others, path("192.0.2.2:2000")] {
        server.receive(from, &bytes);
        assert_eq!(server.take_sent(), []);
        assert_eq!(selected(&server, &peer), Some(own));
        let transport = server.core.transport(peer.transport).unwrap();
        assert_eq!(transport.agent.paths().collect::<Vec<_>>(), [own]);
    }
    assert_eq!(server.core.counters().dropped_stun_repeated, 2);
    server.receive(others, &[22, 1, 2, 3]);
    server.receive(path("192.0.2.2:2000"), &[22, 4]);
    assert_eq!(server.records_of(&peer), Vec::<Vec<u8>>::new());
    assert_eq!(server.records_of(&neighbour), [[22, 4]]);
    // The peer itself goes where it likes.
    peer.check(&mut server, others);
    assert_eq!(selected(&server, &peer), Some(others));
}

#[test]
fn while_media_flows_a_nomination_alone_does_not_move_it() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    let (own, others) = (path("192.0.2.1:1000"), path("198.51.100.5:5"));
    let options = peer.options();
    // A copy that was faster than the check itself, and one that is older than what is remembered.
    let ancient = peer.check_bytes(&options);
    server.receive(own, &ancient);
    for _ in 0..RECENT_CHECKS {
        peer.check(&mut server, own);
    }
    let faster = peer.check_bytes(&options);
    server.wait(2 * NOMINATION_SETTLES);
    send_media(&mut server, &mut peer, own, 1);
    server.wait(MEDIA_FLOWS - 1);
    for bytes in [&ancient, &faster] {
        server.receive(others, bytes);
        assert_eq!(selected(&server, &peer), Some(own));
    }
    assert_eq!(server.core.counters().dropped_stun_repeated, 0, "known");
    server.take_sent();
    server.receive(own, &faster);
    assert_eq!(server.take_sent().len(), 1, "the peer pays for the copy");
    // The peer moves with its media.
    let new = path("192.0.2.1:3000");
    peer.check(&mut server, new);
    assert_eq!(selected(&server, &peer), Some(own));
    send_media(&mut server, &mut peer, new, 2);
    assert_eq!(selected(&server, &peer), Some(new));
    // What was on its way over the old path does not bring it back.
    send_media(&mut server, &mut peer, own, 3);
    assert_eq!(selected(&server, &peer), Some(new));
}

#[test]
fn where_no_media_flows_a_nomination_moves_it_at_once() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    send_media(&mut server, &mut peer, path("192.0.2.1:1000"), 1);
    server.wait(MEDIA_FLOWS);
    peer.check(&mut server, path("192.0.2.1:3000"));
    assert_eq!(selected(&server, &peer), Some(path("192.0.2.1:3000")));
}

#[test]
fn a_peer_whose_path_was_taken_has_it_back_with_its_next_check_or_packet() {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", GCM);
    let (own, others) = (path("192.0.2.1:1000"), path("198.51.100.5:5"));
    let options = peer.options();
    let steal = |server: &mut Server, peer: &mut Peer| {
        server.wait(2 * SECOND);
        let faster = peer.check_bytes(&options);
        server.receive(others, &faster);
        server.receive(own, &faster);
        assert_eq!(selected(server, peer), Some(others));
    };
    steal(&mut server, &mut peer);
    peer.check(&mut server, own);
    assert_eq!(selected(&server, &peer), Some(own));
    steal(&mut server, &mut peer);
    send_media(&mut server, &mut peer, own, 1);
    assert_eq!(selected(&server, &peer), Some(own));
}

#[test]
fn another_transport_cannot_take_a_path_that_is_in_use() {
    let mut server = Server::new();
    let mut victim = server.connect("192.0.2.1:1000", GCM);
    let mut thief = server.connect("192.0.2.66:1000", GCM);
    let forged = path("192.0.2.1:1000");
    let options = thief.options();
    assert_eq!(thief.check_with(&mut server, forged, &options), None);
    assert_eq!(server.core.counters().dropped_stun_path_taken, 1);
    let packet = victim.seal_rtp(&rtp(7, 1, b"payload"));
    server.receive(forged, &packet);
    let transport = server.core.transport(victim.transport).unwrap();
    assert_eq!(transport.counters.srtp_packets_in, 1);
    // Nor in between two checks of RFC 7675, and not from who only sends media.
    server.wait(6 * SECOND);
    assert_eq!(thief.check_with(&mut server, forged, &options), None);
    server.wait(PATH_KEPT - 6 * SECOND - 1);
    assert_eq!(thief.check_with(&mut server, forged, &options), None);
    send_media(&mut server, &mut victim, forged, 2);
    server.wait(PATH_KEPT - 1);
    assert_eq!(thief.check_with(&mut server, forged, &options), None);
    // A browser that was reloaded may get the same port again once the old page is silent.
    server.wait(1);
    thief.check(&mut server, forged);
    victim.check(&mut server, path("192.0.2.1:1001"));
}

#[test]
fn who_had_a_path_before_leaves_it_to_who_has_it_now() {
    let shared = path("192.0.2.1:1000");
    for expires in [false, true] {
        let mut server = Server::new();
        let mut before = server.connect("192.0.2.1:1000", GCM);
        server.wait(PATH_KEPT);
        let mut now = server.connect("192.0.2.1:1000", GCM);
        if expires {
            before.check(&mut server, path("192.0.2.1:1001"));
            server.wait(CONSENT_EXPIRES - PATH_KEPT);
            let transport = server.core.transport(before.transport).unwrap();
            assert_eq!(transport.agent.last_sign(shared), None);
        } else {
            server.command(Command::CloseTransport {
                transport: before.transport,
            });
        }
        send_media(&mut server, &mut now, shared, 1);
        let transport = server.core.transport(now.transport).unwrap();
        assert_eq!(transport.counters.srtp_packets_in, 1, "expires: {expires}");
    }
}

/// The peer nominates once, and then its address changes behind its back. Without media of its own
/// it is found by its checks, with media by that.
#[test]
fn a_peer_whose_address_changed_has_its_media_back_within_five_seconds() {
    const TICK: u64 = 20_000;
    for (checks_every, sends_media, at_most) in [
        (2 * SECOND, false, 5 * SECOND),
        (5 * SECOND, true, PATH_SILENT + 2 * TICK),
    ] {
        let mut server = Server::new();
        let mut peer = server.connect("192.0.2.1:1000", GCM);
        let (old, new) = (path("192.0.2.1:1000"), path("192.0.2.1:3000"));
        let mut options = peer.options();
        options.nominate = false;
        server.wait(SECOND);
        send_media(&mut server, &mut peer, old, 0);
        let mut waited = 0;
        while selected(&server, &peer) == Some(old) {
            server.wait(TICK);
            waited += TICK;
            if (waited - TICK).is_multiple_of(checks_every) {
                peer.check_with(&mut server, new, &options).unwrap();
            }
            if sends_media {
                send_media(&mut server, &mut peer, new, (waited / TICK) as u16);
            }
            assert!(waited <= at_most, "{waited}");
        }
        assert_eq!(selected(&server, &peer), Some(new));
        assert!(waited >= PATH_SILENT, "{waited}");
        assert_eq!(server.state(&peer), Some(State::Connected));
    }
}

#[test]
fn media_or_checks_over_a_path_keep_it() {
    for media in [true, false] {
        let mut server = Server::new();
        let mut peer = server.connect("192.0.2.1:1000", GCM);
        let (own, others) = (path("192.0.2.1:1000"), path("198.51.100.5:5"));
        let mut options = peer.options();
        options.nominate = false;
        for n in 0..9 {
            if media {
                send_media(&mut server, &mut peer, own, n);
            } else {
                peer.check_with(&mut server, own, &options).unwrap();
            }
            server.wait(PATH_SILENT - 1);
            peer.check_with(&mut server, others, &options).unwrap();
            assert_eq!(selected(&server, &peer), Some(own));
        }
        server.wait(1);
        peer.check_with(&mut server, others, &options).unwrap();
        assert_eq!(selected(&server, &peer), Some(others));
    }
}
