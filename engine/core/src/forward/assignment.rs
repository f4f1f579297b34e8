//! What a slot shows: from the assigned track to the layer that flows.
//!
//! `retarget` is called whenever something changes on which the choice depends: the assignment,
//! the tile, a pause, the layers that live. It is the only place that chooses, and `relink` the
//! only one that moves a slot between layers; a switch itself happens in `fanout.rs`, at a key
//! frame, and until then the old source goes on flowing.

use super::Forwarder;
use crate::events::{Event, LayerReason};
use crate::ids::{SlotId, TrackId};
use crate::layers::{choose, Choice};
use crate::slot::{Shown, Slot, Source};
use crate::track::Track;

impl Forwarder {
    /// Gives a slot another track, or none.
    pub(super) fn assign(&mut self, now_us: u64, id: SlotId, track: Option<TrackId>) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if slot.assigned == track {
            return;
        }
        let before = std::mem::replace(&mut slot.assigned, track);
        slot.assigned_us = now_us;
        if let Some(track) = before.and_then(|track| self.tracks.get_mut(&track)) {
            track.watchers.retain(|watcher| *watcher != id);
        }
        if let Some(track) = track.and_then(|track| self.tracks.get_mut(&track)) {
            track.watchers.push(id);
        }
        self.retarget(now_us, id);
        if track.is_none() {
            self.tell_empty(id);
        }
    }

    /// Chooses anew what the slot should show, and begins to wait for it.
    pub(super) fn retarget(&mut self, now_us: u64, id: SlotId) {
        let Some(slot) = self.slots.get(&id) else {
            return;
        };
        let ready = self
            .endpoints
            .get(&slot.transport)
            .is_some_and(|endpoint| endpoint.ready);
        let track = slot
            .assigned
            .and_then(|track| Some((track, self.tracks.get(&track)?)));
        let open = ready && slot.is_open() && track.is_some_and(|(_, track)| !track.paused);
        let wish = track.filter(|_| open).and_then(|(id, track)| {
            Some(Source {
                track: id,
                layer: choice(slot, track)?.layer,
            })
        });
        let current = slot.current.filter(|_| open);
        let target = wish.filter(|_| wish != current);
        let waits_already = target.is_some() && target == slot.target;
        self.relink(id, current, target);
        if let Some(target) = target.filter(|_| !waits_already) {
            self.begin_waiting(now_us, id, target);
        }
        self.tell_layer(now_us, id);
    }

    pub(super) fn retarget_watchers(&mut self, now_us: u64, track: TrackId) {
        let watchers = self.tracks.get(&track).map(|track| track.watchers.clone());
        for slot in watchers.unwrap_or_default() {
            self.retarget(now_us, slot);
        }
    }

    /// Nothing of this track flows any more, not even where another is awaited.
    pub(super) fn cut_off(&mut self, track: TrackId) {
        let layers = self
            .tracks
            .get(&track)
            .map_or(&[][..], |track| &track.layers);
        let slots: Vec<SlotId> = layers
            .iter()
            .flat_map(|layer| &layer.slots)
            .copied()
            .collect();
        let other = |source: Option<Source>| source.filter(|source| source.track != track);
        for id in slots {
            if let Some(slot) = self.slots.get(&id) {
                let (current, target) = (other(slot.current), other(slot.target));
                self.relink(id, current, target);
            }
        }
    }

    /// Moves a slot to the lists of the layers from which it may get packets.
    pub(super) fn relink(&mut self, id: SlotId, current: Option<Source>, target: Option<Source>) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let before = [slot.current, slot.target];
        if current.is_none() && slot.current.is_some() {
            slot.stop();
        }
        slot.current = current;
        slot.target = target;
        for source in before.into_iter().flatten() {
            if let Some(layer) = self.layer_mut(source) {
                layer.slots.retain(|other| *other != id);
            }
        }
        for source in [current, target.filter(|_| target != current)]
            .into_iter()
            .flatten()
        {
            if let Some(layer) = self.layer_mut(source) {
                layer.slots.push(id);
            }
        }
    }

    /// Either the start is already here, or the publisher is asked for one.
    fn begin_waiting(&mut self, now_us: u64, id: SlotId, target: Source) {
        let is_video = self.slots.get(&id).is_some_and(|slot| slot.kind.is_video());
        if !is_video || self.can_replay(now_us, id, target) {
            self.starts.push(id);
        } else if let Some(layer) = self.layer_mut(target) {
            layer.key_requests.want();
        }
        self.due(now_us);
    }

    pub(super) fn layer_mut(&mut self, source: Source) -> Option<&mut crate::track::Layer> {
        self.tracks
            .get_mut(&source.track)?
            .layers
            .get_mut(source.layer)
    }

    // Telling the owner.

    /// The slot shows nobody now, if the owner does not know that yet.
    pub(super) fn tell_empty(&mut self, id: SlotId) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.shown = None;
        if slot.bound.take().is_some() {
            slot.binding = slot.binding.wrapping_add(1);
            let binding = slot.binding;
            self.events.push_back(Event::SlotBound {
                slot: id,
                track: None,
                rtp_timestamp: 0,
                binding,
            });
        }
    }

    /// The first packet of a track left on the slot, if that is news.
    pub(super) fn tell_bound(&mut self, id: SlotId, track: TrackId, rtp_timestamp: u32) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if slot.bound.replace(track) != Some(track) {
            slot.shown = None; // the layer of another track is news, even if it looks the same
            slot.binding = slot.binding.wrapping_add(1);
            self.events.push_back(Event::SlotBound {
                slot: id,
                track: Some(track),
                rtp_timestamp,
                binding: slot.binding,
            });
        }
    }

    /// The layer that flows, its size or the reason for it, if that is news: at once, or when the
    /// slot was told of too many lately.
    pub(super) fn tell_layer(&mut self, now_us: u64, id: SlotId) {
        let Some(slot) = self.slots.get(&id).filter(|slot| slot.kind.is_video()) else {
            return;
        };
        let Some(shown) = self.shown(slot) else {
            return;
        };
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        if slot.shown.as_ref() == Some(&shown) {
            return;
        }
        if !slot.tellings.take(now_us) {
            let at_us = slot.tellings.next_at();
            if !std::mem::replace(&mut slot.untold, true) {
                self.untold.push(id);
            }
            return self.due(at_us);
        }
        slot.shown = Some(shown.clone());
        let Shown {
            rid,
            width,
            height,
            reason,
        } = shown;
        self.events.push_back(Event::SlotLayer {
            slot: id,
            rid,
            width,
            height,
            reason,
        });
    }

    /// What the slots show that waited to be told of, as it is now.
    pub(super) fn tell_untold(&mut self, now_us: u64) {
        for id in std::mem::take(&mut self.untold) {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.untold = false;
                self.tell_layer(now_us, id);
            }
        }
    }

    fn shown(&self, slot: &Slot) -> Option<Shown> {
        let Some(source) = slot.current else {
            return (slot.assigned.is_some() && !slot.is_open()).then(Shown::nothing);
        };
        let track = self.tracks.get(&source.track)?;
        let layer = track.layers.get(source.layer)?;
        let fitting = choice(slot, track).filter(|choice| choice.layer == source.layer);
        let (width, height) = layer.resolution.map_or((0, 0), |size| {
            (u32::from(size.width), u32::from(size.height))
        });
        Some(Shown {
            rid: layer.rid.clone(),
            width,
            height,
            reason: fitting.map_or(LayerReason::Starting, |choice| choice.reason),
        })
    }
}

/// The layer of a track that the slot should show.
fn choice(slot: &Slot, track: &Track) -> Option<Choice> {
    if slot.kind.is_video() {
        choose(&track.views(), slot.tile)
    } else {
        Some(Choice {
            layer: 0,
            reason: LayerReason::Fit,
        })
    }
}
