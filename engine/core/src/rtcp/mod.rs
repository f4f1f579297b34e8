//! RTCP (RFC 3550 section 6, RFC 4585, RFC 5104): parsing and writing.
//!
//! [`parse`] walks a compound or a reduced-size (RFC 5506) packet and yields what the engine
//! understands; unknown types are skipped, and a malformed one ends the walk: what came before
//! it still counts. Writers append to a buffer that the caller reuses. What the reports mean is
//! for `reports.rs`, `nack.rs`, `keyframes.rs` and `twcc.rs`.

mod feedback;
mod report;
mod transport_cc;

pub use feedback::{write_fir, write_nack, write_pli, FullIntraRequests, LostSequences, Remb};
pub use report::{
    write_goodbye, write_receiver_report, write_sender_report, write_source_description,
    ReportBlock, ReportBlocks, SenderInfo, MAX_BLOCKS,
};
pub use transport_cc::{write_transport_feedback, TransportFeedback, DELTA_UNIT_US};

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

/// One RTCP packet that the engine understands.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    /// SR (RFC 3550 section 6.4.1).
    SenderReport {
        /// Who sends.
        ssrc: u32,
        /// Clocks and counters of its stream.
        info: SenderInfo,
        /// What it receives.
        blocks: ReportBlocks<'a>,
    },
    /// RR (RFC 3550 section 6.4.2).
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What it receives.
        blocks: ReportBlocks<'a>,
    },
    /// SDES (RFC 3550 section 6.5) with a CNAME item in its first chunk.
    SourceDescription {
        /// Whose.
        ssrc: u32,
        /// Its canonical name.
        cname: &'a [u8],
    },
    /// BYE (RFC 3550 section 6.6): these streams end.
    Goodbye(Ssrcs<'a>),
    /// Generic NACK (RFC 4585 section 6.2.1).
    Nack {
        /// The stream with losses.
        media_ssrc: u32,
        /// What is missing.
        lost: LostSequences<'a>,
    },
    /// PLI (RFC 4585 section 6.3.1).
    PictureLossIndication {
        /// The stream whose picture is broken.
        media_ssrc: u32,
    },
    /// FIR (RFC 5104 section 4.3.1).
    FullIntraRequest(FullIntraRequests<'a>),
    /// REMB (draft-alvestrand-rmcat-remb-03).
    Remb(Remb),
    /// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportFeedback(TransportFeedback<'a>),
}

/// A list of SSRCs on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Ssrcs<'a>(&'a [u8]);

impl Ssrcs<'_> {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0
            .chunks_exact(4)
            .map(|bytes| u32_at(bytes, 0).unwrap_or_default())
    }
}

/// The packets of one datagram, unknown ones left out, up to the first malformed one.
pub fn parse(datagram: &[u8]) -> impl Iterator<Item = Packet<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (raw, after) = split(rest)?;
            rest = after;
            if let Some(packet) = understand(&raw)? {
                return Some(packet);
            }
        }
        None
    })
}

/// One packet on the wire, without its header and padding.
struct Raw<'a> {
    /// Number of blocks, or the format of a feedback message.
    count: u8,
    packet_type: u8,
    body: &'a [u8],
}

/// The first packet and what follows it.
fn split(bytes: &[u8]) -> Option<(Raw<'_>, &[u8])> {
    let head = bytes.first_chunk::<4>()?;
    if head[0] >> 6 != 2 {
        return None;
    }
    let len = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
    let mut body = bytes.get(4..4 + len)?;
    if head[0] & 0x20 != 0 {
        let padding = usize::from(*body.last()?);
        body = body.get(..body.len().checked_sub(padding)?)?;
    }
    let raw = Raw {
        count: head[0] & 0x1f,
        packet_type: head[1],
        body,
    };
    Some((raw, bytes.get(4 + len..)?))
}

