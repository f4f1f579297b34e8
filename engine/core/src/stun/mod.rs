//! STUN messages as ICE uses them: RFC 8489 framing, RFC 8445 attributes, short-term credentials.
//!
//! [`Message::parse`] borrows a datagram and checks its framing, [`Message::verify`] its
//! MESSAGE-INTEGRITY; [`Writer`] makes replies into a caller's buffer. Whom to answer is decided in
//! `ice.rs`. Every read is bounded: no input makes this panic or loop.

mod crc32;
mod parse;
mod write;

pub use parse::{Message, ParseError};
pub use write::Writer;

use aws_lc_rs::hmac;

/// Fixed header: type, length, magic cookie, transaction id.
pub const HEADER_LEN: usize = 20;
/// RFC 8489 section 5.
pub const MAGIC_COOKIE: u32 = 0x2112_a442;
/// XORed over the CRC so that it differs from another protocol's (RFC 8489 section 14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// HMAC-SHA1 output.
const INTEGRITY_LEN: usize = 20;

/// Message class, the two C bits of the type (RFC 8489 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// Answers well.
    Success,
    /// Answers badly.
    Error,
}

/// The only method that ICE uses.
pub const BINDING: u16 = 0x001;

/// Attribute types (RFC 8489 section 18.3, RFC 8445 section 16.1).
pub(crate) mod attribute {
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const PRIORITY: u16 = 0x0024;
    pub const USE_CANDIDATE: u16 = 0x0025;
    pub const SOFTWARE: u16 = 0x8022;
    pub const FINGERPRINT: u16 = 0x8028;
    pub const ICE_CONTROLLED: u16 = 0x8029;
    pub const ICE_CONTROLLING: u16 = 0x802a;

    /// Types below 0x8000 must be understood or the request refused (RFC 8489 section 14).
    pub fn must_be_understood(kind: u16) -> bool {
        kind < 0x8000
    }
}

/// A short-term password, prepared once so that each check costs one HMAC.
#[derive(Clone)]
pub struct IntegrityKey(hmac::Key);

impl IntegrityKey {
    /// From the ICE password. ICE passwords are ASCII, so SASLprep changes nothing.
    #[must_use]
    pub fn new(password: &str) -> Self {
        Self(hmac::Key::new(
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            password.as_bytes(),
        ))
    }

    /// HMAC over a message whose header claims to end after the integrity attribute
    /// (RFC 8489 section 14.5).
    fn sign(&self, before_attribute: &[u8]) -> Option<hmac::Tag> {
        let (header, attributes) = before_attribute.split_at_checked(HEADER_LEN)?;
        let length = u16::try_from(attributes.len() + 4 + INTEGRITY_LEN).ok()?;
        let mut patched = [0; HEADER_LEN];
        patched.copy_from_slice(header);
        patched[2..4].copy_from_slice(&length.to_be_bytes());
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&patched);
        context.update(attributes);
        Some(context.sign())
    }
}

impl std::fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IntegrityKey(..)") // a password must not reach a log
    }
}
