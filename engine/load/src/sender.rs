//! The publisher: seals the workload's packets and sends each when it is due.
//!
//! It reads what the server sends back and answers a request for a key frame with one. Losses are
//! not repaired: the benchmark runs on loopback, where a loss is a finding.

use std::io;
use std::os::fd::RawFd;

use sunup_engine_core::srtp::{Inbound, Outbound};

use crate::plan::Publisher;
use crate::sys::{self, Clock, Inbox, Target};
use crate::workload::{Pace, Stamp, Video, PACKET_LEN};

/// RFC 4585 section 6.3: payload-specific feedback; format 1 is PLI, format 4 FIR (RFC 5104).
const PAYLOAD_FEEDBACK: u8 = 206;
const PLI: u8 = 1;
const FIR: u8 = 4;

/// One stream that goes on over all measurements.
pub struct Sender {
    fd: RawFd,
    target: Target,
    inbound: Inbound,
    outbound: Outbound,
    video: Video,
    inbox: Inbox,
    key_requests: u64,
}

impl Sender {
    /// Takes over the publisher's socket.
    pub fn new(publisher: &Publisher) -> io::Result<Self> {
        let (inbound, outbound) = publisher.peer.keys.contexts();
        Ok(Self {
            fd: publisher.peer.fd,
            target: Target::new(publisher.peer.server)?,
            inbound,
            outbound,
            video: Video::new(publisher),
            inbox: Inbox::new(),
            key_requests: 0,
        })
    }

    /// Sends `packets` packets of a round at the workload's pace.
    pub fn send(&mut self, round: u32, packets: u64) -> io::Result<()> {
        let pace = Pace::new(Clock::Monotonic.now());
        let mut buffer = [0; 2048];
        // The stream stood still: a server may have taken its source for dead.
        self.video.want_key_frame();
        for number in 0..packets {
            sys::sleep_until(pace.due(number));
            self.hear();
            let sent = Clock::Wall.now();
            self.video.write(Stamp { round, sent }, &mut buffer);
            let len = self
                .outbound
                .seal_rtp(&mut buffer, PACKET_LEN)
                .map_err(|error| io::Error::other(format!("sealing failed: {error:?}")))?;
            sys::send_to(self.fd, &buffer[..len], &self.target)?;
        }
        Ok(())
    }

    /// Key frames that the server has asked for.
    pub fn key_requests(&self) -> u64 {
        self.key_requests
    }

    fn hear(&mut self) {
        let Self {
            inbox,
            inbound,
            video,
            key_requests,
            ..
        } = self;
        while inbox.receive(self.fd, |arrival| {
            if let Ok(len) = inbound.open_rtcp(arrival.bytes) {
                let requests = key_requests_in(&arrival.bytes[..len]);
                *key_requests += requests;
                if requests > 0 {
                    video.want_key_frame();
                }
            }
        }) {}
    }
}

/// Counts PLI and FIR in a compound RTCP packet.
fn key_requests_in(mut compound: &[u8]) -> u64 {
    let mut requests = 0;
    while let Some((&[first, kind, high, low], _)) = compound.split_first_chunk::<4>() {
        let format = first & 0x1f;
        if kind == PAYLOAD_FEEDBACK && (format == PLI || format == FIR) {
            requests += 1;
        }
        let len = 4 + usize::from(u16::from_be_bytes([high, low])) * 4;
        compound = compound.get(len..).unwrap_or_default();
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_requests_are_found_among_other_feedback() {
        let receiver_report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        let pli = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
        let fir = [
            0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0,
        ];
        let nack = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0];
        let compound = [&receiver_report[..], &pli, &nack, &fir].concat();
        assert_eq!(key_requests_in(&compound), 2);
        assert_eq!(key_requests_in(&nack), 0);
    }

    #[test]
    fn a_cut_compound_ends_the_search() {
        assert_eq!(key_requests_in(&[0x81, 206, 0xff, 0xff, 0]), 1);
        assert_eq!(key_requests_in(&[0x81, 206, 0]), 0);
    }
}
