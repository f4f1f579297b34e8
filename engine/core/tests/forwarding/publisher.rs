//! A browser that publishes: simulcast video, audio, RTX on request.

use std::collections::VecDeque;

use sunup_engine_core::params::{Codec, CodecName, Extension, MediaKind, TrackParams};
use sunup_engine_core::rtcp;

pub const MID_ID: u8 = 4;
pub const RID_ID: u8 = 10;
pub const RRID_ID: u8 = 11;
pub const TCC_ID: u8 = 3;
pub const LEVEL_ID: u8 = 1;

pub const VP8: u8 = 96;
pub const VP8_RTX: u8 = 97;
pub const H264: u8 = 102;
pub const H264_RTX: u8 = 103;
pub const OPUS: u8 = 111;

pub const FRAME_US: u64 = 40_000;
pub const AUDIO_US: u64 = 20_000;

/// What is in a payload behind the codec's own bytes: enough to know a wrong picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub publisher: u8,
    pub layer: u8,
    /// Counts the layer's frames.
    pub frame: u32,
    pub index: u8,
    pub last: u8,
}

impl Stamp {
    pub const LEN: usize = 8;

    fn bytes(self) -> [u8; Self::LEN] {
        let [a, b, c, d] = self.frame.to_be_bytes();
        [
            self.publisher,
            self.layer,
            a,
            b,
            c,
            d,
            self.index,
            self.last,
        ]
    }

    pub fn parse(bytes: &[u8]) -> Self {
        let &[publisher, layer, a, b, c, d, index, last] = bytes.first_chunk::<8>().unwrap();
        Self {
            publisher,
            layer,
            frame: u32::from_be_bytes([a, b, c, d]),
            index,
            last,
        }
    }
}

/// One encoding of a camera.
pub struct Encoding {
    pub rid: &'static str,
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    pub width: u16,
    pub height: u16,
    pub packets_per_frame: u8,
    pub active: bool,
    pub frames: u32,
    pub keyframes: u32,
    key_wanted: bool,
    sequence: u16,
    rtx_sequence: u16,
    timestamp: u32,
    picture_id: u16,
    tl0: u8,
    key_index: u8,
    sent: VecDeque<(u16, Vec<u8>)>,
}

/// A camera or screen.
pub struct Camera {
    pub number: u8,
    pub mid: String,
    pub h264: bool,
    pub encodings: Vec<Encoding>,
    /// MID and RID are sent until this time, as before the first report in a browser.
    pub identify_until_us: u64,
    next_us: u64,
}

