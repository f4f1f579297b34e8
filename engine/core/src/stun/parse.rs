//! Reading a STUN message out of a datagram.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{
    attribute, crc32::crc32, Class, IntegrityKey, FINGERPRINT_XOR, HEADER_LEN, INTEGRITY_LEN,
    MAGIC_COOKIE,
};

/// A datagram that is a well framed STUN message; attributes are read once, on parsing.
#[derive(Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Request, indication or answer.
    pub class: Class,
    /// Binding, or something that ICE does not use.
    pub method: u16,
    /// Chosen by who asks, repeated by who answers.
    pub transaction: [u8; 12],
    /// USERNAME: "local:remote" fragments as the receiver sees them.
    pub username: Option<&'a str>,
    /// PRIORITY of the peer-reflexive candidate.
    pub priority: Option<u32>,
    /// The controlling agent selects this pair.
    pub use_candidate: bool,
    /// Tie-breaker of an agent that believes to be controlling.
    pub ice_controlling: Option<u64>,
    /// Tie-breaker of an agent that believes to be controlled.
    pub ice_controlled: Option<u64>,
    /// XOR-MAPPED-ADDRESS of an answer.
    pub mapped_address: Option<SocketAddr>,
    /// ERROR-CODE of an answer.
    pub error_code: Option<u16>,
    /// SOFTWARE, an informal name of the sender.
    pub software: Option<&'a str>,
    /// The first attribute that had to be understood and was not.
    pub unknown_attribute: Option<u16>,
    integrity_at: Option<usize>,
}

/// Why a datagram is no STUN message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParseError {
    /// Shorter than a header, or than the header says, or longer.
    Length,
    /// The first two bits are not zero or the magic cookie is missing.
    NotStun,
    /// An attribute runs over the end or its value has the wrong form.
    Attribute,
    /// FINGERPRINT does not match.
    Fingerprint,
}

