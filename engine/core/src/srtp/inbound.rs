//! Opens what one peer sends: authenticates, refuses replays, follows the rollover counter.
//!
//! A stream's state is made by its first authentic packet, never by a forged one, and there are
//! at most [`MAX_SOURCES`] of them, so a peer cannot make this grow. No number of bad packets closes
//! anything: they are errors to count.

use super::cipher::{Cipher, Inauthentic, Protocol};
use super::header::{rtcp_ssrc, rtp_clear};
use super::replay::{ReplayWindow, Verdict};
use super::{MasterKey, Profile};
use crate::ids::IdMap;

/// Streams (SSRCs) that one peer may send; a browser with simulcast needs about ten.
pub const MAX_SOURCES: usize = 64;

/// Why a packet was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// Not RTP or RTCP, or RTCP that is not encrypted.
    Malformed,
    /// Its index was opened before.
    Replayed,
    /// Its index is older than the window.
    TooOld,
    /// Its tag is wrong.
    Inauthentic,
    /// The peer sends more streams than [`MAX_SOURCES`].
    TooManySources,
}

impl From<Inauthentic> for OpenError {
    fn from(_: Inauthentic) -> Self {
        Self::Inauthentic
    }
}

/// One direction of one transport.
pub struct Inbound {
    rtp: Cipher,
    rtcp: Cipher,
    // Only authenticated peers choose these keys, and there are at most MAX_SOURCES.
    sources: IdMap<u32, Source>,
}

#[derive(Default)]
struct Source {
    rtp: Option<ReplayWindow>,
    rtcp: Option<ReplayWindow>,
}

impl Inbound {
    /// For the peer's master key.
    #[must_use]
    pub fn new(profile: Profile, master: &MasterKey) -> Self {
        Self {
            rtp: Cipher::new(profile, master, Protocol::Rtp),
            rtcp: Cipher::new(profile, master, Protocol::Rtcp),
            sources: IdMap::default(),
        }
    }

    /// Opens an SRTP packet in place; returns the length of the RTP packet.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, OpenError> {
        let clear = rtp_clear(packet).ok_or(OpenError::Malformed)?;
        let known = self.sources.get(&clear.ssrc);
        let window = known.and_then(|source| source.rtp.as_ref());
        let index = match window {
            // The sender's rollover counter starts at zero (RFC 3711 section 3.2.1).
            None => u64::from(clear.sequence_number),
            Some(window) => {
                let index = window
                    .estimate(clear.sequence_number)
                    .ok_or(OpenError::TooOld)?;
                admit(window, index)?;
                index
            }
        };
        if known.is_none() && self.sources.len() >= MAX_SOURCES {
            return Err(OpenError::TooManySources);
        }
        let len = self.rtp.open_rtp(packet, clear.len, clear.ssrc, index)?;
        let source = self.sources.entry(clear.ssrc).or_default();
        record(&mut source.rtp, index);
        Ok(len)
    }

    /// Opens an SRTCP packet in place; returns the length of the compound RTCP packet.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, OpenError> {
        let ssrc = rtcp_ssrc(packet).ok_or(OpenError::Malformed)?;
        let index = self.rtcp.rtcp_index(packet).ok_or(OpenError::Malformed)?;
        let known = self.sources.get(&ssrc);
        if let Some(window) = known.and_then(|source| source.rtcp.as_ref()) {
            admit(window, u64::from(index))?;
        }
        if known.is_none() && self.sources.len() >= MAX_SOURCES {
            return Err(OpenError::TooManySources);
        }
        let len = self.rtcp.open_rtcp(packet, ssrc, index)?;
        let source = self.sources.entry(ssrc).or_default();
        record(&mut source.rtcp, u64::from(index));
        Ok(len)
    }

    /// Streams that have sent an authentic packet.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.sources.len()
    }
}

fn admit(window: &ReplayWindow, index: u64) -> Result<(), OpenError> {
    match window.check(index) {
        Verdict::Fresh => Ok(()),
        Verdict::Used => Err(OpenError::Replayed),
        Verdict::TooOld => Err(OpenError::TooOld),
    }
}

fn record(window: &mut Option<ReplayWindow>, index: u64) {
    match window {
        Some(window) => window.record(index),
        None => *window = Some(ReplayWindow::starting_at(index)),
    }
}