impl Camera {
    /// Layers of (rid, width, height), the first the largest.
    pub fn new(number: u8, mid: &str, layers: &[(&'static str, u16, u16)]) -> Self {
        let encoding = |(index, &(rid, width, height)): (usize, &(&'static str, u16, u16))| {
            let base = u32::from(number) * 1_000 + index as u32 * 10;
            Encoding {
                rid,
                ssrc: base + 1,
                rtx_ssrc: base + 2,
                width,
                height,
                packets_per_frame: (u32::from(width) * u32::from(height) / 80_000 + 1) as u8,
                active: true,
                frames: 0,
                keyframes: 0,
                key_wanted: true,
                // Near the wrap, so that every scenario crosses it.
                sequence: 65_500 + index as u16 * 7,
                rtx_sequence: 65_530,
                timestamp: u32::MAX - 20_000 * (index as u32 + 1),
                picture_id: 32_700 + index as u16 * 10,
                tl0: 250,
                key_index: 30,
                sent: VecDeque::new(),
            }
        };
        Self {
            number,
            mid: mid.into(),
            h264: false,
            encodings: layers.iter().enumerate().map(encoding).collect(),
            identify_until_us: u64::MAX,
            next_us: 0,
        }
    }

    /// Three layers of a 1280 x 720 camera.
    pub fn simulcast(number: u8) -> Self {
        Self::new(
            number,
            "1",
            &[("f", 1_280, 720), ("h", 640, 360), ("q", 320, 180)],
        )
    }

    /// One layer without a rid.
    pub fn single(number: u8, width: u16, height: u16) -> Self {
        Self::new(number, "1", &[("", width, height)])
    }

    pub fn params(&self) -> TrackParams {
        let named = self
            .encodings
            .iter()
            .filter(|encoding| !encoding.rid.is_empty());
        TrackParams {
            kind: MediaKind::Video,
            mid: self.mid.clone(),
            codecs: video_codecs(),
            extensions: extensions(),
            rids: named.map(|encoding| encoding.rid.to_owned()).collect(),
            ssrcs: Vec::new(),
        }
    }

    /// New SSRCs and counters, as after a restart of the encoder.
    pub fn restart(&mut self) {
        for encoding in &mut self.encodings {
            encoding.ssrc += 5;
            encoding.rtx_ssrc += 5;
            encoding.sequence = encoding.sequence.wrapping_mul(31).wrapping_add(977);
            encoding.timestamp = encoding.timestamp.wrapping_mul(31);
            encoding.picture_id = 3;
            encoding.key_wanted = true;
            encoding.sent.clear();
        }
    }

    pub fn next_us(&self) -> u64 {
        self.next_us
    }

    /// The packets of the frame that is due, of all active layers.
    pub fn tick(&mut self, now_us: u64, tcc: &mut u16) -> Vec<Vec<u8>> {
        self.next_us = now_us + FRAME_US;
        let identify = now_us < self.identify_until_us;
        let Self {
            number,
            mid,
            h264,
            encodings,
            ..
        } = self;
        let mut packets = Vec::new();
        for (layer, encoding) in encodings.iter_mut().enumerate() {
            if encoding.active {
                encoding.frame(
                    *number,
                    layer as u8,
                    *h264,
                    mid,
                    identify,
                    tcc,
                    &mut packets,
                );
            }
        }
        packets
    }

    /// A padding-only packet on each layer's own SSRC.
    pub fn padding(&mut self, tcc: &mut u16) -> Vec<Vec<u8>> {
        let mid = self.mid.clone();
        let one = |encoding: &mut Encoding| {
            let elements = [(MID_ID, mid.as_bytes()), (RID_ID, encoding.rid.as_bytes())];
            let head = Head {
                payload_type: VP8,
                marker: false,
                sequence: encoding.sequence,
                timestamp: encoding.timestamp,
                ssrc: encoding.ssrc,
            };
            encoding.sequence = encoding.sequence.wrapping_add(1);
            let mut packet = rtp_packet(&head, &elements, tcc, &[0, 0, 0, 4]);
            packet[0] |= 0x20;
            packet
        };
        self.encodings.iter_mut().map(one).collect()
    }

    /// Key frame requests and NACKs of the server; returns retransmissions.
    pub fn feedback(&mut self, packet: &rtcp::Packet<'_>, tcc: &mut u16) -> Vec<Vec<u8>> {
        let mid = self.mid.clone();
        let (h264, mut packets) = (self.h264, Vec::new());
        match packet {
            rtcp::Packet::PictureLossIndication { media_ssrc } => {
                for encoding in &mut self.encodings {
                    encoding.key_wanted |= encoding.ssrc == *media_ssrc;
                }
            }
            rtcp::Packet::Nack { media_ssrc, lost } => {
                let of = |encoding: &&mut Encoding| encoding.ssrc == *media_ssrc;
                for encoding in self.encodings.iter_mut().filter(of) {
                    for sequence in lost.iter() {
                        packets.extend(encoding.retransmit(sequence, h264, &mid, tcc));
                    }
                }
            }
            _ => {}
        }
        packets
    }
}

impl Encoding {
    #[allow(clippy::too_many_arguments)] // what a frame is made of
    fn frame(
        &mut self,
        publisher: u8,
        layer: u8,
        h264: bool,
        mid: &str,
        identify: bool,
        tcc: &mut u16,
        packets: &mut Vec<Vec<u8>>,
    ) {
        let key = std::mem::take(&mut self.key_wanted);
        let last = self.packets_per_frame * if key { 3 } else { 1 } - 1;
        self.timestamp = self.timestamp.wrapping_add(3_600);
        self.picture_id = (self.picture_id + 1) % 0x8000;
        if key {
            self.key_index = (self.key_index + 1) % 32;
            self.keyframes += 1;
        }
        // Temporal layers as a browser's L1T3: 0 2 1 2.
        let temporal = [0u8, 2, 1, 2][self.frames as usize % 4];
        let temporal = if key { 0 } else { temporal };
        if temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        for index in 0..=last {
            let stamp = Stamp {
                publisher,
                layer,
                frame: self.frames,
                index,
                last,
            };
            let mut payload = if h264 {
                h264_head(key, index, last, self.width, self.height)
            } else {
                self.vp8_head(key, index, temporal)
            };
            payload.extend(stamp.bytes());
            payload.resize(payload.len() + 900, 0x55);
            let head = Head {
                payload_type: if h264 { H264 } else { VP8 },
                marker: index == last,
                sequence: self.sequence,
                timestamp: self.timestamp,
                ssrc: self.ssrc,
            };
            let elements = [(MID_ID, mid.as_bytes()), (RID_ID, self.rid.as_bytes())];
            let elements = if identify { &elements[..] } else { &[] };
            packets.push(rtp_packet(&head, elements, tcc, &payload));
            let mut kept = head.timestamp.to_be_bytes().to_vec();
            kept.push(u8::from(head.marker));
            kept.extend(payload);
            self.sent.push_back((self.sequence, kept));
            self.sequence = self.sequence.wrapping_add(1);
        }
        while self.sent.len() > 600 {
            self.sent.pop_front();
        }
        self.frames += 1;
    }

    fn vp8_head(&self, key: bool, index: u8, temporal: u8) -> Vec<u8> {
        let [high, low] = (self.picture_id | 0x8000).to_be_bytes();
        let start = if index == 0 { 0x10 } else { 0 };
        let layers = temporal << 6 | self.key_index;
        let mut head = vec![0x80 | start, 0xf0, high, low, self.tl0, layers];
        if index == 0 && key {
            let ([w0, w1], [h0, h1]) = (self.width.to_le_bytes(), self.height.to_le_bytes());
            head.extend([0, 0, 0, 0x9d, 1, 0x2a, w0, w1, h0, h1]);
        } else {
            head.extend([1; 10]);
        }
        head
    }

    fn retransmit(
        &mut self,
        sequence: u16,
        h264: bool,
        mid: &str,
        tcc: &mut u16,
    ) -> Option<Vec<u8>> {
        let (_, kept) = self.sent.iter().find(|sent| sent.0 == sequence)?;
        let timestamp = u32::from_be_bytes(*kept.first_chunk().unwrap());
        let mut payload = sequence.to_be_bytes().to_vec();
        payload.extend(&kept[5..]);
        let head = Head {
            payload_type: if h264 { H264_RTX } else { VP8_RTX },
            marker: kept[4] == 1,
            sequence: self.rtx_sequence,
            timestamp,
            ssrc: self.rtx_ssrc,
        };
        self.rtx_sequence = self.rtx_sequence.wrapping_add(1);
        let elements = [(MID_ID, mid.as_bytes()), (RRID_ID, self.rid.as_bytes())];
        Some(rtp_packet(&head, &elements, tcc, &payload))
    }
}

/// STAP-A with SPS and PPS first, FU-A of the IDR slice after it; single slices otherwise.
fn h264_head(key: bool, index: u8, last: u8, width: u16, height: u16) -> Vec<u8> {
    if !key {
        return vec![0x41, 0x9a];
    }
    if index == 0 {
        let sps = baseline_sps(width, height);
        let mut stap = vec![0x78, 0, sps.len() as u8];
        stap.extend(sps);
        stap.extend([0, 2, 0x68, 0xce]);
        return stap;
    }
    let flags = if index == 1 { 0x80 } else { 0 } | if index == last { 0x40 } else { 0 };
    vec![0x7c, flags | 5]
}

/// A baseline SPS of the size, cropped to it.
fn baseline_sps(width: u16, height: u16) -> Vec<u8> {
    let (columns, rows) = (width.div_ceil(16), height.div_ceil(16));
    let mut bits: Vec<bool> = Vec::new();
    let mut put =
        |value: u32, count: u32| bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    let golomb = |value: u32, put: &mut dyn FnMut(u32, u32)| {
        let len = (value + 1).ilog2();
        put(0, len);
        put(value + 1, len + 1);
    };
    put(66, 8);
    put(0xc01f, 16);
    for value in [0, 0, 2, 1] {
        golomb(value, &mut put);
    }
    put(0, 1);
    golomb(u32::from(columns) - 1, &mut put);
    golomb(u32::from(rows) - 1, &mut put);
    put(0b111, 3); // frame_mbs_only, direct_8x8_inference, frame_cropping
    let crop = [
        0,
        u32::from(columns * 16 - width) / 2,
        0,
        u32::from(rows * 16 - height) / 2,
    ];
    for value in crop {
        golomb(value, &mut put);
    }
    put(0b01, 2); // no VUI, stop bit
    bits.resize(bits.len().next_multiple_of(8), false);
    let bytes = bits.chunks(8).map(|byte| {
        byte.iter()
            .fold(0, |value, &bit| value << 1 | u8::from(bit))
    });
    std::iter::once(0x67).chain(bytes).collect()
}

/// A microphone.
pub struct Microphone {
    pub number: u8,
    pub mid: String,
    pub ssrc: u32,
    /// RFC 6464 level, 127 silent; `None`: the extension is not sent.
    pub level: Option<u8>,
    pub size: usize,
    pub muted: bool,
    pub packets: u32,
    sequence: u16,
    timestamp: u32,
    next_us: u64,
}

impl Microphone {
    pub fn new(number: u8) -> Self {
        Self {
            number,
            mid: "0".into(),
            ssrc: u32::from(number) * 1_000 + 500,
            level: Some(70),
            size: 60,
            muted: false,
            packets: 0,
            sequence: 65_500,
            timestamp: u32::MAX - 50_000,
            next_us: u64::from(number) * 3_700 % AUDIO_US,
        }
    }

    pub fn params(&self) -> TrackParams {
        TrackParams {
            kind: MediaKind::Audio,
            mid: self.mid.clone(),
            codecs: audio_codecs(),
            extensions: extensions(),
            rids: Vec::new(),
            ssrcs: vec![(self.ssrc, None)],
        }
    }

    pub fn next_us(&self) -> u64 {
        self.next_us
    }

    pub fn tick(&mut self, now_us: u64, tcc: &mut u16) -> Vec<Vec<u8>> {
        self.next_us = now_us + AUDIO_US;
        self.timestamp = self.timestamp.wrapping_add(960);
        if self.muted {
            return Vec::new();
        }
        let head = Head {
            payload_type: OPUS,
            marker: false,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let stamp = Stamp {
            publisher: self.number,
            layer: 0,
            frame: self.packets,
            index: 0,
            last: 0,
        };
        let mut payload = vec![0xf8]; // CELT, 20 ms
        payload.extend(stamp.bytes());
        payload.resize(self.size, 0x55);
        self.packets += 1;
        let level = self.level.map(|level| [level | 0x80]);
        let elements: Vec<(u8, &[u8])> = level.iter().map(|level| (LEVEL_ID, &level[..])).collect();
        vec![rtp_packet(&head, &elements, tcc, &payload)]
    }
}

/// The fixed header of a packet.
pub struct Head {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

/// A packet with one-byte extension elements (empty ones left out) and a transport-wide number.
pub fn rtp_packet(head: &Head, elements: &[(u8, &[u8])], tcc: &mut u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x90, u8::from(head.marker) << 7 | head.payload_type];
    packet.extend(head.sequence.to_be_bytes());
    packet.extend(head.timestamp.to_be_bytes());
    packet.extend(head.ssrc.to_be_bytes());
    let mut block = Vec::new();
    let number = tcc.to_be_bytes();
    *tcc = tcc.wrapping_add(1);
    for &(id, data) in elements.iter().chain(&[(TCC_ID, &number[..])]) {
        if !data.is_empty() {
            block.push(id << 4 | (data.len() - 1) as u8);
            block.extend(data);
        }
    }
    block.resize(block.len().next_multiple_of(4), 0);
    packet.extend([0xbe, 0xde, 0, (block.len() / 4) as u8]);
    packet.extend(block);
    packet.extend(payload);
    packet
}

pub fn extensions() -> Vec<Extension> {
    [
        (MID_ID, "urn:ietf:params:rtp-hdrext:sdes:mid"),
        (RID_ID, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
        (
            RRID_ID,
            "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
        ),
        (
            TCC_ID,
            "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        ),
        (LEVEL_ID, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
    ]
    .into_iter()
    .map(|(id, uri)| Extension {
        id,
        uri: uri.into(),
    })
    .collect()
}

pub fn video_codecs() -> Vec<Codec> {
    [
        (VP8, CodecName::Vp8, VP8_RTX),
        (H264, CodecName::H264, H264_RTX),
    ]
    .into_iter()
    .map(|(payload_type, name, rtx)| Codec {
        payload_type,
        name,
        clock_rate: 90_000,
        rtx_payload_type: Some(rtx),
    })
    .collect()
}

pub fn audio_codecs() -> Vec<Codec> {
    vec![Codec {
        payload_type: OPUS,
        name: CodecName::Opus,
        clock_rate: 48_000,
        rtx_payload_type: None,
    }]
}