impl<'a> Message<'a> {
    /// Reads one datagram.
    ///
    /// Only what stands before MESSAGE-INTEGRITY is believed (RFC 8489 section 14.5), of repeated
    /// attributes only the first (section 14).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let (header, _) = bytes
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(ParseError::Length)?;
        let kind = u16::from_be_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let cookie = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        if kind & 0xc000 != 0 || cookie != MAGIC_COOKIE {
            return Err(ParseError::NotStun);
        }
        if length % 4 != 0 || HEADER_LEN + length != bytes.len() {
            return Err(ParseError::Length);
        }
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&header[8..20]);
        let (class, method) = split_type(kind);
        let mut message = Self {
            bytes,
            class,
            method,
            transaction,
            username: None,
            priority: None,
            use_candidate: false,
            ice_controlling: None,
            ice_controlled: None,
            mapped_address: None,
            error_code: None,
            software: None,
            unknown_attribute: None,
            integrity_at: None,
        };
        message.read_attributes()?;
        Ok(message)
    }

    /// Whether MESSAGE-INTEGRITY is there and was made with this key.
    #[must_use]
    pub fn verify(&self, key: &IntegrityKey) -> bool {
        let Some(at) = self.integrity_at else {
            return false;
        };
        let (Some(before), Some(value)) = (
            self.bytes.get(..at),
            self.bytes.get(at + 4..at + 4 + INTEGRITY_LEN),
        ) else {
            return false;
        };
        key.sign(before).is_some_and(|tag| {
            aws_lc_rs::constant_time::verify_slices_are_equal(tag.as_ref(), value).is_ok()
        })
    }

    /// Whether MESSAGE-INTEGRITY is there at all.
    #[must_use]
    pub fn has_integrity(&self) -> bool {
        self.integrity_at.is_some()
    }

    /// Length of the datagram.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        self.bytes.len()
    }

    fn read_attributes(&mut self) -> Result<(), ParseError> {
        let bytes = self.bytes;
        let mut at = HEADER_LEN;
        while let Some(head) = bytes.get(at..at + 4) {
            let kind = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = bytes
                .get(at + 4..at + 4 + length)
                .ok_or(ParseError::Attribute)?;
            let next = at + 4 + length.next_multiple_of(4);
            if next > bytes.len() {
                return Err(ParseError::Attribute);
            }
            if kind == attribute::FINGERPRINT {
                check_fingerprint(bytes, at, value)?;
                // It must be the last one (RFC 8489 section 14.7).
                return if next == bytes.len() {
                    Ok(())
                } else {
                    Err(ParseError::Attribute)
                };
            }
            if self.integrity_at.is_none() {
                self.read_attribute(at, kind, value)?;
            }
            at = next;
        }
        Ok(())
    }

    fn read_attribute(&mut self, at: usize, kind: u16, value: &'a [u8]) -> Result<(), ParseError> {
        match kind {
            attribute::MESSAGE_INTEGRITY => {
                if value.len() != INTEGRITY_LEN {
                    return Err(ParseError::Attribute);
                }
                self.integrity_at = Some(at);
            }
            attribute::USERNAME => first(&mut self.username, text(value, 513)?),
            attribute::PRIORITY => first(&mut self.priority, u32::from_be_bytes(fixed(value)?)),
            attribute::USE_CANDIDATE => self.use_candidate = true,
            attribute::ICE_CONTROLLING => {
                first(&mut self.ice_controlling, u64::from_be_bytes(fixed(value)?));
            }
            attribute::ICE_CONTROLLED => {
                first(&mut self.ice_controlled, u64::from_be_bytes(fixed(value)?));
            }
            attribute::XOR_MAPPED_ADDRESS => {
                first(
                    &mut self.mapped_address,
                    xor_address(value, &self.transaction)?,
                );
            }
            attribute::ERROR_CODE => first(&mut self.error_code, error_code(value)?),
            attribute::SOFTWARE => first(&mut self.software, text(value, 763)?),
            attribute::UNKNOWN_ATTRIBUTES => {}
            unknown if attribute::must_be_understood(unknown) => {
                first(&mut self.unknown_attribute, unknown);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The class bits stand between the method bits: M11–M7 C1 M6–M4 C0 M3–M0.
fn split_type(kind: u16) -> (Class, u16) {
    let class = match (kind & 0x0100 != 0, kind & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    };
    let method = (kind & 0x000f) | ((kind & 0x00e0) >> 1) | ((kind & 0x3e00) >> 2);
    (class, method)
}

fn check_fingerprint(bytes: &[u8], at: usize, value: &[u8]) -> Result<(), ParseError> {
    let said = u32::from_be_bytes(fixed(value)?);
    let before = bytes.get(..at).ok_or(ParseError::Attribute)?;
    // No length patching: FINGERPRINT is last, so the header already counts it.
    if crc32(&[before]) ^ FINGERPRINT_XOR == said {
        Ok(())
    } else {
        Err(ParseError::Fingerprint)
    }
}

fn first<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], ParseError> {
    value.try_into().map_err(|_| ParseError::Attribute)
}

fn text(value: &[u8], max: usize) -> Result<&str, ParseError> {
    if value.len() > max {
        return Err(ParseError::Attribute);
    }
    std::str::from_utf8(value).map_err(|_| ParseError::Attribute)
}

fn error_code(value: &[u8]) -> Result<u16, ParseError> {
    let [_, _, hundreds, rest, ..] = *value else {
        return Err(ParseError::Attribute);
    };
    Ok(u16::from(hundreds & 0x07) * 100 + u16::from(rest))
}

fn xor_address(value: &[u8], transaction: &[u8; 12]) -> Result<SocketAddr, ParseError> {
    let [_, family, port_high, port_low, address @ ..] = value else {
        return Err(ParseError::Attribute);
    };
    let cookie = MAGIC_COOKIE.to_be_bytes();
    let port = u16::from_be_bytes([port_high ^ cookie[0], port_low ^ cookie[1]]);
    let ip = match family {
        1 => {
            let address = u32::from_be_bytes(fixed(address)?) ^ MAGIC_COOKIE;
            IpAddr::V4(Ipv4Addr::from_bits(address))
        }
        2 => {
            let mut address: [u8; 16] = fixed(address)?;
            for (byte, mask) in address.iter_mut().zip(cookie.iter().chain(transaction)) {
                *byte ^= mask;
            }
            IpAddr::V6(Ipv6Addr::from(address))
        }
        _ => return Err(ParseError::Attribute),
    };
    Ok(SocketAddr::new(ip, port))
}
