//! Who speaks, and whose voice is worth a lane.
//!
//! [`VoiceMeter`] smooths the levels of one track (RFC 6464; a track without them is judged by
//! the size of its packets). [`Ranking`] picks the loudest of a room and does not let go of them
//! at every breath. [`SpeakerReport`] decides when the room's list of speakers is news.
//!
//! Loudness here is decibels above digital silence: 127 minus the RFC 6464 level.

use crate::codec::opus;
use crate::ids::TrackId;

/// Time constants of the two averages.
const FAST_US: f32 = 50_000.0;
const SLOW_US: f32 = 500_000.0;
/// Time constant of the share of loud packets.
const SHARE_US: f32 = 400_000.0;
/// A packet is loud from -35 dBov up.
const LOUD: f32 = 127.0 - 35.0;
/// A voice begins when so large a share of the packets is loud, and ends below half of it.
const SPEAKING_SHARE: f32 = 0.4;
/// Without a packet for this long nobody speaks: a packet lasts 120 ms at most.
const STALE_US: u64 = 500_000;
/// A pause between sentences costs nobody the lane.
const HANGOVER_US: u64 = 1_500_000;
/// How much louder a challenger must be than the holder of a lane, or than the holder before it.
const HOLDER_BONUS: f32 = 6.0;
/// At most two lists of speakers a second.
const REPORT_INTERVAL_US: u64 = 500_000;
/// Speakers named in one report.
const REPORT_MAX: usize = 8;

/// The smoothed loudness of one audio track.
#[derive(Debug, Default)]
pub struct VoiceMeter {
    fast: f32,
    slow: f32,
    loud_share: f32,
    speaking: bool,
    last_us: Option<u64>,
    /// When the voice was last heard, and how loud it was then.
    voice: Option<(u64, f32)>,
    sizes: SizeMeter,
}

impl VoiceMeter {
    /// A packet came; `level` is its RFC 6464 byte, if the track has the extension.
    pub fn packet(&mut self, now_us: u64, level: Option<u8>, payload: &[u8]) {
        let loudness = match level {
            Some(byte) => 127.0 - f32::from(byte & 0x7f),
            None => self.sizes.loudness(payload),
        };
        // The first packet counts as if it followed a packet's duration of silence.
        let elapsed_us = self
            .last_us
            .map_or(20_000, |last| now_us.saturating_sub(last)) as f32;
        self.last_us = Some(now_us);
        let follow = |average: f32, value: f32, constant: f32| {
            average + (value - average) * (1.0 - (-elapsed_us / constant).exp())
        };
        self.fast = follow(self.fast, loudness, FAST_US);
        self.slow = follow(self.slow, loudness, SLOW_US);
        let loud = if loudness >= LOUD { 1.0 } else { 0.0 };
        self.loud_share = follow(self.loud_share, loud, SHARE_US);
        let needed = if self.speaking {
            SPEAKING_SHARE / 2.0
        } else {
            SPEAKING_SHARE
        };
        self.speaking = self.loud_share >= needed;
        if loud > 0.0 {
            self.voice = Some((now_us, self.fast.max(self.slow)));
        }
    }

    /// Whether this is a voice now.
    #[must_use]
    pub fn is_speaking(&self, now_us: u64) -> bool {
        self.speaking && !self.is_stale(now_us)
    }

    /// The level in dBov, 0 loudest, -127 silent.
    #[must_use]
    pub fn level_dbov(&self) -> i8 {
        (self.slow.clamp(0.0, 127.0) - 127.0) as i8
    }

    /// What the track's claim to a lane is worth.
    fn score(&self, now_us: u64) -> f32 {
        let now = if self.is_stale(now_us) {
            0.0
        } else {
            (self.fast + self.slow) / 2.0
        };
        match self.voice {
            Some((at_us, loudness)) if now_us < at_us + HANGOVER_US => now.max(loudness),
            _ => now,
        }
    }

    fn is_stale(&self, now_us: u64) -> bool {
        self.last_us.is_none_or(|last| now_us > last + STALE_US)
    }
}

/// Guesses loudness from packet sizes: variable-rate Opus spends its bytes on sound.
#[derive(Debug, Default)]
struct SizeMeter {
    smallest: f32,
}

