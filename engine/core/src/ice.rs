//! The ICE-lite agent of one transport: who may talk to it, over which path, and for how long.
//!
//! A lite agent only answers checks (RFC 8445 section 2.5). It believes an address after a check with
//! its password came from there, sends to the newest pair that the peer nominated, and stops when
//! consent is 30 s old (RFC 7675). The messages are in `stun`, the map from paths to
//! transports in `core.rs`. Time is an argument, in microseconds.
//!
//! A signature does not say who sent a check, nor when: whoever saw one can send it again, from
//! where he likes, and an agent that makes no checks of its own cannot ask back. So a check counts
//! once ([`Agent::has_seen`]), and a path over which media comes is not left before media comes over
//! the other: SRTP lets nobody repeat a packet.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::rng::Rng;
use crate::stun::IntegrityKey;

/// Without a sign of life for this long a transport is disconnected.
pub const QUIET_AFTER: u64 = 5_000_000;
/// Without a valid check for this long a path may not be sent to (RFC 7675 section 5.1).
pub const CONSENT_EXPIRES: u64 = 30_000_000;
/// For how long the credentials before an ICE restart stay valid.
pub const OLD_CREDENTIALS_LIVE: u64 = 30_000_000;
/// For how long a nominated pair is not given up for a nominated pair of lower priority.
pub const NOMINATION_SETTLES: u64 = 1_000_000;
/// A path over which media came within this is in use: sound comes every 20 ms, feedback on
/// video several times a second.
pub const MEDIA_FLOWS: u64 = 1_000_000;
/// A path over which neither a new check nor media came for this long is given up for one over
/// which something does, also without a nomination: some peers nominate once and never again.
pub const PATH_SILENT: u64 = 3_000_000;
/// For how long a path stays its transport's after the last authentic packet over it: checks of RFC
/// 7675 come every 4 to 6 s, and who forges a neighbour's address must not get in between two.
pub const PATH_KEPT: u64 = 10_000_000;
/// Checks per transport that are known when they come again: ten minutes of a browser's on one pair.
pub const RECENT_CHECKS: usize = 256;
/// Verified paths per transport; a browser with many interfaces shows about ten pairs.
pub const MAX_PATHS: usize = 16;

/// The state of a transport as its owner sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing valid has come, nothing is sent.
    New,
    /// An authenticated check came; there are no keys yet.
    Checking,
    /// Checked and keyed: media flows.
    Connected,
    /// No sign of life for [`QUIET_AFTER`].
    Disconnected,
    /// Consent expired; only an ICE restart leads out.
    Failed,
    /// Gone.
    Closed,
}

/// What can happen to a transport.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// A valid check came while there were no keys.
    Check,
    /// A valid check came, or an authentic packet, and there are keys; or the keys came last.
    Alive,
    /// Nothing for [`QUIET_AFTER`].
    Quiet,
    /// No check for [`CONSENT_EXPIRES`].
    Expired,
    /// New credentials.
    Restart,
    /// The owner closed it.
    Close,
}

use Input as I;
use State as S;

/// The whole machine: (from, input, to). What is not listed changes nothing.
pub const TRANSITIONS: &[(State, Input, State)] = &[
    (S::New, I::Check, S::Checking),
    (S::New, I::Alive, S::Connected),
    (S::New, I::Close, S::Closed),
    (S::Checking, I::Alive, S::Connected),
    (S::Checking, I::Quiet, S::Disconnected),
    (S::Checking, I::Expired, S::Failed),
    (S::Checking, I::Close, S::Closed),
    (S::Connected, I::Quiet, S::Disconnected),
    (S::Connected, I::Expired, S::Failed),
    (S::Connected, I::Close, S::Closed),
    (S::Disconnected, I::Check, S::Checking),
    (S::Disconnected, I::Alive, S::Connected),
    (S::Disconnected, I::Expired, S::Failed),
    (S::Disconnected, I::Close, S::Closed),
    (S::Failed, I::Restart, S::New),
    (S::Failed, I::Close, S::Closed),
];

