//! What a datagram is, by its first two bytes (RFC 7983 section 7, RFC 5761 section 4).

/// The protocols that share one port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// First byte 0 to 3.
    Stun,
    /// First byte 20 to 63.
    Dtls,
    /// First byte 128 to 191, payload type outside RTCP's range.
    Srtp,
    /// First byte 128 to 191, packet type 192 to 223.
    Srtcp,
    /// Everything else: ZRTP, TURN channels, QUIC, junk.
    Unknown,
}

/// Classifies a datagram; says nothing about whether it is well formed.
#[must_use]
pub fn classify(datagram: &[u8]) -> Protocol {
    match *datagram {
        [0..=3, ..] => Protocol::Stun,
        [20..=63, ..] => Protocol::Dtls,
        [128..=191, 192..=223, ..] => Protocol::Srtcp,
        [128..=191, _, ..] => Protocol::Srtp,
        _ => Protocol::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_byte_has_the_protocol_of_rfc_7983() {
        for first in 0..=255u8 {
            let expected = match first {
                0..=3 => Protocol::Stun,
                20..=63 => Protocol::Dtls,
                128..=191 => Protocol::Srtp,
                _ => Protocol::Unknown,
            };
            assert_eq!(classify(&[first, 96]), expected, "first byte {first}");
        }
        assert_eq!(classify(&[]), Protocol::Unknown);
        assert_eq!(classify(&[0x80]), Protocol::Unknown);
    }

    #[test]
    fn rtcp_is_told_by_its_packet_type() {
        for second in 0..=255u8 {
            let rtcp = (192..=223).contains(&second);
            let expected = if rtcp {
                Protocol::Srtcp
            } else {
                Protocol::Srtp
            };
            assert_eq!(classify(&[0x81, second]), expected, "second byte {second}");
        }
    }
}
