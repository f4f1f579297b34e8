//! A peer and a core in one place, with a clock that stands still until it is moved.

#![allow(dead_code)] // each test file uses its own part

use std::net::{IpAddr, SocketAddr};

use sunup_engine_core::commands::Command;
use sunup_engine_core::core::Core;
use sunup_engine_core::events::Event;
use sunup_engine_core::ice::{Credentials, Path, State};
use sunup_engine_core::ids::{RoomId, TransportId};
use sunup_engine_core::rng::Rng;
use sunup_engine_core::srtp::{Inbound, Keys, MasterKey, Outbound, Profile, MAX_OVERHEAD};
use sunup_engine_core::stun::{Class, IntegrityKey, Message, Writer, BINDING};

pub const ROOM: RoomId = RoomId(1);
pub const SECOND: u64 = 1_000_000;

/// A path to the server from an address such as "192.0.2.1:1000".
pub fn path(remote: &str) -> Path {
    let remote: SocketAddr = remote.parse().unwrap();
    let local = match remote {
        SocketAddr::V4(_) => "203.0.113.1",
        SocketAddr::V6(_) => "2001:db8::1",
    };
    Path {
        local: local.parse::<IpAddr>().unwrap(),
        remote,
    }
}

/// A core with one room, and what came out of it.
pub struct Server {
    pub core: Core,
    pub now: u64,
    pub sent: Vec<(Path, Vec<u8>)>,
    pub events: Vec<Event>,
    rng: Rng,
    next_transport: u64,
}

impl Server {
    pub fn new() -> Self {
        let rng = Rng::from_seed(1);
        let mut server = Self {
            core: Core::new(rng.fork("core")),
            now: SECOND,
            sent: Vec::new(),
            events: Vec::new(),
            rng: rng.fork("api"),
            next_transport: 1,
        };
        server.command(Command::CreateRoom { room: ROOM });
        server
    }

    pub fn command(&mut self, command: Command) {
        self.core.handle_command(self.now, command);
        self.drain();
    }

    pub fn receive(&mut self, path: Path, datagram: &[u8]) {
        let mut datagram = datagram.to_vec();
        self.core.handle_datagram(self.now, path, &mut datagram);
        self.drain();
    }

    /// Moves the clock, and lets every deadline on the way come at its time.
    pub fn wait(&mut self, microseconds: u64) {
        let until = self.now + microseconds;
        while let Some(at) = self.core.next_timeout().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    pub fn add_transport(&mut self) -> Peer {
        let transport = TransportId(self.next_transport);
        self.next_transport += 1;
        let credentials = Credentials::generate(&mut self.rng);
        self.command(Command::CreateTransport {
            transport,
            room: ROOM,
            credentials: credentials.clone(),
        });
        Peer::new(transport, credentials)
    }

    /// A transport that has passed a check from an address and has keys.
    pub fn connect(&mut self, remote: &str, profile: Profile) -> Peer {
        let mut peer = self.add_transport();
        peer.check(self, path(remote));
        peer.exchange_keys(self, profile);
        assert_eq!(self.state(&peer), Some(State::Connected));
        peer
    }

    pub fn restart(&mut self, peer: &mut Peer) {
        let credentials = Credentials::generate(&mut self.rng);
        self.command(Command::RestartIce {
            transport: peer.transport,
            credentials: credentials.clone(),
        });
        peer.credentials = credentials;
    }

    pub fn state(&self, peer: &Peer) -> Option<State> {
        let transport = self.core.transport(peer.transport)?;
        Some(transport.agent.state())
    }

    pub fn take_sent(&mut self) -> Vec<(Path, Vec<u8>)> {
        std::mem::take(&mut self.sent)
    }

    pub fn states_of(&self, peer: &Peer) -> Vec<State> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::TransportState { transport, state } if *transport == peer.transport => {
                    Some(*state)
                }
                _ => None,
            })
            .collect()
    }

    pub fn records_of(&self, peer: &Peer) -> Vec<Vec<u8>> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::DtlsRecord {
                    transport,
                    datagram,
                } if *transport == peer.transport => Some(datagram.clone()),
                _ => None,
            })
            .collect()
    }

    fn drain(&mut self) {
        for (path, datagrams) in self.core.outbox().chains() {
            for datagram in datagrams {
                self.sent.push((path, datagram.to_vec()));
            }
        }
        self.core.clear_outbox();
        while let Some(event) = self.core.poll_event() {
            self.events.push(event);
        }
    }
}

