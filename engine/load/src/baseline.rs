//! The measure of all rows: one `sendto` for each packet and receiver, and nothing else.
//!
//! It sends as many datagrams of the same size to the same sockets at the same pace from the core
//! of the server, so that its CPU time contains what the kernel asks of any server that sends
//! packets one by one. `sealed` adds AES-128-GCM with a key for each receiver: the least that an
//! SRTP server has to do.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use sunup_engine_core::srtp::{Keys, MasterKey, Outbound, Profile};

use crate::sys::{self, Clock, Target};
use crate::workload::{Pace, Stamp};

/// Bytes at the end of a datagram that stay readable.
const STAMP_ROOM: usize = 20;
const TAG: usize = 16;
const RTP_HEADER: usize = 12;
/// So that header, stamp and tag have room.
const SMALLEST: usize = RTP_HEADER + STAMP_ROOM + TAG;
const LARGEST: usize = 1500;

/// A baseline that is ready to run.
pub struct Baseline {
    socket: UdpSocket,
    targets: Vec<Target>,
    sealers: Vec<Outbound>,
    size: usize,
}

impl Baseline {
    /// Datagrams of `size` bytes to every receiver, from a socket on the receivers' address.
    pub fn new(receivers: &[SocketAddr], size: usize, sealed: bool) -> io::Result<Self> {
        let first = receivers
            .first()
            .ok_or_else(|| io::Error::other("no receivers"))?;
        if !(SMALLEST..=LARGEST).contains(&size) {
            return Err(io::Error::other(format!("a datagram of {size} bytes")));
        }
        Ok(Self {
            socket: UdpSocket::bind((first.ip(), 0))?,
            targets: receivers
                .iter()
                .map(|&receiver| Target::new(receiver))
                .collect::<io::Result<_>>()?,
            sealers: (0..receivers.len())
                .filter(|_| sealed)
                .map(sealer)
                .collect::<io::Result<_>>()?,
            size,
        })
    }

    /// Where its datagrams come from.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sends on `core`; returns the thread's CPU time in nanoseconds.
    pub fn run(&mut self, core: Option<usize>, round: u32, packets: u64) -> io::Result<u64> {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    if let Some(core) = core {
                        sys::pin_to(core)?;
                    }
                    self.send(round, packets)
                })
                .join()
                .map_err(|_| io::Error::other("the baseline panicked"))?
        })
    }

    fn send(&mut self, round: u32, packets: u64) -> io::Result<u64> {
        let fd = self.socket.as_raw_fd();
        let mut datagram = vec![0x5a; self.size];
        datagram[..RTP_HEADER].copy_from_slice(&[0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let start = Clock::ThreadCpu.now();
        let pace = Pace::new(Clock::Monotonic.now());
        for number in 0..packets {
            sys::sleep_until(pace.due(number));
            let sequence = (number & 0xffff) as u16; // numbers wrap on the wire
            let sent = Clock::Wall.now();
            Stamp { round, sent }.write(&mut datagram);
            for (at, target) in self.targets.iter().enumerate() {
                if let Some(sealer) = self.sealers.get_mut(at) {
                    datagram[2..4].copy_from_slice(&sequence.to_be_bytes());
                    sealer
                        .seal_rtp(&mut datagram, self.size - STAMP_ROOM - TAG)
                        .map_err(|error| io::Error::other(format!("sealing: {error:?}")))?;
                    Stamp { round, sent }.write(&mut datagram);
                }
                sys::send_to(fd, &datagram, target)?;
            }
        }
        Ok(Clock::ThreadCpu.now() - start)
    }
}

fn sealer(number: usize) -> io::Result<Outbound> {
    let master = |salt: usize| MasterKey {
        key: (0..16)
            .map(|at| ((number >> (at % 4 * 8)) & 0xff) as u8) // one byte of the number
            .collect(),
        salt: vec![(salt & 0xff) as u8; 12], // 1 or 2
    };
    Keys::new(Profile::AeadAes128Gcm, master(1), master(2))
        .map(|keys| keys.contexts().1)
        .map_err(|error| io::Error::other(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receivers(count: usize) -> (Vec<UdpSocket>, Vec<SocketAddr>) {
        let sockets: Vec<_> = (0..count)
            .map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket"))
            .collect();
        let addresses = sockets
            .iter()
            .map(|socket| socket.local_addr().expect("bound"))
            .collect();
        (sockets, addresses)
    }

    #[test]
    fn every_receiver_gets_every_packet_in_full_size_bare_and_sealed() {
        for sealed in [false, true] {
            let (sockets, addresses) = receivers(3);
            let mut baseline = Baseline::new(&addresses, 1200, sealed).expect("a baseline");
            let cpu = baseline.run(None, 6, 4).expect("sent");
            assert!(cpu > 0);
            let mut first = Vec::new();
            for socket in &sockets {
                socket.set_nonblocking(true).expect("an option");
                let mut buffer = [0; 2048];
                let mut count = 0;
                while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    count += 1;
                    assert_eq!(len, 1200);
                    assert_eq!(from, baseline.address().expect("bound"));
                    assert_eq!(Stamp::read(&buffer[..len]).expect("a stamp").round, 6);
                    if count == 1 {
                        first.push(buffer[RTP_HEADER..1100].to_vec());
                    }
                }
                assert_eq!(count, 4);
            }
            // Each receiver has a key of its own.
            assert_eq!(first[0] == first[1], !sealed);
        }
    }

    #[test]
    fn a_size_without_room_is_refused() {
        let (_sockets, addresses) = receivers(1);
        assert!(Baseline::new(&addresses, 10, false).is_err());
        assert!(Baseline::new(&addresses, 9000, false).is_err());
        assert!(Baseline::new(&[], 1200, false).is_err());
    }
}
