//! What a peer publishes: one m-section with its layers, from wire packets to numbered ones.
//!
//! [`Layer::receive`] turns a packet of a layer's SSRC, or one recovered from its RTX stream, into
//! a [`MediaPacket`]: unwrapped, counted, without padding, looked into, kept. What is still missing
//! and whether a key frame is needed is kept beside it. Who receives it is for `forward.rs`.

use crate::codec::{inspect, Resolution};
use crate::figures::TrackCounters;
use crate::history::{History, MediaPacket};
use crate::ids::{SlotId, TransportId};
use crate::keyframes::KeyframeRequests;
use crate::layers::LayerView;
use crate::munge::clock_rate;
use crate::nack::{Gap, LossTracker};
use crate::numbering::Numbering;
use crate::params::{Codec, CodecName, MediaKind, TrackParams};
use crate::reports::ReceiveStats;
use crate::rtp::{Packet, Unwrapper};
use crate::speakers::VoiceMeter;

/// A simulcast layer is dead after this silence: its siblings show that the path works.
const SIMULCAST_SILENCE_US: u64 = 1_000_000;
/// A single layer is dead after this one: a still screen sends little.
const SINGLE_SILENCE_US: u64 = 5_000_000;

/// A key frame that may still be replayed to a slot that starts late.
const REPLAY_MAX_AGE_US: u64 = 300_000;
const REPLAY_MAX_PACKETS: u64 = 60;

/// One published m-section.
#[derive(Debug)]
pub struct Track {
    /// Whose.
    pub transport: TransportId,
    /// Audio, camera or screen.
    pub kind: MediaKind,
    /// Of the m-section.
    pub mid: String,
    /// Accepted payload types.
    pub codecs: Vec<Codec>,
    /// In the order of signalling; one without simulcast.
    pub layers: Vec<Layer>,
    /// Dropped at the door.
    pub paused: bool,
    /// Loudness, for audio.
    pub voice: VoiceMeter,
    /// Slots to which the track is assigned, whether or not it flows there yet.
    pub watchers: Vec<SlotId>,
    /// Figures.
    pub counters: TrackCounters,
}

/// Where a key frame began.
#[derive(Clone, Copy, Debug)]
pub struct KeyFrame {
    /// Its first packet.
    pub number: u64,
    /// When that packet came.
    pub arrival_us: u64,
}

/// The newest packet of a layer.
#[derive(Clone, Copy, Debug)]
pub struct NewestPacket {
    /// Its number.
    pub number: u64,
    /// Its timestamp on the publisher's line.
    pub timestamp: u32,
}

/// One simulcast encoding, or all of a track without simulcast.
#[derive(Debug)]
pub struct Layer {
    /// RFC 8851 id; empty without simulcast.
    pub rid: String,
    /// Whether packets arrive.
    pub live: bool,
    /// From the last key frame.
    pub resolution: Option<Resolution>,
    /// The last key frame.
    pub key_frame: Option<KeyFrame>,
    /// The newest packet.
    pub newest: Option<NewestPacket>,
    /// When the last packet came.
    pub last_us: u64,
    /// When the layer came to life.
    pub live_since_us: u64,
    /// Slots on which the layer flows or that wait for its next key frame.
    pub slots: Vec<SlotId>,
    /// Packets that may be wanted again.
    pub history: History,
    /// What is missing.
    pub losses: LossTracker,
    /// Figures for reception reports.
    pub stats: ReceiveStats,
    /// Pending requests.
    pub key_requests: KeyframeRequests,
    unwrapper: Unwrapper<16>,
    numbering: Numbering,
    capacity: usize,
}

/// What the engine reads from a packet's header extensions for the receivers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passengers {
    /// RFC 6464 byte.
    pub audio_level: Option<u8>,
    /// Coordination of video orientation byte.
    pub video_orientation: Option<u8>,
}

/// A packet that is to be forwarded, and what it changed.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The packet.
    pub packet: MediaPacket<'a>,
    /// The layer was silent or new before.
    pub came_to_life: bool,
    /// The picture size changed with this packet.
    pub resized: bool,
}

/// Why a packet goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Nothing but padding.
    Padding,
    /// It came before, or too late to be of use.
    Duplicate,
}

