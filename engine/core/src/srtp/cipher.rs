//! One direction's RTP or RTCP cipher: seals and opens bytes whose index is already known.
//!
//! Counter mode with HMAC-SHA1 (RFC 3711) or AES-GCM (RFC 7714). Key schedules and HMAC pads are
//! made once. No state changes here, so the caller must never pass one index twice: `Outbound`
//! sees to it.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_128_GCM, AES_256_GCM};
use aws_lc_rs::cipher::EncryptingKey;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use super::kdf::{ctr, ctr_key, derive, Label};
use super::{MasterKey, Profile};

const GCM_TAG: usize = 16;
const SHA1_80_TAG: usize = 10;
/// The E flag and the SRTCP index behind every SRTCP packet.
const RTCP_TRAILER: usize = 4;
/// Encrypted, as WebRTC demands of all RTCP.
const E_FLAG: u32 = 0x8000_0000;
/// Version to SSRC: the part of an RTCP packet that stays in clear.
pub const RTCP_CLEAR: usize = 8;
/// What sealing adds at most.
pub const MAX_OVERHEAD: usize = GCM_TAG + RTCP_TRAILER;

/// The bytes do not carry a valid tag, or are too short to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inauthentic;

/// Which of the two protocols a cipher is for; they have different keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Rtp,
    Rtcp,
}

/// The session keys of one direction and protocol.
pub enum Cipher {
    /// RFC 3711.
    Cm(Box<CmCipher>),
    /// RFC 7714.
    Gcm(GcmCipher),
}

pub struct CmCipher {
    encryption: EncryptingKey,
    authentication: hmac::Key,
    salt: [u8; 14],
}

pub struct GcmCipher {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Cipher {
    /// Derives the session keys.
    pub fn new(profile: Profile, master: &MasterKey, protocol: Protocol) -> Self {
        let [encryption, authentication, salt] = match protocol {
            Protocol::Rtp => [
                Label::RtpEncryption,
                Label::RtpAuthentication,
                Label::RtpSalt,
            ],
            Protocol::Rtcp => [
                Label::RtcpEncryption,
                Label::RtcpAuthentication,
                Label::RtcpSalt,
            ],
        };
        let mut key = vec![0; profile.key_len()];
        derive(profile, master, encryption, &mut key);
        let algorithm = match profile {
            Profile::Aes128CmSha1_80 => {
                let mut authentication_key = [0; 20];
                derive(profile, master, authentication, &mut authentication_key);
                let mut session_salt = [0; 14];
                derive(profile, master, salt, &mut session_salt);
                return Self::Cm(Box::new(CmCipher {
                    encryption: ctr_key(&key),
                    authentication: hmac::Key::new(
                        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                        &authentication_key,
                    ),
                    salt: session_salt,
                }));
            }
            Profile::AeadAes128Gcm => &AES_128_GCM,
            Profile::AeadAes256Gcm => &AES_256_GCM,
        };
        let mut session_salt = [0; 12];
        derive(profile, master, salt, &mut session_salt);
        let key = UnboundKey::new(algorithm, &key).expect("key lengths are checked by Keys::new");
        Self::Gcm(GcmCipher {
            key: LessSafeKey::new(key),
            salt: session_salt,
        })
    }

