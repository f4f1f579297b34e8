//! What time brings: feedback to publishers, reports, key frame requests, silence.
//!
//! Deadlines are rounded up to a grid, so that however many streams there are the table is
//! walked at most a hundred times a second, and not at all while nothing is due.

use super::{Forwarder, PacketKind, Sink};
use crate::events::Event;
use crate::ids::{SlotId, TrackId, TransportId};
use crate::keyframes::Action;
use crate::rtcp::{self, ReportBlock};
use crate::slot::Source;

const GRID_US: u64 = 10_000;
const REPORT_INTERVAL_US: u64 = 1_000_000;
/// How often silence is looked for.
const SWEEP_INTERVAL_US: u64 = 250_000;
/// A slot shows its old source for so long at most while the new one sends no key frame.
const LINGER_US: u64 = 3_000_000;
/// A layer of unknown size is asked for a key frame after so long.
const UNSEEN_US: u64 = 300_000;
/// An RTCP packet is closed when it is larger than this.
const RTCP_TARGET_LEN: usize = 1_000;
/// Missing packets named in one NACK.
const NACK_MAX: usize = 200;
const LOCAL_CNAME: &str = "sunup";

impl Forwarder {
    /// Sends what is due: feedback, reports, key frame requests, first packets of slots.
    pub fn handle_timeout(&mut self, now_us: u64, out: &mut impl Sink) {
        self.refresh_lanes(now_us);
        self.run_starts(now_us, out);
        if self.due_us.is_none_or(|due| now_us < due) {
            return;
        }
        self.due_us = None;
        self.tell_untold(now_us);
        if now_us >= self.swept_us + SWEEP_INTERVAL_US {
            self.swept_us = now_us;
            self.sweep(now_us);
        }
        let transports: Vec<TransportId> = self.endpoints.keys().copied().collect();
        for transport in transports {
            self.serve(now_us, transport, out);
        }
        if !self.tracks.is_empty() {
            self.due(self.swept_us + SWEEP_INTERVAL_US);
        }
    }

    /// When [`Self::handle_timeout`] wants to be called next; in the past means at once.
    #[must_use]
    pub fn next_timeout(&self) -> Option<u64> {
        if self.starts.is_empty() && self.stale_lanes.is_empty() {
            self.due_us
        } else {
            Some(0)
        }
    }

    /// Something is to be done at `at_us`.
    pub(super) fn due(&mut self, at_us: u64) {
        let at_us = at_us.next_multiple_of(GRID_US);
        self.due_us = Some(self.due_us.map_or(at_us, |due| due.min(at_us)));
    }

    /// Everything that is due for one transport.
    fn serve(&mut self, now_us: u64, id: TransportId, out: &mut impl Sink) {
        let Some(endpoint) = self.endpoints.get(&id).filter(|endpoint| endpoint.ready) else {
            return;
        };
        for track in endpoint.tracks.clone() {
            self.ask_publisher(now_us, id, track, out);
        }
        self.acknowledge(now_us, id, out);
        let Some(endpoint) = self.endpoints.get_mut(&id) else {
            return;
        };
        for ssrc in std::mem::take(&mut endpoint.goodbyes) {
            let local = self
                .endpoints
                .get(&id)
                .map_or(0, |endpoint| endpoint.local_ssrc);
            self.scratch.rtcp.clear();
            rtcp::write_receiver_report(&mut self.scratch.rtcp, local, &[]);
            rtcp::write_source_description(&mut self.scratch.rtcp, local, LOCAL_CNAME);
            rtcp::write_goodbye(&mut self.scratch.rtcp, ssrc);
            self.push_rtcp(id, out);
        }
        let Some(endpoint) = self.endpoints.get_mut(&id) else {
            return;
        };
        if let Some(due) = endpoint.report_due_us {
            if now_us >= due {
                endpoint.report_due_us = Some(now_us + REPORT_INTERVAL_US);
                self.report(now_us, id, out);
                self.due(now_us + REPORT_INTERVAL_US);
            } else {
                self.due(due);
            }
        }
    }

    /// NACKs and key frame requests for the layers of one track.
    fn ask_publisher(
        &mut self,
        now_us: u64,
        id: TransportId,
        track_id: TrackId,
        out: &mut impl Sink,
    ) {
        let Some(endpoint) = self.endpoints.get(&id) else {
            return;
        };
        let (local, rtt_us) = (endpoint.local_ssrc, endpoint.round_trip.us());
        let layers = self
            .tracks
            .get(&track_id)
            .map_or(0, |track| track.layers.len());
        for index in 0..layers {
            let source = Source {
                track: track_id,
                layer: index,
            };
            let Some(ssrc) = self.ssrc_of(source) else {
                continue;
            };
            let Some(track) = self.tracks.get_mut(&track_id) else {
                return;
            };
            let Some(layer) = track.layers.get_mut(index) else {
                continue;
            };
            self.scratch.lost.clear();
            self.scratch.rtcp.clear();
            layer.losses.poll(now_us, rtt_us, &mut self.scratch.lost);
            for lost in self.scratch.lost.chunks(NACK_MAX) {
                rtcp::write_nack(&mut self.scratch.rtcp, local, ssrc, lost);
                track.counters.nacks_sent += lost.len() as u64;
            }
            let action = layer.key_requests.poll(now_us);
            if action != Action::Wait {
                rtcp::write_pli(&mut self.scratch.rtcp, local, ssrc);
                track.counters.plis_sent += 1;
            }
            let due = [layer.losses.next_due_us(), layer.key_requests.next_due_us()];
            if action == Action::AskAndReport {
                let rid = layer.rid.clone();
                self.events.push_back(Event::KeyframeFailed {
                    track: track_id,
                    rid,
                });
            }
            due.into_iter().flatten().for_each(|at_us| self.due(at_us));
            self.push_rtcp(id, out);
        }
    }

