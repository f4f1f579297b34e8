//! The VP8 payload descriptor (RFC 7741 section 4.2) and the frame tag (RFC 6386 section 9.1).
//!
//! A decoder takes picture id, TL0PICIDX and KEYIDX for one continuous count, so a slot rewrites
//! all three at every switch; [`Descriptor::write`] puts the patched descriptor in front of the
//! unchanged rest of the payload.

use super::{FrameInfo, Resolution};

/// Picture ids leave with 15 bits always, so a descriptor never changes its length later.
pub const PICTURE_ID_MODULUS: u16 = 1 << 15;
/// KEYIDX has five bits.
pub const KEY_INDEX_MODULUS: u8 = 1 << 5;

const EXTENDED: u8 = 0x80;
const START: u8 = 0x10;
const PARTITION: u8 = 0x0f;
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_TL0: u8 = 0x40;
const HAS_TID: u8 = 0x20;
const HAS_KEY_INDEX: u8 = 0x10;
const LONG_PICTURE_ID: u8 = 0x80;

/// A parsed payload descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Bytes that it takes in the publisher's payload.
    pub len: u8,
    /// 7 or 15 bits, as the publisher counts.
    pub picture_id: Option<u16>,
    /// Whether the publisher's picture id has 15 bits.
    pub long_picture_id: bool,
    /// Counts frames of temporal layer 0.
    pub tl0_picture_index: Option<u8>,
    /// Temporal layer, 0 to 3.
    pub temporal_layer: u8,
    /// Counts key frames.
    pub key_index: Option<u8>,
    first: u8,
    flags: u8,
    temporal_byte: u8,
}

/// The rewritten fields; those that the descriptor lacks are not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// 15 bits.
    pub picture_id: u16,
    /// 8 bits.
    pub tl0_picture_index: u8,
    /// 5 bits.
    pub key_index: u8,
}

impl Descriptor {
    /// `None` when the payload ends inside the descriptor.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut bytes = payload.iter().copied();
        let mut len = 0;
        let mut next = || {
            len += 1;
            bytes.next()
        };
        let mut descriptor = Self {
            first: next()?,
            ..Self::default()
        };
        if descriptor.first & EXTENDED != 0 {
            descriptor.flags = next()?;
            if descriptor.flags & HAS_PICTURE_ID != 0 {
                let high = next()?;
                descriptor.long_picture_id = high & LONG_PICTURE_ID != 0;
                descriptor.picture_id = Some(if descriptor.long_picture_id {
                    u16::from_be_bytes([high & 0x7f, next()?])
                } else {
                    u16::from(high)
                });
            }
            if descriptor.flags & HAS_TL0 != 0 {
                descriptor.tl0_picture_index = Some(next()?);
            }
            if descriptor.flags & (HAS_TID | HAS_KEY_INDEX) != 0 {
                descriptor.temporal_byte = next()?;
                if descriptor.flags & HAS_TID != 0 {
                    descriptor.temporal_layer = descriptor.temporal_byte >> 6;
                }
                if descriptor.flags & HAS_KEY_INDEX != 0 {
                    descriptor.key_index = Some(descriptor.temporal_byte & 0x1f);
                }
            }
        }
        descriptor.len = len;
        Some(descriptor)
    }

    /// Whether the payload is the first of its frame.
    #[must_use]
    pub fn starts_frame(&self) -> bool {
        self.first & START != 0 && self.first & PARTITION == 0
    }

    /// Bytes that the rewritten descriptor takes.
    #[must_use]
    pub fn written_len(&self) -> usize {
        let widened = self.picture_id.is_some() && !self.long_picture_id;
        usize::from(self.len) + usize::from(widened)
    }

    /// Writes the descriptor with the patched fields; `out` has [`Self::written_len`] bytes.
    pub fn write(&self, patch: &Patch, out: &mut [u8]) {
        let mut at = 0;
        let mut push = |byte| {
            out[at] = byte;
            at += 1;
        };
        push(self.first);
        if self.first & EXTENDED == 0 {
            return;
        }
        push(self.flags);
        if self.picture_id.is_some() {
            let [high, low] = patch.picture_id.to_be_bytes();
            push(high | LONG_PICTURE_ID);
            push(low);
        }
        if self.tl0_picture_index.is_some() {
            push(patch.tl0_picture_index);
        }
        if self.flags & (HAS_TID | HAS_KEY_INDEX) != 0 {
            push(match self.key_index {
                Some(_) => self.temporal_byte & 0xe0 | patch.key_index & 0x1f,
                None => self.temporal_byte,
            });
        }
    }
}

pub(super) fn inspect(payload: &[u8]) -> FrameInfo {
    let Some(descriptor) = Descriptor::parse(payload) else {
        return FrameInfo::default();
    };
    let frame = payload.get(usize::from(descriptor.len)..).unwrap_or(&[]);
    // RFC 6386 section 9.1: the lowest bit of the frame tag is 0 for a key frame.
    let key = descriptor.starts_frame() && frame.first().is_some_and(|tag| tag & 1 == 0);
    FrameInfo {
        switch_point: key,
        resolution: if key { resolution(frame) } else { None },
        vp8: Some(descriptor),
    }
}