impl State {
    /// The state after an input, from [`TRANSITIONS`].
    #[must_use]
    pub fn after(self, input: Input) -> Self {
        TRANSITIONS
            .iter()
            .find(|&&(from, on, _)| from == self && on == input)
            .map_or(self, |&(_, _, to)| to)
    }

    /// Its name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Checking => "checking",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

/// Where a datagram came from and arrived: with the one protocol and port, the 5-tuple.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Path {
    /// Our address, unspecified when the shell does not know it.
    pub local: IpAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

/// A user name fragment and its password (RFC 8445 section 5.3).
#[derive(Clone)]
pub struct Credentials {
    /// Names the transport in a check; 72 random bits.
    pub ufrag: String,
    /// Signs the checks; 144 random bits.
    pub pwd: String,
}

impl Credentials {
    /// New ones, from the caller's generator.
    #[must_use]
    pub fn generate(rng: &mut Rng) -> Self {
        Self {
            // The ice-char of RFC 8839 section 5.4 are base64's alphabet.
            ufrag: rng.base64(12),
            pwd: rng.base64(24),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive() // the password must not reach a log
    }
}

/// One set of credentials as the agent keeps it.
#[derive(Debug)]
struct Secret {
    ufrag: String,
    key: IntegrityKey,
}

impl Secret {
    fn new(credentials: &Credentials) -> Self {
        Self {
            ufrag: credentials.ufrag.clone(),
            key: IntegrityKey::new(&credentials.pwd),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Verified {
    path: Path,
    last_check: u64,
    last_media: Option<u64>,
    last_nomination: Option<u64>,
    priority: u32,
}

impl Verified {
    fn new(path: Path) -> Self {
        Self {
            path,
            last_check: 0,
            last_media: None,
            last_nomination: None,
            priority: 0,
        }
    }

    fn carries_media(&self, now: u64) -> bool {
        self.last_media.is_some_and(|at| now < at + MEDIA_FLOWS)
    }

    fn last_sign(&self) -> u64 {
        self.last_check.max(self.last_media.unwrap_or(0))
    }

    fn is_silent(&self, now: u64) -> bool {
        now >= self.last_sign() + PATH_SILENT
    }
}

/// What tells one check from another (RFC 8489 section 5).
pub type Transaction = [u8; 12];

/// What an authenticated check said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Check {
    /// Its transaction id, another one for each check.
    pub transaction: Transaction,
    /// USE-CANDIDATE was there.
    pub nominated: bool,
    /// PRIORITY.
    pub priority: u32,
    /// Which credentials signed it.
    pub generation: Generation,
}

/// Which credentials a check was made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Generation {
    /// The newest.
    Current,
    /// The ones before an ICE restart.
    Previous,
}

/// What a timeout or a check changed, for the tables of the core.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Change {
    /// The new state, when it is another.
    pub state: Option<State>,
    /// This user name fragment is valid no more.
    pub forget_ufrag: Option<String>,
    /// These paths lead here no more.
    pub forget_paths: Vec<Path>,
}

/// The agent.
#[derive(Debug)]
pub struct Agent {
    current: Secret,
    previous: Option<(Secret, u64)>,
    state: State,
    keyed: bool,
    paths: Vec<Verified>,
    recent: VecDeque<Transaction>,
    selected: Option<Path>,
    last_alive: u64,
    migrations: u64,
}

impl Agent {
    /// An agent that waits for a check made with these credentials.
    #[must_use]
    pub fn new(credentials: &Credentials) -> Self {
        Self {
            current: Secret::new(credentials),
            previous: None,
            state: State::New,
            keyed: false,
            paths: Vec::new(),
            recent: VecDeque::new(),
            selected: None,
            last_alive: 0,
            migrations: 0,
        }
    }

    /// The transport's state.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Where to send, while there is consent.
    #[must_use]
    pub fn selected(&self) -> Option<Path> {
        self.selected
    }

    /// How often the selected path changed after the first.
    #[must_use]
    pub fn migrations(&self) -> u64 {
        self.migrations
    }

