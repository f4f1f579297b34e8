//! Seals what one peer receives, and never uses an index for two plaintexts.
//!
//! Sequence numbers are chosen by the caller (they are the slot's); this keeps the rollover counter
//! beside them and refuses a number that was sealed before or is too old to know. A retransmission
//! therefore has to travel on its own SSRC (RFC 4588).

use super::cipher::{Cipher, Protocol};
use super::header::{rtcp_ssrc, rtp_clear};
use super::replay::{ReplayWindow, Verdict};
use super::{MasterKey, Profile};
use crate::ids::IdMap;

/// Streams over the life of a transport; slots keep theirs, so this is far above any use.
pub const MAX_SOURCES: usize = 4096;
/// SRTCP indexes have 31 bits (RFC 3711 section 3.4).
const MAX_RTCP_INDEX: u32 = 0x7fff_ffff;

/// Why a packet was not sealed: each a fault of ours, to be counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SealError {
    /// Not RTP or RTCP.
    Malformed,
    /// The buffer has no room for the tag.
    NoRoom,
    /// Another packet had this sequence number, or may have had it.
    IndexUsed,
    /// More streams than [`MAX_SOURCES`].
    TooManySources,
    /// All indexes of the key are used.
    KeyExhausted,
}

/// One direction of one transport.
pub struct Outbound {
    rtp: Cipher,
    rtcp: Cipher,
    sources: IdMap<u32, ReplayWindow>,
    // One counter for all SSRCs: unique for each of them, too.
    next_rtcp_index: u32,
}

impl Outbound {
    /// For our master key.
    #[must_use]
    pub fn new(profile: Profile, master: &MasterKey) -> Self {
        Self {
            rtp: Cipher::new(profile, master, Protocol::Rtp),
            rtcp: Cipher::new(profile, master, Protocol::Rtcp),
            sources: IdMap::default(),
            next_rtcp_index: 0,
        }
    }

    /// Seals the RTP packet `buffer[..len]` in place; returns its length on the wire.
    pub fn seal_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SealError> {
        let packet = buffer.get(..len).ok_or(SealError::NoRoom)?;
        let clear = rtp_clear(packet).ok_or(SealError::Malformed)?;
        let index = match self.sources.get_mut(&clear.ssrc) {
            Some(window) => {
                let index = window
                    .estimate(clear.sequence_number)
                    .ok_or(SealError::IndexUsed)?;
                if window.check(index) != Verdict::Fresh {
                    return Err(SealError::IndexUsed);
                }
                // Recorded before sealing: an index is spent even when sealing fails.
                window.record(index);
                index
            }
            None => {
                if self.sources.len() >= MAX_SOURCES {
                    return Err(SealError::TooManySources);
                }
                let index = u64::from(clear.sequence_number);
                self.sources
                    .insert(clear.ssrc, ReplayWindow::starting_at(index));
                index
            }
        };
        self.rtp
            .seal_rtp(buffer, len, clear.len, clear.ssrc, index)
            .ok_or(SealError::NoRoom)
    }

    /// Seals the compound RTCP packet `buffer[..len]` in place; returns its length on the wire.
    pub fn seal_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SealError> {
        let packet = buffer.get(..len).ok_or(SealError::NoRoom)?;
        let ssrc = rtcp_ssrc(packet).ok_or(SealError::Malformed)?;
        let index = self.next_rtcp_index;
        if index > MAX_RTCP_INDEX {
            return Err(SealError::KeyExhausted);
        }
        self.next_rtcp_index += 1;
        self.rtcp
            .seal_rtcp(buffer, len, ssrc, index)
            .ok_or(SealError::NoRoom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3711 section 9.2: a key that has sealed 2^31 SRTCP packets seals no more.
    #[test]
    fn no_srtcp_index_is_used_twice() {
        let master = MasterKey {
            key: vec![7; 16],
            salt: vec![9; 12],
        };
        let mut outbound = Outbound::new(Profile::AeadAes128Gcm, &master);
        outbound.next_rtcp_index = MAX_RTCP_INDEX;
        let mut report = [0u8; 64];
        report[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0, 5]);
        assert!(outbound.seal_rtcp(&mut report, 8).is_ok());
        report[..8].copy_from_slice(&[0x80, 201, 0, 1, 0, 0, 0, 5]);
        assert_eq!(
            outbound.seal_rtcp(&mut report, 8),
            Err(SealError::KeyExhausted)
        );
    }
}
