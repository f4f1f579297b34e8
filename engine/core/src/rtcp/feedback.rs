//! Feedback about one stream: NACK, PLI (RFC 4585), FIR (RFC 5104) and REMB.

use super::{u16_at, u32_at, write_packet, PAYLOAD_FEEDBACK, TRANSPORT_FEEDBACK};

/// The sequence numbers that a generic NACK asks for.
#[derive(Clone, Copy, Debug)]
pub struct LostSequences<'a>(&'a [u8]);

impl<'a> LostSequences<'a> {
    pub(super) fn parse(fci: &'a [u8]) -> Self {
        Self(fci)
    }

    /// Each of them, in the order of the wire.
    pub fn iter(&self) -> impl Iterator<Item = u16> + 'a {
        self.0.chunks_exact(4).flat_map(|pair| {
            let first = u16_at(pair, 0).unwrap_or_default();
            let mask = u16_at(pair, 2).unwrap_or_default();
            let followers = (0..16u16)
                .filter(move |bit| mask >> bit & 1 == 1)
                .map(move |bit| first.wrapping_add(bit + 1));
            std::iter::once(first).chain(followers)
        })
    }
}

/// The streams that a FIR asks a key frame of.
#[derive(Clone, Copy, Debug)]
pub struct FullIntraRequests<'a>(&'a [u8]);

impl<'a> FullIntraRequests<'a> {
    pub(super) fn parse(fci: &'a [u8]) -> Self {
        Self(fci)
    }

    /// (media SSRC, command sequence number) of each entry; a repeated number is a repeat.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u8)> + 'a {
        self.0
            .chunks_exact(8)
            .map(|entry| (u32_at(entry, 0).unwrap_or_default(), entry[4]))
    }
}

/// Receiver estimated maximum bitrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remb {
    /// Bits per second for all streams together.
    pub bitrate_bps: u64,
}

impl Remb {
    /// `None`: malformed. `Some(None)`: another application-layer feedback.
    pub(super) fn parse(body: &[u8]) -> Option<Option<Self>> {
        if body.get(8..12)? != b"REMB" {
            return Some(None);
        }
        let word = u32_at(body, 12)?;
        let (exponent, mantissa) = (word >> 18 & 0x3f, u64::from(word & 0x3_ffff));
        let bitrate_bps = if exponent > 45 {
            u64::MAX
        } else {
            mantissa << exponent
        };
        Some(Some(Self { bitrate_bps }))
    }
}

/// Appends a PLI.
pub fn write_pli(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32) {
    write_packet(out, 1, PAYLOAD_FEEDBACK, |out| {
        out.extend(sender_ssrc.to_be_bytes());
        out.extend(media_ssrc.to_be_bytes());
    });
}

/// Appends a FIR of one entry.
pub fn write_fir(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32, command: u8) {
    write_packet(out, 4, PAYLOAD_FEEDBACK, |out| {
        out.extend(sender_ssrc.to_be_bytes());
        out.extend([0; 4]);
        out.extend(media_ssrc.to_be_bytes());
        out.extend([command, 0, 0, 0]);
    });
}

/// Appends a generic NACK for `lost`, which must not be empty and rises (modulo 2^16).
pub fn write_nack(out: &mut Vec<u8>, sender_ssrc: u32, media_ssrc: u32, lost: &[u16]) {
    write_packet(out, 1, TRANSPORT_FEEDBACK, |out| {
        out.extend(sender_ssrc.to_be_bytes());
        out.extend(media_ssrc.to_be_bytes());
        let mut rest = lost;
        while let Some((&first, after)) = rest.split_first() {
            let followers = after
                .iter()
                .take_while(|&&sequence| (1..=16).contains(&sequence.wrapping_sub(first)))
                .count();
            let mask = after[..followers].iter().fold(0u16, |mask, &sequence| {
                mask | 1 << (sequence.wrapping_sub(first) - 1)
            });
            out.extend(first.to_be_bytes());
            out.extend(mask.to_be_bytes());
            rest = &after[followers..];
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::{parse, Packet};
    use super::*;
    use proptest::prelude::*;

    fn lost(bytes: &[u8]) -> Vec<u16> {
        let Some(Packet::Nack {
            media_ssrc: 7,
            lost,
        }) = parse(bytes).next()
        else {
            panic!("not a NACK for 7")
        };
        lost.iter().collect()
    }

    #[test]
    fn a_nack_packs_neighbours_into_one_mask_across_the_wrap() {
        let mut bytes = Vec::new();
        write_nack(&mut bytes, 1, 7, &[65_535, 0, 15, 16]);
        assert_eq!(bytes.len(), 12 + 2 * 4);
        assert_eq!(bytes[12..16], [0xff, 0xff, 0x80, 0x01]);
        assert_eq!(lost(&bytes), [65_535, 0, 15, 16]);
    }

    #[test]
    fn fir_entries_and_their_commands_are_read() {
        let mut bytes = Vec::new();
        write_fir(&mut bytes, 1, 7, 200);
        let Some(Packet::FullIntraRequest(entries)) = parse(&bytes).next() else {
            panic!("not a FIR")
        };
        assert_eq!(entries.iter().collect::<Vec<_>>(), [(7, 200)]);
    }

    #[test]
    fn remb_is_a_mantissa_and_an_exponent() {
        // 0x3_ffff << 3 with two SSRCs, the example of the draft's field layout.
        let bytes = [
            0x8f, 206, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 2, 0x0f, 0xff, 0xff,
            0, 0, 0, 7, 0, 0, 0, 8,
        ];
        let Some(Packet::Remb(remb)) = parse(&bytes).next() else {
            panic!("not a REMB")
        };
        assert_eq!(remb.bitrate_bps, 0x3_ffff << 3);
    }

    proptest! {
        #[test]
        fn any_rising_list_survives_a_nack(
            start in any::<u16>(),
            steps in prop::collection::vec(1u16..40, 1..60),
        ) {
            let mut sequence = start;
            let mut list = vec![start];
            for step in steps {
                sequence = sequence.wrapping_add(step);
                list.push(sequence);
            }
            let mut bytes = Vec::new();
            write_nack(&mut bytes, 1, 7, &list);
            prop_assert_eq!(lost(&bytes), list);
        }
    }
}
