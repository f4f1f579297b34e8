//! Transport-wide congestion control feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
//!
//! One packet tells, for a run of transport-wide sequence numbers, which arrived and when.
//! Symbols: 0 not received, 1 received with a one-byte delta, 2 received with a two-byte delta.

use super::{u16_at, u32_at, write_packet, TRANSPORT_FEEDBACK};

/// Resolution of arrival times.
pub const DELTA_UNIT_US: i64 = 250;

const REFERENCE_UNIT_US: i64 = 64_000;
const FORMAT: u8 = 15;
const RUN_MAX: usize = 0x1fff;

/// A feedback packet, still on the wire.
#[derive(Clone, Copy, Debug)]
pub struct TransportFeedback<'a> {
    /// Sequence number of the first status.
    pub base: u16,
    /// Counts feedback packets, so that a lost one is noticed.
    pub feedback_count: u8,
    /// Arrival times count from here, microseconds on the receiver's clock (24 bits of 64 ms).
    pub reference_us: i64,
    statuses: u16,
    chunks: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let word = u32_at(body, 12)?;
        Some(Self {
            base: u16_at(body, 8)?,
            statuses: u16_at(body, 10)?,
            reference_us: i64::from(word as i32 >> 8) * REFERENCE_UNIT_US,
            feedback_count: word as u8,
            chunks: body.get(16..)?,
        })
    }

    /// (sequence number, arrival in microseconds after [`Self::reference_us`] or `None` for
    /// lost) for each status, up to the first byte that is missing.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Option<i64>)> + 'a {
        let (base, wanted) = (self.base, usize::from(self.statuses));
        let mut deltas = self
            .chunks
            .get(chunks_len(self.chunks, wanted)..)
            .unwrap_or(&[]);
        let mut arrival = 0;
        symbols(self.chunks, wanted)
            .enumerate()
            .map_while(move |(index, symbol)| {
                // At most 65,535 statuses.
                let sequence = base.wrapping_add(index as u16);
                let delta = match symbol {
                    0 => return Some((sequence, None)),
                    1 => {
                        let (byte, rest) = deltas.split_first()?;
                        deltas = rest;
                        i64::from(*byte)
                    }
                    _ => {
                        let (bytes, rest) = deltas.split_first_chunk::<2>()?;
                        deltas = rest;
                        i64::from(i16::from_be_bytes(*bytes))
                    }
                };
                arrival += delta * DELTA_UNIT_US;
                Some((sequence, Some(arrival)))
            })
    }
}

/// How many statuses a chunk holds.
fn chunk_statuses(chunk: u16) -> usize {
    match chunk >> 14 {
        0b10 => 14,
        0b11 => 7,
        _ => usize::from(chunk) & RUN_MAX,
    }
}

/// Bytes that the chunks of `wanted` statuses take.
fn chunks_len(bytes: &[u8], wanted: usize) -> usize {
    let mut left = wanted;
    let mut len = 0;
    while left > 0 {
        let Some(chunk) = u16_at(bytes, len) else {
            break;
        };
        left = left.saturating_sub(chunk_statuses(chunk));
        len += 2;
    }
    len
}

/// The symbols of the first `wanted` statuses.
fn symbols(bytes: &[u8], wanted: usize) -> impl Iterator<Item = u8> + '_ {
    bytes
        .chunks_exact(2)
        .flat_map(|pair| {
            let chunk = u16::from_be_bytes([pair[0], pair[1]]);
            (0..chunk_statuses(chunk)).map(move |index| match chunk >> 14 {
                0b10 => (chunk >> (13 - index) & 1) as u8,
                0b11 => (chunk >> (12 - 2 * index) & 3) as u8,
                _ => (chunk >> 13 & 3) as u8,
            })
        })
        .take(wanted)
}

