//! The handle of a running worker: what the Python binding and the benchmarks hold.

use std::any::Any;
use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{mpsc, Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sunup_engine_core::commands::Command;
use sunup_engine_core::rng::Rng;

use crate::mailbox::{Mail, Mailbox};
use crate::orders::{orders, Figures, Order, OrderSender, Question};
use crate::sys::udp::UdpSocket;
use crate::worker::Worker;

/// Longer than the worst turn; only a dead worker makes a question wait for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What an engine is started with.
#[derive(Debug)]
pub struct Config {
    /// The address to bind; `::` serves both families.
    pub host: IpAddr,
    /// The port to bind; 0 takes a free one.
    pub port: u16,
    /// Where the core's randomness comes from.
    pub rng: Rng,
}

/// One worker thread with one UDP port.
pub struct Engine {
    port: u16,
    orders: OrderSender,
    mailbox: Arc<Mailbox>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Binds the port and starts the thread.
    pub fn start(config: Config) -> io::Result<Self> {
        let socket = UdpSocket::bind(config.host, config.port)?;
        let port = socket.port();
        let (sender, receiver) = orders()?;
        let mailbox = Arc::new(Mailbox::new()?);
        let mut starting = Some((socket, receiver, config.rng));
        let worker_mailbox = mailbox.clone();
        let thread = std::thread::Builder::new()
            .name("sunup-engine".into())
            .spawn(move || {
                let Some((socket, receiver, rng)) = starting.take() else {
                    return;
                };
                let ended = catch_unwind(AssertUnwindSafe(|| {
                    Worker::new(socket, receiver, worker_mailbox.clone(), rng)?.run()
                }));
                match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => worker_mailbox.died(error.to_string()),
                    Err(panic) => worker_mailbox.died(panic_text(panic.as_ref())),
                }
            })?;
        Ok(Self {
            port,
            orders: sender,
            mailbox,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The bound port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Readable when [`Engine::drain`] has something.
    #[must_use]
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.mailbox.fd()
    }

    /// Sends a command; after [`Engine::close`] it is lost, as everything is.
    pub fn send(&self, command: Command) {
        self.orders.send(Order::Command(command));
    }

    /// Takes events, at most `limit`.
    #[must_use]
    pub fn drain(&self, limit: usize) -> Mail {
        self.mailbox.drain(limit)
    }

    /// Asks for figures and waits for them; `None` for an unknown id or a stopped engine.
    #[must_use]
    pub fn ask(&self, question: Question) -> Option<Figures> {
        let (reply, answer) = mpsc::channel();
        if !self.orders.send(Order::Question(question, reply)) {
            return None;
        }
        answer.recv_timeout(ANSWER_WITHIN).ok().flatten()
    }

    /// Ends the thread and closes the port. Twice is harmless.
    pub fn close(&self) {
        self.orders.send(Order::Stop);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // Its panics were caught and posted.
            drop(thread.join());
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a panic said; its place was printed by the panic hook.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = match panic.downcast_ref::<&str>() {
        Some(text) => Some(*text),
        None => panic.downcast_ref::<String>().map(String::as_str),
    };
    format!("it panicked: {}", text.unwrap_or("without a text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_in_its_own_words() {
        let number = std::hint::black_box(7);
        let told = |panic: Box<dyn Any + Send>| panic_text(panic.as_ref());
        let caught = |call: fn(i32)| catch_unwind(|| call(number)).unwrap_err();
        assert_eq!(told(caught(|_| panic!("plain"))), "it panicked: plain");
        assert_eq!(
            told(caught(|n| panic!("number {n}"))),
            "it panicked: number 7"
        );
        assert_eq!(told(Box::new(number)), "it panicked: without a text");
    }
}
