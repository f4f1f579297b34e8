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
//!
//! The steps stand in the files of this folder: `ingest` (a packet comes in), `fanout` (and goes
//! out), `assignment` (what a slot shows), `lanes` (whose voice is heard), `feedback` (RTCP in),
//! `schedule` (RTCP out, and everything else that time brings).

mod assignment;
mod endpoint;
mod fanout;
mod feedback;
mod ingest;
mod lanes;
mod schedule;

use std::collections::VecDeque;

use crate::events::Event;
use crate::figures::ForwardCounters;
use crate::ids::{IdMap, RoomId, SlotId, TrackId, TransportId};
use crate::layers::TileSize;
use crate::params::{MediaKind, SlotParams, TrackParams};
use crate::rng::Rng;
use crate::slot::{Slot, Source};
use crate::ssrcs::Stream;
use crate::track::Track;

use endpoint::Endpoint;
use lanes::Room;

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

/// Named figures, for statistics.
pub type Figures = Vec<(&'static str, u64)>;

/// All rooms, transports, tracks and slots of one worker.
#[derive(Debug)]
pub struct Forwarder {
    rng: Rng,
    rooms: IdMap<RoomId, Room>,
    endpoints: IdMap<TransportId, Endpoint>,
    tracks: IdMap<TrackId, Track>,
    slots: IdMap<SlotId, Slot>,
    events: VecDeque<Event>,
    counters: ForwardCounters,
    /// When the schedule has something to do.
    due_us: Option<u64>,
    swept_us: u64,
    /// Slots that may begin with packets that are already here.
    starts: Vec<SlotId>,
    /// Slots whose layer is to be told when it may be.
    untold: Vec<SlotId>,
    /// Rooms whose lanes must be looked at whatever the levels say.
    stale_lanes: Vec<RoomId>,
    scratch: Scratch,
}

/// Buffers that are reused, so that a running table allocates nothing.
#[derive(Debug, Default)]
struct Scratch {
    rtcp: Vec<u8>,
    lost: Vec<u16>,
    switched: Vec<fanout::Switched>,
}

impl Forwarder {
    /// An empty table. `rng` gives initial sequence numbers and the SSRCs that reports are
    /// sent from.
    #[must_use]
    pub fn new(rng: Rng) -> Self {
        Self {
            rng,
            rooms: IdMap::default(),
            endpoints: IdMap::default(),
            tracks: IdMap::default(),
            slots: IdMap::default(),
            events: VecDeque::new(),
            counters: ForwardCounters::default(),
            due_us: None,
            swept_us: 0,
            starts: Vec::new(),
            untold: Vec::new(),
            stale_lanes: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    // Rooms and transports.

    /// Makes an empty room.
    pub fn add_room(&mut self, room: RoomId) {
        self.rooms.entry(room).or_default();
    }

    /// Forgets a room with its transports.
    pub fn remove_room(&mut self, now_us: u64, room: RoomId) {
        let Some(entry) = self.rooms.get(&room) else {
            return self.stale();
        };
        for transport in entry.transports.clone() {
            self.remove_transport(now_us, transport);
        }
        self.rooms.remove(&room);
    }

    /// Adds a transport to a room. Nothing is pushed to it before it is ready.
    pub fn add_transport(&mut self, transport: TransportId, room: RoomId) {
        let Some(entry) = self.rooms.get_mut(&room) else {
            return self.stale();
        };
        entry.transports.push(transport);
        self.endpoints
            .insert(transport, Endpoint::new(room, self.rng.ssrc()));
    }

    /// Whether packets can reach the transport: keys are set and consent is fresh.
    pub fn set_transport_ready(&mut self, now_us: u64, transport: TransportId, ready: bool) {
        let Some(endpoint) = self.endpoints.get_mut(&transport) else {
            return self.stale();
        };
        endpoint.ready = ready;
        for slot in endpoint.slots.clone() {
            self.retarget(now_us, slot);
        }
    }

    /// Forgets a transport with its tracks and slots; slots that showed its tracks are emptied.
    pub fn remove_transport(&mut self, now_us: u64, transport: TransportId) {
        let Some(endpoint) = self.endpoints.get(&transport) else {
            return self.stale();
        };
        let (room, tracks, slots) = (
            endpoint.room,
            endpoint.tracks.clone(),
            endpoint.slots.clone(),
        );
        for slot in slots {
            self.remove_slot(now_us, slot);
        }
        for track in tracks {
            self.remove_track(now_us, track);
        }
        self.endpoints.remove(&transport);
        if let Some(room) = self.rooms.get_mut(&room) {
            room.transports.retain(|other| *other != transport);
        }
    }

    // Tracks.

    /// Accepts one m-section of the peer. `params` have passed their `validate`.
    pub fn add_track(
        &mut self,
        now_us: u64,
        id: TrackId,
        transport: TransportId,
        params: &TrackParams,
    ) {
        let Some(endpoint) = self.endpoints.get_mut(&transport) else {
            return self.stale();
        };
        endpoint
            .extensions
            .merge(&crate::rtp::ExtensionMap::new(&params.extensions));
        endpoint.tracks.push(id);
        for (layer, &(ssrc, rtx)) in params.ssrcs.iter().enumerate() {
            for (ssrc, repair) in [(Some(ssrc), false), (rtx, true)] {
                let stream = Stream {
                    track: id,
                    layer,
                    repair,
                };
                if ssrc.is_some_and(|ssrc| endpoint.ssrcs.bind(ssrc, stream).is_err()) {
                    self.counters.ssrcs_refused += 1;
                }
            }
        }
        let room = endpoint.room;
        self.tracks.insert(id, Track::new(transport, params));
        if params.kind == MediaKind::Audio {
            if let Some(room) = self.rooms.get_mut(&room) {
                room.voices.push(id);
            }
            self.lanes_are_stale(now_us, room);
        }
    }

    /// Drops a track's packets at the door, or lets them in again.
    pub fn pause_track(&mut self, now_us: u64, id: TrackId, paused: bool) {
        let Some(track) = self.tracks.get_mut(&id) else {
            return self.stale();
        };
        if track.paused == paused {
            return;
        }
        track.paused = paused;
        track.forget_media();
        let room = self
            .endpoints
            .get(&track.transport)
            .map(|endpoint| endpoint.room);
        self.cut_off(id);
        self.retarget_watchers(now_us, id);
        if let Some(room) = room {
            self.lanes_are_stale(now_us, room);
        }
    }

    /// Asks the publisher for a key frame of one layer; an empty `rid` means all of them.
    pub fn request_keyframe(&mut self, now_us: u64, id: TrackId, rid: &str) {
        let Some(track) = self.tracks.get_mut(&id) else {
            return self.stale();
        };
        for layer in &mut track.layers {
            if rid.is_empty() || layer.rid == rid {
                layer.key_requests.want();
            }
        }
        self.due(now_us);
    }

    /// Forgets a track; its slots are emptied.
    pub fn remove_track(&mut self, now_us: u64, id: TrackId) {
        let Some(track) = self.tracks.get(&id) else {
            return self.stale();
        };
        let (transport, watchers) = (track.transport, track.watchers.clone());
        self.cut_off(id);
        for slot in watchers {
            self.assign(now_us, slot, None);
        }
        let bound: Vec<SlotId> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.bound == Some(id))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in bound {
            self.tell_empty(slot);
        }
        self.tracks.remove(&id);
        let Some(endpoint) = self.endpoints.get_mut(&transport) else {
            return;
        };
        endpoint.tracks.retain(|other| *other != id);
        endpoint.ssrcs.remove_track(id);
        let room = endpoint.room;
        if let Some(room) = self.rooms.get_mut(&room) {
            room.voices.retain(|other| *other != id);
        }
        self.lanes_are_stale(now_us, room);
    }

    // Slots.

    /// Opens a stream towards the peer. `params` have passed their `validate`.
    pub fn add_slot(
        &mut self,
        now_us: u64,
        id: SlotId,
        transport: TransportId,
        params: &SlotParams,
    ) {
        let Some(endpoint) = self.endpoints.get_mut(&transport) else {
            return self.stale();
        };
        endpoint.slots.push(id);
        endpoint.slot_of_ssrc.insert(params.ssrc, id);
        let room = endpoint.room;
        self.slots
            .insert(id, Slot::new(transport, params, &mut self.rng));
        if params.auto {
            self.lanes_are_stale(now_us, room);
        }
    }

    /// Shows a track on a slot from its next key frame on; `None` empties it.
    pub fn bind_slot(&mut self, now_us: u64, id: SlotId, track: Option<TrackId>) {
        let Some(slot) = self.slots.get(&id) else {
            return self.stale();
        };
        if let Some(track) = track {
            let Some(publisher) = self.tracks.get(&track).map(|track| track.transport) else {
                return self.stale();
            };
            let room = |transport| self.endpoints.get(&transport).map(|endpoint| endpoint.room);
            if room(publisher) != room(slot.transport) {
                self.counters.binds_refused += 1;
                return;
            }
        }
        self.assign(now_us, id, track);
    }

    /// How large the slot is drawn, in pixels; 0 x 0 pauses it.
    pub fn set_slot_size(&mut self, now_us: u64, id: SlotId, width: u32, height: u32) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return self.stale();
        };
        slot.tile = Some(TileSize { width, height });
        self.retarget(now_us, id);
    }

    /// Stops or resumes sending on a slot.
    pub fn pause_slot(&mut self, now_us: u64, id: SlotId, paused: bool) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return self.stale();
        };
        slot.paused = paused;
        self.retarget(now_us, id);
    }

    /// Closes a stream towards the peer with a BYE.
    pub fn remove_slot(&mut self, now_us: u64, id: SlotId) {
        if !self.slots.contains_key(&id) {
            return self.stale();
        }
        self.assign(now_us, id, None);
        let Some(slot) = self.slots.remove(&id) else {
            return;
        };
        if let Some(endpoint) = self.endpoints.get_mut(&slot.transport) {
            endpoint.slots.retain(|other| *other != id);
            endpoint.slot_of_ssrc.remove(&slot.ssrc);
            endpoint.goodbyes.push(slot.ssrc);
        }
        self.due(now_us);
    }

    // Outputs.

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Figures of the whole table.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.counters.iter().collect()
    }

    /// Figures of one transport; `None` for an unknown id.
    #[must_use]
    pub fn transport_figures(&self, id: TransportId) -> Option<Figures> {
        let endpoint = self.endpoints.get(&id)?;
        Some(vec![
            (
                "rtt_ms",
                endpoint.round_trip.measured_us().unwrap_or(0) / 1_000,
            ),
            ("feedback_acknowledged", endpoint.send_log.acknowledged),
            ("feedback_lost", endpoint.send_log.lost),
            ("remb_bps", endpoint.remb_bps.unwrap_or(0)),
        ])
    }

    /// Figures of one track; `None` for an unknown id.
    #[must_use]
    pub fn track_figures(&self, id: TrackId) -> Option<Figures> {
        let track = self.tracks.get(&id)?;
        let mut figures: Figures = track.counters.iter().collect();
        let lost: i64 = track.layers.iter().map(|layer| layer.stats.lost()).sum();
        let live = track.layers.iter().filter(|layer| layer.live).count();
        figures.push(("lost", u64::try_from(lost).unwrap_or(0)));
        figures.push(("layers_live", live as u64));
        Some(figures)
    }

    /// Figures of one slot; `None` for an unknown id.
    #[must_use]
    pub fn slot_figures(&self, id: SlotId) -> Option<Figures> {
        let slot = self.slots.get(&id)?;
        let mut figures: Figures = slot.counters.iter().collect();
        figures.extend([
            ("packets", slot.sent.packets),
            ("bytes", slot.sent.octets),
            ("retransmitted_packets", slot.resent.packets),
            ("retransmitted_bytes", slot.resent.octets),
        ]);
        Some(figures)
    }

    fn stale(&mut self) {
        self.counters.stale_commands += 1;
    }
}

/// A layer's entry in the list of streams.
fn media_stream(source: Source) -> Stream {
    Stream {
        track: source.track,
        layer: source.layer,
        repair: false,
    }
}
