//! When to ask a publisher for a key frame of one layer.
//!
//! Many receivers want one at the same moment (a join, a loss): their wishes are merged, two
//! requests are at least half a second apart, and one that brought nothing is repeated with
//! growing pauses, since the request or the frame may have been lost.

/// Two requests of one layer are at least so far apart: a key frame costs ten other frames.
pub const MIN_INTERVAL_US: u64 = 500_000;
const MAX_PAUSE_US: u64 = 4_000_000;
/// After so many requests without a key frame the caller is told.
const FAILED_AFTER: u32 = 4;

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Wait,
    /// Send a request.
    Ask,
    /// Send a request and report that [`FAILED_AFTER`] others brought nothing.
    AskAndReport,
}

/// The requests of one layer.
#[derive(Debug, Default)]
pub struct KeyframeRequests {
    wanted: bool,
    tries: u32,
    last_us: Option<u64>,
}

impl KeyframeRequests {
    /// Someone needs a key frame; [`Self::poll`] says when to ask.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// A key frame began.
    pub fn arrived(&mut self) {
        self.cancel();
    }

    /// Nobody needs one any more, or there is nobody to ask.
    pub fn cancel(&mut self) {
        self.wanted = false;
        self.tries = 0;
    }

    /// Whether to ask now.
    pub fn poll(&mut self, now_us: u64) -> Action {
        if self.next_due_us().is_none_or(|due| now_us < due) {
            return Action::Wait;
        }
        self.last_us = Some(now_us);
        self.tries = self.tries.saturating_add(1);
        if self.tries == FAILED_AFTER + 1 {
            Action::AskAndReport
        } else {
            Action::Ask
        }
    }

    /// When [`Self::poll`] has something to do; in the past means at once.
    #[must_use]
    pub fn next_due_us(&self) -> Option<u64> {
        let pause = MAX_PAUSE_US.min(MIN_INTERVAL_US << self.tries.saturating_sub(1).min(8));
        self.wanted
            .then(|| self.last_us.map_or(0, |last| last + pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wish_is_asked_at_once_and_further_ones_are_merged() {
        let mut requests = KeyframeRequests::default();
        assert_eq!(requests.poll(0), Action::Wait);
        requests.want();
        assert_eq!(requests.poll(7), Action::Ask);
        requests.want();
        assert_eq!(requests.poll(100_000), Action::Wait);
        requests.arrived();
        assert_eq!(requests.next_due_us(), None);
    }

    #[test]
    fn a_wish_soon_after_a_key_frame_is_put_off_not_forgotten() {
        let mut requests = KeyframeRequests::default();
        requests.want();
        requests.poll(0);
        requests.arrived();
        requests.want();
        assert_eq!(requests.poll(MIN_INTERVAL_US - 1), Action::Wait);
        assert_eq!(requests.poll(MIN_INTERVAL_US), Action::Ask);
    }

    #[test]
    fn unanswered_requests_slow_down_and_are_reported_once() {
        let mut requests = KeyframeRequests::default();
        requests.want();
        let mut asked = Vec::new();
        for now_ms in 0..16_000 {
            match requests.poll(now_ms * 1_000) {
                Action::Wait => {}
                action => asked.push((now_ms, action == Action::AskAndReport)),
            }
        }
        let want = [
            (0, false),
            (500, false),
            (1_500, false),
            (3_500, false),
            (7_500, true),
            (11_500, false),
            (15_500, false),
        ];
        assert_eq!(asked, want);
    }
}