    /// Transport-wide feedback.
    fn acknowledge(&mut self, now_us: u64, id: TransportId, out: &mut impl Sink) {
        loop {
            let Some(endpoint) = self.endpoints.get_mut(&id) else {
                return;
            };
            let (local, media) = (endpoint.local_ssrc, endpoint.last_media_ssrc);
            self.scratch.rtcp.clear();
            if !endpoint
                .arrivals
                .poll(now_us, local, media, &mut self.scratch.rtcp)
            {
                let due = endpoint.arrivals.next_due_us();
                due.into_iter().for_each(|at_us| self.due(at_us));
                return;
            }
            self.push_rtcp(id, out);
        }
    }

    /// Sender reports of the slots that sent, reception reports of the layers that came.
    fn report(&mut self, now_us: u64, id: TransportId, out: &mut impl Sink) {
        let Some(endpoint) = self.endpoints.get(&id) else {
            return;
        };
        let local = endpoint.local_ssrc;
        let slots = endpoint.slots.clone();
        let mut blocks = self.reception_blocks(now_us, id);
        self.scratch.rtcp.clear();
        for slot in slots {
            let Some(slot) = self.slots.get_mut(&slot) else {
                continue;
            };
            let Some(info) = slot.sender_info(now_us) else {
                continue;
            };
            let own = blocks.split_off(blocks.len().saturating_sub(rtcp::MAX_BLOCKS));
            rtcp::write_sender_report(&mut self.scratch.rtcp, slot.ssrc, &info, &own);
            rtcp::write_source_description(&mut self.scratch.rtcp, slot.ssrc, &slot.cname);
            if self.scratch.rtcp.len() > RTCP_TARGET_LEN {
                self.counters.rtcp_sent += 1;
                push(&mut self.scratch.rtcp, id, out);
            }
        }
        for own in blocks.chunks(rtcp::MAX_BLOCKS) {
            rtcp::write_receiver_report(&mut self.scratch.rtcp, local, own);
            rtcp::write_source_description(&mut self.scratch.rtcp, local, LOCAL_CNAME);
        }
        self.push_rtcp(id, out);
    }

    fn reception_blocks(&mut self, now_us: u64, id: TransportId) -> Vec<ReportBlock> {
        let Self {
            endpoints, tracks, ..
        } = self;
        let Some(endpoint) = endpoints.get(&id) else {
            return Vec::new();
        };
        let mut blocks = Vec::new();
        for &track_id in &endpoint.tracks {
            let Some(track) = tracks.get_mut(&track_id) else {
                continue;
            };
            for (index, layer) in track.layers.iter_mut().enumerate() {
                let stream = super::media_stream(Source {
                    track: track_id,
                    layer: index,
                });
                if let Some(ssrc) = endpoint.ssrcs.ssrc_of(stream).filter(|_| layer.live) {
                    blocks.extend(layer.stats.block(now_us, ssrc));
                }
            }
        }
        blocks
    }

    /// Looks for layers that fell silent, layers that nobody has seen, and slots that wait in vain.
    fn sweep(&mut self, now_us: u64) {
        let tracks: Vec<TrackId> = self.tracks.keys().copied().collect();
        for id in tracks {
            self.sweep_track(now_us, id);
        }
        let lingering: Vec<SlotId> = self
            .slots
            .iter()
            .filter(|(_, slot)| {
                let other = slot
                    .current
                    .is_some_and(|source| slot.assigned != Some(source.track));
                other && now_us >= slot.assigned_us + LINGER_US
            })
            .map(|(id, _)| *id)
            .collect();
        for id in lingering {
            let target = self.slots.get(&id).and_then(|slot| slot.target);
            self.relink(id, None, target);
            self.tell_empty(id);
        }
        self.sweep_speakers(now_us);
    }

    fn sweep_track(&mut self, now_us: u64, id: TrackId) {
        let Some(track) = self.tracks.get_mut(&id) else {
            return;
        };
        let limit_us = track.silence_limit_us();
        let is_video = track.kind.is_video();
        let mut died = Vec::new();
        for (index, layer) in track
            .layers
            .iter_mut()
            .enumerate()
            .filter(|(_, layer)| layer.live)
        {
            if now_us >= layer.last_us + limit_us {
                layer.live = false;
                layer.key_requests.cancel();
                died.push(index);
            } else if is_video
                && layer.key_frame.is_none()
                && now_us >= layer.live_since_us + UNSEEN_US
            {
                layer.key_requests.want();
            }
        }
        for layer in &died {
            self.tell_track_layer(Source {
                track: id,
                layer: *layer,
            });
        }
        if !died.is_empty() {
            self.retarget_watchers(now_us, id);
        }
    }

    /// Sends what the scratch buffer holds, if anything.
    fn push_rtcp(&mut self, to: TransportId, out: &mut impl Sink) {
        if !self.scratch.rtcp.is_empty() {
            self.counters.rtcp_sent += 1;
            push(&mut self.scratch.rtcp, to, out);
        }
    }
}

fn push(bytes: &mut Vec<u8>, to: TransportId, out: &mut impl Sink) {
    out.push(to, PacketKind::Rtcp, bytes.len(), |window| {
        window.copy_from_slice(bytes)
    });
    bytes.clear();
}
