//! A running worker, seen from outside: real sockets, real threads.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use sunup_engine_core::commands::Command;
use sunup_engine_core::events::Event;
use sunup_engine_core::ice::{Credentials, State};
use sunup_engine_core::ids::{RoomId, TransportId};
use sunup_engine_core::rng::Rng;
use sunup_engine_core::stun::{Class, IntegrityKey, Message, Writer, BINDING};
use sunup_engine_net::{Config, Engine, Question};

const ROOM: RoomId = RoomId(1);

fn start(host: &str) -> Engine {
    let engine = Engine::start(Config {
        host: host.parse().unwrap(),
        port: 0,
        rng: Rng::from_seed(1),
    })
    .unwrap();
    engine.send(Command::CreateRoom { room: ROOM });
    engine
}

fn add_transport(engine: &Engine, id: u64) -> Credentials {
    let credentials = Credentials::generate(&mut Rng::from_seed(id));
    engine.send(Command::CreateTransport {
        transport: TransportId(id),
        room: ROOM,
        credentials: credentials.clone(),
    });
    credentials
}

fn client(host: &str) -> UdpSocket {
    let socket = UdpSocket::bind((host, 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    socket
}

/// Sends a check to `server` and answers the address that the answer says it came from.
fn check(socket: &UdpSocket, server: SocketAddr, credentials: &Credentials) -> SocketAddr {
    let key = IntegrityKey::new(&credentials.pwd);
    let mut buffer = [0; 500];
    let len = Writer::new(&mut buffer, Class::Request, BINDING, [9; 12])
        .username(&format!("{}:peer", credentials.ufrag))
        .priority(1)
        .ice_controlling(1)
        .use_candidate()
        .integrity(&key)
        .fingerprint()
        .finish()
        .unwrap();
    socket.send_to(&buffer[..len], server).unwrap();
    let (len, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(from, server, "answered from another address");
    let message = Message::parse(&buffer[..len]).unwrap();
    assert!(message.verify(&key));
    message.mapped_address.unwrap()
}

fn events(engine: &Engine, mut enough: impl FnMut(&[Event]) -> bool) -> Vec<Event> {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut seen = Vec::new();
    while !enough(&seen) {
        assert!(Instant::now() < deadline, "only {seen:?}");
        seen.extend(engine.drain(usize::MAX).events);
        std::thread::yield_now();
    }
    seen
}

fn figure(engine: &Engine, name: &str) -> u64 {
    let figures = engine.ask(Question::Engine).unwrap();
    let found = figures.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no figure {name}")).1
}

fn state(id: u64, state: State) -> Event {
    Event::TransportState {
        transport: TransportId(id),
        state,
    }
}

#[test]
fn checks_are_answered_from_the_address_that_they_were_sent_to() {
    for (bind, host) in [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.2"), // a machine with two addresses
        ("::", "127.0.0.2"),
        ("::", "::1"),
    ] {
        let engine = start(bind);
        let credentials = add_transport(&engine, 1);
        let server = SocketAddr::new(host.parse::<IpAddr>().unwrap(), engine.port());
        let socket = client(if host == "::1" { "::1" } else { "127.0.0.1" });
        let mapped = check(&socket, server, &credentials);
        assert_eq!(mapped, socket.local_addr().unwrap(), "{bind} {host}");
        events(&engine, |seen| seen.contains(&state(1, State::Checking)));
    }
}

#[test]
fn a_panic_costs_the_transport_that_was_served_and_no_other() {
    let engine = start("127.0.0.1");
    let server = SocketAddr::new("127.0.0.1".parse().unwrap(), engine.port());
    let peers: Vec<_> = (1..=3)
        .map(|id| (add_transport(&engine, id), client("127.0.0.1")))
        .collect();
    for (credentials, socket) in &peers {
        check(socket, server, credentials);
    }
    engine.send(Command::Panic {
        transport: TransportId(2),
    });
    events(&engine, |seen| seen.contains(&state(2, State::Closed)));
    assert_eq!(figure(&engine, "panics"), 1);
    assert_eq!(figure(&engine, "transports"), 2);
    for id in [1, 3] {
        let (credentials, socket) = &peers[id - 1];
        check(socket, server, credentials);
    }
    assert_eq!(engine.drain(usize::MAX).died, None);
}

#[test]
fn panics_that_hit_nobody_in_particular_end_in_a_clean_start() {
    let engine = start("127.0.0.1");
    add_transport(&engine, 1);
    for _ in 0..3 {
        engine.send(Command::Panic {
            transport: TransportId(99),
        });
    }
    events(&engine, |seen| seen.contains(&state(1, State::Closed)));
    engine.send(Command::CreateRoom { room: ROOM });
    let credentials = add_transport(&engine, 2);
    let server = SocketAddr::new("127.0.0.1".parse().unwrap(), engine.port());
    check(&client("127.0.0.1"), server, &credentials);
}

#[test]
fn a_taken_port_is_an_error_and_closing_frees_it() {
    let engine = start("127.0.0.1");
    let port = engine.port();
    let again = || {
        Engine::start(Config {
            host: "127.0.0.1".parse().unwrap(),
            port,
            rng: Rng::from_seed(2),
        })
    };
    let error = again().map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    engine.close();
    engine.close();
    assert_eq!(engine.ask(Question::Engine), None);
    assert!(again().is_ok());
}

#[test]
fn datagrams_that_are_empty_or_too_large_are_dropped() {
    let engine = start("127.0.0.1");
    let credentials = add_transport(&engine, 1);
    let server = SocketAddr::new("127.0.0.1".parse().unwrap(), engine.port());
    let socket = client("127.0.0.1");
    check(&socket, server, &credentials);
    socket.send_to(&[], server).unwrap();
    socket.send_to(&[22; 9000], server).unwrap();
    socket.send_to(&[22; 2048], server).unwrap();
    let seen = events(&engine, |seen| {
        seen.iter()
            .any(|event| matches!(event, Event::DtlsRecord { .. }))
    });
    let records: Vec<usize> = seen
        .iter()
        .filter_map(|event| match event {
            Event::DtlsRecord { datagram, .. } => Some(datagram.len()),
            _ => None,
        })
        .collect();
    assert_eq!(records, [2048]);
}

/// An idle worker sleeps: its turns are counted, not its CPU time.
#[test]
fn an_idle_worker_does_not_spin() {
    let engine = start("127.0.0.1");
    let credentials = add_transport(&engine, 1);
    let server = SocketAddr::new("127.0.0.1".parse().unwrap(), engine.port());
    check(&client("127.0.0.1"), server, &credentials);
    let before = figure(&engine, "turns");
    std::thread::sleep(Duration::from_millis(300));
    let turns = figure(&engine, "turns") - before;
    assert!(turns < 50, "{turns} turns in 300 ms");
}