impl SizeMeter {
    const SILENT: f32 = 0.0;
    const QUIET: f32 = 127.0 - 60.0;
    /// A constant-rate source tells nothing: it ranks above silence and below a clear voice.
    const VOICE: f32 = 127.0 - 33.0;

    fn loudness(&mut self, payload: &[u8]) -> f32 {
        if opus::is_dtx(payload) {
            return Self::SILENT;
        }
        let size = payload.len() as f32;
        if self.smallest == 0.0 {
            self.smallest = size;
        }
        // The floor follows at once downwards, and upwards by a twentieth a second.
        self.smallest = size.min(self.smallest * 1.001);
        if size >= self.smallest * 1.3 + 8.0 {
            Self::VOICE
        } else {
            Self::QUIET
        }
    }
}

/// The loudest tracks of a room.
#[derive(Debug, Default)]
pub struct Ranking {
    holders: Vec<TrackId>,
    substitute: Option<TrackId>,
}

impl Ranking {
    /// Those who hold a place, loudest first.
    #[must_use]
    pub fn holders(&self) -> &[TrackId] {
        &self.holders
    }

    /// The next in line, for those who are not to hear themselves.
    #[must_use]
    pub fn substitute(&self) -> Option<TrackId> {
        self.substitute
    }

    /// Ranks anew; returns whether the holders, their order or the substitute changed.
    pub fn update<'a>(
        &mut self,
        now_us: u64,
        places: usize,
        tracks: impl Iterator<Item = (TrackId, &'a VoiceMeter)>,
    ) -> bool {
        let mut scored: Vec<(f32, TrackId)> = tracks
            .map(|(track, meter)| {
                // Twice the bonus separates holders from the substitute as it does the
                // substitute from the rest.
                let bonus = if self.holders.contains(&track) {
                    2.0 * HOLDER_BONUS
                } else if self.substitute == Some(track) {
                    HOLDER_BONUS
                } else {
                    0.0
                };
                (meter.score(now_us) + bonus, track)
            })
            .collect();
        sort_by_score(&mut scored);
        let substitute = scored.get(places).map(|entry| entry.1);
        scored.truncate(places);
        // Who has fewer lanes than there are places hears the first of them: so the order keeps
        // its neighbours apart, too.
        for (score, track) in &mut scored {
            let place = self.holders.iter().position(|holder| holder == track);
            let behind = place.map_or(0, |place| self.holders.len() - place);
            *score += HOLDER_BONUS * behind as f32;
        }
        sort_by_score(&mut scored);
        let holders = || scored.iter().map(|entry| entry.1);
        let changed = substitute != self.substitute || !holders().eq(self.holders.iter().copied());
        self.holders.clear();
        self.holders.extend(holders());
        self.substitute = substitute;
        changed
    }
}

fn sort_by_score(scored: &mut [(f32, TrackId)]) {
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
}

/// The list of speakers that a room was last told of.
#[derive(Debug, Default)]
pub struct SpeakerReport {
    told: Vec<TrackId>,
    last_us: Option<u64>,
}

impl SpeakerReport {
    /// The new list, loudest first, when the speakers or the loudest of them changed and the
    /// last report is old enough.
    pub fn poll<'a>(
        &mut self,
        now_us: u64,
        tracks: impl Iterator<Item = (TrackId, &'a VoiceMeter)>,
    ) -> Option<Vec<(TrackId, i8)>> {
        if self
            .last_us
            .is_some_and(|last| now_us < last + REPORT_INTERVAL_US)
        {
            return None;
        }
        let mut levels: Vec<(TrackId, i8)> = tracks
            .filter(|(_, meter)| meter.is_speaking(now_us))
            .map(|(track, meter)| (track, meter.level_dbov()))
            .collect();
        levels.sort_unstable_by_key(|&(track, level)| (std::cmp::Reverse(level), track));
        levels.truncate(REPORT_MAX);
        let same = levels.len() == self.told.len()
            && levels.first().map(|first| first.0) == self.told.first().copied()
            && levels.iter().all(|(track, _)| self.told.contains(track));
        if same {
            return None;
        }
        self.told = levels.iter().map(|entry| entry.0).collect();
        self.last_us = Some(now_us);
        Some(levels)
    }

