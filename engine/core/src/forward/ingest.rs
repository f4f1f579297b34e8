//! One RTP packet comes in: whose is it, what is in it, who needs it.

use super::{media_stream, Endpoint, Forwarder, Sink};
use crate::codec::Resolution;
use crate::events::Event;
use crate::ids::{IdMap, TrackId, TransportId};
use crate::params::{CodecName, MediaKind};
use crate::rtp::{ExtensionKind, Packet};
use crate::slot::Source;
use crate::ssrcs::{Refused, Stream};
use crate::track::{Dropped, Passengers, Track};

/// The first report about a new stream goes out so soon, later ones once a second.
const FIRST_REPORT_US: u64 = 500_000;

impl Forwarder {
    /// One authenticated, decrypted RTP packet of a peer.
    pub fn handle_rtp(
        &mut self,
        now_us: u64,
        from: TransportId,
        datagram: &[u8],
        out: &mut impl Sink,
    ) {
        let Ok(rtp) = Packet::parse(datagram) else {
            self.counters.rtp_malformed += 1;
            return;
        };
        let Some(stream) = self.admit(now_us, from, &rtp, datagram.len()) else {
            return;
        };
        let source = Source {
            track: stream.track,
            layer: stream.layer,
        };
        let Some(endpoint) = self.endpoints.get(&from) else {
            return;
        };
        let passengers = passengers(endpoint, &rtp);
        let Some(track) = self.tracks.get_mut(&stream.track) else {
            return;
        };
        if track.paused {
            self.counters.rtp_paused += 1;
            return;
        }
        let original = if stream.repair {
            recover(track, &rtp)
        } else {
            plain(track, &rtp)
        };
        let (rtp, codec) = match original {
            Ok(original) => original,
            Err(Unusable::Probe) => {
                self.counters.rtp_probes += 1;
                return;
            }
            Err(Unusable::PayloadType) => {
                self.counters.rtp_unknown_payload_type += 1;
                return;
            }
        };
        let Some(layer) = track.layers.get_mut(stream.layer) else {
            return;
        };
        let received = match layer.receive(now_us, &rtp, codec, passengers, stream.repair) {
            Ok(received) => received,
            Err(Dropped::Padding) => {
                self.counters.rtp_probes += 1;
                return;
            }
            Err(Dropped::Duplicate) => {
                track.counters.duplicates += 1;
                return;
            }
        };
        let packet = received.packet;
        let due = [layer.losses.next_due_us(), layer.key_requests.next_due_us()];
        count(
            track,
            stream.repair,
            packet.payload.len(),
            codec,
            packet.frame.switch_point,
        );
        if track.kind == MediaKind::Audio {
            track
                .voice
                .packet(now_us, packet.audio_level, packet.payload);
        }
        due.into_iter().flatten().for_each(|at_us| self.due(at_us));
        if received.came_to_life || received.resized {
            self.tell_track_layer(source);
            // Before the packet goes out: a slot may switch at this very key frame.
            self.retarget_watchers(now_us, source.track);
        }
        self.fan_out(now_us, source, &packet, out);
        if codec == CodecName::Opus {
            self.voice_heard(now_us, from);
        }
        if !self.starts.is_empty() {
            self.run_starts(now_us, out);
        }
    }

    /// The stream of a packet, which is noted for feedback whatever it is.
    fn admit(
        &mut self,
        now_us: u64,
        from: TransportId,
        rtp: &Packet<'_>,
        len: usize,
    ) -> Option<Stream> {
        let endpoint = self.endpoints.get_mut(&from)?;
        let sequence = endpoint.extensions.id(ExtensionKind::TransportCc);
        let sequence = sequence.and_then(|id| rtp.extensions.get(id)?.first_chunk().copied());
        let mut due = None;
        if let Some(bytes) = sequence {
            endpoint
                .arrivals
                .received(now_us, u16::from_be_bytes(bytes), len);
            due = endpoint.arrivals.next_due_us();
        }
        let stream = match endpoint.ssrcs.get(rtp.ssrc) {
            Some(stream) => Some(stream),
            None => self.learn(now_us, from, rtp),
        };
        let endpoint = self.endpoints.get_mut(&from)?;
        match stream {
            Some(stream) if !stream.repair => {
                endpoint.last_media_ssrc = rtp.ssrc;
                if endpoint.report_due_us.is_none() {
                    endpoint.report_by(now_us + FIRST_REPORT_US);
                    self.due(now_us + FIRST_REPORT_US);
                }
            }
            Some(_) => {}
            None => self.counters.rtp_unknown_ssrc += 1,
        }
        due.into_iter().for_each(|at_us| self.due(at_us));
        stream
    }

