//! From the outbox to the kernel: builds runs, sends them, and copes with refusals.
//!
//! Datagrams of equal size for one path leave as one message that the kernel cuts, which is where most
//! of the cost of sending is saved. A kernel or a route that refuses this gets them one by one.
//! What the socket's buffer cannot take is dropped and counted: real-time data does not wait.

use std::io;

use sunup_engine_core::outbox::Outbox;

use crate::sys::udp::UdpSocket;
use crate::sys::{fits_run, Outcome, SendBatch, MAX_SEGMENTS};

/// Refused runs in a row after which segmentation is not tried any more.
const MAX_REFUSALS: u32 = 32;

/// What sending cost and lost.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct SendCounters {
    /// Messages handed to the kernel.
    pub messages: u64,
    /// Of these, runs that the kernel cut.
    pub gso_messages: u64,
    /// Datagrams in those runs.
    pub gso_segments: u64,
    /// Runs that were refused and sent one by one.
    pub gso_refused: u64,
    /// Datagrams dropped because the socket's buffer was full.
    pub dropped_buffer_full: u64,
    /// Datagrams dropped because the kernel refused them for another reason.
    pub dropped_send_error: u64,
}

/// Sends outboxes over one socket.
pub struct Sender {
    batch: SendBatch<'static>,
    segmentation: bool,
    refusals: u32,
    counters: SendCounters,
}

impl Sender {
    /// For a socket.
    pub fn new(socket: &UdpSocket) -> Self {
        Self {
            batch: SendBatch::new(),
            segmentation: socket.segmentation(),
            refusals: 0,
            counters: SendCounters::default(),
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> SendCounters {
        self.counters
    }

    /// Sends everything that waits; the caller clears the outbox then.
    pub fn flush(&mut self, socket: &UdpSocket, outbox: &Outbox) {
        let mut batch = std::mem::replace(&mut self.batch, SendBatch::new()).clear();
        for (path, datagrams) in outbox.chains() {
            let mut run: [&[u8]; MAX_SEGMENTS] = [&[]; MAX_SEGMENTS];
            let mut len = 0;
            for datagram in datagrams {
                let joins = len == 0 || (self.segmentation && fits_run(&run[..len], datagram));
                if !joins {
                    batch = self.push(socket, batch, path, &run[..len]);
                    len = 0;
                }
                run[len] = datagram;
                len += 1;
            }
            if len > 0 {
                batch = self.push(socket, batch, path, &run[..len]);
            }
        }
        self.send(socket, &mut batch);
        self.batch = batch.clear();
    }

    fn push<'a>(
        &mut self,
        socket: &UdpSocket,
        mut batch: SendBatch<'a>,
        path: sunup_engine_core::ice::Path,
        run: &[&'a [u8]],
    ) -> SendBatch<'a> {
        if !batch.push(socket, path, run) {
            self.send(socket, &mut batch);
            batch = batch.clear();
            let empty_batch_took_it = batch.push(socket, path, run);
            debug_assert!(empty_batch_took_it, "a run is larger than a batch");
        }
        batch
    }

    fn send(&mut self, socket: &UdpSocket, batch: &mut SendBatch<'_>) {
        let mut from = 0;
        while from < batch.len() {
            let (until, error) = match batch.send(socket, from) {
                Outcome::Done => (batch.len(), None),
                Outcome::Refused(at, error) => (at, Some(error)),
            };
            for message in from..until {
                self.count_sent(batch.size(message).0);
            }
            from = until;
            if let Some(error) = error {
                if error.kind() == io::ErrorKind::WouldBlock {
                    for message in from..batch.len() {
                        self.counters.dropped_buffer_full += batch.size(message).0 as u64;
                    }
                    return;
                }
                self.refused(socket, batch, from, &error);
                from += 1;
            }
        }
    }

    fn count_sent(&mut self, segments: usize) {
        self.counters.messages += 1;
        if segments > 1 {
            self.refusals = 0;
            self.counters.gso_messages += 1;
            self.counters.gso_segments += segments as u64;
        }
    }

    fn refused(
        &mut self,
        socket: &UdpSocket,
        batch: &SendBatch<'_>,
        message: usize,
        error: &io::Error,
    ) {
        let (segments, _) = batch.size(message);
        if segments < 2 {
            self.counters.dropped_send_error += 1;
            return;
        }
        self.counters.gso_refused += 1;
        self.refusals += 1;
        // EIO: the device cannot add checksums, which does not change. EINVAL: perhaps only this
        // route has a smaller MTU.
        if error.raw_os_error() == Some(libc::EIO) || self.refusals >= MAX_REFUSALS {
            self.segmentation = false;
        }
        let sent = batch.send_split(socket, message);
        self.counters.messages += sent as u64;
        self.counters.dropped_send_error += (segments - sent) as u64;
    }
}
