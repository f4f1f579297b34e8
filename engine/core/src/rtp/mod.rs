//! RTP (RFC 3550 section 5) and its header extensions (RFC 8285): parsing and field access.
//!
//! [`Packet`] borrows from the datagram and copies nothing. Every read is checked: hostile bytes
//! give [`ParseError`], never a panic. What packets mean (SSRCs, codecs, numbering) is for
//! `track.rs`; writing them for a receiver is for `slot.rs`, with [`ExtensionTemplate`].

mod extension;
mod template;
mod unwrap;

pub use extension::{ExtensionKind, ExtensionMap, Extensions};
pub use template::{ExtensionTemplate, ExtensionValues};
pub use unwrap::Unwrapper;

/// Size of the fixed header: version to SSRC.
pub const FIXED_HEADER_LEN: usize = 12;

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The datagram ends inside the header, the CSRC list or the extension block.
    Truncated,
    /// The version is not 2.
    Version,
    /// The padding count is zero or larger than what follows the header.
    Padding,
}

/// One parsed packet, borrowing from the plaintext datagram.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The marker bit: last packet of a video frame, first of a talk spurt for audio.
    pub marker: bool,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Sequence number as on the wire.
    pub sequence: u16,
    /// RTP timestamp as on the wire, in units of the clock rate.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Header extension elements, possibly none.
    pub extensions: Extensions<'a>,
    /// The payload without its padding.
    pub payload: &'a [u8],
    /// Bytes of padding that were cut off, 0 when the P bit was not set.
    pub padding: u8,
}

impl<'a> Packet<'a> {
    /// Parses one plaintext RTP datagram.
    ///
    /// # Errors
    /// [`ParseError`] when a length field points outside the datagram or the version is not 2.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, ParseError> {
        let (fixed, mut rest) = datagram
            .split_first_chunk::<FIXED_HEADER_LEN>()
            .ok_or(ParseError::Truncated)?;
        if fixed[0] >> 6 != 2 {
            return Err(ParseError::Version);
        }
        rest = rest
            .get(usize::from(fixed[0] & 0x0f) * 4..)
            .ok_or(ParseError::Truncated)?;
        let mut extensions = Extensions::NONE;
        if fixed[0] & 0x10 != 0 {
            let (head, after) = rest.split_first_chunk::<4>().ok_or(ParseError::Truncated)?;
            let profile = u16::from_be_bytes([head[0], head[1]]);
            let len = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
            extensions = Extensions::new(profile, after.get(..len).ok_or(ParseError::Truncated)?);
            rest = after.get(len..).ok_or(ParseError::Truncated)?;
        }
        let mut padding = 0;
        if fixed[0] & 0x20 != 0 {
            padding = *rest.last().ok_or(ParseError::Padding)?;
            let kept = rest
                .len()
                .checked_sub(usize::from(padding))
                .ok_or(ParseError::Padding)?;
            if padding == 0 {
                return Err(ParseError::Padding);
            }
            rest = rest.get(..kept).ok_or(ParseError::Padding)?;
        }
        Ok(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            extensions,
            payload: rest,
            padding,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V=2 P X CC=1, M PT=96, seq 0x1234, ts 1, ssrc 2, one CSRC.
    const HEAD: [u8; 16] = [
        0xb1, 0xe0, 0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 2, 0xca, 0xfe, 0xba, 0xbe,
    ];

    #[test]
    fn fields_extension_payload_and_padding_are_found() {
        let mut bytes = HEAD.to_vec();
        bytes.extend([0xbe, 0xde, 0, 1, 0x30, 0x61, 0, 0]);
        bytes.extend([1, 2, 3, 0, 0, 3]);
        let packet = Packet::parse(&bytes).unwrap();
        assert!(packet.marker);
        assert_eq!(packet.payload_type, 96);
        assert_eq!(packet.sequence, 0x1234);
        assert_eq!((packet.timestamp, packet.ssrc), (1, 2));
        assert_eq!(packet.extensions.get(3), Some(&b"a"[..]));
        assert_eq!((packet.payload, packet.padding), (&[1, 2, 3][..], 3));
    }

    #[test]
    fn a_packet_may_be_padding_alone() {
        let bytes = [0xa0, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 3];
        let packet = Packet::parse(&bytes).unwrap();
        assert!(packet.payload.is_empty());
        assert_eq!(packet.padding, 3);
    }

    #[test]
    fn every_cut_of_a_packet_is_refused_or_parsed_never_a_panic() {
        let mut bytes = HEAD.to_vec();
        bytes.extend([0xbe, 0xde, 0, 1, 0x30, 0x61, 0, 0]);
        for len in 0..bytes.len() {
            assert!(Packet::parse(&bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn impossible_padding_and_foreign_versions_are_refused() {
        let mut bytes = vec![0xa0, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 9];
        assert_eq!(Packet::parse(&bytes).unwrap_err(), ParseError::Padding);
        bytes[12] = 0;
        assert_eq!(Packet::parse(&bytes).unwrap_err(), ParseError::Padding);
        bytes.truncate(12);
        assert_eq!(Packet::parse(&bytes).unwrap_err(), ParseError::Padding);
        bytes[0] = 0x60;
        assert_eq!(Packet::parse(&bytes).unwrap_err(), ParseError::Version);
    }
}
