//! What the worker thread tells its reader: a queue with one eventfd, for readers that may sleep.
//!
//! The reader is woken at most [`WAKES_PER_SECOND`] times a second. A reader that sleeps long loses
//! no state: only the newest of a kind is kept of events that replace each other, and DTLS records have a
//! limit for each transport, since DTLS sends again what is lost.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sunup_engine_core::events::{Class, Event};
use sunup_engine_core::ids::{IdMap, TransportId};

use crate::sys::eventfd::EventFd;

/// Limit of wakes, over any second.
pub const WAKES_PER_SECOND: u64 = 200;
/// Wakes that may follow at once, for a burst of joins.
const WAKE_BURST: u64 = 20;
/// Microseconds until another wake is allowed; the burst is within the limit.
const WAKE_EVERY: u64 = 1_000_000 / (WAKES_PER_SECOND - WAKE_BURST);
/// How long events that are not urgent are gathered.
const GATHER: u64 = 20_000;
/// From this many waiting events on, older ones that a new one replaces are looked for.
const MERGE_FROM: usize = 512;
/// Waiting events above which those that can be dropped are.
const MAX_COALESCABLE: usize = 8192;
/// DTLS bytes of one transport that may wait.
const MAX_DTLS_WAITING: usize = 64 * 1024;

/// What a reader gets.
#[derive(Default, Debug)]
pub struct Mail {
    /// Oldest first.
    pub events: Vec<Event>,
    /// Events lost since the last time.
    pub dropped: u64,
    /// Why the worker ended, if it died.
    pub died: Option<String>,
}

/// The queue, shared by the worker and its reader.
pub struct Mailbox {
    fd: EventFd,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Event>,
    dropped: u64,
    dtls_waiting: IdMap<TransportId, usize>,
    died: Option<String>,
    signalled: bool,
    wakes: u64,
    // When the events that wait should be made known; None while there are none or they are known.
    due: Option<u64>,
    // When the burst of wakes is whole again (GCRA form of a token bucket).
    whole_at: u64,
}