    /// Whether the room was told of speakers who may have fallen silent meanwhile.
    #[must_use]
    pub fn has_speakers(&self) -> bool {
        !self.told.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICE: u8 = 25;
    const NOISE: u8 = 70;
    const FRAME_US: u64 = 20_000;

    fn id(number: u64) -> TrackId {
        TrackId(number)
    }

    /// Meters of tracks 1, 2, 3 … and a clock that runs in packets.
    struct Room {
        meters: Vec<VoiceMeter>,
        now_us: u64,
        ranking: Ranking,
        report: SpeakerReport,
    }

    impl Room {
        fn new(tracks: usize) -> Self {
            Self {
                meters: (0..tracks).map(|_| VoiceMeter::default()).collect(),
                now_us: 0,
                ranking: Ranking::default(),
                report: SpeakerReport::default(),
            }
        }

        fn run(&mut self, ms: u64, levels: &[u8]) {
            for _ in 0..ms * 1_000 / FRAME_US {
                self.now_us += FRAME_US;
                for (meter, &level) in self.meters.iter_mut().zip(levels) {
                    meter.packet(self.now_us, Some(level), &[0; 80]);
                }
            }
        }

        fn tracks(meters: &[VoiceMeter]) -> impl Iterator<Item = (TrackId, &VoiceMeter)> {
            meters
                .iter()
                .enumerate()
                .map(|(at, meter)| (id(at as u64 + 1), meter))
        }

        fn rank(&mut self, places: usize) -> Vec<u64> {
            self.ranking
                .update(self.now_us, places, Self::tracks(&self.meters));
            let mut holders: Vec<_> = self.ranking.holders().iter().map(|id| id.0).collect();
            holders.sort_unstable();
            holders
        }

        fn report(&mut self) -> Option<Vec<u64>> {
            let levels = self.report.poll(self.now_us, Self::tracks(&self.meters))?;
            Some(levels.into_iter().map(|(track, _)| track.0).collect())
        }
    }

    #[test]
    fn a_voice_is_noticed_within_300_ms_and_a_click_is_not_a_voice() {
        let mut room = Room::new(1);
        room.run(1_000, &[NOISE]);
        room.run(60, &[10]);
        assert!(!room.meters[0].is_speaking(room.now_us));
        room.run(1_000, &[NOISE]);
        room.run(300, &[VOICE]);
        assert!(room.meters[0].is_speaking(room.now_us));
    }

    #[test]
    fn a_voice_ends_when_it_is_quiet_or_its_packets_stop() {
        let mut room = Room::new(2);
        room.run(2_000, &[VOICE, VOICE]);
        room.run(1_000, &[NOISE]);
        assert!(!room.meters[0].is_speaking(room.now_us));
        assert!(!room.meters[1].is_speaking(room.now_us));
    }

    #[test]
    fn a_new_voice_takes_a_place_from_someone_silent_sooner_than_the_replay_reaches_back() {
        let mut room = Room::new(4);
        room.run(1_000, &[VOICE, NOISE, NOISE, 127]);
        assert_eq!(room.rank(2), [1, 2]);
        room.run(80, &[VOICE, NOISE, NOISE, VOICE]);
        assert_eq!(room.rank(2), [1, 4]);
    }

    #[test]
    fn a_pause_between_sentences_does_not_cost_the_place() {
        let mut room = Room::new(3);
        room.run(2_000, &[VOICE, VOICE, NOISE]);
        assert_eq!(room.rank(2), [1, 2]);
        room.run(1_200, &[VOICE, NOISE, VOICE + 3]);
        assert_eq!(room.rank(2), [1, 2]);
        room.run(600, &[VOICE, NOISE, VOICE + 3]);
        assert_eq!(room.rank(2), [1, 3]);
    }

    #[test]
    fn a_slightly_louder_challenger_does_not_displace_a_speaker_but_a_much_louder_one_does() {
        let mut room = Room::new(3);
        room.run(2_000, &[VOICE, VOICE, NOISE]);
        room.rank(2);
        room.run(2_000, &[VOICE, VOICE, VOICE - 4]);
        assert_eq!(room.rank(2), [1, 2]);
        room.run(2_000, &[VOICE, VOICE + 1, VOICE - 12]);
        assert!(room.rank(2).contains(&3));
    }

    #[test]
    fn the_loudest_come_first_and_equals_keep_their_order() {
        let mut room = Room::new(3);
        let order = |room: &mut Room, ms, levels| {
            room.run(ms, levels);
            (0..3).for_each(|_| drop(room.rank(3)));
            let places = room.ranking.holders();
            places.iter().map(|id| id.0).collect::<Vec<_>>()
        };
        assert_eq!(order(&mut room, 500, &[127, NOISE, VOICE]), [3, 2, 1]);
        assert_eq!(order(&mut room, 500, &[127, VOICE, VOICE]), [3, 2, 1]);
        assert_eq!(order(&mut room, 2_000, &[127, VOICE - 4, VOICE]), [3, 2, 1]);
        assert_eq!(order(&mut room, 2_000, &[127, VOICE - 9, VOICE]), [2, 3, 1]);
    }

    #[test]
    fn speakers_are_reported_on_change_only_and_at_most_twice_a_second() {
        let mut room = Room::new(2);
        room.run(1_000, &[VOICE, NOISE]);
        assert_eq!(room.report(), Some(vec![1]));
        room.run(400, &[VOICE, VOICE - 15]);
        assert_eq!(room.report(), None, "too early");
        room.run(600, &[VOICE, VOICE - 15]);
        assert_eq!(room.report(), Some(vec![2, 1]));
        room.run(600, &[VOICE, VOICE - 15]);
        assert_eq!(room.report(), None, "no change");
        room.run(1_500, &[NOISE, NOISE]);
        assert_eq!(room.report(), Some(vec![]));
        assert!(!room.report.has_speakers());
    }

    #[test]
    fn without_levels_larger_packets_are_a_voice_and_dtx_is_silence() {
        let mut meter = VoiceMeter::default();
        let mut now_us = 0;
        let mut run = |meter: &mut VoiceMeter, size: usize| {
            for _ in 0..50 {
                now_us += FRAME_US;
                meter.packet(now_us, None, &vec![0; size]);
            }
            meter.is_speaking(now_us)
        };
        assert!(!run(&mut meter, 20));
        assert!(run(&mut meter, 80));
        assert!(!run(&mut meter, 1));
        assert!(meter.level_dbov() < -100, "not merely quiet");
    }

    #[test]
    fn without_levels_a_source_that_stays_large_is_a_constant_rate_and_no_voice_for_ever() {
        let mut meter = VoiceMeter::default();
        for number in 1..=2_000 {
            let size = if number < 50 { 20 } else { 80 };
            meter.packet(number * FRAME_US, None, &vec![0; size]);
            assert!(number != 100 || meter.is_speaking(number * FRAME_US));
        }
        assert!(!meter.is_speaking(2_000 * FRAME_US));
    }

    #[test]
    fn a_third_of_loud_packets_keeps_a_voice_and_begins_none() {
        let mut room = Room::new(2);
        room.run(1_000, &[VOICE, NOISE]);
        for _ in 0..50 {
            room.run(20, &[VOICE, VOICE]);
            room.run(40, &[NOISE, NOISE]);
            assert!(room.meters[0].is_speaking(room.now_us));
            assert!(!room.meters[1].is_speaking(room.now_us));
        }
    }

    #[test]
    fn the_substitute_stays_until_another_is_much_louder() {
        let mut room = Room::new(3);
        let mut next = |levels| {
            room.run(2_000, levels);
            assert_eq!(room.rank(1), [1]);
            room.ranking.substitute()
        };
        assert_eq!(next(&[10, VOICE, NOISE]), Some(id(2)));
        assert_eq!(next(&[10, VOICE, VOICE - 4]), Some(id(2)));
        assert_eq!(next(&[10, VOICE, VOICE - 12]), Some(id(3)));
    }

    #[test]
    fn a_report_names_the_eight_loudest() {
        let mut room = Room::new(12);
        let levels: Vec<u8> = (0..12).map(|number| VOICE - 2 * number).collect();
        room.run(1_000, &levels);
        assert_eq!(room.report(), Some(vec![12, 11, 10, 9, 8, 7, 6, 5]));
    }
}
