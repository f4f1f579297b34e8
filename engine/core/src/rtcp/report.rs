//! Sender and receiver reports, source descriptions and BYE (RFC 3550 sections 6.4 to 6.6).

use super::{u32_at, write_packet, GOODBYE, RECEIVER_REPORT, SENDER_REPORT, SOURCE_DESCRIPTION};

/// Report blocks that fit one packet: the count has five bits.
pub const MAX_BLOCKS: usize = 31;

const BLOCK_LEN: usize = 24;
const CNAME: u8 = 1;

/// The sender's half of an SR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderInfo {
    /// 32.32 fixed point seconds of the sender's clock.
    pub ntp: u64,
    /// The same instant on the stream's RTP clock.
    pub rtp_timestamp: u32,
    /// Packets sent, modulo 2^32.
    pub packets: u32,
    /// Payload bytes sent, modulo 2^32.
    pub octets: u32,
}

impl SenderInfo {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        Some(Self {
            ntp: u64::from(u32_at(body, 0)?) << 32 | u64::from(u32_at(body, 4)?),
            rtp_timestamp: u32_at(body, 8)?,
            packets: u32_at(body, 12)?,
            octets: u32_at(body, 16)?,
        })
    }

    /// The middle 32 bits of the NTP timestamp, as LSR fields carry it.
    #[must_use]
    pub fn compact_ntp(&self) -> u32 {
        (self.ntp >> 16) as u32
    }
}

/// How one stream is received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: u32,
    /// Loss since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the start, 24 bits signed: duplicates make it negative.
    pub cumulative_lost: i32,
    /// Highest sequence number with its wraps above.
    pub highest_sequence: u32,
    /// Interarrival jitter in RTP timestamp units.
    pub jitter: u32,
    /// Compact NTP of the last SR received, 0 for none.
    pub last_sr: u32,
    /// Delay since that SR in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn parse(block: &[u8]) -> Option<Self> {
        let loss = u32_at(block, 4)?;
        Some(Self {
            ssrc: u32_at(block, 0)?,
            fraction_lost: (loss >> 24) as u8,
            cumulative_lost: (loss << 8) as i32 >> 8,
            highest_sequence: u32_at(block, 8)?,
            jitter: u32_at(block, 12)?,
            last_sr: u32_at(block, 16)?,
            delay_since_last_sr: u32_at(block, 20)?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        for word in [
            self.ssrc,
            u32::from(self.fraction_lost) << 24 | lost,
            self.highest_sequence,
            self.jitter,
            self.last_sr,
            self.delay_since_last_sr,
        ] {
            out.extend(word.to_be_bytes());
        }
    }
}

/// The blocks of one report, still on the wire.
#[derive(Clone, Copy, Debug)]
pub struct ReportBlocks<'a>(&'a [u8]);

impl<'a> ReportBlocks<'a> {
    /// `count` blocks; profile extensions may follow them.
    pub(super) fn parse(body: &'a [u8], count: u8) -> Option<Self> {
        body.get(..usize::from(count) * BLOCK_LEN).map(Self)
    }

    /// Each block.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        self.0
            .chunks_exact(BLOCK_LEN)
            .filter_map(ReportBlock::parse)
    }
}

/// SSRC and CNAME of the first chunk. `None`: malformed; `Some(None)`: no CNAME in it.
pub(super) fn parse_cname(body: &[u8]) -> Option<Option<(u32, &[u8])>> {
    let ssrc = u32_at(body, 0)?;
    let mut items = body.get(4..)?;
    loop {
        let kind = *items.first()?;
        if kind == 0 {
            return Some(None);
        }
        let len = usize::from(*items.get(1)?);
        let text = items.get(2..2 + len)?;
        if kind == CNAME {
            return Some(Some((ssrc, text)));
        }
        items = items.get(2 + len..)?;
    }
}

/// Appends an SR with at most [`MAX_BLOCKS`] blocks; more are cut off.
pub fn write_sender_report(
    out: &mut Vec<u8>,
    ssrc: u32,
    info: &SenderInfo,
    blocks: &[ReportBlock],
) {
    let blocks = blocks.get(..MAX_BLOCKS).unwrap_or(blocks);
    write_packet(out, blocks.len() as u8, SENDER_REPORT, |out| {
        out.extend(ssrc.to_be_bytes());
        out.extend(info.ntp.to_be_bytes());
        for word in [info.rtp_timestamp, info.packets, info.octets] {
            out.extend(word.to_be_bytes());
        }
        blocks.iter().for_each(|block| block.write(out));
    });
}