impl Mailbox {
    /// An empty one.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            fd: EventFd::new()?,
            inner: Mutex::default(),
        })
    }

    /// Readable when [`Mailbox::drain`] has something.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Queues events, and wakes the reader if it is time.
    pub fn post(&self, now: u64, events: impl Iterator<Item = Event>) {
        let mut events = events.peekable();
        if events.peek().is_none() {
            return;
        }
        let mut inner = self.lock();
        for event in events {
            inner.push(now, event);
        }
        self.wake_if_due(now, &mut inner);
    }

    /// When [`Mailbox::ring`] should be called.
    pub fn next_timeout(&self) -> Option<u64> {
        let inner = self.lock();
        Some(inner.due?.max(inner.next_wake()))
    }

    /// Wakes the reader for events that were gathered.
    pub fn ring(&self, now: u64) {
        self.wake_if_due(now, &mut self.lock());
    }

    /// The last thing a dying worker does: its reader hears of it at once.
    pub fn died(&self, why: String) {
        self.lock().died = Some(why);
        self.fd.signal();
    }

    /// Takes what waits, at most `limit` events.
    pub fn drain(&self, limit: usize) -> Mail {
        let mut inner = self.lock();
        self.fd.reset();
        inner.signalled = false;
        inner.due = None;
        let count = limit.min(inner.queue.len());
        let events: Vec<Event> = inner.queue.drain(..count).collect();
        for event in &events {
            inner.forget_record(event);
        }
        if !inner.queue.is_empty() || inner.died.is_some() {
            inner.signalled = true;
            self.fd.signal();
        }
        Mail {
            events,
            dropped: std::mem::take(&mut inner.dropped),
            died: inner.died.clone(),
        }
    }

    /// How often the reader was woken.
    pub fn wakes(&self) -> u64 {
        self.lock().wakes
    }

    fn wake_if_due(&self, now: u64, inner: &mut Inner) {
        if inner.due.is_some_and(|due| due <= now) && inner.next_wake() <= now {
            inner.due = None;
            inner.whole_at = inner.whole_at.max(now) + WAKE_EVERY;
            inner.signalled = true;
            inner.wakes += 1;
            self.fd.signal();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change below leaves the queue whole, so a panic elsewhere does not spoil it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push(&mut self, now: u64, event: Event) {
        match event.class() {
            Class::State => {}
            Class::Record => {
                if !self.note_record(&event) {
                    self.dropped += 1;
                    return;
                }
            }
            Class::Coalescable => {
                if self.queue.len() >= MERGE_FROM {
                    if let Some(older) = self.queue.iter_mut().find(|old| replaces(&event, old)) {
                        *older = event;
                        self.dropped += 1;
                        return;
                    }
                    if self.queue.len() >= MAX_COALESCABLE {
                        self.dropped += 1;
                        return;
                    }
                }
            }
        }
        let wanted = match event.class() {
            Class::State | Class::Record => now,
            Class::Coalescable => now + GATHER,
        };
        self.queue.push_back(event);
        if !self.signalled {
            self.due = Some(self.due.map_or(wanted, |due| due.min(wanted)));
        }
    }

    fn next_wake(&self) -> u64 {
        self.whole_at.saturating_sub((WAKE_BURST - 1) * WAKE_EVERY)
    }

    fn note_record(&mut self, event: &Event) -> bool {
        if let Event::DtlsRecord {
            transport,
            datagram,
        } = event
        {
            let waiting = self.dtls_waiting.entry(*transport).or_default();
            if *waiting + datagram.len() > MAX_DTLS_WAITING {
                return false;
            }
            *waiting += datagram.len();
        }
        true
    }

    fn forget_record(&mut self, event: &Event) {
        if let Event::DtlsRecord {
            transport,
            datagram,
        } = event
        {
            if let Some(waiting) = self.dtls_waiting.get_mut(transport) {
                *waiting = waiting.saturating_sub(datagram.len());
                if *waiting == 0 {
                    self.dtls_waiting.remove(transport);
                }
            }
        }
    }
}

/// Whether `new` says all that `old` said, of the same object, and newer.
fn replaces(new: &Event, old: &Event) -> bool {
    match (new, old) {
        (Event::SlotLayer { slot: a, .. }, Event::SlotLayer { slot: b, .. }) => a == b,
        (
            Event::TrackLayer {
                track: a, rid: x, ..
            },
            Event::TrackLayer {
                track: b, rid: y, ..
            },
        )
        | (
            Event::KeyframeFailed { track: a, rid: x },
            Event::KeyframeFailed { track: b, rid: y },
        ) => a == b && x == y,
        (Event::Speakers { room: a, .. }, Event::Speakers { room: b, .. }) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use sunup_engine_core::ice::State;
    use sunup_engine_core::ids::{RoomId, TrackId};

    use super::*;

    fn state(transport: u64) -> Event {
        Event::TransportState {
            transport: TransportId(transport),
            state: State::Connected,
        }
    }

    fn speakers(room: u64, level: i8) -> Event {
        Event::Speakers {
            room: RoomId(room),
            levels: vec![(TrackId(1), level)],
        }
    }

    /// A reader that drains as soon as it is woken is woken no more often than promised.
    #[test]
    fn no_second_has_more_wakes_than_promised() {
        let mailbox = Mailbox::new().unwrap();
        let mut wakes = Vec::new();
        for now in (0..3_000_000).step_by(500) {
            let before = mailbox.wakes();
            mailbox.post(now, std::iter::once(state(now)));
            mailbox.ring(now);
            if mailbox.wakes() > before {
                wakes.push(now);
                mailbox.drain(usize::MAX);
            }
        }
        assert!(wakes.len() > 400, "only {} wakes", wakes.len());
        for (index, &start) in wakes.iter().enumerate() {
            let within = wakes[index..]
                .iter()
                .take_while(|&&at| at < start + 1_000_000)
                .count();
            assert!(within as u64 <= WAKES_PER_SECOND, "{within} after {start}");
        }
    }

    #[test]
    fn states_wake_at_once_and_levels_are_gathered() {
        let mailbox = Mailbox::new().unwrap();
        mailbox.post(1_000_000, std::iter::once(speakers(1, -20)));
        assert_eq!(mailbox.wakes(), 0);
        assert_eq!(mailbox.next_timeout(), Some(1_000_000 + GATHER));
        mailbox.post(1_000_001, std::iter::once(state(1)));
        assert_eq!(mailbox.wakes(), 1);
        assert_eq!(mailbox.drain(10).events.len(), 2);
        assert_eq!(mailbox.next_timeout(), None);
    }

    #[test]
    fn a_sleeping_reader_finds_every_state_and_the_newest_levels() {
        let mailbox = Mailbox::new().unwrap();
        let flood = 20_000;
        for n in 0..flood {
            let level = -((n % 100) as i8);
            mailbox.post(n, [state(n), speakers(n % 7, level)].into_iter());
        }
        let mail = mailbox.drain(usize::MAX);
        let states = mail
            .events
            .iter()
            .filter(|event| matches!(event, Event::TransportState { .. }))
            .count();
        assert_eq!(states as u64, flood);
        let speakers_kept = mail.events.len() - states;
        assert_eq!(mail.dropped, flood - speakers_kept as u64);
        assert!(mail.events.contains(&speakers((flood - 1) % 7, -99)));
    }

    #[test]
    fn a_reader_that_takes_a_part_is_woken_for_the_rest() {
        let mailbox = Mailbox::new().unwrap();
        mailbox.post(0, (0..10).map(state));
        assert_eq!(mailbox.drain(4).events.len(), 4);
        assert!(mailbox.lock().signalled);
        assert_eq!(mailbox.drain(100).events.len(), 6);
        assert!(!mailbox.lock().signalled);
    }

    #[test]
    fn records_of_one_transport_have_a_limit_that_others_do_not_feel() {
        let mailbox = Mailbox::new().unwrap();
        let record = |transport| Event::DtlsRecord {
            transport: TransportId(transport),
            datagram: vec![22; 1000],
        };
        mailbox.post(0, (0..100).map(|_| record(1)));
        mailbox.post(0, std::iter::once(record(2)));
        let mail = mailbox.drain(usize::MAX);
        assert_eq!(mail.events.len(), MAX_DTLS_WAITING / 1000 + 1);
        assert_eq!(mail.dropped, 100 - (MAX_DTLS_WAITING / 1000) as u64);
        mailbox.post(0, std::iter::once(record(1)));
        assert_eq!(mailbox.drain(usize::MAX).events.len(), 1);
    }
}
