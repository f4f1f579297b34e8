//! The worker thread: waits, takes orders and datagrams, lets the core think, sends.
//!
//! One turn: orders, then datagrams (at most [`DATAGRAMS_PER_TURN`], so that timers keep their time),
//! then deadlines, then everything goes out and the events are posted. Each call into the core is
//! guarded: a panic there closes one transport and is counted, the thread goes on.

use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::mpsc::Sender as Reply;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sunup_engine_core::core::Core;
use sunup_engine_core::rng::Rng;

use crate::mailbox::Mailbox;
use crate::orders::{Figures, Order, OrderReceiver, Question};
use crate::sender::Sender;
use crate::sys::epoll::Epoll;
use crate::sys::udp::UdpSocket;
use crate::sys::ReceiveBatch;

/// After this many datagrams the turn goes on even if there are more.
const DATAGRAMS_PER_TURN: usize = 256;
/// After this many orders likewise.
const ORDERS_PER_TURN: usize = 1024;
/// Bytes in the outbox above which it is sent in the middle of a turn.
const FLUSH_ABOVE: usize = 1 << 20;
const SOCKET: u8 = 0;
const ORDERS: u8 = 1;

/// Everything that the thread owns.
pub struct Worker {
    socket: UdpSocket,
    epoll: Epoll,
    orders: OrderReceiver,
    mailbox: Arc<Mailbox>,
    core: Core,
    receive: ReceiveBatch,
    sender: Sender,
    started: Instant,
    turns: u64,
    stopping: bool,
}

