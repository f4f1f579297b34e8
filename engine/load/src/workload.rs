//! Workload W1: one VP8 video of 2.5 Mb/s, 30 frames a second in nine packets of about 1,200
//! bytes, each frame's packets spread over 40 % of the frame interval as a browser paces them.
//!
//! [`Video`] writes the packets, [`Pace`] says when each is due; neither knows a clock or a
//! socket. The last bytes of every payload carry a [`Stamp`], which a subscriber finds again after
//! the server has rewritten headers and the VP8 descriptor.

use crate::plan::Publisher;

/// Bytes of one RTP packet before sealing.
pub const PACKET_LEN: usize = 1184;
const PACKETS_PER_FRAME: u64 = 9;
const FRAMES_PER_SECOND: u64 = 30;
const NANOS: u64 = 1_000_000_000;
/// The share of a frame interval over which its packets are spread, in percent.
const SPREAD: u64 = 40;
/// RTP ticks of one frame at 90 kHz.
const FRAME_TICKS: u32 = 3_000;
/// Key frames come on request, and this often by themselves.
const KEY_INTERVAL: u64 = 60;
const MAGIC: u64 = 0x5355_4e55_504c_4f41;

/// When the packets of a stream are due.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    start: u64,
}

impl Pace {
    /// A stream whose first packet is due at `start` nanoseconds.
    pub fn new(start: u64) -> Self {
        Self { start }
    }

    /// When packet `number`, counted from 0, is due.
    pub fn due(&self, number: u64) -> u64 {
        let (frame, place) = (number / PACKETS_PER_FRAME, number % PACKETS_PER_FRAME);
        let spread = NANOS * SPREAD / (FRAMES_PER_SECOND * 100 * PACKETS_PER_FRAME);
        self.start + frame * NANOS / FRAMES_PER_SECOND + place * spread
    }

    /// Packets of so many seconds, whole frames.
    pub fn packets(seconds: u64) -> u64 {
        seconds * FRAMES_PER_SECOND * PACKETS_PER_FRAME
    }
}

/// What a payload says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The measurement it belongs to; 0 is warm-up.
    pub round: u32,
    /// When it was sent, nanoseconds of the wall clock.
    pub sent: u64,
}

impl Stamp {
    const LEN: usize = 20;

    /// Writes itself at the end of a payload.
    pub fn write(self, payload: &mut [u8]) {
        let at = payload.len() - Self::LEN;
        payload[at..at + 8].copy_from_slice(&MAGIC.to_be_bytes());
        payload[at + 8..at + 12].copy_from_slice(&self.round.to_be_bytes());
        payload[at + 12..].copy_from_slice(&self.sent.to_be_bytes());
    }

    /// The stamp at the end of an opened packet, if it is one of ours.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let (_, stamp) = packet.split_last_chunk::<{ Self::LEN }>()?;
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte))
        };
        (number(&stamp[..8]) == MAGIC).then(|| Self {
            round: u32::try_from(number(&stamp[8..12])).unwrap_or_default(),
            sent: number(&stamp[12..]),
        })
    }
}

/// The stream of the publisher, packet after packet.
#[derive(Debug)]
pub struct Video {
    header: Vec<u8>,
    abs_send_time_at: Option<usize>,
    transport_cc_at: Option<usize>,
    packet: u64,
    key_wanted: bool,
    frame_is_key: bool,
}

impl Video {
    /// A stream that begins with a key frame.
    pub fn new(publisher: &Publisher) -> Self {
        let mut header = vec![0x90, publisher.payload_type, 0, 0, 0, 0, 0, 0];
        header.extend(publisher.ssrc.to_be_bytes());
        header.extend([0xbe, 0xde, 0, 0]); // RFC 8285 one-byte header, length filled in below
        let mut element = |id: u8, value: &[u8]| {
            (id != 0).then(|| {
                header.push(id << 4 | (u8::try_from(value.len()).unwrap_or(1) - 1));
                header.extend(value);
                header.len() - value.len()
            })
        };
        element(publisher.mid_id, publisher.mid.as_bytes());
        let abs_send_time_at = element(publisher.abs_send_time_id, &[0; 3]);
        let transport_cc_at = element(publisher.transport_cc_id, &[0; 2]);
        header.resize(header.len().next_multiple_of(4), 0);
        header[15] = u8::try_from((header.len() - 16) / 4).unwrap_or_default();
        Self {
            header,
            abs_send_time_at,
            transport_cc_at,
            packet: 0,
            key_wanted: true,
            frame_is_key: false,
        }
    }

    /// Makes the next frame a key frame.
    pub fn want_key_frame(&mut self) {
        self.key_wanted = true;
    }

