//! What a peer receives: one m-section whose SSRCs never change, whatever flows on it.
//!
//! A [`Slot`] knows what it is assigned ([`Slot::assigned`]), what flows now ([`Slot::current`])
//! and for which layer's key frame it waits ([`Slot::target`]); `forward.rs` moves these. Here a
//! packet of the current source becomes the slot's own: [`Slot::forward`] for the first time,
//! [`Slot::resend`] on the RTX stream (RFC 4588). Bytes are written once, into the sink's window.

use crate::bucket::Bucket;
use crate::codec::vp8;
use crate::events::LayerReason;
use crate::figures::SlotCounters;
use crate::forward::{PacketKind, Sink};
use crate::history::MediaPacket;
use crate::ids::{TrackId, TransportId};
use crate::layers::TileSize;
use crate::munge::{clock_rate, Munged, Munger};
use crate::params::{Codec, CodecName, MediaKind, SlotParams};
use crate::reports::SendStats;
use crate::resend::Resends;
use crate::rng::Rng;
use crate::rtcp::SenderInfo;
use crate::rtp::{ExtensionMap, ExtensionTemplate, ExtensionValues, FIXED_HEADER_LEN};
use crate::twcc::SendLog;

/// One CSRC on every packet: the low 32 bits of the track's id.
const CSRC_LEN: usize = 4;
/// Original sequence number in front of a retransmitted payload (RFC 4588 section 4).
const OSN_LEN: usize = 2;
/// A receiver's wish for a key frame counts once in this time: a broken one must not drain the
/// publisher for all others.
const PLI_INTERVAL_US: u64 = 1_000_000;
/// The owner is told of so many layers at once, and then of four a second: a publisher can change
/// them with every packet, for all who watch.
const TELL_BURST: u64 = 4;
const TELL_EVERY_US: u64 = 250_000;

/// One layer of one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The track.
    pub track: TrackId,
    /// Index into its layers.
    pub layer: usize,
}

/// What the owner was told of the layer that flows on a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its simulcast encoding; empty without simulcast or when nothing flows.
    pub rid: String,
    /// Pixels, 0 when not known.
    pub width: u32,
    /// Pixels, 0 when not known.
    pub height: u32,
    /// Why this layer.
    pub reason: LayerReason,
}

impl Shown {
    /// The slot is paused.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            rid: String::new(),
            width: 0,
            height: 0,
            reason: LayerReason::Paused,
        }
    }
}

/// One received m-section.
#[derive(Debug)]
pub struct Slot {
    /// Whose.
    pub transport: TransportId,
    /// Audio, camera or screen.
    pub kind: MediaKind,
    /// Bound by the engine to one of the loudest.
    pub auto: bool,
    /// Of its stream.
    pub ssrc: u32,
    /// In source descriptions.
    pub cname: String,
    /// The track that it is to show.
    pub assigned: Option<TrackId>,
    /// Since when.
    pub assigned_us: u64,
    /// What flows.
    pub current: Option<Source>,
    /// The layer to whose next key frame it will switch.
    pub target: Option<Source>,
    /// The track of which the owner was told last.
    pub bound: Option<TrackId>,
    /// Counts what the owner was told.
    pub binding: u32,
    /// The layer of which the owner was told last.
    pub shown: Option<Shown>,
    /// How often the owner may be told.
    pub tellings: Bucket<TELL_BURST, TELL_EVERY_US>,
    /// Another layer is to be told when it may be.
    pub untold: bool,
    /// How large it is drawn; `None`: not said.
    pub tile: Option<TileSize>,
    /// By command.
    pub paused: bool,
    /// What left for the first time.
    pub sent: SendStats,
    /// What left again.
    pub resent: SendStats,
    /// Figures.
    pub counters: SlotCounters,
    codecs: Vec<Codec>,
    template: ExtensionTemplate,
    munger: Munger,
    resends: Resends,
    rtx_ssrc: Option<u32>,
    rtx_sequence: u16,
    clock_rate: u32,
    last_pli_us: Option<u64>,
}

/// Where and when packets leave: the sink, and the transport's log of what left.
pub struct Exit<'a, S> {
    /// Now.
    pub now_us: u64,
    /// Takes the bytes.
    pub sink: &'a mut S,
    /// Gives transport-wide sequence numbers.
    pub log: &'a mut SendLog,
}

