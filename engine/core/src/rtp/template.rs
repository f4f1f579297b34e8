//! The extension block of a slot: laid out once, filled in per packet.
//!
//! Every packet of a slot carries the same elements at the same offsets, so one packet for 200
//! receivers costs 200 small copies, and runs of packets keep equal sizes (UDP GSO). An element
//! without a value in some packet becomes zero bytes, which RFC 8285 reads as padding.

use super::extension::{ExtensionKind, ExtensionMap, ONE_BYTE, TWO_BYTE};

/// The values of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionValues {
    /// When the packet leaves, 6.18 fixed point seconds, 24 bits.
    pub abs_send_time: u32,
    /// The next transport-wide sequence number of the receiver's transport.
    pub transport_sequence: u16,
    /// RFC 6464 byte as the publisher sent it.
    pub audio_level: Option<u8>,
    /// Coordination of video orientation byte as the publisher sent it.
    pub video_orientation: Option<u8>,
}

/// Where the data of an element begins in the block.
type Offset = Option<usize>;

/// The block of one slot, with the MID already in it.
#[derive(Clone, Debug, Default)]
pub struct ExtensionTemplate {
    block: Vec<u8>,
    element_header: usize,
    abs_send_time: Offset,
    transport_cc: Offset,
    audio_level: Offset,
    video_orientation: Offset,
}

impl ExtensionTemplate {
    /// Lays out what was negotiated for a slot. RID and repaired RID are never sent: a slot
    /// has one layer.
    #[must_use]
    pub fn new(map: &ExtensionMap, mid: &str) -> Self {
        let ids = [
            ExtensionKind::Mid,
            ExtensionKind::AbsSendTime,
            ExtensionKind::TransportCc,
            ExtensionKind::AudioLevel,
            ExtensionKind::VideoOrientation,
        ]
        .map(|kind| map.id(kind));
        let one_byte = ids.iter().flatten().all(|&id| id < 15) && mid.len() <= 16;
        let mut template = Self {
            element_header: if one_byte { 1 } else { 2 },
            ..Self::default()
        };
        let profile = if one_byte { ONE_BYTE } else { TWO_BYTE };
        template.block.extend(profile.to_be_bytes());
        template.block.extend([0, 0]);
        if let Some(id) = ids[0].filter(|_| !mid.is_empty()) {
            template.element(id, mid.as_bytes());
        }
        template.abs_send_time = ids[1].map(|id| template.element(id, &[0; 3]));
        template.transport_cc = ids[2].map(|id| template.element(id, &[0; 2]));
        template.audio_level = ids[3].map(|id| template.element(id, &[0]));
        template.video_orientation = ids[4].map(|id| template.element(id, &[0]));
        if template.block.len() == 4 {
            template.block.clear();
            return template;
        }
        let padded = template.block.len().next_multiple_of(4);
        template.block.resize(padded, 0);
        // At most 2 + 255 bytes of MID and four small elements: far below 2^16 words.
        let words = (padded / 4 - 1) as u16;
        template.block[2..4].copy_from_slice(&words.to_be_bytes());
        template
    }

    /// Bytes of the block with its four-byte head; 0: the X bit must not be set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.block.len()
    }

    /// Whether nothing was negotiated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// Whether packets of this slot take a transport-wide sequence number.
    #[must_use]
    pub fn has_transport_cc(&self) -> bool {
        self.transport_cc.is_some()
    }

    /// Writes the block of one packet into `out`, which must be [`Self::len`] bytes.
    pub fn write(&self, values: &ExtensionValues, out: &mut [u8]) {
        out.copy_from_slice(&self.block);
        if let Some(at) = self.abs_send_time {
            out[at..at + 3].copy_from_slice(&values.abs_send_time.to_be_bytes()[1..]);
        }
        if let Some(at) = self.transport_cc {
            out[at..at + 2].copy_from_slice(&values.transport_sequence.to_be_bytes());
        }
        self.optional(self.audio_level, values.audio_level, out);
        self.optional(self.video_orientation, values.video_orientation, out);
    }

    fn optional(&self, offset: Offset, value: Option<u8>, out: &mut [u8]) {
        match (offset, value) {
            (Some(at), Some(value)) => out[at] = value,
            (Some(at), None) => out[at - self.element_header..=at].fill(0),
            (None, _) => {}
        }
    }

    /// Appends an element and returns where its data begins.
    fn element(&mut self, id: u8, data: &[u8]) -> usize {
        // One-byte form: 1 to 16 bytes; two-byte form: up to 255 (a MID is at most 16).
        if self.element_header == 1 {
            self.block.push(id << 4 | (data.len() - 1) as u8);
        } else {
            self.block.extend([id, data.len() as u8]);
        }
        let at = self.block.len();
        self.block.extend(data);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Extension;
    use crate::rtp::Extensions;

    const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
    const LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
    const TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
    const TCC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

    fn map(pairs: &[(u8, &str)]) -> ExtensionMap {
        let list: Vec<_> = pairs
            .iter()
            .map(|&(id, uri)| Extension {
                id,
                uri: uri.into(),
            })
            .collect();
        ExtensionMap::new(&list)
    }

    fn written(template: &ExtensionTemplate, values: &ExtensionValues) -> Vec<(u8, Vec<u8>)> {
        let mut block = vec![0xff; template.len()];
        template.write(values, &mut block);
        let profile = u16::from_be_bytes([block[0], block[1]]);
        assert_eq!(
            usize::from(u16::from_be_bytes([block[2], block[3]])),
            block.len() / 4 - 1
        );
        Extensions::new(profile, &block[4..])
            .iter()
            .map(|(id, d)| (id, d.to_vec()))
            .collect()
    }

    const VALUES: ExtensionValues = ExtensionValues {
        abs_send_time: 0x0012_3456,
        transport_sequence: 0xabcd,
        audio_level: Some(0x85),
        video_orientation: None,
    };

    #[test]
    fn each_negotiated_element_is_written_under_the_slots_id() {
        let template =
            ExtensionTemplate::new(&map(&[(4, MID), (2, TIME), (3, TCC), (1, LEVEL)]), "7");
        let want = [
            (4, b"7".to_vec()),
            (2, vec![0x12, 0x34, 0x56]),
            (3, vec![0xab, 0xcd]),
            (1, vec![0x85]),
        ];
        assert_eq!(written(&template, &VALUES), want);
    }

    #[test]
    fn an_absent_value_leaves_padding_and_the_length_as_it_was() {
        let template = ExtensionTemplate::new(&map(&[(1, LEVEL), (3, TCC)]), "7");
        let silent = ExtensionValues {
            audio_level: None,
            ..VALUES
        };
        assert_eq!(written(&template, &silent), [(3, vec![0xab, 0xcd])]);
    }

    #[test]
    fn an_id_above_14_makes_the_block_two_byte() {
        let template = ExtensionTemplate::new(&map(&[(20, MID), (1, LEVEL)]), "slot");
        assert_eq!(
            written(&template, &VALUES),
            [(20, b"slot".to_vec()), (1, vec![0x85])]
        );
        let silent = ExtensionValues {
            audio_level: None,
            ..VALUES
        };
        assert_eq!(written(&template, &silent), [(20, b"slot".to_vec())]);
    }

    #[test]
    fn nothing_negotiated_is_no_block() {
        let template = ExtensionTemplate::new(&map(&[]), "7");
        assert!(template.is_empty());
        assert!(!template.has_transport_cc());
    }
}
