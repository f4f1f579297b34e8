//! Writing a STUN message into a caller's buffer.

use std::net::{IpAddr, SocketAddr};

use super::{
    attribute, crc32::crc32, Class, IntegrityKey, FINGERPRINT_XOR, HEADER_LEN, MAGIC_COOKIE,
};

/// Builds one message; attributes come out in the order in which they are added.
///
/// Writing past the buffer is remembered and makes [`Writer::finish`] answer `None`, so that
/// callers need one check and not ten.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
    transaction: [u8; 12],
    overflow: bool,
}

impl<'a> Writer<'a> {
    /// Starts a message of a class and method.
    pub fn new(out: &'a mut [u8], class: Class, method: u16, transaction: [u8; 12]) -> Self {
        let class_bits = match class {
            Class::Request => 0x0000,
            Class::Indication => 0x0010,
            Class::Success => 0x0100,
            Class::Error => 0x0110,
        };
        let method_bits = (method & 0x000f) | ((method & 0x0070) << 1) | ((method & 0x0f80) << 2);
        let mut writer = Self {
            out,
            len: 0,
            transaction,
            overflow: false,
        };
        writer.push(&(class_bits | method_bits).to_be_bytes());
        writer.push(&[0, 0]);
        writer.push(&MAGIC_COOKIE.to_be_bytes());
        writer.push(&transaction);
        writer
    }

    /// USERNAME.
    #[must_use]
    pub fn username(self, name: &str) -> Self {
        self.attribute(attribute::USERNAME, &[name.as_bytes()])
    }

    /// SOFTWARE.
    #[must_use]
    pub fn software(self, name: &str) -> Self {
        self.attribute(attribute::SOFTWARE, &[name.as_bytes()])
    }

    /// PRIORITY.
    #[must_use]
    pub fn priority(self, priority: u32) -> Self {
        self.attribute(attribute::PRIORITY, &[&priority.to_be_bytes()])
    }

    /// ICE-CONTROLLING with its tie-breaker.
    #[must_use]
    pub fn ice_controlling(self, tie_breaker: u64) -> Self {
        self.attribute(attribute::ICE_CONTROLLING, &[&tie_breaker.to_be_bytes()])
    }

    /// ICE-CONTROLLED with its tie-breaker.
    #[must_use]
    pub fn ice_controlled(self, tie_breaker: u64) -> Self {
        self.attribute(attribute::ICE_CONTROLLED, &[&tie_breaker.to_be_bytes()])
    }

    /// USE-CANDIDATE.
    #[must_use]
    pub fn use_candidate(self) -> Self {
        self.attribute(attribute::USE_CANDIDATE, &[])
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489 section 14.2).
    #[must_use]
    pub fn xor_mapped_address(self, address: SocketAddr) -> Self {
        let cookie = MAGIC_COOKIE.to_be_bytes();
        let [high, low] = address.port().to_be_bytes();
        let port = [high ^ cookie[0], low ^ cookie[1]];
        match address.ip() {
            IpAddr::V4(ip) => {
                let xored = (ip.to_bits() ^ MAGIC_COOKIE).to_be_bytes();
                self.attribute(attribute::XOR_MAPPED_ADDRESS, &[&[0, 1], &port, &xored])
            }
            IpAddr::V6(ip) => {
                let mut xored = ip.octets();
                for (byte, mask) in xored.iter_mut().zip(cookie.iter().chain(&self.transaction)) {
                    *byte ^= mask;
                }
                self.attribute(attribute::XOR_MAPPED_ADDRESS, &[&[0, 2], &port, &xored])
            }
        }
    }

    /// ERROR-CODE, 300 to 699 (RFC 8489 section 14.8), without a reason phrase: an error answer must
    /// not be larger than the request that caused it.
    #[must_use]
    pub fn error_code(self, code: u16) -> Self {
        let [_, hundreds] = (code / 100).to_be_bytes();
        let [_, rest] = (code % 100).to_be_bytes();
        self.attribute(attribute::ERROR_CODE, &[&[0, 0, hundreds, rest]])
    }

    /// UNKNOWN-ATTRIBUTES.
    #[must_use]
    pub fn unknown_attribute(self, kind: u16) -> Self {
        self.attribute(attribute::UNKNOWN_ATTRIBUTES, &[&kind.to_be_bytes()])
    }

    /// MESSAGE-INTEGRITY over what stands so far.
    #[must_use]
    pub fn integrity(mut self, key: &IntegrityKey) -> Self {
        let tag = self.out.get(..self.len).and_then(|before| key.sign(before));
        match tag {
            Some(tag) => self.attribute(attribute::MESSAGE_INTEGRITY, &[tag.as_ref()]),
            None => {
                self.overflow = true;
                self
            }
        }
    }

    /// FINGERPRINT; must be the last attribute.
    #[must_use]
    pub fn fingerprint(mut self) -> Self {
        // The checksum covers a header whose length counts this attribute too.
        self.set_length(self.len + 8);
        let sum = crc32(&[self.out.get(..self.len).unwrap_or_default()]) ^ FINGERPRINT_XOR;
        self.attribute(attribute::FINGERPRINT, &[&sum.to_be_bytes()])
    }

    /// Length of the whole message, or `None` if the buffer was too small.
    #[must_use]
    pub fn finish(mut self) -> Option<usize> {
        self.set_length(self.len);
        (!self.overflow).then_some(self.len)
    }

    fn attribute(mut self, kind: u16, value: &[&[u8]]) -> Self {
        let length: usize = value.iter().map(|piece| piece.len()).sum();
        self.push(&kind.to_be_bytes());
        match u16::try_from(length) {
            Ok(length) => self.push(&length.to_be_bytes()),
            Err(_) => self.overflow = true,
        }
        for piece in value {
            self.push(piece);
        }
        const PADDING: [u8; 3] = [0; 3];
        self.push(&PADDING[..length.next_multiple_of(4) - length]);
        self
    }

    fn push(&mut self, bytes: &[u8]) {
        match self.out.get_mut(self.len..self.len + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.overflow = true,
        }
    }

    fn set_length(&mut self, len: usize) {
        let length = u16::try_from(len.saturating_sub(HEADER_LEN));
        match (length, self.out.get_mut(2..4)) {
            (Ok(length), Some(place)) => place.copy_from_slice(&length.to_be_bytes()),
            _ => self.overflow = true,
        }
    }
}
