//! H264 payloads (RFC 6184): where a key frame begins and how large it is.
//!
//! A receiver can start where a sequence parameter set (SPS) is sent: encoders put SPS, PPS and
//! IDR slices into one access unit. An IDR slice without an SPS before it is no switch point,
//! since slots announce no parameter sets in SDP.

use super::{FrameInfo, Resolution};

const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

pub(super) fn inspect(payload: &[u8]) -> FrameInfo {
    let sps = match nal_type(payload) {
        Some(SPS) => Some(payload),
        Some(STAP_A) => aggregated(payload).find(|unit| nal_type(unit) == Some(SPS)),
        // A fragment: the type of the whole unit and the start bit stand in the second byte.
        Some(FU_A) => payload
            .get(1)
            .filter(|&&fu| fu & 0x9f == 0x80 | SPS)
            .map(|_| &[][..]),
        _ => None,
    };
    FrameInfo {
        switch_point: sps.is_some(),
        resolution: sps.and_then(resolution),
        vp8: None,
    }
}

fn nal_type(unit: &[u8]) -> Option<u8> {
    unit.first().map(|head| head & 0x1f)
}

/// The units of a STAP-A (section 5.7.1), up to the first that runs over the end.
fn aggregated(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = payload.get(1..).unwrap_or(&[]);
    std::iter::from_fn(move || {
        let (len, after) = rest.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_be_bytes(*len));
        let unit = after.get(..len)?;
        rest = after.get(len..)?;
        Some(unit)
    })
}