    /// The user name fragments that are valid now.
    pub fn ufrags(&self) -> impl Iterator<Item = &str> {
        let previous = self.previous.as_ref().map(|(secret, _)| secret);
        std::iter::once(&self.current)
            .chain(previous)
            .map(|secret| secret.ufrag.as_str())
    }

    /// The paths over which a valid check came, newest consent or not.
    pub fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.paths.iter().map(|verified| verified.path)
    }

    /// When the last valid check or authentic media came over this path.
    #[must_use]
    pub fn last_sign(&self, path: Path) -> Option<u64> {
        let verified = self.paths.iter().find(|verified| verified.path == path)?;
        Some(verified.last_sign())
    }

    /// The key that checks with this fragment must be signed with.
    ///
    /// None when the fragment is not valid here; in state failed none is, until a restart.
    #[must_use]
    pub fn key(&self, ufrag: &str) -> Option<(&IntegrityKey, Generation)> {
        if matches!(self.state, State::Failed | State::Closed) {
            return None;
        }
        if self.current.ufrag == ufrag {
            return Some((&self.current.key, Generation::Current));
        }
        match &self.previous {
            Some((secret, _)) if secret.ufrag == ufrag => Some((&secret.key, Generation::Previous)),
            _ => None,
        }
    }

    /// Whether a valid check with this id came before. It came again then, from the peer or from
    /// somebody who saw it, and is not for [`Agent::on_check`]: it proves nothing about now.
    #[must_use]
    pub fn has_seen(&self, transaction: &Transaction) -> bool {
        self.recent.contains(transaction)
    }

    /// A new check with a valid signature came: the path is verified, and may become the selected one.
    pub fn on_check(&mut self, now: u64, path: Path, check: Check) -> Change {
        let mut change = Change::default();
        if self.recent.len() == RECENT_CHECKS {
            self.recent.pop_front();
        }
        self.recent.push_back(check.transaction);
        if check.generation == Generation::Current {
            change.forget_ufrag = self.previous.take().map(|(secret, _)| secret.ufrag);
        }
        let index = match self.paths.iter().position(|known| known.path == path) {
            Some(index) => index,
            None => {
                if self.paths.len() == MAX_PATHS {
                    change.forget_paths.extend(self.drop_oldest_path());
                }
                self.paths.push(Verified::new(path));
                self.paths.len() - 1
            }
        };
        if let Some(known) = self.paths.get_mut(index) {
            known.last_check = now;
            known.priority = check.priority;
            if check.nominated {
                known.last_nomination = Some(now);
            }
        }
        if self.check_moves(now, check) {
            self.select(path);
        }
        self.last_alive = now;
        change.state = self.apply(if self.keyed {
            Input::Alive
        } else {
            Input::Check
        });
        change
    }

    /// An authentic SRTP packet came: a sign of life, but no consent to send. It may bring the
    /// selection to a path that has been checked.
    pub fn on_media(&mut self, now: u64, path: Path) -> Option<State> {
        self.last_alive = now;
        if let Some(known) = self.paths.iter_mut().find(|known| known.path == path) {
            known.last_media = Some(now);
            let known = *known;
            if self.media_moves(now, &known) {
                self.select(path);
            }
        }
        if self.state == State::Disconnected {
            return self.apply(Input::Alive);
        }
        None
    }

    /// The SRTP keys are there.
    pub fn on_keys(&mut self) -> Option<State> {
        self.keyed = true;
        if self.state == State::Checking {
            return self.apply(Input::Alive);
        }
        None
    }

    /// New credentials beside the current ones (RFC 8445 section 9).
    pub fn restart(&mut self, now: u64, credentials: &Credentials) -> Change {
        let mut change = Change::default();
        if let Some((older, _)) = self.previous.take() {
            change.forget_ufrag = Some(older.ufrag);
        }
        let before = std::mem::replace(&mut self.current, Secret::new(credentials));
        if self.state == State::Failed {
            // Consent was lost with the old credentials, so they must not bring it back.
            change.forget_ufrag = Some(before.ufrag);
        } else {
            self.previous = Some((before, now + OLD_CREDENTIALS_LIVE));
        }
        change.state = self.apply(Input::Restart);
        change
    }

