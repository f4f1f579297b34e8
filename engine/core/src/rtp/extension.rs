//! RTP header extensions: the elements of a packet and the negotiated meaning of their ids.
//!
//! Both wire forms of RFC 8285 are read (one-byte section 4.2, two-byte section 4.3). Writing is
//! done by [`super::ExtensionTemplate`], which lays a receiver's elements out once.

use crate::params::Extension;

pub(super) const ONE_BYTE: u16 = 0xbede;
pub(super) const TWO_BYTE: u16 = 0x1000;

/// The extensions that the engine understands; others are dropped at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionKind {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid` (RFC 8843): which m-section.
    Mid,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id` (RFC 8852): which layer.
    Rid,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id` (RFC 8852): whose RTX.
    RepairedRid,
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level` (RFC 6464).
    AudioLevel,
    /// `urn:3gpp:video-orientation` (3GPP TS 26.114).
    VideoOrientation,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`.
    AbsSendTime,
    /// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportCc,
}

impl ExtensionKind {
    /// The extension of a URI from SDP, `None` for one that the engine does not use.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        Some(match uri {
            "urn:ietf:params:rtp-hdrext:sdes:mid" => Self::Mid,
            "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id" => Self::Rid,
            "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id" => Self::RepairedRid,
            "urn:ietf:params:rtp-hdrext:ssrc-audio-level" => Self::AudioLevel,
            "urn:3gpp:video-orientation" => Self::VideoOrientation,
            "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time" => Self::AbsSendTime,
            "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" => {
                Self::TransportCc
            }
            _ => return None,
        })
    }
}

/// Negotiated ids, one per extension at most. With BUNDLE all m-sections agree on them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionMap {
    entries: Vec<(u8, ExtensionKind)>,
}

impl ExtensionMap {
    /// The map of a validated m-section; URIs that the engine does not use are left out.
    #[must_use]
    pub fn new(extensions: &[Extension]) -> Self {
        let mut map = Self::default();
        for extension in extensions {
            if let Some(kind) = ExtensionKind::from_uri(&extension.uri) {
                map.set(extension.id, kind);
            }
        }
        map
    }

    /// The id of an extension, if negotiated.
    #[must_use]
    pub fn id(&self, kind: ExtensionKind) -> Option<u8> {
        self.entries
            .iter()
            .find(|entry| entry.1 == kind)
            .map(|entry| entry.0)
    }

    /// Adds what another m-section of the same BUNDLE group negotiated.
    pub fn merge(&mut self, other: &Self) {
        for &(id, kind) in &other.entries {
            self.set(id, kind);
        }
    }

    fn set(&mut self, id: u8, kind: ExtensionKind) {
        self.entries
            .retain(|entry| entry.0 != id && entry.1 != kind);
        self.entries.push((id, kind));
    }
}

/// The extension elements of one packet.
#[derive(Clone, Copy, Debug)]
pub struct Extensions<'a> {
    header_len: usize,
    data: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// A packet without an extension block.
    pub const NONE: Extensions<'static> = Extensions {
        header_len: 0,
        data: &[],
    };

    /// The block with this `defined by profile` word; an unknown word means no elements.
    #[must_use]
    pub fn new(profile: u16, data: &'a [u8]) -> Self {
        let header_len = match profile {
            ONE_BYTE => 1,
            word if word & 0xfff0 == TWO_BYTE => 2,
            _ => return Extensions::NONE,
        };
        Self { header_len, data }
    }

    /// The data of the first element with this id.
    #[must_use]
    pub fn get(&self, id: u8) -> Option<&'a [u8]> {
        self.iter()
            .find(|element| element.0 == id)
            .map(|element| element.1)
    }

    /// All elements in order, up to the first that is malformed.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut rest = self.data;
        let header_len = self.header_len;
        std::iter::from_fn(move || {
            while rest.first() == Some(&0) {
                rest = &rest[1..];
            }
            let element = if header_len == 1 {
                one_byte(rest)
            } else {
                two_byte(rest)
            };
            let (id, len) = element?;
            let data = rest.get(header_len..header_len + len)?;
            rest = &rest[header_len + len..];
            Some((id, data))
        })
    }
}

