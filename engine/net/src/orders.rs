//! What callers send to the worker thread: commands, questions, and the word to stop.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use sunup_engine_core::commands::Command;
use sunup_engine_core::ids::{SlotId, TrackId, TransportId};

use crate::sys::eventfd::EventFd;

/// Names and values, in the order in which they are counted.
pub type Figures = Vec<(&'static str, u64)>;

/// Whose figures are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// The worker, its socket and its core.
    Engine,
    /// One transport.
    Transport(TransportId),
    /// One track.
    Track(TrackId),
    /// One slot.
    Slot(SlotId),
}

/// One letter to the worker.
pub enum Order {
    /// For the core.
    Command(Command),
    /// Answered with figures, or nothing for an unknown id.
    Question(Question, Sender<Option<Figures>>),
    /// End the thread.
    Stop,
}

/// The callers' end; may be used by many threads.
pub struct OrderSender {
    orders: Sender<Order>,
    bell: std::sync::Arc<Bell>,
}

/// The worker's end.
pub struct OrderReceiver {
    orders: Receiver<Order>,
    bell: std::sync::Arc<Bell>,
}

struct Bell {
    fd: EventFd,
    // Spares a system call for each order but the first of a burst.
    rung: AtomicBool,
}

/// Both ends of a queue without a limit: callers are our own code, and lose nothing.
pub fn orders() -> io::Result<(OrderSender, OrderReceiver)> {
    let (sender, receiver) = mpsc::channel();
    let bell = std::sync::Arc::new(Bell {
        fd: EventFd::new()?,
        rung: AtomicBool::new(false),
    });
    let ends = (
        OrderSender {
            orders: sender,
            bell: bell.clone(),
        },
        OrderReceiver {
            orders: receiver,
            bell,
        },
    );
    Ok(ends)
}

impl OrderSender {
    /// Queues one order and wakes the worker. False if there is no worker any more.
    pub fn send(&self, order: Order) -> bool {
        let sent = self.orders.send(order).is_ok();
        if !self.bell.rung.swap(true, Ordering::AcqRel) {
            self.bell.fd.signal();
        }
        sent
    }
}

impl OrderReceiver {
    /// What to wait for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.bell.fd.as_fd()
    }

    /// Whether there may be orders; costs no system call.
    pub fn waiting(&self) -> bool {
        self.bell.rung.load(Ordering::Acquire)
    }

    /// Call this once before taking orders: whatever is queued later rings again.
    pub fn silence(&self) {
        self.bell.fd.reset();
        // A swap and not a store: who found it rung and spared his signal must have queued his
        // order before what follows.
        self.bell.rung.swap(false, Ordering::AcqRel);
    }

    /// Rings for ourselves, because not all orders were taken.
    pub fn ring_again(&self) {
        if !self.bell.rung.swap(true, Ordering::AcqRel) {
            self.bell.fd.signal();
        }
    }

    /// The next order, without waiting.
    pub fn take(&self) -> Option<Order> {
        self.orders.try_recv().ok()
    }
}