/// The header fields in which a first transmission and a retransmission differ.
struct Stream {
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
    original: Option<u16>,
}

impl Slot {
    /// From validated parameters. `rng` gives where the counters begin.
    #[must_use]
    pub fn new(transport: TransportId, params: &SlotParams, rng: &mut Rng) -> Self {
        let extensions = ExtensionMap::new(&params.extensions);
        Self {
            transport,
            kind: params.kind,
            auto: params.auto,
            ssrc: params.ssrc,
            cname: params.cname.clone(),
            assigned: None,
            assigned_us: 0,
            current: None,
            target: None,
            bound: None,
            binding: 0,
            shown: None,
            tellings: Bucket::default(),
            untold: false,
            tile: None,
            paused: false,
            sent: SendStats::default(),
            resent: SendStats::default(),
            counters: SlotCounters::default(),
            codecs: params.codecs.clone(),
            template: ExtensionTemplate::new(&extensions, &params.mid),
            munger: Munger::new(rng.next_u32() as u16, rng.next_u32()),
            resends: Resends::default(),
            rtx_ssrc: params.rtx_ssrc,
            rtx_sequence: rng.next_u32() as u16 & 0x7fff,
            clock_rate: params.codecs.first().map_or(0, |codec| codec.clock_rate),
            last_pli_us: None,
        }
    }