/// Appends an RR with at most [`MAX_BLOCKS`] blocks; more are cut off.
pub fn write_receiver_report(out: &mut Vec<u8>, ssrc: u32, blocks: &[ReportBlock]) {
    let blocks = blocks.get(..MAX_BLOCKS).unwrap_or(blocks);
    write_packet(out, blocks.len() as u8, RECEIVER_REPORT, |out| {
        out.extend(ssrc.to_be_bytes());
        blocks.iter().for_each(|block| block.write(out));
    });
}

/// Appends an SDES of one chunk with a CNAME, which is cut to 255 bytes.
pub fn write_source_description(out: &mut Vec<u8>, ssrc: u32, cname: &str) {
    let name = cname.as_bytes();
    let name = name.get(..255).unwrap_or(name);
    write_packet(out, 1, SOURCE_DESCRIPTION, |out| {
        let start = out.len();
        out.extend(ssrc.to_be_bytes());
        out.extend([CNAME, name.len() as u8]);
        out.extend(name);
        // One to four zero bytes end the item list and fill the word (section 6.5).
        let end = (out.len() - start + 1).next_multiple_of(4);
        out.resize(start + end, 0);
    });
}

/// Appends a BYE of one stream.
pub fn write_goodbye(out: &mut Vec<u8>, ssrc: u32) {
    write_packet(out, 1, GOODBYE, |out| out.extend(ssrc.to_be_bytes()));
}

#[cfg(test)]
mod tests {
    use super::super::{parse, Packet};
    use super::*;

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 0x0102_0304,
        fraction_lost: 12,
        cumulative_lost: -3,
        highest_sequence: 0x0001_ffff,
        jitter: 40,
        last_sr: 0xaabb_ccdd,
        delay_since_last_sr: 65_536,
    };

    #[test]
    fn a_sender_report_comes_back_as_it_was_written() {
        let info = SenderInfo {
            ntp: 0x1122_3344_5566_7788,
            rtp_timestamp: 9,
            packets: 10,
            octets: 11,
        };
        let mut bytes = Vec::new();
        write_sender_report(&mut bytes, 5, &info, &[BLOCK, BLOCK]);
        assert_eq!(bytes.len(), 28 + 2 * 24);
        let Some(Packet::SenderReport {
            ssrc: 5,
            info: got,
            blocks,
        }) = parse(&bytes).next()
        else {
            panic!("not an SR")
        };
        assert_eq!(got, info);
        assert_eq!(info.compact_ntp(), 0x3344_5566);
        assert_eq!(blocks.iter().collect::<Vec<_>>(), [BLOCK, BLOCK]);
    }

    #[test]
    fn a_profile_extension_after_the_blocks_is_ignored() {
        let mut bytes = Vec::new();
        write_receiver_report(&mut bytes, 5, &[BLOCK]);
        bytes.extend([1, 2, 3, 4]);
        bytes[3] += 1;
        let Some(Packet::ReceiverReport { blocks, .. }) = parse(&bytes).next() else {
            panic!("not an RR")
        };
        assert_eq!(blocks.iter().collect::<Vec<_>>(), [BLOCK]);
    }

    #[test]
    fn more_blocks_than_the_count_can_say_are_cut_off() {
        let mut bytes = Vec::new();
        write_receiver_report(&mut bytes, 5, &[BLOCK; 40]);
        let Some(Packet::ReceiverReport { blocks, .. }) = parse(&bytes).next() else {
            panic!("not an RR")
        };
        assert_eq!(blocks.iter().count(), MAX_BLOCKS);
    }

    #[test]
    fn a_cname_of_every_length_is_padded_to_words() {
        for len in 1..=9 {
            let name = "x".repeat(len);
            let mut bytes = Vec::new();
            write_source_description(&mut bytes, 5, &name);
            assert_eq!(bytes.len() % 4, 0);
            assert_eq!(bytes.last(), Some(&0), "an item list ends with a zero byte");
            let Some(Packet::SourceDescription { ssrc: 5, cname }) = parse(&bytes).next() else {
                panic!("not an SDES")
            };
            assert_eq!(cname, name.as_bytes());
        }
    }
}
