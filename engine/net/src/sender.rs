//! From the outbox to the kernel: builds runs, sends them, and copes with refusals.
//!
//! Datagrams of equal size for one path leave as one message that the kernel cuts, which is where most
//! of the cost of sending is saved. A kernel or a route that refuses this gets them one by one.
//! What the socket's buffer cannot take is dropped and counted: real-time data does not wait.

use std::io;

use sunup_engine_core::outbox::Outbox;

use crate::sys::udp::UdpSocket;
use crate::sys::{fits_run, Outcome, SendBatch, MAX_SEGMENTS};

/// Refused runs in a row after which segmentation is not tried any more.
const MAX_REFUSALS: u32 = 32;

/// What sending cost and lost.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct SendCounters {
    /// Messages handed to the kernel.
    pub messages: u64,
    /// Of these, runs that the kernel cut.
    pub gso_messages: u64,
    /// Datagrams in those runs.
    pub gso_segments: u64,
    /// Runs that were refused and sent one by one.
    pub gso_refused: u64,
    /// Datagrams dropped because the socket's buffer was full.
    pub dropped_buffer_full: u64,
    /// Datagrams dropped because the kernel refused them for another reason.
    pub dropped_send_error: u64,
}

/// Sends outboxes over one socket.
pub struct Sender {
    batch: SendBatch<'static>,
    segmentation: bool,
    refusals: u32,
    counters: SendCounters,
}

