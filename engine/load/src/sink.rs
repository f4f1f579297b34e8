//! The receiving side: drains every subscriber's socket, authenticates, counts, repeats checks.
//!
//! One thread for all subscribers. It opens each SRTP packet with the subscriber's own keys, so a
//! packet counts as delivered only when the server sealed the right bytes for the right receiver.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use sunup_engine_core::srtp::Inbound;

use crate::checks::{Checks, INTERVAL};
use crate::numbers::Tally;
use crate::plan::Peer;
use crate::sys::{self, Arrival, Clock, Inbox, Poll, Target};
use crate::workload::Stamp;

/// Longest sleep of the sink: checks are due to this precision.
const TURN_MS: i32 = 50;

/// What the sink and the orders share.
#[derive(Default)]
pub struct Counters(Mutex<State>);

#[derive(Default)]
struct State {
    round: u32,
    baseline: Option<SocketAddr>,
    tally: Tally,
}

impl Counters {
    /// Begins a measurement; datagrams from `baseline` are taken as they are, unopened.
    pub fn begin(&self, round: u32, baseline: Option<SocketAddr>) {
        *self.lock() = State {
            round,
            baseline,
            tally: Tally::default(),
        };
    }

    /// Packets delivered so far.
    pub fn delivered(&self) -> u64 {
        self.lock().tally.delivered
    }