    /// Writes the next RTP packet of [`PACKET_LEN`] bytes.
    pub fn write(&mut self, stamp: Stamp, out: &mut [u8]) {
        let (frame, place) = (
            self.packet / PACKETS_PER_FRAME,
            self.packet % PACKETS_PER_FRAME,
        );
        if place == 0 {
            self.frame_is_key = std::mem::take(&mut self.key_wanted) || frame % KEY_INTERVAL == 0;
        }
        let out = &mut out[..PACKET_LEN];
        out.fill(0x5a);
        let header_len = self.header.len();
        out[..header_len].copy_from_slice(&self.header);
        if place == PACKETS_PER_FRAME - 1 {
            out[1] |= 0x80; // marker: the frame ends here
        }
        out[2..4].copy_from_slice(&low_16(self.packet).to_be_bytes());
        let ticks = low_32(frame).wrapping_mul(FRAME_TICKS);
        out[4..8].copy_from_slice(&ticks.to_be_bytes());
        if let Some(at) = self.abs_send_time_at {
            out[at..at + 3].copy_from_slice(&abs_send_time(stamp.sent));
        }
        if let Some(at) = self.transport_cc_at {
            out[at..at + 2].copy_from_slice(&low_16(self.packet).to_be_bytes());
        }
        let payload = &mut out[header_len..];
        self.write_vp8(place, low_16(frame), payload);
        stamp.write(payload);
        self.packet += 1;
    }

    /// RFC 7741: a descriptor with a 15-bit picture id, then the frame header at a frame's start.
    fn write_vp8(&self, place: u64, picture: u16, payload: &mut [u8]) {
        let start = if place == 0 { 0x10 } else { 0 };
        payload[0] = 0x80 | start;
        payload[1] = 0x80;
        payload[2..4].copy_from_slice(&(picture | 0x8000).to_be_bytes());
        if place == 0 {
            let inter = u8::from(!self.frame_is_key);
            payload[4..7].copy_from_slice(&[0x10 | inter, 0x40, 0x01]);
            if self.frame_is_key {
                // Start code, then 1280 and 720 in 14 bits each (RFC 6386 section 9.1).
                payload[7..14].copy_from_slice(&[0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02]);
            }
        }
    }
}

/// Seconds in 6.18 fixed point, 24 bits.
fn abs_send_time(nanos: u64) -> [u8; 3] {
    let (seconds, rest) = (nanos / NANOS, nanos % NANOS);
    let [_, high, middle, low] = low_32((seconds << 18) + (rest << 18) / NANOS).to_be_bytes();
    [high, middle, low]
}

/// Sequence numbers, picture ids and times wrap: the low bits are what travels.
fn low_16(number: u64) -> u16 {
    (number & 0xffff) as u16
}

fn low_32(number: u64) -> u32 {
    (number & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use sunup_engine_core::rtp::Packet;
    use sunup_engine_core::srtp::{Keys, MasterKey, Profile};

    fn publisher() -> Publisher {
        let master = || MasterKey {
            key: vec![1; 16],
            salt: vec![2; 12],
        };
        Publisher {
            peer: crate::plan::Peer {
                fd: 0,
                server: ([127, 0, 0, 1], 1).into(),
                username: String::new(),
                password: String::new(),
                keys: Keys::new(Profile::AeadAes128Gcm, master(), master()).expect("keys"),
            },
            ssrc: 7,
            payload_type: 96,
            mid: "1".to_owned(),
            mid_id: 1,
            abs_send_time_id: 2,
            transport_cc_id: 3,
        }
    }

    #[test]
    fn a_second_has_270_packets_and_pauses_after_each_frame() {
        assert_eq!(Pace::packets(1), 270);
        let pace = Pace::new(1_000);
        assert_eq!(pace.due(0), 1_000);
        assert_eq!(pace.due(270), 1_000 + NANOS);
        let last_of_frame = pace.due(8) - pace.due(0);
        assert!(last_of_frame < NANOS * SPREAD / 100 / FRAMES_PER_SECOND);
        assert!(pace.due(9) - pace.due(8) > NANOS / FRAMES_PER_SECOND / 2);
    }

    #[test]
    fn the_engine_reads_what_is_written() {
        let mut video = Video::new(&publisher());
        let mut buffer = [0; 2048];
        let stamp = Stamp { round: 3, sent: 5 };
        for number in 0..20_u16 {
            video.write(stamp, &mut buffer);
            let packet = Packet::parse(&buffer[..PACKET_LEN]).expect("an RTP packet");
            assert_eq!(packet.sequence, number);
            assert_eq!(packet.marker, number % 9 == 8);
            assert_eq!(packet.timestamp, u32::from(number) / 9 * FRAME_TICKS);
            assert_eq!(packet.extensions.get(1), Some(&b"1"[..]));
            assert_eq!(packet.extensions.get(3), Some(&number.to_be_bytes()[..]));
            assert_eq!(Stamp::read(packet.payload), Some(stamp));
        }
    }

    #[test]
    fn key_frames_come_first_and_on_request() {
        let mut video = Video::new(&publisher());
        let mut buffer = [0; 2048];
        let mut keys = Vec::new();
        for number in 0..5 * PACKETS_PER_FRAME {
            if number == 20 {
                video.want_key_frame();
            }
            video.write(Stamp { round: 0, sent: 0 }, &mut buffer);
            let payload = Packet::parse(&buffer[..PACKET_LEN]).expect("RTP").payload;
            if number % PACKETS_PER_FRAME == 0 && payload[4] & 1 == 0 {
                assert_eq!(payload[7..10], [0x9d, 0x01, 0x2a]);
                keys.push(number / PACKETS_PER_FRAME);
            }
        }
        assert_eq!(keys, [0, 3]);
    }

    #[test]
    fn a_foreign_payload_has_no_stamp() {
        assert_eq!(Stamp::read(&[0x5a; 100]), None);
        assert_eq!(Stamp::read(&[]), None);
    }
}
