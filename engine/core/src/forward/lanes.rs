//! Whose voice is heard: the loudest tracks of a room on the lanes of everyone else.
//!
//! A lane is an audio slot that the engine binds itself. Everyone gets the room's loudest and its
//! pinned tracks, never their own; who is among the loudest hears the next in line instead, and who
//! has fewer lanes hears the first of them. While a room has no more voices than lanes, all of them
//! are always on one.

use super::Forwarder;
use crate::events::Event;
use crate::ids::{RoomId, SlotId, TrackId, TransportId};
use crate::speakers::{Ranking, SpeakerReport};

/// Levels are looked at so often: once per packet of the loudest.
const RANK_INTERVAL_US: u64 = 20_000;
const DEFAULT_TOP_N: usize = 3;

/// Who is in a room, and whom they hear.
#[derive(Debug)]
pub(super) struct Room {
    pub transports: Vec<TransportId>,
    /// Audio tracks.
    pub voices: Vec<TrackId>,
    top_n: usize,
    pinned: Vec<TrackId>,
    ranking: Ranking,
    report: SpeakerReport,
    ranked_us: Option<u64>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            transports: Vec::new(),
            voices: Vec::new(),
            top_n: DEFAULT_TOP_N,
            pinned: Vec::new(),
            ranking: Ranking::default(),
            report: SpeakerReport::default(),
            ranked_us: None,
        }
    }
}

impl Room {
    /// Whom a transport should hear: pinned first, then the loudest, without its own.
    fn wanted(&self, own: &[TrackId]) -> Vec<TrackId> {
        let mut wanted: Vec<TrackId> = Vec::with_capacity(self.pinned.len() + self.top_n);
        let others = |track: &&TrackId| !own.contains(track);
        wanted.extend(self.pinned.iter().filter(others));
        let loudest = self.ranking.holders().iter().filter(others);
        for track in loudest
            .chain(self.ranking.substitute().iter().filter(others))
            .take(self.top_n)
        {
            if !wanted.contains(track) {
                wanted.push(*track);
            }
        }
        wanted
    }
}

impl Forwarder {
    /// How many of the loudest are heard, and who always is.
    pub fn set_audio_policy(
        &mut self,
        now_us: u64,
        room: RoomId,
        top_n: usize,
        pinned: Vec<TrackId>,
    ) {
        let Some(entry) = self.rooms.get_mut(&room) else {
            return self.stale();
        };
        entry.top_n = top_n;
        entry.pinned = pinned;
        self.lanes_are_stale(now_us, room);
    }

    /// Lanes must be looked at with the next timeout, whatever the levels say.
    pub(super) fn lanes_are_stale(&mut self, now_us: u64, room: RoomId) {
        if !self.stale_lanes.contains(&room) {
            self.stale_lanes.push(room);
        }
        self.due(now_us);
    }

    /// A transport's voice was heard: perhaps the ranking changes.
    pub(super) fn voice_heard(&mut self, now_us: u64, from: TransportId) {
        let Some(id) = self.endpoints.get(&from).map(|endpoint| endpoint.room) else {
            return;
        };
        let Some(room) = self.rooms.get(&id) else {
            return;
        };
        if room
            .ranked_us
            .is_none_or(|ranked| now_us >= ranked + RANK_INTERVAL_US)
        {
            if self.rank(now_us, id) {
                self.fill_lanes(now_us, id);
            }
            self.report_speakers(now_us, id);
        }
    }

    /// Looks at the lanes of the rooms in which someone came, went or was muted.
    pub(super) fn refresh_lanes(&mut self, now_us: u64) {
        for room in std::mem::take(&mut self.stale_lanes) {
            self.rank(now_us, room);
            self.fill_lanes(now_us, room);
        }
    }

    /// Notices that the last speaker fell silent when no packet tells.
    pub(super) fn sweep_speakers(&mut self, now_us: u64) {
        let rooms: Vec<RoomId> = self
            .rooms
            .iter()
            .filter(|(_, room)| room.report.has_speakers())
            .map(|(id, _)| *id)
            .collect();
        for room in rooms {
            self.report_speakers(now_us, room);
        }
    }

    /// Returns whether other voices are to be heard.
    fn rank(&mut self, now_us: u64, id: RoomId) -> bool {
        let Self { rooms, tracks, .. } = self;
        let Some(room) = rooms.get_mut(&id) else {
            return false;
        };
        room.ranked_us = Some(now_us);
        let Room {
            voices,
            pinned,
            ranking,
            ..
        } = room;
        // A pinned voice takes no place from the loudest.
        let candidates = voices
            .iter()
            .filter(|track| !pinned.contains(track))
            .filter_map(|id| Some((*id, tracks.get(id)?)))
            .filter(|(_, track)| !track.paused)
            .map(|(id, track)| (id, &track.voice));
        ranking.update(now_us, room.top_n, candidates)
    }

    fn fill_lanes(&mut self, now_us: u64, id: RoomId) {
        let Some(room) = self.rooms.get(&id) else {
            return;
        };
        let mut changes: Vec<(SlotId, Option<TrackId>)> = Vec::new();
        for transport in &room.transports {
            let Some(endpoint) = self.endpoints.get(transport) else {
                continue;
            };
            let lanes: Vec<(SlotId, Option<TrackId>)> = endpoint
                .slots
                .iter()
                .filter_map(|id| Some((*id, self.slots.get(id)?)))
                .filter(|(_, slot)| slot.auto)
                .map(|(id, slot)| (id, slot.assigned))
                .collect();
            let mut wanted = room.wanted(&endpoint.tracks);
            wanted.retain(|track| self.tracks.get(track).is_some_and(|track| !track.paused));
            wanted.truncate(lanes.len());
            let mut missing = wanted
                .iter()
                .copied()
                .filter(|track| !lanes.iter().any(|lane| lane.1 == Some(*track)));
            for (lane, assigned) in &lanes {
                if !assigned.is_some_and(|track| wanted.contains(&track)) {
                    let next = missing.next();
                    if next != *assigned {
                        changes.push((*lane, next));
                    }
                }
            }
        }
        for (lane, track) in changes {
            self.assign(now_us, lane, track);
        }
    }

    fn report_speakers(&mut self, now_us: u64, id: RoomId) {
        let Self {
            rooms,
            tracks,
            events,
            ..
        } = self;
        let Some(room) = rooms.get_mut(&id) else {
            return;
        };
        let voices = room
            .voices
            .iter()
            .filter_map(|id| Some((*id, tracks.get(id)?)))
            .filter(|(_, track)| !track.paused)
            .map(|(id, track)| (id, &track.voice));
        if let Some(levels) = room.report.poll(now_us, voices) {
            events.push_back(Event::Speakers { room: id, levels });
        }
    }
}
