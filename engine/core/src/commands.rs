//! Everything that may be asked of the core. The API's methods become these, one to one.
//!
//! A command is applied between two datagrams and answers nothing: ids, credentials and SSRCs
//! are made by the caller and travel inside. A command for an object that is gone is counted as
//! stale. What comes back stands in `events.rs`.

use crate::ice::Credentials;
use crate::ids::{RoomId, SlotId, TrackId, TransportId};
use crate::params::{SlotParams, TrackParams};
use crate::srtp::Keys;

/// One order to the core.
#[derive(Debug)]
pub enum Command {
    /// Make an empty room.
    CreateRoom {
        /// Its id.
        room: RoomId,
    },
    /// Close a room with all its transports.
    CloseRoom {
        /// Which.
        room: RoomId,
    },
    /// How many of the loudest are heard, and who always is.
    SetAudioPolicy {
        /// Where.
        room: RoomId,
        /// The loudest that get a lane.
        top_n: usize,
        /// Tracks that get a lane whatever their level.
        pinned: Vec<TrackId>,
    },
    /// Make a transport that answers ICE checks made with these credentials.
    CreateTransport {
        /// Its id.
        transport: TransportId,
        /// The room whose tracks it may receive.
        room: RoomId,
        /// What a check must know.
        credentials: Credentials,
    },
    /// Accept new credentials beside the old ones (RFC 8445 section 9).
    RestartIce {
        /// Which.
        transport: TransportId,
        /// The new pair.
        credentials: Credentials,
    },
    /// Keys exported from DTLS; media may flow from now on.
    SetKeys {
        /// Which.
        transport: TransportId,
        /// Both directions.
        keys: Box<Keys>,
    },
    /// Send one datagram of the DTLS association to the selected address.
    SendDtls {
        /// Which.
        transport: TransportId,
        /// One or more DTLS records.
        datagram: Vec<u8>,
    },
    /// Close a transport with its tracks and slots.
    CloseTransport {
        /// Which.
        transport: TransportId,
    },
    /// Accept one m-section of the peer.
    AddTrack {
        /// Its id.
        track: TrackId,
        /// Who sends it.
        transport: TransportId,
        /// What it is made of.
        params: Box<TrackParams>,
    },
    /// Drop a track's packets at the door, or let them in again.
    PauseTrack {
        /// Which.
        track: TrackId,
        /// Absolute value, not a toggle.
        paused: bool,
    },
    /// Ask the publisher for a key frame.
    RequestKeyframe {
        /// Which.
        track: TrackId,
        /// One simulcast encoding; empty for all.
        rid: String,
    },
    /// Forget a track.
    RemoveTrack {
        /// Which.
        track: TrackId,
    },
    /// Open a stream towards the peer.
    AddSlot {
        /// Its id.
        slot: SlotId,
        /// Who receives it.
        transport: TransportId,
        /// What it is made of.
        params: Box<SlotParams>,
    },
    /// Show a track on a slot from its next key frame on.
    BindSlot {
        /// Which.
        slot: SlotId,
        /// `None` empties the slot.
        track: Option<TrackId>,
    },
    /// How large the slot is drawn; 0 x 0 pauses it.
    SetSlotSize {
        /// Which.
        slot: SlotId,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// Stop or resume sending on a slot.
    PauseSlot {
        /// Which.
        slot: SlotId,
        /// Absolute value, not a toggle.
        paused: bool,
    },
    /// Close a stream towards the peer.
    RemoveSlot {
        /// Which.
        slot: SlotId,
    },
    /// Panic while serving a transport: for the tests of the worker that must survive it.
    #[cfg(feature = "fault-injection")]
    Panic {
        /// Which.
        transport: TransportId,
    },
}