impl Sender {
    /// For a socket.
    pub fn new(socket: &UdpSocket) -> Self {
        Self {
            batch: SendBatch::new(),
            segmentation: socket.segmentation(),
            refusals: 0,
            counters: SendCounters::default(),
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> SendCounters {
        self.counters
    }

    /// Sends everything that waits; the caller clears the outbox then.
    pub fn flush(&mut self, socket: &UdpSocket, outbox: &Outbox) {
        let mut batch = std::mem::replace(&mut self.batch, SendBatch::new()).clear();
        for (path, datagrams) in outbox.chains() {
            let mut run: [&[u8]; MAX_SEGMENTS] = [&[]; MAX_SEGMENTS];
            let mut len = 0;
            for datagram in datagrams {
                let joins = len == 0 || (self.segmentation && fits_run(&run[..len], datagram));
                if !joins {
                    batch = self.push(socket, batch, path, &run[..len]);
                    len = 0;
                }
                run[len] = datagram;
                len += 1;
            }
            if len > 0 {
                batch = self.push(socket, batch, path, &run[..len]);
            }
        }
        self.send(socket, &mut batch);
        self.batch = batch.clear();
    }

    fn push<'a>(
        &mut self,
        socket: &UdpSocket,
        mut batch: SendBatch<'a>,
        path: sunup_engine_core::ice::Path,
        run: &[&'a [u8]],
    ) -> SendBatch<'a> {
        if !batch.push(socket, path, run) {
            self.send(socket, &mut batch);
            batch = batch.clear();
            let empty_batch_took_it = batch.push(socket, path, run);
            debug_assert!(empty_batch_took_it, "a run is larger than a batch");
        }
        batch
    }

    fn send(&mut self, socket: &UdpSocket, batch: &mut SendBatch<'_>) {
        let mut from = 0;
        while from < batch.len() {
            let (until, error) = match batch.send(socket, from) {
                Outcome::Done => (batch.len(), None),
                Outcome::Refused(at, error) => (at, Some(error)),
            };
            for message in from..until {
                self.count_sent(batch.size(message).0);
            }
            from = until;
            if let Some(error) = error {
                if error.kind() == io::ErrorKind::WouldBlock {
                    for message in from..batch.len() {
                        self.counters.dropped_buffer_full += batch.size(message).0 as u64;
                    }
                    return;
                }
                self.refused(socket, batch, from, &error);
                from += 1;
            }
        }
    }

    fn count_sent(&mut self, segments: usize) {
        self.counters.messages += 1;
        if segments > 1 {
            self.refusals = 0;
            self.counters.gso_messages += 1;
            self.counters.gso_segments += segments as u64;
        }
    }

    fn refused(
        &mut self,
        socket: &UdpSocket,
        batch: &SendBatch<'_>,
        message: usize,
        error: &io::Error,
    ) {
        let (segments, _) = batch.size(message);
        if segments < 2 {
            self.counters.dropped_send_error += 1;
            return;
        }
        self.counters.gso_refused += 1;
        self.refusals += 1;
        // EIO: the device cannot add checksums, which does not change. EINVAL: perhaps only this
        // route has a smaller MTU.
        if error.raw_os_error() == Some(libc::EIO) || self.refusals >= MAX_REFUSALS {
            self.segmentation = false;
        }
        let sent = batch.send_split(socket, message);
        self.counters.messages += sent as u64;
        self.counters.dropped_send_error += (segments - sent) as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr, UdpSocket as Plain};
    use std::time::Duration;

    use sunup_engine_core::ice::Path;
    use sunup_engine_core::outbox::Ticket;

    use super::*;

    fn receiver(host: &str) -> (Plain, SocketAddr) {
        let socket = Plain::bind((host, 0)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn outbox(local: IpAddr, parcels: &[(SocketAddr, Vec<u8>)]) -> Outbox {
        let mut outbox = Outbox::default();
        let mut tickets = std::collections::HashMap::<SocketAddr, Ticket>::new();
        for (remote, bytes) in parcels {
            let path = Path {
                local,
                remote: *remote,
            };
            let ticket = tickets.entry(*remote).or_default();
            outbox
                .push(path, ticket, bytes.len(), |room| {
                    room.copy_from_slice(bytes);
                    Ok::<_, ()>(bytes.len())
                })
                .unwrap();
        }
        outbox
    }

    fn received(socket: &Plain, count: usize) -> Vec<Vec<u8>> {
        let mut buffer = [0; 2048];
        (0..count)
            .map(|_| {
                let len = socket.recv(&mut buffer).unwrap();
                buffer[..len].to_vec()
            })
            .collect()
    }

    /// Packets as frames are cut: mostly equal sizes, and few enough for a default receive buffer.
    fn frames(remote: SocketAddr) -> Vec<(SocketAddr, Vec<u8>)> {
        (0..60u8)
            .map(|n| {
                let len = match n % 30 {
                    29 => 700,
                    7 => 160,
                    _ => 1180,
                };
                (remote, vec![n; len])
            })
            .collect()
    }

    fn interleaved(a: SocketAddr, b: SocketAddr) -> Vec<(SocketAddr, Vec<u8>)> {
        frames(a)
            .into_iter()
            .zip(frames(b))
            .flat_map(|(x, y)| [x, y])
            .collect()
    }

    #[test]
    fn runs_arrive_whole_and_in_order_at_each_peer() {
        for (host, bind) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::"),
            ("127.0.0.1", "::"),
        ] {
            let socket = UdpSocket::bind(bind.parse().unwrap(), 0).unwrap();
            let mut sender = Sender::new(&socket);
            let ((one, a), (two, b)) = (receiver(host), receiver(host));
            let local = host.parse().unwrap();
            sender.flush(&socket, &outbox(local, &interleaved(a, b)));
            for (peer, address) in [(one, a), (two, b)] {
                let expected: Vec<_> = frames(address)
                    .into_iter()
                    .map(|(_, bytes)| bytes)
                    .collect();
                assert_eq!(received(&peer, expected.len()), expected);
            }
            let counters = sender.counters();
            assert!(counters.gso_messages > 0, "{counters:?}");
            assert!(counters.messages < 60, "{counters:?}");
        }
    }

    /// A real refusal: without checksums the kernel answers EINVAL to UDP_SEGMENT.
    #[test]
    fn a_kernel_that_refuses_runs_gets_datagrams() {
        let socket = UdpSocket::bind("127.0.0.1".parse().unwrap(), 0).unwrap();
        socket.refuse_segmentation().unwrap();
        let mut sender = Sender::new(&socket);
        let ((one, a), (two, b)) = (receiver("127.0.0.1"), receiver("127.0.0.1"));
        let local = "127.0.0.1".parse().unwrap();
        for _ in 0..5 {
            sender.flush(&socket, &outbox(local, &interleaved(a, b)));
            for (peer, address) in [(&one, a), (&two, b)] {
                let expected: Vec<_> = frames(address)
                    .into_iter()
                    .map(|(_, bytes)| bytes)
                    .collect();
                assert_eq!(received(peer, expected.len()), expected);
            }
        }
        let counters = sender.counters();
        assert_eq!(counters.gso_refused, u64::from(MAX_REFUSALS));
        assert_eq!(counters.gso_messages, 0);
        assert_eq!(counters.messages, 5 * 120);
        assert!(!sender.segmentation, "gave up after {MAX_REFUSALS}");
    }

    #[test]
    fn a_peer_that_cannot_be_reached_costs_the_others_nothing() {
        let socket = UdpSocket::bind("127.0.0.1".parse().unwrap(), 0).unwrap();
        let mut sender = Sender::new(&socket);
        let (peer, good) = receiver("127.0.0.1");
        // A socket bound to loopback has no route to here.
        let bad: SocketAddr = "198.51.100.1:9".parse().unwrap();
        let other_family: SocketAddr = "[2001:db8::1]:9".parse().unwrap();
        let any = "0.0.0.0".parse().unwrap();
        let parcels: Vec<_> = [bad, good, other_family, good, bad, good]
            .into_iter()
            .enumerate()
            .map(|(n, remote)| (remote, vec![n as u8; 100 + n]))
            .collect();
        sender.flush(&socket, &outbox(any, &parcels));
        let arrived = received(&peer, 3);
        assert_eq!(
            arrived.iter().map(|bytes| bytes[0]).collect::<Vec<_>>(),
            [1, 3, 5]
        );
        assert_eq!(sender.counters().dropped_send_error, 2);
    }
}