/// `None`: malformed. `Some(None)`: well-formed, but nothing that the engine acts on.
fn understand<'a>(raw: &Raw<'a>) -> Option<Option<Packet<'a>>> {
    let body = raw.body;
    Some(match (raw.packet_type, raw.count) {
        (SENDER_REPORT, blocks) => Some(Packet::SenderReport {
            ssrc: u32_at(body, 0)?,
            info: SenderInfo::parse(body.get(4..24)?)?,
            blocks: ReportBlocks::parse(body.get(24..)?, blocks)?,
        }),
        (RECEIVER_REPORT, blocks) => Some(Packet::ReceiverReport {
            ssrc: u32_at(body, 0)?,
            blocks: ReportBlocks::parse(body.get(4..)?, blocks)?,
        }),
        (SOURCE_DESCRIPTION, chunks) if chunks > 0 => report::parse_cname(body)?
            .map(|(ssrc, cname)| Packet::SourceDescription { ssrc, cname }),
        (GOODBYE, ssrcs) => Some(Packet::Goodbye(Ssrcs(body.get(..usize::from(ssrcs) * 4)?))),
        (TRANSPORT_FEEDBACK, 1) => Some(Packet::Nack {
            media_ssrc: u32_at(body, 4)?,
            lost: LostSequences::parse(body.get(8..)?),
        }),
        (TRANSPORT_FEEDBACK, 15) => {
            Some(Packet::TransportFeedback(TransportFeedback::parse(body)?))
        }
        (PAYLOAD_FEEDBACK, 1) => Some(Packet::PictureLossIndication {
            media_ssrc: u32_at(body, 4)?,
        }),
        (PAYLOAD_FEEDBACK, 4) => Some(Packet::FullIntraRequest(FullIntraRequests::parse(
            body.get(8..)?,
        ))),
        (PAYLOAD_FEEDBACK, 15) => Remb::parse(body)?.map(Packet::Remb),
        _ => None,
    })
}

/// Writes a header, lets `body` append, and sets the length, which must come out whole words.
fn write_packet(out: &mut Vec<u8>, count: u8, packet_type: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0x80 | count, packet_type, 0, 0]);
    body(out);
    let words = (out.len() - start) / 4 - 1;
    debug_assert_eq!((out.len() - start) % 4, 0);
    // Writers stay far below 2^16 words: they are cut to the size of a datagram.
    out[start + 2..start + 4].copy_from_slice(&(words as u16).to_be_bytes());
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_compound_is_walked_and_unknown_types_are_skipped() {
        let mut bytes = Vec::new();
        write_receiver_report(&mut bytes, 1, &[]);
        bytes.extend([0x80, 207, 0, 1, 0, 0, 0, 9]); // XR (RFC 3611), not understood
        write_pli(&mut bytes, 1, 7);
        let got: Vec<_> = parse(&bytes).collect();
        assert!(matches!(got[0], Packet::ReceiverReport { ssrc: 1, .. }));
        assert!(matches!(
            got[1],
            Packet::PictureLossIndication { media_ssrc: 7 }
        ));
        assert_eq!(got.len(), 2);
    }

    #[test]
    fn feedback_may_stand_alone() {
        let mut bytes = Vec::new();
        write_pli(&mut bytes, 1, 7);
        assert_eq!(parse(&bytes).count(), 1);
    }

    #[test]
    fn a_malformed_packet_ends_the_walk_and_spoils_nothing_before_it() {
        let mut bytes = Vec::new();
        write_pli(&mut bytes, 1, 7);
        bytes.extend([0x81, 200, 0, 1, 0, 0, 0, 1]); // SR without its sender info
        write_pli(&mut bytes, 1, 8);
        assert_eq!(parse(&bytes).count(), 1);
    }

    #[test]
    fn padding_of_the_last_packet_is_cut_off() {
        let bytes = [0xa1, 203, 0, 2, 0, 0, 0, 5, 0, 0, 0, 4];
        let Some(Packet::Goodbye(ssrcs)) = parse(&bytes).next() else {
            panic!("no BYE")
        };
        assert_eq!(ssrcs.iter().collect::<Vec<_>>(), [5]);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..128),
            packet_type in 198u8..208,
            words in 0u8..32,
        ) {
            if bytes.len() >= 4 {
                bytes[0] = bytes[0] & 0x3f | 0x80;
                bytes[1] = packet_type;
                bytes[2..4].copy_from_slice(&[0, words]);
            }
            for packet in parse(&bytes) {
                match packet {
                    Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => {
                        prop_assert!(blocks.iter().count() <= MAX_BLOCKS);
                    }
                    Packet::Goodbye(ssrcs) => prop_assert!(ssrcs.iter().count() < 32),
                    Packet::Nack { lost, .. } => prop_assert!(lost.iter().count() <= 17 * 32),
                    Packet::FullIntraRequest(entries) => prop_assert!(entries.iter().count() <= 32),
                    Packet::TransportFeedback(feedback) => {
                        prop_assert!(feedback.iter().count() <= 65_535);
                    }
                    _ => {}
                }
            }
        }
    }
}