/// Id and length of a one-byte element. Id 15 ends the block (section 4.2), and so does id 0
/// with a length, which is neither padding nor an element.
fn one_byte(rest: &[u8]) -> Option<(u8, usize)> {
    let head = *rest.first()?;
    let id = head >> 4;
    (id != 15 && id != 0).then_some((id, usize::from(head & 0x0f) + 1))
}

fn two_byte(rest: &[u8]) -> Option<(u8, usize)> {
    Some((*rest.first()?, usize::from(*rest.get(1)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn elements(profile: u16, data: &[u8]) -> Vec<(u8, Vec<u8>)> {
        Extensions::new(profile, data)
            .iter()
            .map(|(id, data)| (id, data.to_vec()))
            .collect()
    }

    #[test]
    fn the_one_byte_example_of_rfc_8285_is_read() {
        // Section 4.2: three elements of 1, 2 and 4 bytes, the second followed by padding.
        let data = [
            0x10, 0xa1, 0x21, 0xb1, 0xb2, 0, 0, 0x33, 0xc1, 0xc2, 0xc3, 0xc4,
        ];
        let want = [
            (1, vec![0xa1]),
            (2, vec![0xb1, 0xb2]),
            (3, vec![0xc1, 0xc2, 0xc3, 0xc4]),
        ];
        assert_eq!(elements(0xbede, &data), want);
    }

    #[test]
    fn the_two_byte_example_of_rfc_8285_is_read() {
        // Section 4.3: an empty element, one of 1 byte, padding, one of 4 bytes; any appbits.
        let data = [
            1, 0, 2, 1, 0xb1, 0, 0, 3, 4, 0xc1, 0xc2, 0xc3, 0xc4, 0, 0, 0,
        ];
        let want = [
            (1, vec![]),
            (2, vec![0xb1]),
            (3, vec![0xc1, 0xc2, 0xc3, 0xc4]),
        ];
        assert_eq!(elements(0x1000, &data), want);
        assert_eq!(elements(0x100f, &data), want);
    }

    #[test]
    fn id_15_and_a_long_id_0_end_a_one_byte_block() {
        assert_eq!(
            elements(0xbede, &[0x10, 1, 0xf0, 2, 0x20, 3]),
            [(1, vec![1])]
        );
        assert_eq!(
            elements(0xbede, &[0x10, 1, 0x01, 2, 0x20, 3]),
            [(1, vec![1])]
        );
    }

    #[test]
    fn an_element_that_runs_over_the_end_is_not_read() {
        assert_eq!(elements(0xbede, &[0x10, 1, 0x27, 2]), [(1, vec![1])]);
        assert_eq!(elements(0x1000, &[1, 9, 0, 0]), []);
        assert_eq!(elements(0x1000, &[7]), []);
    }

    #[test]
    fn a_foreign_profile_has_no_elements() {
        assert_eq!(elements(0xabcd, &[0x10, 1, 0, 0]), []);
    }

    #[test]
    fn ids_are_looked_up_by_meaning_and_merged_per_bundle() {
        let section = |id, uri: &str| {
            ExtensionMap::new(&[Extension {
                id,
                uri: uri.into(),
            }])
        };
        let mut map = section(4, "urn:ietf:params:rtp-hdrext:sdes:mid");
        map.merge(&section(5, "urn:unknown"));
        map.merge(&section(1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"));
        assert_eq!(map.id(ExtensionKind::Mid), Some(4));
        assert_eq!(map.id(ExtensionKind::AudioLevel), Some(1));
        assert_eq!(map.id(ExtensionKind::Rid), None);
    }

    proptest! {
        #[test]
        fn hostile_blocks_never_panic(profile in prop_oneof![Just(0xbede), Just(0x1000)],
                                      data in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Extensions::new(profile, &data).iter().count() <= data.len());
        }
    }
}
