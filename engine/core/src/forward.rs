//! The forwarding table: which packet of which track leaves on which slot, and how rewritten.
//!
//! [`Forwarder`] is sans-I/O and sees plaintext only. Decrypted RTP and RTCP come in with the
//! transport they came from; everything that goes out is written once, straight into the window
//! that the caller's [`Sink`] opens, where SRTP can protect it in place. One packet for 200
//! receivers costs one parse and 200 header rewrites, and allocates nothing.
//!
//! Commands change the table and never send: what they make due (a key frame request, a BYE)
//! leaves in [`Forwarder::handle_timeout`], for which [`Forwarder::next_timeout`] then answers
//! "at once". Call it after every batch of commands.

use crate::events::Event;
use crate::ids::{RoomId, SlotId, TrackId, TransportId};
use crate::params::{SlotParams, TrackParams};
use crate::rng::Rng;

/// What a datagram is, since SRTP and SRTCP are protected differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// Media or a retransmission.
    Rtp,
    /// One compound or reduced-size RTCP packet.
    Rtcp,
}

/// Where outgoing packets go: the caller's window on the wire.
pub trait Sink {
    /// Opens a window of exactly `len` bytes for one plaintext packet and calls `write` on it
    /// at once. The bytes are not cleared before; `write` fills all of them.
    fn push(
        &mut self,
        to: TransportId,
        kind: PacketKind,
        len: usize,
        write: impl FnOnce(&mut [u8]),
    );
}

/// All rooms, transports, tracks and slots of one worker.
#[derive(Debug)]
pub struct Forwarder {
    rng: Rng,
}

#[allow(unused_variables)] // the seam comes first, the table behind it with the next commits
impl Forwarder {
    /// An empty table. `rng` gives initial sequence numbers and the SSRCs that reports are
    /// sent from.
    #[must_use]
    pub fn new(rng: Rng) -> Self {
        Self { rng }
    }

    /// Makes an empty room.
    pub fn add_room(&mut self, room: RoomId) {}

    /// Forgets a room with its transports.
    pub fn remove_room(&mut self, room: RoomId) {}

    /// How many of the loudest are heard, and who always is.
    pub fn set_audio_policy(
        &mut self,
        now_us: u64,
        room: RoomId,
        top_n: usize,
        pinned: Vec<TrackId>,
    ) {
    }

    /// Adds a transport to a room. Nothing is pushed to it before it is ready.
    pub fn add_transport(&mut self, transport: TransportId, room: RoomId) {}

    /// Whether packets can reach the transport: keys are set and consent is fresh.
    pub fn set_transport_ready(&mut self, now_us: u64, transport: TransportId, ready: bool) {}

    /// Forgets a transport with its tracks and slots; slots that showed its tracks are emptied.
    pub fn remove_transport(&mut self, now_us: u64, transport: TransportId) {}

    /// Accepts one m-section of the peer. `params` have passed their `validate`.
    pub fn add_track(
        &mut self,
        now_us: u64,
        track: TrackId,
        transport: TransportId,
        params: &TrackParams,
    ) {
    }

    /// Drops a track's packets at the door, or lets them in again.
    pub fn pause_track(&mut self, now_us: u64, track: TrackId, paused: bool) {}

    /// Asks the publisher for a key frame of one layer; an empty `rid` means all of them.
    pub fn request_keyframe(&mut self, now_us: u64, track: TrackId, rid: &str) {}

    /// Forgets a track; its slots are emptied.
    pub fn remove_track(&mut self, now_us: u64, track: TrackId) {}

    /// Opens a stream towards the peer. `params` have passed their `validate`.
    pub fn add_slot(
        &mut self,
        now_us: u64,
        slot: SlotId,
        transport: TransportId,
        params: &SlotParams,
    ) {
    }

    /// Shows a track on a slot from its next key frame on; `None` empties it.
    pub fn bind_slot(&mut self, now_us: u64, slot: SlotId, track: Option<TrackId>) {}

    /// How large the slot is drawn, in pixels; 0 x 0 pauses it.
    pub fn set_slot_size(&mut self, now_us: u64, slot: SlotId, width: u32, height: u32) {}

    /// Stops or resumes sending on a slot.
    pub fn pause_slot(&mut self, now_us: u64, slot: SlotId, paused: bool) {}

    /// Closes a stream towards the peer with a BYE.
    pub fn remove_slot(&mut self, now_us: u64, slot: SlotId) {}

    /// One authenticated, decrypted RTP packet of a peer.
    pub fn handle_rtp(
        &mut self,
        now_us: u64,
        from: TransportId,
        packet: &[u8],
        out: &mut impl Sink,
    ) {
    }

    /// One authenticated, decrypted RTCP packet (compound or reduced-size) of a peer.
    pub fn handle_rtcp(
        &mut self,
        now_us: u64,
        from: TransportId,
        packet: &[u8],
        out: &mut impl Sink,
    ) {
    }

    /// Sends what is due: feedback, reports, key frame requests, retransmissions wanted.
    pub fn handle_timeout(&mut self, now_us: u64, out: &mut impl Sink) {}

    /// When [`Self::handle_timeout`] wants to be called next; in the past means at once.
    #[must_use]
    pub fn next_timeout(&self) -> Option<u64> {
        None
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
}
