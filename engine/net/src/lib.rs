//! Sockets and the worker thread round the core: the one crate with `unsafe`.
//!
//! [`Engine`] is the handle: orders go down through it, events come up through one eventfd. The
//! worker thread (`worker.rs`) owns the socket and the core and shares nothing with callers but the
//! two mailboxes (`orders.rs`, `mailbox.rs`). System calls are wrapped in `sys`; no `unsafe` stands
//! outside of it.

mod engine;
mod mailbox;
mod orders;
mod sender;
mod sys;
mod worker;

pub use engine::{Config, Engine};
pub use mailbox::Mail;
pub use orders::{Figures, Question};