    /// Seals the RTP packet `buffer[..len]` in place and returns its new length.
    ///
    /// `index` is rollover counter and sequence number. `None` if the buffer is too small for the
    /// tag or `header_len` lies behind `len`.
    pub fn seal_rtp(
        &self,
        buffer: &mut [u8],
        len: usize,
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Option<usize> {
        match self {
            Self::Gcm(gcm) => {
                let (packet, tag) = buffer.get_mut(..len + GCM_TAG)?.split_at_mut_checked(len)?;
                let (header, payload) = packet.split_at_mut_checked(header_len)?;
                gcm.seal(gcm.rtp_nonce(ssrc, index), header, payload, tag)?;
                Some(len + GCM_TAG)
            }
            Self::Cm(cm) => {
                let (packet, tag) = buffer
                    .get_mut(..len + SHA1_80_TAG)?
                    .split_at_mut_checked(len)?;
                let payload = packet.get_mut(header_len..)?;
                ctr(&cm.encryption, cm.counter(ssrc, index), payload);
                tag.copy_from_slice(&cm.tag(packet, rollover_counter(index)));
                Some(len + SHA1_80_TAG)
            }
        }
    }

    /// Opens an SRTP packet in place and returns the length of the plain one.
    ///
    /// On failure the payload may be destroyed.
    pub fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, Inauthentic> {
        match self {
            Self::Gcm(gcm) => {
                let (header, sealed) =
                    packet.split_at_mut_checked(header_len).ok_or(Inauthentic)?;
                let payload_len = gcm.open(gcm.rtp_nonce(ssrc, index), header, sealed)?;
                Ok(header_len + payload_len)
            }
            Self::Cm(cm) => {
                let len = packet.len().checked_sub(SHA1_80_TAG).ok_or(Inauthentic)?;
                let (packet, tag) = packet.split_at_mut(len);
                if len < header_len {
                    return Err(Inauthentic);
                }
                verify_slices_are_equal(&cm.tag(packet, rollover_counter(index)), tag)
                    .map_err(|_| Inauthentic)?;
                ctr(
                    &cm.encryption,
                    cm.counter(ssrc, index),
                    &mut packet[header_len..],
                );
                Ok(len)
            }
        }
    }

    /// Seals the compound RTCP packet `buffer[..len]` in place and returns its new length.
    ///
    /// `None` if the buffer is too small or the packet shorter than its fixed part.
    pub fn seal_rtcp(&self, buffer: &mut [u8], len: usize, ssrc: u32, index: u32) -> Option<usize> {
        let trailer = (index | E_FLAG).to_be_bytes();
        match self {
            Self::Gcm(gcm) => {
                let sealed_len = len + GCM_TAG;
                let whole = buffer.get_mut(..sealed_len + RTCP_TRAILER)?;
                let (packet, rest) = whole.split_at_mut(len);
                let (clear, payload) = packet.split_at_mut_checked(RTCP_CLEAR)?;
                let (tag, trailer_place) = rest.split_at_mut(GCM_TAG);
                let aad = rtcp_aad(clear, trailer)?;
                gcm.seal(gcm.rtcp_nonce(ssrc, index), &aad, payload, tag)?;
                trailer_place.copy_from_slice(&trailer);
                Some(sealed_len + RTCP_TRAILER)
            }
            Self::Cm(cm) => {
                let whole = buffer.get_mut(..len + RTCP_TRAILER + SHA1_80_TAG)?;
                let (packet, rest) = whole.split_at_mut(len);
                let payload = packet.get_mut(RTCP_CLEAR..)?;
                ctr(&cm.encryption, cm.counter(ssrc, u64::from(index)), payload);
                let (trailer_place, tag) = rest.split_at_mut(RTCP_TRAILER);
                trailer_place.copy_from_slice(&trailer);
                tag.copy_from_slice(&cm.tag(packet, trailer));
                Some(len + RTCP_TRAILER + SHA1_80_TAG)
            }
        }
    }

    /// Opens an SRTCP packet in place and returns the length of the plain one.
    ///
    /// On failure the payload may be destroyed.
    pub fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        index: u32,
    ) -> Result<usize, Inauthentic> {
        let trailer = (index | E_FLAG).to_be_bytes();
        match self {
            Self::Gcm(gcm) => {
                let end = packet.len().checked_sub(RTCP_TRAILER).ok_or(Inauthentic)?;
                let (clear, sealed) = packet[..end]
                    .split_at_mut_checked(RTCP_CLEAR)
                    .ok_or(Inauthentic)?;
                let aad = rtcp_aad(clear, trailer).ok_or(Inauthentic)?;
                let payload_len = gcm.open(gcm.rtcp_nonce(ssrc, index), &aad, sealed)?;
                Ok(RTCP_CLEAR + payload_len)
            }
            Self::Cm(cm) => {
                let len = packet
                    .len()
                    .checked_sub(RTCP_TRAILER + SHA1_80_TAG)
                    .filter(|&len| len >= RTCP_CLEAR)
                    .ok_or(Inauthentic)?;
                let (packet, rest) = packet.split_at_mut(len);
                verify_slices_are_equal(&cm.tag(packet, trailer), &rest[RTCP_TRAILER..])
                    .map_err(|_| Inauthentic)?;
                ctr(
                    &cm.encryption,
                    cm.counter(ssrc, u64::from(index)),
                    &mut packet[RTCP_CLEAR..],
                );
                Ok(len)
            }
        }
    }

