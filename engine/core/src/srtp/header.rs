//! The little that SRTP must know of RTP and RTCP: what stays in clear.

/// Sequence number, SSRC and header length of an RTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtpClear {
    pub sequence_number: u16,
    pub ssrc: u32,
    /// Fixed header, CSRCs and header extension: everything that is not encrypted.
    pub len: usize,
}

/// Reads the clear part of an RTP packet; `None` if it is no RTP or shorter than it says.
pub fn rtp_clear(packet: &[u8]) -> Option<RtpClear> {
    let (fixed, _) = packet.split_first_chunk::<12>()?;
    if fixed[0] >> 6 != 2 {
        return None;
    }
    let mut len = 12 + 4 * usize::from(fixed[0] & 0x0f);
    if fixed[0] & 0x10 != 0 {
        let words = packet.get(len + 2..len + 4)?;
        len += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (len <= packet.len()).then_some(RtpClear {
        sequence_number: u16::from_be_bytes([fixed[2], fixed[3]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        len,
    })
}

/// Reads the sender's SSRC of an RTCP packet; `None` if it is no RTCP.
pub fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let (fixed, _) = packet.split_first_chunk::<8>()?;
    (fixed[0] >> 6 == 2).then(|| u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]))
}