/// The cropped size that an SPS states (ITU-T H.264 section 7.3.2.1.1).
fn resolution(sps: &[u8]) -> Option<Resolution> {
    let mut bits = Bits::new(sps.get(1..)?);
    let profile = bits.take(8)?;
    bits.take(16)?; // constraint flags, level
    bits.golomb()?; // seq_parameter_set_id
    let mut chroma_format = 1;
    if matches!(
        profile,
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
    ) {
        chroma_format = bits.golomb()?;
        if chroma_format == 3 {
            bits.take(1)?; // separate_colour_plane_flag
        }
        bits.golomb()?; // bit_depth_luma_minus8
        bits.golomb()?; // bit_depth_chroma_minus8
        bits.take(1)?; // qpprime_y_zero_transform_bypass_flag
        if bits.take(1)? == 1 {
            skip_scaling_lists(&mut bits, if chroma_format == 3 { 12 } else { 8 })?;
        }
    }
    bits.golomb()?; // log2_max_frame_num_minus4
    match bits.golomb()? {
        0 => {
            bits.golomb()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.take(1)?; // delta_pic_order_always_zero_flag
            bits.golomb()?; // offset_for_non_ref_pic
            bits.golomb()?; // offset_for_top_to_bottom_field
            let cycle = bits.golomb()?;
            for _ in 0..cycle.min(255) {
                bits.golomb()?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    bits.golomb()?; // max_num_ref_frames
    bits.take(1)?; // gaps_in_frame_num_value_allowed_flag
    let width_in_mbs = bits.golomb()?.checked_add(1)?;
    let height_in_map_units = bits.golomb()?.checked_add(1)?;
    let frame_mbs_only = bits.take(1)?;
    if frame_mbs_only == 0 {
        bits.take(1)?; // mb_adaptive_frame_field_flag
    }
    bits.take(1)?; // direct_8x8_inference_flag
    let fields = 2 - frame_mbs_only;
    let mut width = width_in_mbs.checked_mul(16)?;
    let mut height = height_in_map_units.checked_mul(16)?.checked_mul(fields)?;
    if bits.take(1)? == 1 {
        let (left, right) = (bits.golomb()?, bits.golomb()?);
        let (top, bottom) = (bits.golomb()?, bits.golomb()?);
        let (unit_x, unit_y) = match chroma_format {
            1 => (2, 2 * fields),
            2 => (2, fields),
            _ => (1, fields),
        };
        width = width.checked_sub(left.checked_add(right)?.checked_mul(unit_x)?)?;
        height = height.checked_sub(top.checked_add(bottom)?.checked_mul(unit_y)?)?;
    }
    let (width, height) = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
    (width > 0 && height > 0).then_some(Resolution { width, height })
}

fn skip_scaling_lists(bits: &mut Bits<'_>, lists: usize) -> Option<()> {
    for list in 0..lists {
        if bits.take(1)? == 0 {
            continue;
        }
        let size = if list < 6 { 16 } else { 64 };
        let (mut last, mut next) = (8i64, 8i64);
        for _ in 0..size {
            if next != 0 {
                next = (last + bits.signed_golomb()?).rem_euclid(256);
            }
            if next != 0 {
                last = next;
            }
        }
    }
    Some(())
}

/// Bits of a raw byte sequence payload; emulation prevention bytes (00 00 03) are left out.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    zeros: u8,
    current: u8,
    left: u8,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            zeros: 0,
            current: 0,
            left: 0,
        }
    }

    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            if self.left == 0 {
                self.load()?;
            }
            self.left -= 1;
            value = value << 1 | u32::from(self.current >> self.left & 1);
        }
        Some(value)
    }

    fn load(&mut self) -> Option<()> {
        let mut byte = *self.bytes.get(self.at)?;
        self.at += 1;
        if self.zeros >= 2 && byte == 3 {
            self.zeros = 0;
            byte = *self.bytes.get(self.at)?;
            self.at += 1;
        }
        self.zeros = if byte == 0 {
            self.zeros.saturating_add(1)
        } else {
            0
        };
        (self.current, self.left) = (byte, 8);
        Some(())
    }

    /// ue(v), section 9.1; longer than 31 bits is malformed.
    fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some(((1 << zeros) | self.take(zeros)?) - 1)
    }

    /// se(v), section 9.1.1.
    fn signed_golomb(&mut self) -> Option<i64> {
        let code = i64::from(self.golomb()?);
        Some(if code % 2 == 1 {
            (code + 1) / 2
        } else {
            -code / 2
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes an SPS bit by bit, the other way round from the parser.
    #[derive(Default)]
    struct Writer(Vec<bool>);

    impl Writer {
        fn put(mut self, value: u32, count: u32) -> Self {
            self.0
                .extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        fn ue(self, value: u32) -> Self {
            let bits = (value + 1).ilog2();
            self.put(0, bits).put(value + 1, bits + 1)
        }

        /// The unit with emulation prevention and the trailing stop bit.
        fn unit(self) -> Vec<u8> {
            let mut bits = self.put(1, 1).0;
            bits.resize(bits.len().next_multiple_of(8), false);
            let mut out = vec![0x67];
            for byte in bits.chunks(8) {
                let byte = byte
                    .iter()
                    .fold(0, |value, &bit| value << 1 | u8::from(bit));
                if byte <= 3 && out.ends_with(&[0, 0]) {
                    out.push(3);
                }
                out.push(byte);
            }
            out
        }
    }

    fn baseline(width_mbs: u32, height_mbs: u32, crop: Option<[u32; 4]>) -> Vec<u8> {
        let sps = Writer::default()
            .put(66, 8)
            .put(0xc01f, 16)
            .ue(0)
            .ue(0)
            .ue(2)
            .ue(1)
            .put(0, 1);
        let sps = sps.ue(width_mbs - 1).ue(height_mbs - 1).put(1, 1).put(1, 1);
        match crop {
            Some(crop) => crop.into_iter().fold(sps.put(1, 1), Writer::ue),
            None => sps.put(0, 1),
        }
        .put(0, 1)
        .unit()
    }

    #[test]
    fn an_sps_alone_or_aggregated_is_a_switch_point_with_a_size() {
        let sps = baseline(40, 23, Some([0, 0, 0, 4]));
        let want = Some(Resolution {
            width: 640,
            height: 360,
        });
        assert_eq!(inspect(&sps).resolution, want);
        let mut stap = vec![STAP_A | 0x60, 0, sps.len() as u8];
        stap.extend(&sps);
        stap.extend([0, 2, 0x68, 0xce]);
        let info = inspect(&stap);
        assert!(info.switch_point);
        assert_eq!(info.resolution, want);
    }

    #[test]
    fn slices_and_later_fragments_are_no_switch_points() {
        for payload in [
            &[0x65u8, 0x88][..],         // IDR slice without SPS
            &[0x41, 0x9a],               // P slice
            &[0x7c, 0x85, 0x88],         // FU-A, start of an IDR slice
            &[0x7c, 0x07, 0x42],         // FU-A, a later fragment of an SPS
            &[STAP_A, 0, 2, 0x68, 0xce], // PPS only
            &[STAP_A, 0, 9, 0x67],       // a unit that runs over the end
        ] {
            assert!(!inspect(payload).switch_point, "{payload:x?}");
        }
        assert!(inspect(&[0x7c, 0x87, 0x42]).switch_point);
    }

    #[test]
    fn high_profile_scaling_lists_and_emulation_bytes_are_stepped_over() {
        let sps = Writer::default()
            .put(100, 8)
            .put(0, 16)
            .ue(63)
            .ue(1)
            .ue(0)
            .ue(0)
            .put(0, 1);
        let mut sps = sps.put(1, 1).put(1, 1).ue(16); // list 0: delta -8 ends it at once
        sps = sps.put(0, 7).ue(0).ue(0).ue(0).ue(0).put(0, 1);
        let unit = sps.ue(79).ue(44).put(1, 1).put(1, 1).put(0, 2).unit();
        assert!(unit.windows(3).any(|bytes| bytes == [0, 0, 3]));
        assert_eq!(
            inspect(&unit).resolution,
            Some(Resolution {
                width: 1_280,
                height: 720
            })
        );
    }

    #[test]
    fn interlaced_frames_count_map_units_twice() {
        let sps = Writer::default()
            .put(66, 8)
            .put(0, 16)
            .ue(0)
            .ue(0)
            .ue(2)
            .ue(1)
            .put(0, 1);
        let unit = sps
            .ue(44)
            .ue(17)
            .put(0, 1)
            .put(0, 1)
            .put(1, 1)
            .put(0, 2)
            .unit();
        assert_eq!(
            inspect(&unit).resolution,
            Some(Resolution {
                width: 720,
                height: 576
            })
        );
    }

    #[test]
    fn a_cut_or_absurd_sps_has_no_size() {
        let sps = baseline(40, 23, Some([0, 0, 0, 4]));
        for len in 1..sps.len() - 2 {
            assert_eq!(inspect(&sps[..len]).resolution, None, "{len}");
        }
        assert_eq!(
            inspect(&baseline(40, 23, Some([400, 0, 0, 0]))).resolution,
            None
        );
        assert_eq!(
            inspect(&[0x67, 66, 0, 0, 0, 0, 0, 0, 0, 0, 0]).resolution,
            None
        );
    }
}