/// Appends feedback for `arrivals`, the first of which has the sequence number `base`; times are
/// microseconds, `None` means lost. Returns how many of them it covers: a gap in time that two
/// bytes of delta cannot hold ends the packet, and the caller writes another from there.
pub fn write_transport_feedback(
    out: &mut Vec<u8>,
    sender_ssrc: u32,
    media_ssrc: u32,
    feedback_count: u8,
    base: u16,
    arrivals: &[Option<u64>],
) -> usize {
    let first = arrivals
        .iter()
        .flatten()
        .next()
        .copied()
        .unwrap_or_default() as i64;
    let reference = first.div_euclid(REFERENCE_UNIT_US);
    let mut previous = reference * REFERENCE_UNIT_US;
    let mut deltas: Vec<Option<i16>> = Vec::with_capacity(arrivals.len());
    for arrival in arrivals.iter().take(usize::from(u16::MAX)) {
        let Some(arrival) = *arrival else {
            deltas.push(None);
            continue;
        };
        let Ok(delta) = i16::try_from((arrival as i64 - previous).div_euclid(DELTA_UNIT_US)) else {
            break;
        };
        previous += i64::from(delta) * DELTA_UNIT_US;
        deltas.push(Some(delta));
    }
    let covered = deltas.len();
    write_packet(out, FORMAT, TRANSPORT_FEEDBACK, |out| {
        let start = out.len();
        out.extend(sender_ssrc.to_be_bytes());
        out.extend(media_ssrc.to_be_bytes());
        out.extend(base.to_be_bytes());
        out.extend((covered as u16).to_be_bytes());
        out.extend(((reference as u32) << 8 | u32::from(feedback_count)).to_be_bytes());
        write_chunks(out, &deltas);
        for delta in deltas.iter().flatten() {
            match u8::try_from(*delta) {
                Ok(small) => out.push(small),
                Err(_) => out.extend(delta.to_be_bytes()),
            }
        }
        // The draft pads with zeros inside the length; parsers stop at the last delta.
        let end = (out.len() - start).next_multiple_of(4);
        out.resize(start + end, 0);
    });
    covered
}

fn symbol(delta: &Option<i16>) -> u16 {
    match delta {
        None => 0,
        Some(delta) if u8::try_from(*delta).is_ok() => 1,
        Some(_) => 2,
    }
}

fn write_chunks(out: &mut Vec<u8>, deltas: &[Option<i16>]) {
    let mut rest = deltas;
    while let Some(first) = rest.first().map(symbol) {
        let run = rest
            .iter()
            .take(RUN_MAX)
            .take_while(|delta| symbol(delta) == first)
            .count();
        let window = &rest[..rest.len().min(14)];
        let (chunk, taken) = if run >= 14 || run == rest.len() {
            (first << 13 | run as u16, run)
        } else if window.iter().all(|delta| symbol(delta) < 2) {
            (1 << 15 | pack(window, 1, 14), window.len())
        } else {
            let window = &rest[..rest.len().min(7)];
            (3 << 14 | pack(window, 2, 14), window.len())
        };
        out.extend(chunk.to_be_bytes());
        rest = &rest[taken..];
    }
}