/// What one check says.
#[derive(Clone)]
pub struct CheckOptions {
    pub username: String,
    pub password: String,
    pub nominate: bool,
    pub priority: u32,
    pub controlled: bool,
}

/// The other side of one transport.
pub struct Peer {
    pub transport: TransportId,
    pub credentials: Credentials,
    pub inbound: Option<Inbound>,
    pub outbound: Option<Outbound>,
    transactions: u64,
}

impl Peer {
    fn new(transport: TransportId, credentials: Credentials) -> Self {
        Self {
            transport,
            credentials,
            inbound: None,
            outbound: None,
            transactions: 0,
        }
    }

    pub fn options(&self) -> CheckOptions {
        CheckOptions {
            username: format!("{}:peer", self.credentials.ufrag),
            password: self.credentials.pwd.clone(),
            nominate: true,
            priority: 0x6e00_00ff,
            controlled: false,
        }
    }

    pub fn check_bytes(&mut self, options: &CheckOptions) -> Vec<u8> {
        self.transactions += 1;
        let mut transaction = [0; 12];
        transaction[..8].copy_from_slice(&self.transactions.to_be_bytes());
        let mut buffer = [0; 300];
        let mut writer = Writer::new(&mut buffer, Class::Request, BINDING, transaction)
            .username(&options.username)
            .priority(options.priority);
        if options.nominate {
            writer = writer.use_candidate();
        }
        writer = if options.controlled {
            writer.ice_controlled(7)
        } else {
            writer.ice_controlling(7)
        };
        let len = writer
            .integrity(&IntegrityKey::new(&options.password))
            .fingerprint()
            .finish()
            .unwrap();
        buffer[..len].to_vec()
    }

    /// Sends a check and answers what came back, from where it was sent.
    pub fn check_with(
        &mut self,
        server: &mut Server,
        path: Path,
        options: &CheckOptions,
    ) -> Option<Vec<u8>> {
        let bytes = self.check_bytes(options);
        let before = server.sent.len();
        server.receive(path, &bytes);
        let answers: Vec<_> = server.sent.drain(before..).collect();
        assert!(answers.len() <= 1, "one check, {} answers", answers.len());
        answers.into_iter().next().map(|(to, answer)| {
            assert_eq!(to, path, "answered over another path");
            assert!(answer.len() <= bytes.len(), "the answer is larger");
            let message = Message::parse(&answer).unwrap();
            assert!(message.verify(&IntegrityKey::new(&options.password)));
            answer
        })
    }

    /// A nominating check that must succeed.
    pub fn check(&mut self, server: &mut Server, path: Path) {
        let options = self.options();
        let answer = self.check_with(server, path, &options).expect("no answer");
        let message = Message::parse(&answer).unwrap();
        assert_eq!(message.class, Class::Success);
        assert_eq!(message.mapped_address, Some(path.remote));
    }

    /// Gives the server keys and takes the matching ones.
    pub fn exchange_keys(&mut self, server: &mut Server, profile: Profile) {
        let master = |n: u8| MasterKey {
            key: vec![n; profile.key_len()],
            salt: vec![n ^ 0x55; profile.salt_len()],
        };
        let number = self.transport.0 as u8 * 2;
        let (ours, theirs) = (master(number), master(number + 1));
        let keys = Keys::new(profile, theirs.clone(), ours.clone()).unwrap();
        server.command(Command::SetKeys {
            transport: self.transport,
            keys: Box::new(keys),
        });
        let (inbound, outbound) = Keys::new(profile, ours, theirs).unwrap().contexts();
        self.inbound = Some(inbound);
        self.outbound = Some(outbound);
    }

    pub fn seal_rtp(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + MAX_OVERHEAD, 0);
        let outbound = self.outbound.as_mut().unwrap();
        let len = outbound.seal_rtp(&mut buffer, packet.len()).unwrap();
        buffer.truncate(len);
        buffer
    }
}

/// A minimal RTP packet.
pub fn rtp(ssrc: u32, sequence_number: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 111];
    packet.extend(sequence_number.to_be_bytes());
    packet.extend(960u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}
