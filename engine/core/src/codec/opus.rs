//! How long an Opus packet is and whether it carries sound (RFC 6716 section 3, RFC 7587).

/// RTP ticks per second of Opus, whatever the encoder's bandwidth (RFC 7587 section 4.1).
pub const CLOCK_RATE: u32 = 48_000;

/// Duration of a packet in RTP ticks; `None` for one that RFC 6716 does not allow.
#[must_use]
pub fn duration(payload: &[u8]) -> Option<u32> {
    let toc = *payload.first()?;
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*payload.get(1)? & 0x3f),
    };
    let config = toc >> 3;
    let frame = match config {
        // SILK: 10, 20, 40, 60 ms.
        0..=11 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        // Hybrid: 10, 20 ms.
        12..=15 => [480, 960][usize::from(config & 1)],
        // CELT: 2.5, 5, 10, 20 ms.
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    };
    // Section 3.2.5: no packet is longer than 120 ms.
    let ticks = frames * frame;
    (1..=5_760).contains(&ticks).then_some(ticks)
}

/// Whether the packet says "still silent": one or two bytes (RFC 6716 section 2.1.9).
#[must_use]
pub fn is_dtx(payload: &[u8]) -> bool {
    payload.len() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_follow_the_toc_table() {
        // Configs 31 (CELT 20 ms), 28 (2.5 ms), 13 (hybrid 20 ms), 3 (SILK 60 ms).
        for (toc, ticks) in [
            (31 << 3, 960),
            (28 << 3, 120),
            (13 << 3, 960),
            (3 << 3, 2_880),
        ] {
            assert_eq!(duration(&[toc]), Some(ticks));
            assert_eq!(duration(&[toc | 1]), Some(2 * ticks));
        }
        assert_eq!(duration(&[31 << 3 | 3, 3]), Some(2_880));
    }

    #[test]
    fn a_packet_longer_than_120_ms_or_cut_short_has_no_duration() {
        assert_eq!(duration(&[3 << 3 | 3, 3]), None);
        assert_eq!(duration(&[31 << 3 | 3, 0]), None);
        assert_eq!(duration(&[31 << 3 | 3]), None);
        assert_eq!(duration(&[]), None);
    }

    #[test]
    fn silence_is_one_or_two_bytes() {
        assert!(is_dtx(&[0xf8]));
        assert!(!is_dtx(&[0xf8, 0xff, 0xfe]));
    }
}