impl Track {
    /// From validated parameters.
    #[must_use]
    pub fn new(transport: TransportId, params: &TrackParams) -> Self {
        let capacity = match params.kind {
            MediaKind::Audio => 128,
            MediaKind::Video => 512,
            MediaKind::Screen => 1_024,
        };
        let count = params.rids.len().max(params.ssrcs.len()).max(1);
        let rid = |layer: usize| params.rids.get(layer).cloned().unwrap_or_default();
        Self {
            transport,
            kind: params.kind,
            mid: params.mid.clone(),
            codecs: params.codecs.clone(),
            layers: (0..count)
                .map(|layer| Layer::new(rid(layer), capacity))
                .collect(),
            paused: false,
            voice: VoiceMeter::default(),
            watchers: Vec::new(),
            counters: TrackCounters::default(),
        }
    }

    /// The codec of a media payload type.
    #[must_use]
    pub fn codec(&self, payload_type: u8) -> Option<CodecName> {
        let codec = self
            .codecs
            .iter()
            .find(|codec| codec.payload_type == payload_type)?;
        Some(codec.name)
    }

    /// The codec whose retransmissions have this payload type.
    #[must_use]
    pub fn repaired_codec(&self, payload_type: u8) -> Option<CodecName> {
        let matches = |codec: &&Codec| codec.rtx_payload_type == Some(payload_type);
        self.codecs.iter().find(matches).map(|codec| codec.name)
    }

    /// The layer with this rid.
    #[must_use]
    pub fn layer_of_rid(&self, rid: &[u8]) -> Option<usize> {
        self.layers
            .iter()
            .position(|layer| layer.rid.as_bytes() == rid)
    }

    /// What there is to choose from.
    #[must_use]
    pub fn views(&self) -> Vec<LayerView> {
        self.layers
            .iter()
            .map(|layer| LayerView {
                live: layer.live,
                resolution: layer.resolution,
            })
            .collect()
    }

    /// How long a layer may be silent before it counts as dead.
    #[must_use]
    pub fn silence_limit_us(&self) -> u64 {
        if self.layers.len() > 1 && self.kind == MediaKind::Video {
            SIMULCAST_SILENCE_US
        } else {
            SINGLE_SILENCE_US
        }
    }

    /// Forgets all that came before, so that nobody sees it after a pause.
    pub fn forget_media(&mut self) {
        for layer in &mut self.layers {
            layer.forget_media();
        }
        self.voice = VoiceMeter::default();
    }
}

impl Layer {
    fn new(rid: String, capacity: usize) -> Self {
        Self {
            rid,
            live: false,
            resolution: None,
            key_frame: None,
            newest: None,
            last_us: 0,
            live_since_us: 0,
            slots: Vec::new(),
            history: History::new(capacity),
            losses: LossTracker::default(),
            stats: ReceiveStats::default(),
            key_requests: KeyframeRequests::default(),
            unwrapper: Unwrapper::default(),
            numbering: Numbering::default(),
            capacity,
        }
    }