    /// Whether anything may flow.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.paused && !self.tile.is_some_and(TileSize::is_hidden)
    }

    /// Whether the receiver can decode what `codec` names.
    #[must_use]
    pub fn accepts(&self, codec: CodecName) -> bool {
        self.codec(codec).is_some()
    }

    /// Joins the line of a new source: `first` will be its first packet (see [`Munger::switch`]).
    pub fn switch(&mut self, line_us: u64, source: Source, first: &MediaPacket<'_>) {
        self.munger.switch(line_us, first);
        self.clock_rate = clock_rate(first.codec);
        self.resends.forget();
        self.counters.switches += 1;
        self.current = Some(source);
        if self.target == Some(source) {
            self.target = None;
        }
    }

    /// Breaks the line off: nothing flows before the next switch.
    pub fn stop(&mut self) {
        self.munger.stop();
        self.current = None;
    }

    /// Sends a packet of the current source; `None` when it is older than the switch or of a
    /// codec that the receiver does not accept.
    pub fn forward(
        &mut self,
        packet: &MediaPacket<'_>,
        exit: &mut Exit<'_, impl Sink>,
    ) -> Option<Munged> {
        let Some(codec) = self.codec(packet.codec) else {
            self.counters.dropped_codec += 1;
            return None;
        };
        let payload_type = codec.payload_type;
        let munged = self.munger.munge(exit.now_us, packet)?;
        let (ssrc, sequence) = (self.ssrc, munged.sequence);
        let stream = Stream {
            ssrc,
            payload_type,
            sequence,
            original: None,
        };
        let octets = self.emit(&stream, packet, &munged, exit);
        self.sent.sent(octets);
        self.resends.earn(octets);
        Some(munged)
    }

    /// Whether nothing has left since `then_us`, or ever.
    #[must_use]
    pub fn idle_since(&self, then_us: u64) -> bool {
        self.munger.idle_since(then_us)
    }

    /// Which packet of the current source a receiver asks for.
    #[must_use]
    pub fn wanted(&self, sequence: u16) -> Option<u64> {
        self.munger.source_number(sequence)
    }

    /// Sends a packet of the current source again, on the RTX stream. Returns whether it did.
    pub fn resend(
        &mut self,
        packet: &MediaPacket<'_>,
        rtt_us: u64,
        exit: &mut Exit<'_, impl Sink>,
    ) -> bool {
        let rtx_payload_type = self
            .codec(packet.codec)
            .and_then(|codec| codec.rtx_payload_type);
        let (Some(ssrc), Some(payload_type)) = (self.rtx_ssrc, rtx_payload_type) else {
            return false;
        };
        let Some(munged) = self.munger.resend(packet) else {
            return false;
        };
        if !self
            .resends
            .allow(exit.now_us, rtt_us, munged.sequence, packet.payload.len())
        {
            return false;
        }
        let sequence = self.rtx_sequence;
        self.rtx_sequence = sequence.wrapping_add(1);
        let stream = Stream {
            ssrc,
            payload_type,
            sequence,
            original: Some(munged.sequence),
        };
        let octets = self.emit(&stream, packet, &munged, exit);
        self.resent.sent(octets);
        true
    }

    /// The receiver's picture is broken. Returns whether the publisher should be asked.
    pub fn picture_lost(&mut self, now_us: u64) -> bool {
        self.counters.plis_received += 1;
        let allowed = self
            .last_pli_us
            .is_none_or(|last| now_us >= last + PLI_INTERVAL_US);
        if allowed {
            self.last_pli_us = Some(now_us);
        }
        allowed
    }

    /// The sender's half of the next SR, if packets left since the last one.
    pub fn sender_info(&mut self, now_us: u64) -> Option<SenderInfo> {
        let timestamp = self.munger.timestamp_at(now_us, self.clock_rate)?;
        self.sent
            .has_news()
            .then(|| self.sent.info(now_us, timestamp))
    }

    fn codec(&self, name: CodecName) -> Option<&Codec> {
        self.codecs.iter().find(|codec| codec.name == name)
    }

    /// Writes a packet into the sink and returns the bytes of its payload.
    fn emit(
        &self,
        stream: &Stream,
        packet: &MediaPacket<'_>,
        munged: &Munged,
        exit: &mut Exit<'_, impl Sink>,
    ) -> usize {
        let (head, rest) = split_descriptor(packet);
        let head_len = head.map_or(0, |descriptor| descriptor.written_len());
        let osn_len = if stream.original.is_some() {
            OSN_LEN
        } else {
            0
        };
        let header_len = FIXED_HEADER_LEN + CSRC_LEN + self.template.len();
        let payload_len = osn_len + head_len + rest.len();
        let len = header_len + payload_len;
        let mut values = ExtensionValues {
            abs_send_time: abs_send_time(exit.now_us),
            transport_sequence: 0,
            audio_level: packet.audio_level,
            video_orientation: packet.video_orientation,
        };
        if self.template.has_transport_cc() {
            values.transport_sequence = exit.log.sent(exit.now_us, len);
        }
        // The current source is the one whose packets are sent.
        let contributor = self.current.map_or(0, |source| source.track.0 as u32);
        exit.sink
            .push(self.transport, PacketKind::Rtp, len, |window| {
                let (header, payload) = window.split_at_mut(header_len);
                let (fixed, extensions) = header.split_at_mut(FIXED_HEADER_LEN + CSRC_LEN);
                let has_extensions = if extensions.is_empty() { 0 } else { 0x10 };
                fixed[0] = 0x81 | has_extensions; // version 2, one CSRC
                fixed[1] = u8::from(packet.marker) << 7 | stream.payload_type;
                fixed[2..4].copy_from_slice(&stream.sequence.to_be_bytes());
                fixed[4..8].copy_from_slice(&munged.timestamp.to_be_bytes());
                fixed[8..12].copy_from_slice(&stream.ssrc.to_be_bytes());
                fixed[12..16].copy_from_slice(&contributor.to_be_bytes());
                if !extensions.is_empty() {
                    self.template.write(&values, extensions);
                }
                let (osn, payload) = payload.split_at_mut(osn_len);
                if let Some(original) = stream.original {
                    osn.copy_from_slice(&original.to_be_bytes());
                }
                let (descriptor, payload) = payload.split_at_mut(head_len);
                if let Some(head) = head {
                    head.write(&munged.vp8, descriptor);
                }
                payload.copy_from_slice(rest);
            });
        payload_len
    }
}

/// The VP8 descriptor that is to be rewritten, if any, and the bytes that stay as they are.
fn split_descriptor<'a>(packet: &MediaPacket<'a>) -> (Option<vp8::Descriptor>, &'a [u8]) {
    let descriptor = packet.frame.vp8;
    let len = descriptor.map_or(0, |descriptor| usize::from(descriptor.len));
    match packet.payload.get(len..) {
        Some(rest) => (descriptor, rest),
        None => (None, packet.payload),
    }
}

