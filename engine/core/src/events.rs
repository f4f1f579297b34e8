//! Everything that the core tells its owner. None of it is a packet, except DTLS records.
//!
//! Events come out of `Core::poll_event` in the order in which things happened. The shell may
//! merge or drop the coalescable ones under load ([`Event::class`]); the others always arrive.

use crate::ice::State;
use crate::ids::{RoomId, SlotId, TrackId, TransportId};

/// Something happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A transport's ICE and key state changed.
    TransportState {
        /// Which.
        transport: TransportId,
        /// Its new state.
        state: State,
    },
    /// A DTLS datagram from an address that has passed an authenticated check.
    DtlsRecord {
        /// Which.
        transport: TransportId,
        /// As it came.
        datagram: Vec<u8>,
    },
    /// The first packet of a track left on a slot, or the slot was emptied.
    SlotBound {
        /// Which.
        slot: SlotId,
        /// `None`: the slot is empty now.
        track: Option<TrackId>,
        /// RTP timestamp of that first packet, as the receiver sees it.
        rtp_timestamp: u32,
        /// Counts up per slot.
        binding: u32,
    },
    /// The layer that flows on a slot changed. When it keeps changing, the newest is told about four
    /// times a second.
    SlotLayer {
        /// Which.
        slot: SlotId,
        /// Its simulcast encoding; empty without simulcast or when nothing flows.
        rid: String,
        /// Pixels, 0 when not known.
        width: u32,
        /// Pixels, 0 when not known.
        height: u32,
        /// Why this one.
        reason: LayerReason,
    },
    /// A layer of a published track came or went.
    TrackLayer {
        /// Which.
        track: TrackId,
        /// Its simulcast encoding; empty without simulcast.
        rid: String,
        /// Whether packets arrive.
        live: bool,
        /// Pixels, 0 when not known.
        width: u32,
        /// Pixels, 0 when not known.
        height: u32,
    },
    /// Who is speaking, loudest first.
    Speakers {
        /// Where.
        room: RoomId,
        /// Track and its level in dBov, 0 loudest, -127 silent (RFC 6464).
        levels: Vec<(TrackId, i8)>,
    },
    /// Four requests in a row brought no key frame.
    KeyframeFailed {
        /// Which.
        track: TrackId,
        /// Its simulcast encoding; empty without simulcast.
        rid: String,
    },
}

/// Why a slot shows the layer that it shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LayerReason {
    /// The first layer that came.
    Starting,
    /// The best for the size of the slot.
    Fit,
    /// A smaller layer is enough for the tile.
    SmallTile,
    /// The publisher sends nothing better.
    TheirCamera,
    /// Paused by a command or by a size of 0 x 0.
    Paused,
}

impl LayerReason {
    /// Its name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Fit => "fit",
            Self::SmallTile => "small_tile",
            Self::TheirCamera => "their_camera",
            Self::Paused => "paused",
        }
    }
}

/// How the shell may treat an event when its reader is slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Must arrive, and at once.
    State,
    /// Must arrive soon; the association itself repairs a loss.
    Record,
    /// A newer one of the same object makes it worthless.
    Coalescable,
}

impl Event {
    /// How it may be treated.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::TransportState { .. } | Self::SlotBound { .. } => Class::State,
            Self::DtlsRecord { .. } => Class::Record,
            Self::SlotLayer { .. }
            | Self::TrackLayer { .. }
            | Self::Speakers { .. }
            | Self::KeyframeFailed { .. } => Class::Coalescable,
        }
    }
}