/// Symbols of `width` bits from the left of a field of `field` bits.
fn pack(window: &[Option<i16>], width: usize, field: usize) -> u16 {
    window.iter().enumerate().fold(0, |packed, (index, delta)| {
        packed | symbol(delta) << (field - width * (index + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{parse, Packet};
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> (TransportFeedback<'_>, Vec<(u16, Option<i64>)>) {
        let Some(Packet::TransportFeedback(feedback)) = parse(bytes).next() else {
            panic!("not transport feedback")
        };
        (feedback, feedback.iter().collect())
    }

    #[test]
    fn a_hand_made_packet_is_read_field_by_field() {
        // Base 10, five statuses, reference 2 x 64 ms, count 3. One run of two one-byte deltas,
        // then a two-bit vector: lost, two-byte delta, one-byte delta.
        let bytes = [
            0x8f,
            205,
            0,
            7,
            0,
            0,
            0,
            1,
            0,
            0,
            0,
            2,
            0,
            10,
            0,
            5,
            0,
            0,
            2,
            3, //
            0x20,
            0x02,
            0b1100_1001,
            0,
            4,
            8,
            0xff,
            0xfc,
            1,
            0,
            0,
            0,
        ];
        let (feedback, statuses) = read(&bytes);
        assert_eq!((feedback.base, feedback.feedback_count), (10, 3));
        assert_eq!(feedback.reference_us, 128_000);
        let want = [
            (10, Some(1_000)),
            (11, Some(3_000)),
            (12, None),
            (13, Some(2_000)),
            (14, Some(2_250)),
        ];
        assert_eq!(statuses, want);
    }

    #[test]
    fn a_one_bit_vector_is_read() {
        let bytes = [
            0x8f,
            205,
            0,
            5,
            0,
            0,
            0,
            1,
            0,
            0,
            0,
            2,
            0,
            10,
            0,
            3,
            0,
            0,
            0,
            0, //
            0b1010_1000,
            0,
            4,
            8,
        ];
        assert_eq!(
            read(&bytes).1,
            [(10, Some(1_000)), (11, None), (12, Some(3_000))]
        );
    }

    #[test]
    fn what_a_browser_sends_most_is_one_run() {
        let arrivals: Vec<_> = (0..20).map(|n| Some(1_000_000 + n * 5_000)).collect();
        let mut bytes = Vec::new();
        assert_eq!(
            write_transport_feedback(&mut bytes, 1, 2, 0, 65_530, &arrivals),
            20
        );
        assert_eq!(bytes.len(), 20 + 2 + 20 + 2);
        let (feedback, statuses) = read(&bytes);
        assert_eq!(feedback.reference_us, 15 * 64_000);
        assert_eq!(statuses[0], (65_530, Some(40_000)));
        assert_eq!(statuses[19], (13, Some(135_000)));
    }

    #[test]
    fn a_pause_that_no_delta_can_hold_ends_the_packet() {
        let arrivals = [Some(64_000), Some(65_000), None, Some(20_000_000)];
        let mut bytes = Vec::new();
        assert_eq!(
            write_transport_feedback(&mut bytes, 1, 2, 0, 0, &arrivals),
            3
        );
        assert_eq!(read(&bytes).1, [(0, Some(0)), (1, Some(1_000)), (2, None)]);
    }

    #[test]
    fn missing_deltas_end_the_list() {
        let bytes = [
            0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 10, 0, 9, 0, 0, 0, 0, 0x20, 9, 4, 8,
        ];
        assert_eq!(read(&bytes).1.len(), 2);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back_to_a_quarter_of_a_millisecond(
            base in any::<u16>(),
            start in 0u64..1_000_000_000_000,
            steps in prop::collection::vec(
                prop_oneof![Just(None), (-100_000i64..1_000_000).prop_map(Some), Just(Some(5_000))],
                0..300,
            ),
        ) {
            let mut now = start as i64;
            let mut arrivals = vec![Some(start)];
            for step in steps {
                arrivals.push(step.map(|step| {
                    now = (now + step).max(0);
                    now as u64
                }));
            }
            let mut bytes = Vec::new();
            let covered = write_transport_feedback(&mut bytes, 1, 2, 9, base, &arrivals);
            prop_assert_eq!(covered, arrivals.len());
            prop_assert_eq!(bytes.len() % 4, 0);
            let (feedback, statuses) = read(&bytes);
            prop_assert_eq!(statuses.len(), arrivals.len());
            let origin = (start as i64).div_euclid(REFERENCE_UNIT_US) * REFERENCE_UNIT_US;
            // 24 bits of 64 ms wrap after twelve days.
            prop_assert_eq!((feedback.reference_us - origin) % (REFERENCE_UNIT_US << 24), 0);
            for (index, (sequence, arrival)) in statuses.into_iter().enumerate() {
                prop_assert_eq!(sequence, base.wrapping_add(index as u16));
                prop_assert_eq!(arrival.is_some(), arrivals[index].is_some());
                if let (Some(got), Some(want)) = (arrival, arrivals[index]) {
                    let error = want as i64 - origin - got;
                    prop_assert!((0..DELTA_UNIT_US).contains(&error), "{} us off", error);
                }
            }
        }
    }
}
