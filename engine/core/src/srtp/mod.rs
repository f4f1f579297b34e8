//! SRTP and SRTCP: RFC 3711 framing with the three protection profiles that browsers offer.
//!
//! [`Keys`] come from DTLS (RFC 5764); [`Inbound`] opens what a peer sends, [`Outbound`] seals what
//! it receives, both in place. Ciphers are AWS-LC's; key derivation, rollover counters, the replay
//! window and the rule that no index is used for two plaintexts are ours.

mod cipher;
mod header;
mod inbound;
mod kdf;
mod outbound;
mod replay;

pub use cipher::MAX_OVERHEAD;
pub use inbound::{Inbound, OpenError, MAX_SOURCES};
pub use outbound::{Outbound, SealError};

use std::fmt;

/// A protection profile, by its number in `use_srtp` (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// SRTP_AES128_CM_HMAC_SHA1_80.
    Aes128CmSha1_80,
    /// SRTP_AEAD_AES_128_GCM.
    AeadAes128Gcm,
    /// SRTP_AEAD_AES_256_GCM.
    AeadAes256Gcm,
}

impl Profile {
    /// From its number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        match number {
            0x0001 => Some(Self::Aes128CmSha1_80),
            0x0007 => Some(Self::AeadAes128Gcm),
            0x0008 => Some(Self::AeadAes256Gcm),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Aes128CmSha1_80 => 0x0001,
            Self::AeadAes128Gcm => 0x0007,
            Self::AeadAes256Gcm => 0x0008,
        }
    }

    /// Bytes of a master key.
    #[must_use]
    pub fn key_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of a master salt.
    #[must_use]
    pub fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 => 14,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Bytes that sealing an RTP packet adds.
    #[must_use]
    pub fn tag_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 => 10,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }
}

/// The master key and salt of one direction.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    /// Bytes as the profile asks.
    pub key: Vec<u8>,
    /// Bytes as the profile asks.
    pub salt: Vec<u8>,
}

/// Both directions of one transport.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    profile: Profile,
    local: MasterKey,
    remote: MasterKey,
}

/// A key or salt does not have the length of its profile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyLength {
    /// Which part is wrong.
    pub part: &'static str,
    /// How long it must be.
    pub expected: usize,
    /// How long it is.
    pub found: usize,
}

impl fmt::Display for KeyLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            part,
            expected,
            found,
        } = self;
        write!(f, "{part} must have {expected} bytes, not {found}")
    }
}

impl std::error::Error for KeyLength {}

impl Keys {
    /// Checks the lengths; `local` seals what we send, `remote` opens what the peer sends.
    pub fn new(profile: Profile, local: MasterKey, remote: MasterKey) -> Result<Self, KeyLength> {
        for (part, bytes, expected) in [
            ("local_key", &local.key, profile.key_len()),
            ("local_salt", &local.salt, profile.salt_len()),
            ("remote_key", &remote.key, profile.key_len()),
            ("remote_salt", &remote.salt, profile.salt_len()),
        ] {
            if bytes.len() != expected {
                return Err(KeyLength {
                    part,
                    expected,
                    found: bytes.len(),
                });
            }
        }
        Ok(Self {
            profile,
            local,
            remote,
        })
    }

    /// The directions, ready for use: what the peer sends and what it receives.
    #[must_use]
    pub fn contexts(&self) -> (Inbound, Outbound) {
        (
            Inbound::new(self.profile, &self.remote),
            Outbound::new(self.profile, &self.local),
        )
    }

    /// The profile of both directions.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("profile", &self.profile)
            .finish_non_exhaustive() // keys must not reach a log
    }
}