impl Worker {
    /// A worker for a bound socket; runs nothing yet.
    pub fn new(
        socket: UdpSocket,
        orders: OrderReceiver,
        mailbox: Arc<Mailbox>,
        rng: Rng,
    ) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(std::os::fd::AsFd::as_fd(&socket), SOCKET)?;
        epoll.add(orders.fd(), ORDERS)?;
        Ok(Self {
            sender: Sender::new(&socket),
            socket,
            epoll,
            orders,
            mailbox,
            core: Core::new(rng),
            receive: ReceiveBatch::new(),
            started: Instant::now(),
            turns: 0,
            stopping: false,
        })
    }

    /// Works until it is told to stop.
    pub fn run(&mut self) -> io::Result<()> {
        let mut idle_turn = false;
        while !self.stopping {
            let now = self.now();
            let mut timeout = self.next_timeout().map(|at| at.saturating_sub(now));
            if idle_turn {
                // A deadline that comes back at once must not become a busy loop.
                timeout = timeout.map(|timeout| timeout.max(1_000));
            }
            let ready = self.epoll.wait(timeout.map(Duration::from_micros))?;
            self.turns += 1;
            idle_turn = ready == Default::default();
            if ready.contains(ORDERS) || self.orders.waiting() {
                self.take_orders();
            }
            if ready.contains(SOCKET) {
                self.take_datagrams()?;
            }
            let now = self.now();
            if self.core.next_timeout().is_some_and(|at| at <= now) {
                self.guarded(|core| core.handle_timeout(now));
            }
            self.flush();
            self.mailbox.ring(now);
        }
        Ok(())
    }

    /// Microseconds since the start; never zero, so that zero can mean "never".
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX - 1) + 1
    }

    fn next_timeout(&self) -> Option<u64> {
        [self.core.next_timeout(), self.mailbox.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    fn take_orders(&mut self) {
        self.orders.silence();
        for _ in 0..ORDERS_PER_TURN {
            match self.orders.take() {
                Some(Order::Command(command)) => {
                    let now = self.now();
                    self.guarded(|core| core.handle_command(now, command));
                }
                Some(Order::Question(question, reply)) => self.answer(question, &reply),
                Some(Order::Stop) => {
                    self.stopping = true;
                    return;
                }
                None => return,
            }
        }
        self.orders.ring_again();
    }

    fn take_datagrams(&mut self) -> io::Result<()> {
        let mut taken = 0;
        while taken < DATAGRAMS_PER_TURN {
            let more = match self.receive.receive(&self.socket) {
                Ok(more) => more,
                // Errors of the network below, such as an unreachable peer, are no errors of ours.
                Err(error) if is_transient(&error) => true,
                Err(error) => return Err(error),
            };
            // What was ordered before a datagram was sent is applied before it: keys, for example.
            if self.orders.waiting() {
                self.take_orders();
            }
            let now = self.now();
            let core = &mut self.core;
            for (path, datagram) in self.receive.datagrams() {
                taken += 1;
                guard(core, now, |core| core.handle_datagram(now, path, datagram));
                if core.outbox().len() > FLUSH_ABOVE {
                    self.sender.flush(&self.socket, core.outbox());
                    core.clear_outbox();
                }
            }
            if !more {
                break;
            }
            taken += 1; // so that errors without datagrams come to an end, too
        }
        Ok(())
    }

    fn flush(&mut self) {
        if !self.core.outbox().is_empty() {
            self.sender.flush(&self.socket, self.core.outbox());
            self.core.clear_outbox();
        }
        let now = self.now();
        let core = &mut self.core;
        self.mailbox
            .post(now, std::iter::from_fn(|| core.poll_event()));
    }

    fn guarded(&mut self, call: impl FnOnce(&mut Core)) {
        let now = self.now();
        guard(&mut self.core, now, call);
    }

    fn answer(&self, question: Question, reply: &Reply<Option<Figures>>) {
        let forwarder = self.core.forwarder();
        let figures = match question {
            Question::Engine => Some(self.figures()),
            Question::Transport(id) => self.core.transport(id).map(|transport| {
                let mut figures: Figures = transport.counters.iter().collect();
                figures.push(("address_migrations", transport.agent.migrations()));
                figures.extend(forwarder.transport_figures(id).unwrap_or_default());
                figures
            }),
            Question::Track(id) => forwarder.track_figures(id),
            Question::Slot(id) => forwarder.slot_figures(id),
        };
        // Who asked may have given up waiting.
        drop(reply.send(figures));
    }

    fn figures(&self) -> Figures {
        let mut figures: Figures = self.core.counters().iter().collect();
        let sent = self.sender.counters();
        figures.extend([
            ("transports", self.core.transports() as u64),
            ("send_messages", sent.messages),
            ("gso_messages", sent.gso_messages),
            ("gso_segments", sent.gso_segments),
            ("gso_refused", sent.gso_refused),
            ("dropped_out_buffer_full", sent.dropped_buffer_full),
            ("dropped_out_send_error", sent.dropped_send_error),
            ("event_wakes", self.mailbox.wakes()),
            ("turns", self.turns),
            ("worker_cpu_us", cpu_time_us()),
        ]);
        for (name, value) in self.core.forwarder().figures() {
            // Both halves of the core count commands for what is gone.
            match figures.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += value,
                None => figures.push((name, value)),
            }
        }
        figures
    }
}

/// Calls into the core; after a panic lets it close what was poisoned.
fn guard(core: &mut Core, now: u64, call: impl FnOnce(&mut Core)) {
    // Whatever a panic left half done belongs to the transport that `recover` closes.
    if catch_unwind(AssertUnwindSafe(|| call(core))).is_ok() {
        return;
    }
    // The panic hook has printed message and place. A second panic here finds the transport gone
    // from the core's tables already, and there is nothing more to close.
    let _ = catch_unwind(AssertUnwindSafe(|| core.recover(now)));
}

/// CPU time of the calling thread so far; 0 where the kernel keeps no such account.
fn cpu_time_us() -> u64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|figures| figures.split(' ').next()?.parse::<u64>().ok())
        .unwrap_or(0)
        / 1_000
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::ENETDOWN
                | libc::ENOMEM
                | libc::ENOBUFS
        )
    )
}
