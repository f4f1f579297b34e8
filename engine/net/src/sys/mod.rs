//! Safe wrappers round the system calls that the worker needs; all `unsafe` of the engine is here.

pub mod epoll;
pub mod eventfd;
pub mod udp;

mod address;
mod control;
mod receive;
mod transmit;

pub use receive::ReceiveBatch;
pub use transmit::{fits_run, Outcome, SendBatch, MAX_SEGMENTS};

use std::io;

/// The answer of a system call that reports errors as -1.
fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

/// Repeats a system call that a signal interrupted.
fn uninterrupted(mut call: impl FnMut() -> libc::c_int) -> io::Result<libc::c_int> {
    loop {
        match check(call()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}