    /// Binds an unknown SSRC by MID and RID (RFC 8843 section 9.2, RFC 8852).
    fn learn(&mut self, now_us: u64, from: TransportId, rtp: &Packet<'_>) -> Option<Stream> {
        let endpoint = self.endpoints.get_mut(&from)?;
        let stream = identify(endpoint, &self.tracks, rtp)?;
        match endpoint.ssrcs.bind(rtp.ssrc, stream) {
            Ok(false) => {}
            Ok(true) if stream.repair => {}
            Ok(true) => self.restart_layer(
                now_us,
                Source {
                    track: stream.track,
                    layer: stream.layer,
                },
            ),
            Err(Refused::Taken | Refused::Full) => {
                self.counters.ssrcs_refused += 1;
                return None;
            }
        }
        Some(stream)
    }

    /// The publisher began a layer anew: its slots wait for the first key frame.
    fn restart_layer(&mut self, now_us: u64, source: Source) {
        let Some(layer) = self.layer_mut(source) else {
            return;
        };
        layer.restart();
        for id in layer.slots.clone() {
            let Some(slot) = self.slots.get(&id) else {
                continue;
            };
            let other = |from: Option<Source>| from.filter(|from| *from != source);
            let (current, target) = (other(slot.current), other(slot.target));
            self.relink(id, current, target);
        }
        self.retarget_watchers(now_us, source.track);
    }

    /// A layer came, went or changed its size.
    pub(super) fn tell_track_layer(&mut self, source: Source) {
        let Some(layer) = self.layer_mut(source) else {
            return;
        };
        let Resolution { width, height } = layer.resolution.unwrap_or(Resolution {
            width: 0,
            height: 0,
        });
        let (rid, live) = (layer.rid.clone(), layer.live);
        self.events.push_back(Event::TrackLayer {
            track: source.track,
            rid,
            live,
            width: u32::from(width),
            height: u32::from(height),
        });
    }

    /// The SSRC on which a layer arrives.
    pub(super) fn ssrc_of(&self, source: Source) -> Option<u32> {
        let transport = self.tracks.get(&source.track)?.transport;
        self.endpoints
            .get(&transport)?
            .ssrcs
            .ssrc_of(media_stream(source))
    }
}

/// Why a packet of a known SSRC cannot be taken in.
enum Unusable {
    /// An RTX packet with padding or nothing in it.
    Probe,
    /// Not negotiated.
    PayloadType,
}

/// A packet of the layer's own SSRC.
fn plain<'a>(track: &Track, rtp: &Packet<'a>) -> Result<(Packet<'a>, CodecName), Unusable> {
    let codec = track.codec(rtp.payload_type).ok_or(Unusable::PayloadType)?;
    Ok((*rtp, codec))
}

/// The original packet in a retransmission (RFC 4588 section 4).
fn recover<'a>(track: &Track, rtp: &Packet<'a>) -> Result<(Packet<'a>, CodecName), Unusable> {
    let codec = track
        .repaired_codec(rtp.payload_type)
        .ok_or(Unusable::PayloadType)?;
    match rtp.payload.split_first_chunk::<2>() {
        Some((osn, payload)) if !payload.is_empty() => Ok((
            Packet {
                sequence: u16::from_be_bytes(*osn),
                payload,
                ..*rtp
            },
            codec,
        )),
        _ => Err(Unusable::Probe),
    }
}

/// Which stream a packet says it belongs to.
fn identify(
    endpoint: &Endpoint,
    tracks: &IdMap<TrackId, Track>,
    rtp: &Packet<'_>,
) -> Option<Stream> {
    let element = |kind| rtp.extensions.get(endpoint.extensions.id(kind)?);
    let mid = element(ExtensionKind::Mid)?;
    let (id, track) = endpoint
        .tracks
        .iter()
        .filter_map(|id| Some((*id, tracks.get(id)?)))
        .find(|(_, track)| track.mid.as_bytes() == mid)?;
    let repaired = element(ExtensionKind::RepairedRid);
    let repair = repaired.is_some() || track.repaired_codec(rtp.payload_type).is_some();
    let layer = match repaired.or_else(|| element(ExtensionKind::Rid)) {
        Some(rid) => track.layer_of_rid(rid)?,
        None if track.layers.len() == 1 => 0,
        None => return None,
    };
    Some(Stream {
        track: id,
        layer,
        repair,
    })
}

fn passengers(endpoint: &Endpoint, rtp: &Packet<'_>) -> Passengers {
    let byte = |kind| {
        rtp.extensions
            .get(endpoint.extensions.id(kind)?)?
            .first()
            .copied()
    };
    Passengers {
        audio_level: byte(ExtensionKind::AudioLevel),
        video_orientation: byte(ExtensionKind::VideoOrientation),
    }
}

fn count(track: &mut Track, repaired: bool, octets: usize, codec: CodecName, switch_point: bool) {
    let counters = &mut track.counters;
    counters.packets += 1;
    counters.bytes += octets as u64;
    counters.repaired += u64::from(repaired);
    counters.keyframes += u64::from(switch_point && codec != CodecName::Opus);
}