    /// Reads the trailer of an SRTCP packet: its index, if it says that it is encrypted.
    pub fn rtcp_index(&self, packet: &[u8]) -> Option<u32> {
        let behind = match self {
            Self::Gcm(_) => 0,
            Self::Cm(_) => SHA1_80_TAG,
        };
        let end = packet.len().checked_sub(behind)?;
        let (_, trailer) = packet.get(..end)?.split_last_chunk::<RTCP_TRAILER>()?;
        let word = u32::from_be_bytes(*trailer);
        (word & E_FLAG != 0).then_some(word & !E_FLAG)
    }
}

impl GcmCipher {
    /// RFC 7714 section 8.1.
    fn rtp_nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = self.salt;
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[6..12], &index.to_be_bytes()[2..]);
        Nonce::assume_unique_for_key(nonce)
    }

    /// RFC 7714 section 9.1.
    fn rtcp_nonce(&self, ssrc: u32, index: u32) -> Nonce {
        let mut nonce = self.salt;
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[8..12], &index.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&self, nonce: Nonce, aad: &[u8], payload: &mut [u8], tag: &mut [u8]) -> Option<()> {
        let made = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), payload)
            .ok()?;
        tag.copy_from_slice(made.as_ref());
        Some(())
    }

    fn open(&self, nonce: Nonce, aad: &[u8], sealed: &mut [u8]) -> Result<usize, Inauthentic> {
        self.key
            .open_in_place(nonce, Aad::from(aad), sealed)
            .map(|plain| plain.len())
            .map_err(|_| Inauthentic)
    }
}

impl CmCipher {
    /// The first counter block of a packet (RFC 3711 section 4.1.1).
    fn counter(&self, ssrc: u32, index: u64) -> [u8; 16] {
        let mut counter = [0; 16];
        counter[..14].copy_from_slice(&self.salt);
        xor(&mut counter[4..8], &ssrc.to_be_bytes());
        xor(&mut counter[8..14], &index.to_be_bytes()[2..]);
        counter
    }

    /// HMAC over the packet and a suffix: the rollover counter of RTP, the trailer of RTCP.
    fn tag(&self, packet: &[u8], suffix: [u8; 4]) -> [u8; SHA1_80_TAG] {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(packet);
        context.update(&suffix);
        let whole = context.sign();
        let mut tag = [0; SHA1_80_TAG];
        tag.copy_from_slice(&whole.as_ref()[..SHA1_80_TAG]);
        tag
    }
}

fn rollover_counter(index: u64) -> [u8; 4] {
    let [_, _, a, b, c, d, _, _] = index.to_be_bytes();
    [a, b, c, d]
}

/// RFC 7714 section 9.2: the clear part and the trailer are authenticated, not encrypted.
fn rtcp_aad(clear: &[u8], trailer: [u8; 4]) -> Option<[u8; RTCP_CLEAR + RTCP_TRAILER]> {
    let mut aad = [0; RTCP_CLEAR + RTCP_TRAILER];
    aad.get_mut(..RTCP_CLEAR)?
        .copy_from_slice(clear.get(..RTCP_CLEAR)?);
    aad[RTCP_CLEAR..].copy_from_slice(&trailer);
    Some(aad)
}

fn xor(bytes: &mut [u8], mask: &[u8]) {
    for (byte, mask) in bytes.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests;
