//! From the core's events to the tuples that `drain` returns.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use sunup_engine_core::events::Event;

pub const TRANSPORT_STATE: u8 = 1;
pub const DTLS_RECORD: u8 = 2;
pub const SLOT_BOUND: u8 = 3;
pub const SLOT_LAYER: u8 = 4;
pub const TRACK_LAYER: u8 = 5;
pub const SPEAKERS: u8 = 6;
pub const KEYFRAME_FAILED: u8 = 7;
pub const EVENTS_DROPPED: u8 = 8;

/// The kinds with their names in the module.
pub const KINDS: [(&str, u8); 8] = [
    ("TRANSPORT_STATE", TRANSPORT_STATE),
    ("DTLS_RECORD", DTLS_RECORD),
    ("SLOT_BOUND", SLOT_BOUND),
    ("SLOT_LAYER", SLOT_LAYER),
    ("TRACK_LAYER", TRACK_LAYER),
    ("SPEAKERS", SPEAKERS),
    ("KEYFRAME_FAILED", KEYFRAME_FAILED),
    ("EVENTS_DROPPED", EVENTS_DROPPED),
];

/// One event as a tuple.
pub fn to_tuple<'py>(py: Python<'py>, event: Event) -> PyResult<Bound<'py, PyTuple>> {
    match event {
        Event::TransportState { transport, state } => {
            (TRANSPORT_STATE, transport.0, state.as_str()).into_pyobject(py)
        }
        Event::DtlsRecord {
            transport,
            datagram,
        } => (DTLS_RECORD, transport.0, PyBytes::new(py, &datagram)).into_pyobject(py),
        Event::SlotBound {
            slot,
            track,
            rtp_timestamp,
            binding,
        } => {
            let track = track.map_or(0, |track| track.0);
            (SLOT_BOUND, slot.0, track, rtp_timestamp, binding).into_pyobject(py)
        }
        Event::SlotLayer {
            slot,
            rid,
            width,
            height,
            reason,
        } => (SLOT_LAYER, slot.0, rid, width, height, reason.as_str()).into_pyobject(py),
        Event::TrackLayer {
            track,
            rid,
            live,
            width,
            height,
        } => (TRACK_LAYER, track.0, rid, live, width, height).into_pyobject(py),
        Event::Speakers { room, levels } => {
            let levels = PyTuple::new(py, levels.iter().map(|(track, level)| (track.0, *level)))?;
            (SPEAKERS, room.0, levels).into_pyobject(py)
        }
        Event::KeyframeFailed { track, rid } => (KEYFRAME_FAILED, track.0, rid).into_pyobject(py),
    }
}

/// That events were lost.
pub fn dropped(py: Python<'_>, count: u64) -> PyResult<Bound<'_, PyTuple>> {
    (EVENTS_DROPPED, count).into_pyobject(py)
}