/// The size that a key frame states after its start code; the two scaling bits are cut off.
fn resolution(frame: &[u8]) -> Option<Resolution> {
    let &[_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] = frame.first_chunk::<10>()? else {
        return None;
    };
    let width = u16::from_le_bytes([w0, w1]) & 0x3fff;
    let height = u16::from_le_bytes([h0, h1]) & 0x3fff;
    (width > 0 && height > 0).then_some(Resolution { width, height })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 15-bit picture id 0x1234, TL0PICIDX 7, TID 2, Y, KEYIDX 9, first packet of a frame.
    const FULL: [u8; 6] = [0x90, 0xf0, 0x92, 0x34, 7, 0b1010_1001];
    const KEY_640X360: [u8; 10] = [0x10, 0, 0, 0x9d, 1, 0x2a, 0x80, 0x02, 0x68, 0x41];

    #[test]
    fn every_field_of_a_full_descriptor_is_read() {
        let descriptor = Descriptor::parse(&FULL).unwrap();
        assert_eq!(descriptor.len, 6);
        assert_eq!(descriptor.picture_id, Some(0x1234));
        assert_eq!(descriptor.tl0_picture_index, Some(7));
        assert_eq!(descriptor.temporal_layer, 2);
        assert_eq!(descriptor.key_index, Some(9));
        assert!(descriptor.starts_frame());
    }

    #[test]
    fn a_key_frame_states_its_size_without_the_scaling_bits() {
        let payload = [&FULL[..], &KEY_640X360].concat();
        let info = inspect(&payload);
        assert!(info.switch_point);
        assert_eq!(
            info.resolution,
            Some(Resolution {
                width: 640,
                height: 360
            })
        );
    }

    #[test]
    fn neither_a_later_packet_nor_a_delta_frame_is_a_switch_point() {
        let mut later = [&FULL[..], &KEY_640X360].concat();
        later[0] &= !START;
        assert!(!inspect(&later).switch_point);
        let mut partition = [&FULL[..], &KEY_640X360].concat();
        partition[0] |= 1;
        assert!(!inspect(&partition).switch_point);
        let mut delta = [&FULL[..], &KEY_640X360].concat();
        delta[6] |= 1;
        assert!(!inspect(&delta).switch_point);
    }

    #[test]
    fn a_short_picture_id_is_written_long() {
        let payload = [0x90, 0x80, 0x05, 0xff];
        let descriptor = Descriptor::parse(&payload).unwrap();
        assert_eq!((descriptor.len, descriptor.written_len()), (3, 4));
        let mut out = [0; 4];
        descriptor.write(
            &Patch {
                picture_id: 0x7abc,
                ..Patch::default()
            },
            &mut out,
        );
        assert_eq!(out, [0x90, 0x80, 0xfa, 0xbc]);
    }

    #[test]
    fn only_the_three_counters_are_patched() {
        let descriptor = Descriptor::parse(&FULL).unwrap();
        let patch = Patch {
            picture_id: 1,
            tl0_picture_index: 2,
            key_index: 3,
        };
        let mut out = [0; 6];
        descriptor.write(&patch, &mut out);
        assert_eq!(out, [0x90, 0xf0, 0x80, 1, 2, 0b1010_0011]);
    }

    #[test]
    fn a_plain_descriptor_and_one_without_key_index_stay_as_they_are() {
        for payload in [&[0x10u8][..], &[0x90, 0x20, 0b0110_0101]] {
            let descriptor = Descriptor::parse(payload).unwrap();
            let mut out = vec![0; descriptor.written_len()];
            descriptor.write(
                &Patch {
                    picture_id: 1,
                    tl0_picture_index: 2,
                    key_index: 3,
                },
                &mut out,
            );
            assert_eq!(out, payload);
        }
    }

    proptest! {
        #[test]
        fn writing_the_same_fields_changes_nothing_but_the_width(
            payload in prop::collection::vec(any::<u8>(), 1..8),
        ) {
            let Some(descriptor) = Descriptor::parse(&payload) else { return Ok(()) };
            let patch = Patch {
                picture_id: descriptor.picture_id.unwrap_or_default(),
                tl0_picture_index: descriptor.tl0_picture_index.unwrap_or_default(),
                key_index: descriptor.key_index.unwrap_or_default(),
            };
            let mut out = vec![0; descriptor.written_len()];
            descriptor.write(&patch, &mut out);
            let again = Descriptor::parse(&out).unwrap();
            prop_assert_eq!(usize::from(again.len), out.len());
            prop_assert_eq!(again.picture_id, descriptor.picture_id);
            prop_assert_eq!(again.tl0_picture_index, descriptor.tl0_picture_index);
            prop_assert_eq!(again.key_index, descriptor.key_index);
            prop_assert_eq!(again.temporal_layer, descriptor.temporal_layer);
        }
    }
}
