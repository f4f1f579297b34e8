//! RTCP comes in: what a publisher says of its streams, what a receiver says of its slots.

use super::{Forwarder, Sink};
use crate::ids::TransportId;
use crate::rtcp::{self, LostSequences, ReportBlock, SenderInfo};
use crate::slot::{Exit, Source};
use crate::ssrcs::Stream;

impl Forwarder {
    /// One authenticated, decrypted RTCP packet (compound or reduced-size) of a peer.
    pub fn handle_rtcp(
        &mut self,
        now_us: u64,
        from: TransportId,
        datagram: &[u8],
        out: &mut impl Sink,
    ) {
        for packet in rtcp::parse(datagram) {
            match packet {
                rtcp::Packet::SenderReport { ssrc, info, blocks } => {
                    self.sender_report(now_us, from, ssrc, &info);
                    blocks
                        .iter()
                        .for_each(|block| self.reception(now_us, from, &block));
                }
                rtcp::Packet::ReceiverReport { blocks, .. } => {
                    blocks
                        .iter()
                        .for_each(|block| self.reception(now_us, from, &block));
                }
                rtcp::Packet::Goodbye(ssrcs) => {
                    ssrcs
                        .iter()
                        .for_each(|ssrc| self.stream_ended(now_us, from, ssrc));
                }
                rtcp::Packet::Nack { media_ssrc, lost } => {
                    self.repair(now_us, from, media_ssrc, &lost, out);
                }
                rtcp::Packet::PictureLossIndication { media_ssrc } => {
                    self.picture_lost(now_us, from, media_ssrc);
                }
                rtcp::Packet::FullIntraRequest(entries) => {
                    entries
                        .iter()
                        .for_each(|(ssrc, _)| self.picture_lost(now_us, from, ssrc));
                }
                rtcp::Packet::Remb(remb) => {
                    if let Some(endpoint) = self.endpoints.get_mut(&from) {
                        endpoint.remb_bps = Some(remb.bitrate_bps);
                    }
                }
                rtcp::Packet::TransportFeedback(feedback) => {
                    if let Some(endpoint) = self.endpoints.get_mut(&from) {
                        // Results one by one are for the bandwidth estimate to come.
                        endpoint.send_log.feedback(&feedback, |_| {});
                    }
                }
                rtcp::Packet::SourceDescription { .. } => {}
            }
        }
    }

    fn stream(&self, from: TransportId, ssrc: u32) -> Option<Stream> {
        self.endpoints.get(&from)?.ssrcs.get(ssrc)
    }

    fn sender_report(&mut self, now_us: u64, from: TransportId, ssrc: u32, info: &SenderInfo) {
        let Some(stream) = self.stream(from, ssrc).filter(|stream| !stream.repair) else {
            return;
        };
        if let Some(layer) = self.layer_mut(Source {
            track: stream.track,
            layer: stream.layer,
        }) {
            layer.stats.sender_report(now_us, info);
        }
    }

    fn reception(&mut self, now_us: u64, from: TransportId, block: &ReportBlock) {
        let Some(endpoint) = self.endpoints.get_mut(&from) else {
            return;
        };
        let slot = endpoint.slot_of_ssrc.get(&block.ssrc);
        if let Some(slot) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            endpoint.round_trip.report(now_us, block);
            slot.counters.fraction_lost = u64::from(block.fraction_lost);
            slot.counters.lost = u64::try_from(block.cumulative_lost).unwrap_or(0);
            slot.counters.jitter = u64::from(block.jitter);
        }
    }

    /// The publisher closed a stream (RFC 3550 section 6.6); a new SSRC may follow.
    fn stream_ended(&mut self, now_us: u64, from: TransportId, ssrc: u32) {
        let Some(stream) = self.stream(from, ssrc).filter(|stream| !stream.repair) else {
            return;
        };
        let source = Source {
            track: stream.track,
            layer: stream.layer,
        };
        if let Some(layer) = self.layer_mut(source).filter(|layer| layer.live) {
            layer.live = false;
            layer.key_requests.cancel();
            self.tell_track_layer(source);
            self.retarget_watchers(now_us, source.track);
        }
    }

    /// A receiver's picture is broken; on a slot without a source that means nothing.
    fn picture_lost(&mut self, now_us: u64, from: TransportId, ssrc: u32) {
        let id = self
            .endpoints
            .get(&from)
            .and_then(|endpoint| endpoint.slot_of_ssrc.get(&ssrc));
        let Some(slot) = id.and_then(|id| self.slots.get_mut(id)) else {
            return;
        };
        let Some(source) = slot.current.filter(|_| slot.kind.is_video()) else {
            return;
        };
        if slot.picture_lost(now_us) {
            if let Some(layer) = self.layer_mut(source) {
                layer.key_requests.want();
            }
            self.due(now_us);
        }
    }

    /// A receiver asks for packets again.
    fn repair(
        &mut self,
        now_us: u64,
        from: TransportId,
        ssrc: u32,
        lost: &LostSequences<'_>,
        out: &mut impl Sink,
    ) {
        let Self {
            endpoints,
            slots,
            tracks,
            counters,
            ..
        } = self;
        let Some(endpoint) = endpoints.get_mut(&from).filter(|endpoint| endpoint.ready) else {
            return;
        };
        let id = endpoint.slot_of_ssrc.get(&ssrc);
        let Some(slot) = id.and_then(|id| slots.get_mut(id)) else {
            return;
        };
        let Some(source) = slot.current else {
            return;
        };
        let layer = tracks
            .get(&source.track)
            .and_then(|track| track.layers.get(source.layer));
        let rtt_us = endpoint.round_trip.us();
        let mut exit = Exit {
            now_us,
            sink: out,
            log: &mut endpoint.send_log,
        };
        for sequence in lost.iter() {
            slot.counters.nacks_received += 1;
            let packet = slot
                .wanted(sequence)
                .and_then(|number| layer.and_then(|layer| layer.history.get(number)));
            if packet.is_some_and(|packet| slot.resend(&packet, rtt_us, &mut exit)) {
                counters.rtp_sent += 1;
            } else {
                slot.counters.nacks_unanswered += 1;
            }
        }
    }
}
