//! One packet goes out to all slots of its layer.
//!
//! A slot on which the layer flows gets the packet rewritten. A slot that waits for the layer
//! switches if the packet begins a key frame; packets after it that overtook it follow at once.
//! A slot may also begin with packets that came a moment ago: a young key frame for a joiner,
//! the last 100 ms of a voice for a lane, so that neither a request nor a clipped word is the
//! price of a switch.

use super::{Forwarder, Sink};
use crate::history::MediaPacket;
use crate::ids::SlotId;
use crate::slot::{Exit, Slot, Source};
use crate::track::Layer;

/// How far back a lane begins with a new voice.
const ONSET_US: u64 = 100_000;
/// A sender report soon after a switch maps the new line for the receiver.
const REPORT_AFTER_SWITCH_US: u64 = 50_000;

/// A slot that began with another source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switched {
    slot: SlotId,
    left: Option<Source>,
    rtp_timestamp: u32,
}

impl Forwarder {
    /// Sends a packet of a layer to all its slots.
    pub(super) fn fan_out(
        &mut self,
        now_us: u64,
        source: Source,
        packet: &MediaPacket<'_>,
        out: &mut impl Sink,
    ) {
        let Self {
            tracks,
            slots,
            endpoints,
            counters,
            scratch,
            ..
        } = self;
        let Some(layer) = tracks
            .get(&source.track)
            .and_then(|track| track.layers.get(source.layer))
        else {
            return;
        };
        for id in &layer.slots {
            let Some(slot) = slots.get_mut(id) else {
                continue;
            };
            let Some(endpoint) = endpoints.get_mut(&slot.transport) else {
                continue;
            };
            let mut exit = Exit {
                now_us,
                sink: &mut *out,
                log: &mut endpoint.send_log,
            };
            if slot.current == Some(source) {
                if slot.forward(packet, &mut exit).is_some() {
                    counters.rtp_sent += 1;
                }
            } else if packet.frame.switch_point && slot.accepts(packet.codec) {
                let left = slot.current;
                if let Some((rtp_timestamp, sent)) = begin(slot, source, layer, packet, &mut exit) {
                    counters.rtp_sent += sent;
                    scratch.switched.push(Switched {
                        slot: *id,
                        left,
                        rtp_timestamp,
                    });
                }
            }
        }
        self.settle_switches(now_us);
    }

    /// Slots that may begin with packets that are already here do so.
    pub(super) fn run_starts(&mut self, now_us: u64, out: &mut impl Sink) {
        let mut starts = std::mem::take(&mut self.starts);
        for id in starts.drain(..) {
            let Some(target) = self.slots.get(&id).and_then(|slot| slot.target) else {
                continue;
            };
            if !self.start(now_us, id, target, out) {
                if let Some(layer) = self.layer_mut(target) {
                    layer.key_requests.want();
                }
                self.due(now_us);
            }
        }
        // Nothing above adds starts; the vector is kept for its memory.
        self.starts = starts;
        self.settle_switches(now_us);
    }

    /// Whether a young key frame of `target` can be shown on the slot without its timestamps
    /// running ahead of real time: they would if the slot showed something after it.
    pub(super) fn can_replay(&self, now_us: u64, id: SlotId, target: Source) -> bool {
        let layer = self
            .tracks
            .get(&target.track)
            .and_then(|track| track.layers.get(target.layer));
        let key = layer.and_then(|layer| layer.replayable_key_frame(now_us));
        let slot = self.slots.get(&id);
        key.zip(slot)
            .is_some_and(|(key, slot)| slot.idle_since(key.arrival_us))
    }

    /// Returns whether the slot has begun, or will with the next packet.
    fn start(&mut self, now_us: u64, id: SlotId, target: Source, out: &mut impl Sink) -> bool {
        let replayable = self.can_replay(now_us, id, target);
        let Self {
            tracks,
            slots,
            endpoints,
            counters,
            scratch,
            ..
        } = self;
        let layer = tracks
            .get(&target.track)
            .and_then(|track| track.layers.get(target.layer));
        let (Some(layer), Some(slot)) = (layer, slots.get_mut(&id)) else {
            return true;
        };
        let Some(endpoint) = endpoints.get_mut(&slot.transport) else {
            return true;
        };
        let is_video = slot.kind.is_video();
        let first = if is_video {
            layer.replayable_key_frame(now_us).filter(|_| replayable)
        } else {
            layer.recent_onset(now_us, ONSET_US)
        };
        let Some(first) = first.filter(|first| slot.accepts(first.codec)) else {
            return !is_video; // any audio packet begins a line
        };
        let left = slot.current;
        let mut exit = Exit {
            now_us,
            sink: &mut *out,
            log: &mut endpoint.send_log,
        };
        if let Some((rtp_timestamp, sent)) = begin(slot, target, layer, &first, &mut exit) {
            counters.rtp_sent += sent;
            scratch.switched.push(Switched {
                slot: id,
                left,
                rtp_timestamp,
            });
        }
        true
    }

    /// What follows from the switches of one packet.
    fn settle_switches(&mut self, now_us: u64) {
        let mut switched = std::mem::take(&mut self.scratch.switched);
        for Switched {
            slot: id,
            left,
            rtp_timestamp,
        } in switched.drain(..)
        {
            let Some(slot) = self.slots.get(&id) else {
                continue;
            };
            let (transport, current) = (slot.transport, slot.current);
            if let Some(layer) = left
                .filter(|_| left != current)
                .and_then(|left| self.layer_mut(left))
            {
                layer.slots.retain(|other| *other != id);
            }
            if let Some(source) = current {
                self.tell_bound(id, source.track, rtp_timestamp);
                self.tell_layer(now_us, id);
            }
            if let Some(endpoint) = self.endpoints.get_mut(&transport) {
                endpoint.report_by(now_us + REPORT_AFTER_SWITCH_US);
            }
            self.due(now_us + REPORT_AFTER_SWITCH_US);
        }
        self.scratch.switched = switched;
    }
}

/// Switches a slot to `first` and sends it with all that came after it. Returns the timestamp
/// with which `first` left, and how many packets did.
fn begin(
    slot: &mut Slot,
    source: Source,
    layer: &Layer,
    first: &MediaPacket<'_>,
    exit: &mut Exit<'_, impl Sink>,
) -> Option<(u32, u64)> {
    slot.switch(layer.line_us(exit.now_us, first), source, first);
    let rtp_timestamp = slot.forward(first, exit)?.timestamp;
    let newest = layer.newest.map_or(first.number, |newest| newest.number);
    let later = (first.number + 1..=newest).filter_map(|number| layer.history.get(number));
    let sent = later
        .filter(|packet| slot.forward(packet, exit).is_some())
        .count();
    Some((rtp_timestamp, 1 + sent as u64))
}