/// 24 bits of 6.18 fixed point seconds.
fn abs_send_time(now_us: u64) -> u32 {
    let ticks = (u128::from(now_us) << 18) / 1_000_000;
    (ticks & 0xff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::inspect;
    use crate::params::Extension;
    use crate::rtp::Packet;

    #[derive(Default)]
    struct Tape(Vec<Vec<u8>>);

    impl Sink for Tape {
        fn push(
            &mut self,
            _: TransportId,
            _: PacketKind,
            len: usize,
            write: impl FnOnce(&mut [u8]),
        ) {
            let mut bytes = vec![0xaa; len];
            write(&mut bytes);
            self.0.push(bytes);
        }
    }

    const SOURCE: Source = Source {
        track: TrackId(0x1_0000_0007),
        layer: 0,
    };

    fn slot(rtx: bool) -> Slot {
        let params =
            SlotParams {
                kind: MediaKind::Video,
                mid: "6".into(),
                codecs: vec![Codec {
                    payload_type: 96,
                    name: CodecName::Vp8,
                    clock_rate: 90_000,
                    rtx_payload_type: rtx.then_some(97),
                }],
                extensions: vec![
                Extension { id: 4, uri: "urn:ietf:params:rtp-hdrext:sdes:mid".into() },
                Extension {
                    id: 3,
                    uri: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
                        .into(),
                },
                Extension {
                    id: 2,
                    uri: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time".into(),
                },
            ],
                auto: false,
                ssrc: 1_460,
                rtx_ssrc: rtx.then_some(1_461),
                cname: "c".into(),
            };
        Slot::new(TransportId(1), &params, &mut Rng::from_seed(1))
    }

    fn packet(number: u64, payload: &[u8]) -> MediaPacket<'_> {
        MediaPacket {
            number,
            timestamp: 5_000,
            arrival_us: 0,
            marker: true,
            codec: CodecName::Vp8,
            frame: inspect(CodecName::Vp8, payload),
            audio_level: None,
            video_orientation: None,
            payload,
        }
    }

    const KEY: &[u8] = &[
        0x90, 0x80, 0x11, 0x10, 0, 0, 0x9d, 1, 0x2a, 0x80, 0x02, 0x68, 0x01,
    ];

    #[test]
    fn a_packet_leaves_with_the_slots_identity_and_the_sources_picture() {
        let (mut tape, mut log) = (Tape::default(), SendLog::default());
        let mut exit = Exit {
            now_us: 1_000_000,
            sink: &mut tape,
            log: &mut log,
        };
        let mut slot = slot(true);
        slot.switch(0, SOURCE, &packet(9, KEY));
        let munged = slot.forward(&packet(9, KEY), &mut exit).unwrap();
        slot.forward(&packet(10, KEY), &mut exit).unwrap();
        let bytes = &tape.0[0];
        assert_eq!(bytes[0] & 0x0f, 1, "one CSRC");
        assert_eq!(bytes[12..16], [0, 0, 0, 7], "low half of the track's id");
        let rtp = Packet::parse(bytes).unwrap();
        assert_eq!((rtp.ssrc, rtp.payload_type, rtp.marker), (1_460, 96, true));
        assert_eq!(
            (rtp.sequence, rtp.timestamp),
            (munged.sequence, munged.timestamp)
        );
        assert_eq!(rtp.extensions.get(4), Some(&b"6"[..]));
        assert_eq!(rtp.extensions.get(3), Some(&[0, 0][..]));
        assert_eq!(rtp.extensions.get(2), Some(&[4, 0, 0][..]), "one second");
        // The short picture id became a long one; the rest is as the publisher sent it.
        assert_eq!(rtp.payload[..2], [0x90, 0x80]);
        assert_eq!(rtp.payload[4..], KEY[3..]);
        let second = Packet::parse(&tape.0[1]).unwrap();
        assert_eq!(second.extensions.get(3), Some(&[0, 1][..]));
        assert_eq!((slot.sent.packets, slot.sent.octets), (2, 28));
    }

    #[test]
    fn a_retransmission_has_its_own_stream_and_names_the_original() {
        let (mut tape, mut log) = (Tape::default(), SendLog::default());
        let mut exit = Exit {
            now_us: 0,
            sink: &mut tape,
            log: &mut log,
        };
        let mut slot = slot(true);
        slot.switch(0, SOURCE, &packet(9, KEY));
        let sent = slot.forward(&packet(9, KEY), &mut exit).unwrap();
        assert_eq!(slot.wanted(sent.sequence), Some(9));
        assert!(slot.resend(&packet(9, KEY), 0, &mut exit));
        assert!(!slot.resend(&packet(9, KEY), 0, &mut exit), "too soon");
        let rtp = Packet::parse(&tape.0[1]).unwrap();
        assert_eq!((rtp.ssrc, rtp.payload_type), (1_461, 97));
        assert_eq!(rtp.timestamp, sent.timestamp);
        assert_eq!(rtp.payload[..2], sent.sequence.to_be_bytes());
        let original = Packet::parse(&tape.0[0]).unwrap().payload;
        assert_eq!(&rtp.payload[2..], original);
        assert_eq!(slot.resent.packets, 1);
    }

    #[test]
    fn what_was_sent_again_of_another_source_is_not_counted_when_numbers_return() {
        let (mut tape, mut log) = (Tape::default(), SendLog::default());
        let mut exit = Exit {
            now_us: 0,
            sink: &mut tape,
            log: &mut log,
        };
        let mut slot = slot(true);
        slot.switch(0, SOURCE, &packet(9, KEY));
        let sent = slot.forward(&packet(9, KEY), &mut exit).unwrap();
        let again = (0..4).filter(|second| {
            exit.now_us = second * 1_000_000;
            slot.resend(&packet(9, KEY), 0, &mut exit)
        });
        assert_eq!(again.count(), 3);
        slot.switch(exit.now_us, SOURCE, &packet(1, KEY));
        let same = (1..=1 << 16).find(|&number| {
            let munged = slot.forward(&packet(number, KEY), &mut exit).unwrap();
            munged.sequence == sent.sequence
        });
        assert!(slot.resend(&packet(same.unwrap(), KEY), 0, &mut exit));
    }

    #[test]
    fn without_rtx_nothing_is_sent_again() {
        let (mut tape, mut log) = (Tape::default(), SendLog::default());
        let mut exit = Exit {
            now_us: 0,
            sink: &mut tape,
            log: &mut log,
        };
        let mut slot = slot(false);
        slot.switch(0, SOURCE, &packet(9, KEY));
        slot.forward(&packet(9, KEY), &mut exit).unwrap();
        assert!(!slot.resend(&packet(9, KEY), 0, &mut exit));
    }

    #[test]
    fn a_codec_that_was_not_accepted_does_not_leave() {
        let (mut tape, mut log) = (Tape::default(), SendLog::default());
        let mut exit = Exit {
            now_us: 0,
            sink: &mut tape,
            log: &mut log,
        };
        let mut slot = slot(true);
        let h264 = MediaPacket {
            codec: CodecName::H264,
            ..packet(1, &[0x67])
        };
        slot.switch(0, SOURCE, &h264);
        assert!(slot.forward(&h264, &mut exit).is_none());
        assert_eq!((tape.0.len(), slot.counters.dropped_codec), (0, 1));
    }

    #[test]
    fn late_padding_leaves_as_an_empty_packet() {
        let (mut tape, mut log) = (Tape::default(), SendLog::default());
        let mut exit = Exit {
            now_us: 0,
            sink: &mut tape,
            log: &mut log,
        };
        let mut slot = slot(true);
        slot.switch(0, SOURCE, &packet(9, KEY));
        slot.forward(&packet(10, &[]), &mut exit).unwrap();
        assert!(Packet::parse(&tape.0[0]).unwrap().payload.is_empty());
    }

    #[test]
    fn a_receiver_is_heard_once_a_second() {
        let mut slot = slot(true);
        let heard: Vec<_> = (0..30).filter(|n| slot.picture_lost(n * 100_000)).collect();
        assert_eq!(heard, [0, 10, 20]);
        assert_eq!(slot.counters.plis_received, 30);
    }
}