    /// The counts so far.
    pub fn tally(&self) -> Tally {
        self.lock().tally.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counts stay meaningful whatever happened to a thread that held them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Subscriber {
    fd: RawFd,
    server: SocketAddr,
    inbound: Inbound,
}

struct Keeper {
    fd: RawFd,
    target: Target,
    checks: Checks,
    due: u64,
}

/// The sink and everything that its thread owns.
pub struct Sink {
    subscribers: Vec<Subscriber>,
    keepers: Vec<Keeper>,
    poll: Poll,
    counters: Arc<Counters>,
}

impl Sink {
    /// Takes over the subscribers' sockets and everybody's consent.
    pub fn new(
        subscribers: &[Peer],
        publisher: Option<&Peer>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut keepers = Vec::new();
        let (start, mut offset) = (Clock::Monotonic.now(), 0);
        for peer in subscribers.iter().chain(publisher) {
            sys::prepare_receiver(peer.fd)?;
            keepers.push(Keeper {
                fd: peer.fd,
                target: Target::new(peer.server)?,
                checks: Checks::new(peer),
                due: start + offset,
            });
            // Spread, so that checks do not come in bursts.
            offset = (offset + INTERVAL / 97) % INTERVAL;
        }
        for (token, peer) in (0..).zip(subscribers) {
            poll.add(peer.fd, token)?;
        }
        Ok(Self {
            subscribers: subscribers
                .iter()
                .map(|peer| Subscriber {
                    fd: peer.fd,
                    server: peer.server,
                    inbound: peer.keys.contexts().0,
                })
                .collect(),
            keepers,
            poll,
            counters,
        })
    }

    /// Runs until the program ends.
    pub fn spawn(mut self) {
        thread::spawn(move || {
            let mut inbox = Inbox::new();
            loop {
                self.keep_consent();
                self.drain(&mut inbox);
            }
        });
    }

    fn drain(&mut self, inbox: &mut Inbox) {
        let Self {
            subscribers,
            poll,
            counters,
            ..
        } = self;
        for token in poll.wait(TURN_MS) {
            let index = usize::try_from(token).unwrap_or(usize::MAX);
            let Some(subscriber) = subscribers.get_mut(index) else {
                continue;
            };
            // Locked per socket, not per turn: orders must not wait for a whole burst.
            let mut state = counters.lock();
            while inbox.receive(subscriber.fd, |arrival| {
                state.take(subscriber, arrival);
            }) {}
        }
    }

    fn keep_consent(&mut self) {
        let now = Clock::Monotonic.now();
        for keeper in self.keepers.iter_mut().filter(|keeper| keeper.due <= now) {
            keeper.due = now + INTERVAL;
            let mut buffer = [0; 256];
            if let Some(len) = keeper.checks.write(&mut buffer) {
                // A lost check is repeated; a server that is gone shows in the counts.
                let _ = sys::send_to(keeper.fd, &buffer[..len], &keeper.target);
            }
        }
    }
}

impl State {
    fn take(&mut self, subscriber: &mut Subscriber, arrival: Arrival<'_>) {
        let Arrival { bytes, from, at } = arrival;
        let size = bytes.len() as u64; // usize into u64, fits
        if self.baseline == Some(from) {
            self.count(Stamp::read(bytes), size, at);
            return;
        }
        if from != subscriber.server {
            self.tally.refused += 1;
            return;
        }
        match (bytes.first(), bytes.get(1)) {
            (Some(0..=3), _) => self.tally.checks_answered += 1,
            // RFC 5761 section 4: RTCP packet types.
            (Some(128..=191), Some(192..=223)) => match subscriber.inbound.open_rtcp(bytes) {
                Ok(_) => self.tally.feedback += 1,
                Err(_) => self.tally.refused += 1,
            },
            (Some(128..=191), _) => match subscriber.inbound.open_rtp(bytes) {
                Ok(len) => self.count(bytes.get(..len).and_then(Stamp::read), size, at),
                Err(_) => self.tally.refused += 1,
            },
            _ => self.tally.refused += 1,
        }
    }

    fn count(&mut self, stamp: Option<Stamp>, size: u64, at: u64) {
        match stamp {
            Some(stamp) if stamp.round == self.round => {
                self.tally.delivered += 1;
                self.tally.bytes += size;
                let micros = at.saturating_sub(stamp.sent) / 1_000;
                self.tally
                    .latencies
                    .push(u32::try_from(micros).unwrap_or(u32::MAX));
            }
            _ => self.tally.other += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Pace, Video, PACKET_LEN};
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use sunup_engine_core::srtp::{Keys, MasterKey, Outbound, Profile};

    fn master(byte: u8) -> MasterKey {
        MasterKey {
            key: vec![byte; 16],
            salt: vec![byte; 12],
        }
    }

    fn peer(fd: RawFd, server: SocketAddr) -> Peer {
        Peer {
            fd,
            server,
            username: "a:b".to_owned(),
            password: "secret".to_owned(),
            keys: Keys::new(Profile::AeadAes128Gcm, master(1), master(2)).expect("keys"),
        }
    }

    #[test]
    fn only_what_the_server_sealed_for_this_subscriber_in_this_round_is_delivered() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let server = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let bare = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = |socket: &UdpSocket| socket.local_addr().expect("bound");
        let to = address(&socket);
        let peers = [peer(socket.as_raw_fd(), address(&server))];
        let counters = Arc::new(Counters::default());
        counters.begin(4, Some(address(&bare)));
        let mut sink = Sink::new(&peers, None, Arc::clone(&counters)).expect("a sink");
        let mut seal = Keys::new(Profile::AeadAes128Gcm, master(2), master(1))
            .expect("keys")
            .contexts()
            .1;
        let mut video = Video::new(&crate::plan::Publisher {
            peer: peer(0, to),
            ssrc: 9,
            payload_type: 96,
            mid: "1".to_owned(),
            mid_id: 1,
            abs_send_time_id: 0,
            transport_cc_id: 3,
        });
        let mut sealed = |round: u32, seal: &mut Outbound| {
            let mut buffer = vec![0; 2048];
            let sent = Clock::Wall.now();
            video.write(Stamp { round, sent }, &mut buffer);
            let len = seal.seal_rtp(&mut buffer, PACKET_LEN).expect("room");
            buffer.truncate(len);
            buffer
        };
        let good = sealed(4, &mut seal);
        let warm_up = sealed(0, &mut seal);
        let mut forged = sealed(4, &mut seal);
        forged[40] ^= 1;
        for (from, datagram) in [
            (&server, &good),
            (&server, &good), // a replay
            (&server, &warm_up),
            (&server, &forged),
            (&stranger, &good),
        ] {
            from.send_to(datagram, to).expect("sent");
        }
        let mut plain = vec![0; 1200];
        video.write(Stamp { round: 4, sent: 0 }, &mut plain);
        bare.send_to(&plain[..PACKET_LEN], to).expect("sent");
        let mut inbox = Inbox::new();
        while {
            let tally = counters.tally();
            tally.delivered + tally.other + tally.refused < 6
        } {
            sink.drain(&mut inbox);
        }
        let tally = counters.tally();
        assert_eq!(
            (tally.delivered, tally.other, tally.refused),
            (2, 1, 3),
            "{tally:?}"
        );
        assert_eq!(tally.bytes, (PACKET_LEN + 16 + PACKET_LEN) as u64);
        assert_eq!(tally.latencies.len(), 2);
        assert_eq!(Pace::packets(1), 270);
    }

    #[test]
    fn every_peer_repeats_its_check_and_not_before_it_is_due() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let server = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        server.set_nonblocking(true).expect("an option");
        let server_address = server.local_addr().expect("bound");
        let peers = [peer(socket.as_raw_fd(), server_address)];
        let publisher = peer(socket.as_raw_fd(), server_address);
        let mut sink = Sink::new(&peers, Some(&publisher), Arc::default()).expect("a sink");
        for keeper in &mut sink.keepers {
            keeper.due = 0;
        }
        sink.keep_consent();
        sink.keep_consent();
        let mut buffer = [0; 2048];
        let mut checks = 0;
        while server.recv(&mut buffer).is_ok() {
            checks += 1;
        }
        assert_eq!(checks, 2);
    }
}
