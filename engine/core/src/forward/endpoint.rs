//! A transport as the forwarder sees it: what it sends us, what we send it, and the feedback.
//!
//! ICE, keys and addresses are not here but in `transport.rs` of this crate.

use crate::ids::{IdMap, RoomId, SlotId, TrackId};
use crate::reports::RoundTrip;
use crate::rtp::ExtensionMap;
use crate::ssrcs::SsrcTable;
use crate::twcc::{ArrivalRecorder, SendLog};

/// The forwarding half of one transport.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub room: RoomId,
    /// Keys are set and consent is fresh.
    pub ready: bool,
    /// Ids that the peer uses; with BUNDLE the same in all its m-sections.
    pub extensions: ExtensionMap,
    pub tracks: Vec<TrackId>,
    pub slots: Vec<SlotId>,
    pub ssrcs: SsrcTable,
    /// Keys are SSRCs that we made ourselves.
    pub slot_of_ssrc: IdMap<u32, SlotId>,
    /// From which our feedback is sent.
    pub local_ssrc: u32,
    /// Named in transport-wide feedback.
    pub last_media_ssrc: u32,
    pub arrivals: ArrivalRecorder,
    pub send_log: SendLog,
    pub round_trip: RoundTrip,
    /// What the peer says it can receive at most; kept for the bandwidth estimate to come.
    pub remb_bps: Option<u64>,
    pub report_due_us: Option<u64>,
    /// Streams that have ended and whose end was not yet said.
    pub goodbyes: Vec<u32>,
}

impl Endpoint {
    pub fn new(room: RoomId, local_ssrc: u32) -> Self {
        Self {
            room,
            ready: false,
            extensions: ExtensionMap::default(),
            tracks: Vec::new(),
            slots: Vec::new(),
            ssrcs: SsrcTable::default(),
            slot_of_ssrc: IdMap::default(),
            local_ssrc,
            last_media_ssrc: 0,
            arrivals: ArrivalRecorder::default(),
            send_log: SendLog::default(),
            round_trip: RoundTrip::default(),
            remb_bps: None,
            report_due_us: None,
            goodbyes: Vec::new(),
        }
    }

    /// A report is wanted at the latest at `at_us`.
    pub fn report_by(&mut self, at_us: u64) {
        self.report_due_us = Some(self.report_due_us.map_or(at_us, |due| due.min(at_us)));
    }
}