    /// Takes a packet in. `sequence`, and the payload of `rtp` with it, are the original ones
    /// when the packet was `repaired`, that is, recovered from the RTX stream.
    ///
    /// # Errors
    /// [`Dropped`] when there is nothing to forward.
    pub fn receive<'a>(
        &mut self,
        now_us: u64,
        rtp: &Packet<'a>,
        codec: CodecName,
        passengers: Passengers,
        repaired: bool,
    ) -> Result<Received<'a>, Dropped> {
        if repaired && self.unwrapper.highest().is_none() {
            return Err(Dropped::Padding); // a probe before any media
        }
        let sequence = self.unwrapper.unwrap(u64::from(rtp.sequence));
        if !repaired {
            let octets = rtp.payload.len();
            self.stats
                .received(now_us, sequence, rtp.timestamp, clock_rate(codec), octets);
        }
        let is_video = codec != CodecName::Opus;
        if is_video && self.losses.received(now_us, sequence) == Gap::TooLarge {
            self.key_requests.want();
        }
        let number = if rtp.payload.is_empty() {
            self.numbering.padding(sequence).ok_or(Dropped::Padding)?
        } else {
            self.numbering.media(sequence).ok_or(Dropped::Duplicate)?
        };
        let newest = self
            .newest
            .map_or(number, |newest| newest.number.max(number));
        if newest - number >= self.capacity as u64 || self.history.get(number).is_some() {
            return Err(Dropped::Duplicate);
        }
        let packet = MediaPacket {
            number,
            timestamp: rtp.timestamp,
            arrival_us: now_us,
            marker: rtp.marker,
            codec,
            frame: inspect(codec, rtp.payload),
            audio_level: passengers.audio_level,
            video_orientation: passengers.video_orientation,
            payload: rtp.payload,
        };
        self.history.insert(&packet);
        if newest == number {
            self.newest = Some(NewestPacket {
                number,
                timestamp: rtp.timestamp,
            });
        }
        let came_to_life = !self.live;
        if came_to_life {
            self.live_since_us = now_us;
        }
        self.live = true;
        self.last_us = now_us;
        let resized =
            is_video && packet.frame.switch_point && self.key_frame_began(&packet, sequence);
        Ok(Received {
            packet,
            came_to_life,
            resized,
        })
    }

    /// Notes a key frame; returns whether it has another size than the one before.
    fn key_frame_began(&mut self, packet: &MediaPacket<'_>, sequence: u64) -> bool {
        self.losses.key_frame(sequence);
        self.key_requests.arrived();
        if self.key_frame.is_some_and(|key| key.number > packet.number) {
            return false;
        }
        self.key_frame = Some(KeyFrame {
            number: packet.number,
            arrival_us: packet.arrival_us,
        });
        let Some(resolution) = packet.frame.resolution else {
            return false;
        };
        self.resolution.replace(resolution) != Some(resolution)
    }

    /// The start of a key frame that is young and short enough to be replayed to a new receiver.
    #[must_use]
    pub fn replayable_key_frame(&self, now_us: u64) -> Option<MediaPacket<'_>> {
        let (key, newest) = (self.key_frame?, self.newest?);
        let fresh = now_us.saturating_sub(key.arrival_us) < REPLAY_MAX_AGE_US
            && newest.number.saturating_sub(key.number) < REPLAY_MAX_PACKETS;
        self.history.get(key.number).filter(|_| fresh)
    }

    /// The oldest of the packets without a gap between them that came in the last `span_us`.
    #[must_use]
    pub fn recent_onset(&self, now_us: u64, span_us: u64) -> Option<MediaPacket<'_>> {
        let newest = self.newest?;
        (0..=newest.number)
            .rev()
            .map_while(|number| self.history.get(number))
            .take_while(|packet| packet.arrival_us + span_us >= now_us)
            .last()
    }

    /// The instant to which the timestamp of `packet` belongs, if the newest packet is now's.
    #[must_use]
    pub fn line_us(&self, now_us: u64, packet: &MediaPacket<'_>) -> u64 {
        let newest = self
            .newest
            .map_or(packet.timestamp, |newest| newest.timestamp);
        let ahead = newest.wrapping_sub(packet.timestamp) as i32;
        let ahead_us = u64::from(ahead.max(0).unsigned_abs()) * 1_000_000
            / u64::from(clock_rate(packet.codec));
        now_us.saturating_sub(ahead_us)
    }

    /// The publisher began the layer anew with another SSRC.
    pub fn restart(&mut self) {
        self.forget_media();
        self.stats = ReceiveStats::default();
        self.unwrapper = Unwrapper::default();
        self.numbering = Numbering::default();
        self.resolution = None;
        self.live = false;
    }

    fn forget_media(&mut self) {
        self.history = History::new(self.capacity);
        self.losses.reset();
        self.key_requests.cancel();
        self.key_frame = None;
        self.newest = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Extensions;

    const KEY_640X360: &[u8] = &[
        0x90, 0x80, 0x01, 0x10, 0, 0, 0x9d, 1, 0x2a, 0x80, 0x02, 0x68, 0x01,
    ];
    const DELTA: &[u8] = &[0x90, 0x80, 0x02, 0x11, 0, 0];

    fn rtp(sequence: u16, payload: &[u8]) -> Packet<'_> {
        Packet {
            marker: false,
            payload_type: 96,
            sequence,
            timestamp: u32::from(sequence) * 3_000,
            ssrc: 1,
            extensions: Extensions::NONE,
            payload,
            padding: 0,
        }
    }

    fn receive<'a>(
        layer: &mut Layer,
        now_us: u64,
        sequence: u16,
        payload: &'a [u8],
    ) -> Result<Received<'a>, Dropped> {
        layer.receive(
            now_us,
            &rtp(sequence, payload),
            CodecName::Vp8,
            Passengers::default(),
            false,
        )
    }

    fn layer() -> Layer {
        Layer::new(String::new(), 512)
    }

    #[test]
    fn the_first_key_frame_brings_the_layer_to_life_and_gives_its_size() {
        let mut layer = layer();
        let received = receive(&mut layer, 0, 10, KEY_640X360).unwrap();
        assert!(received.came_to_life && received.resized);
        assert_eq!(
            layer.resolution,
            Some(Resolution {
                width: 640,
                height: 360
            })
        );
        let again = receive(&mut layer, 0, 11, KEY_640X360).unwrap();
        assert!(!again.came_to_life && !again.resized);
    }

    #[test]
    fn a_packet_is_forwarded_once_however_it_comes() {
        let mut layer = layer();
        receive(&mut layer, 0, 10, KEY_640X360).unwrap();
        receive(&mut layer, 0, 12, DELTA).unwrap();
        let late = layer.receive(
            0,
            &rtp(11, DELTA),
            CodecName::Vp8,
            Passengers::default(),
            true,
        );
        assert!(late.is_ok());
        assert_eq!(
            receive(&mut layer, 0, 11, DELTA).unwrap_err(),
            Dropped::Duplicate
        );
        assert_eq!(layer.losses.next_due_us(), None);
    }

    #[test]
    fn padding_leaves_no_gap_and_a_probe_before_media_nothing_at_all() {
        let mut layer = layer();
        let probe = layer.receive(
            0,
            &rtp(9, DELTA),
            CodecName::Vp8,
            Passengers::default(),
            true,
        );
        assert_eq!(probe.unwrap_err(), Dropped::Padding);
        let first = receive(&mut layer, 0, 10, KEY_640X360)
            .unwrap()
            .packet
            .number;
        assert_eq!(
            receive(&mut layer, 0, 11, &[]).unwrap_err(),
            Dropped::Padding
        );
        assert_eq!(
            receive(&mut layer, 0, 12, DELTA).unwrap().packet.number,
            first + 1
        );
    }

    #[test]
    fn a_packet_older_than_the_history_is_dropped() {
        let mut layer = layer();
        receive(&mut layer, 0, 1_000, KEY_640X360).unwrap();
        receive(&mut layer, 0, 2_000, DELTA).unwrap();
        assert_eq!(
            receive(&mut layer, 0, 1_488, DELTA).unwrap_err(),
            Dropped::Duplicate
        );
        assert!(receive(&mut layer, 0, 1_489, DELTA).is_ok());
    }

    #[test]
    fn a_young_key_frame_can_be_replayed_and_an_old_one_cannot() {
        let mut layer = layer();
        receive(&mut layer, 0, 10, KEY_640X360).unwrap();
        receive(&mut layer, 40_000, 11, DELTA).unwrap();
        assert!(layer.replayable_key_frame(299_999).is_some());
        assert!(layer.replayable_key_frame(300_000).is_none());
        let key = layer.replayable_key_frame(50_000).unwrap();
        assert_eq!(layer.line_us(50_000, &key), 50_000 - 33_333);
    }

    #[test]
    fn the_onset_of_a_voice_reaches_back_without_a_gap() {
        let mut layer = Layer::new(String::new(), 128);
        for n in 0..20u16 {
            if n != 16 {
                let packet = rtp(n, &[0xf8, 1, 2]);
                let now_us = u64::from(n) * 20_000;
                layer
                    .receive(
                        now_us,
                        &packet,
                        CodecName::Opus,
                        Passengers::default(),
                        false,
                    )
                    .unwrap();
            }
        }
        let onset = |span_us| layer.recent_onset(19 * 20_000, span_us).unwrap().timestamp / 3_000;
        assert_eq!(onset(20_000), 18);
        assert_eq!(onset(100_000), 17);
    }

    #[test]
    fn a_restart_begins_at_nothing() {
        let mut layer = layer();
        receive(&mut layer, 0, 10, KEY_640X360).unwrap();
        layer.restart();
        assert!(!layer.live && layer.resolution.is_none() && layer.newest.is_none());
        assert!(receive(&mut layer, 0, 60_000, DELTA).unwrap().came_to_life);
    }
}
