//! One peer connection on the wire: its ICE agent, its SRTP contexts, its counters.
//!
//! Knows nothing of tracks and slots (those are the forwarder's) and of no other transport. Decides
//! what may be opened, what may be sent and where to.

use crate::bucket::Bucket;
use crate::counters::TransportCounters;
use crate::ice::{Agent, Credentials, State};
use crate::ids::RoomId;
use crate::outbox::{Outbox, Ticket};
use crate::srtp::{Inbound, Keys, OpenError, Outbound, SealError, MAX_OVERHEAD};

/// DTLS bytes that a peer may send before there are keys: a handshake takes about 4 KiB.
pub const MAX_DTLS_BEFORE_KEYS: usize = 64 * 1024;
/// DTLS datagrams that a peer may send at once, with keys or without: each is an event for the owner.
pub const DTLS_BURST: u64 = 200;
/// Microseconds until one more is allowed: 200 a second, 2 Mb/s of data channels.
const DTLS_EVERY: u64 = 5_000;

/// Whether a datagram is RTP or RTCP under SRTP's two kinds of protection.
pub use crate::forward::PacketKind;

/// Why a packet was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendError {
    /// No keys, no path or no consent.
    NotReady,
    /// It could not be sealed.
    Seal(SealError),
}

/// A transport.
pub struct Transport {
    /// The room whose tracks it may receive.
    pub room: RoomId,
    /// Who may talk to it, and where it sends.
    pub agent: Agent,
    /// What happened so far.
    pub counters: TransportCounters,
    /// Whether the forwarder has been told that packets can be sent.
    pub ready: bool,
    keys: Option<Keys>,
    inbound: Option<Inbound>,
    outbound: Option<Outbound>,
    dtls_before_keys: usize,
    dtls_records: Bucket<DTLS_BURST, DTLS_EVERY>,
    ticket: Ticket,
}

impl Transport {
    /// One that waits for its first check.
    #[must_use]
    pub fn new(room: RoomId, credentials: &Credentials) -> Self {
        Self {
            room,
            agent: Agent::new(credentials),
            counters: TransportCounters::default(),
            ready: false,
            keys: None,
            inbound: None,
            outbound: None,
            dtls_before_keys: 0,
            dtls_records: Bucket::default(),
            ticket: Ticket::default(),
        }
    }

    /// Takes the keys into use; the same keys again change nothing.
    ///
    /// Starting over with known keys would start their counters over, and with them the nonces.
    pub fn set_keys(&mut self, keys: Keys) -> Option<State> {
        if self.keys.as_ref() == Some(&keys) {
            return None;
        }
        let (inbound, outbound) = keys.contexts();
        self.inbound = Some(inbound);
        self.outbound = Some(outbound);
        self.keys = Some(keys);
        self.agent.on_keys()
    }

    /// Whether there are keys and consent.
    #[must_use]
    pub fn can_send_media(&self) -> bool {
        self.outbound.is_some() && self.agent.selected().is_some()
    }

    /// Whether a DTLS datagram of the peer may be handed up.
    pub fn admit_dtls(&mut self, now: u64, len: usize) -> bool {
        let fits = self.keys.is_some() || self.dtls_before_keys + len <= MAX_DTLS_BEFORE_KEYS;
        if !fits || !self.dtls_records.take(now) {
            self.counters.dropped_dtls_flood += 1;
            return false;
        }
        if self.keys.is_none() {
            self.dtls_before_keys += len;
        }
        self.counters.dtls_packets_in += 1;
        self.counters.dtls_bytes_in += len as u64;
        true
    }

    /// Opens SRTP or SRTCP in place; `Ok(None)` when there are no keys yet.
    pub fn open(
        &mut self,
        kind: PacketKind,
        packet: &mut [u8],
    ) -> Result<Option<usize>, OpenError> {
        let Some(inbound) = &mut self.inbound else {
            return Ok(None);
        };
        let wire_len = packet.len() as u64;
        let opened = match kind {
            PacketKind::Rtp => inbound.open_rtp(packet),
            PacketKind::Rtcp => inbound.open_rtcp(packet),
        };
        let counters = &mut self.counters;
        match opened {
            Ok(len) => {
                counters.srtp_packets_in += 1;
                counters.srtp_bytes_in += wire_len;
                Ok(Some(len))
            }
            Err(error) => {
                match error {
                    OpenError::Malformed => counters.dropped_malformed += 1,
                    OpenError::Replayed => counters.dropped_replayed += 1,
                    OpenError::TooOld => counters.dropped_too_old += 1,
                    OpenError::Inauthentic => counters.dropped_inauthentic += 1,
                    OpenError::TooManySources => counters.dropped_sources += 1,
                }
                Err(error)
            }
        }
    }

    /// Writes one packet of `len` bytes straight into the outbox and seals it there.
    pub fn send(
        &mut self,
        outbox: &mut Outbox,
        kind: PacketKind,
        len: usize,
        write: impl FnOnce(&mut [u8]),
    ) -> Result<usize, SendError> {
        let (Some(outbound), Some(path)) = (&mut self.outbound, self.agent.selected()) else {
            return Err(SendError::NotReady);
        };
        let sent = outbox.push(path, &mut self.ticket, len + MAX_OVERHEAD, |room| {
            write(&mut room[..len]);
            match kind {
                PacketKind::Rtp => outbound.seal_rtp(room, len),
                PacketKind::Rtcp => outbound.seal_rtcp(room, len),
            }
        });
        let wire_len = sent.map_err(SendError::Seal)?;
        self.counters.srtp_packets_out += 1;
        self.counters.srtp_bytes_out += wire_len as u64;
        Ok(wire_len)
    }

    /// Appends one DTLS datagram to the outbox, if there is a path with consent.
    pub fn send_dtls(&mut self, outbox: &mut Outbox, datagram: &[u8]) -> Result<usize, SendError> {
        let path = self.agent.selected().ok_or(SendError::NotReady)?;
        let sent = outbox.push(path, &mut self.ticket, datagram.len(), |room| {
            room.copy_from_slice(datagram);
            Ok::<_, SendError>(datagram.len())
        })?;
        self.counters.dtls_packets_out += 1;
        Ok(sent)
    }
}