    /// The transport is closed; everything it held is to be forgotten.
    pub fn close(&mut self) -> Option<State> {
        self.selected = None;
        self.apply(Input::Close)
    }

    /// Applies the deadlines that have passed.
    pub fn handle_timeout(&mut self, now: u64) -> Change {
        let mut change = Change::default();
        if let Some((secret, until)) = self.previous.take() {
            if until <= now {
                change.forget_ufrag = Some(secret.ufrag);
            } else {
                self.previous = Some((secret, until));
            }
        }
        self.paths.retain(|verified| {
            let live = now < verified.last_check + CONSENT_EXPIRES;
            if !live {
                change.forget_paths.push(verified.path);
            }
            live
        });
        if let Some(selected) = self.selected {
            if !self.paths.iter().any(|known| known.path == selected) {
                self.selected = None;
                let newest = self.paths.iter().max_by_key(|known| known.last_check);
                if let Some(path) = newest.map(|known| known.path) {
                    self.select(path);
                    self.migrations += 1;
                }
            }
        }
        let before = self.state;
        if self.quiet_deadline().is_some_and(|at| at <= now) {
            self.apply(Input::Quiet);
        }
        if self.paths.is_empty() {
            self.apply(Input::Expired);
        }
        change.state = (self.state != before).then_some(self.state);
        change
    }

    /// When [`Agent::handle_timeout`] has something to do next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<u64> {
        let old_credentials = self.previous.as_ref().map(|&(_, until)| until);
        let consent = self
            .paths
            .iter()
            .map(|known| known.last_check + CONSENT_EXPIRES)
            .min();
        [old_credentials, consent, self.quiet_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn quiet_deadline(&self) -> Option<u64> {
        matches!(self.state, State::Checking | State::Connected)
            .then_some(self.last_alive + QUIET_AFTER)
    }

    fn selected_path(&self) -> Option<&Verified> {
        self.paths
            .iter()
            .find(|known| Some(known.path) == self.selected)
    }

    /// Whether the path of a check becomes the selected one.
    fn check_moves(&self, now: u64, check: Check) -> bool {
        let Some(selected) = self.selected_path() else {
            // Before a nomination the first verified path must do, or no handshake could start.
            return true;
        };
        // While media flows the first packet over the new path moves it; see `media_moves`.
        let follows = check.nominated && !selected.carries_media(now);
        follows && outranks(now, check.priority, selected) || selected.is_silent(now)
    }

    /// Whether a path over which media came becomes the selected one: the peer sends where it
    /// nominated last, or where it nominated once and nothing comes over the selected path, which
    /// somebody else may have had selected with a check that was the peer's.
    fn media_moves(&self, now: u64, known: &Verified) -> bool {
        if self.selected == Some(known.path) {
            return false;
        }
        self.selected_path().is_some_and(|selected| {
            let later = known.last_nomination > selected.last_nomination;
            let back = known.last_nomination.is_some() && !selected.carries_media(now);
            later || back || selected.is_silent(now)
        })
    }

    fn select(&mut self, path: Path) {
        if self.selected.is_some_and(|selected| selected != path) {
            self.migrations += 1;
        }
        self.selected = Some(path);
    }

    fn drop_oldest_path(&mut self) -> Option<Path> {
        let (index, _) = self
            .paths
            .iter()
            .enumerate()
            .filter(|(_, known)| Some(known.path) != self.selected)
            .min_by_key(|(_, known)| known.last_check)?;
        Some(self.paths.swap_remove(index).path)
    }

    fn apply(&mut self, input: Input) -> Option<State> {
        let after = self.state.after(input);
        let changed = after != self.state;
        self.state = after;
        changed.then_some(after)
    }
}

/// An agent that nominates every pair (aggressive nomination, RFC 5245) means the one with the
/// highest priority; an agent that moves away stops to nominate the old pair.
fn outranks(now: u64, priority: u32, selected: &Verified) -> bool {
    let settled = selected
        .last_nomination
        .is_none_or(|at| now >= at + NOMINATION_SETTLES);
    settled || priority >= selected.priority
}
