//! Waiting for several descriptors at once.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::check;

/// What is ready; a bit for each token below 64.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Ready(u64);

impl Ready {
    /// Whether the descriptor that was added with this token is readable.
    pub fn contains(self, token: u8) -> bool {
        self.0 & (1 << token) != 0
    }
}

/// An epoll instance, level triggered.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// One that waits for nothing.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the call succeeded, so `fd` is open and nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Waits for `fd` to be readable; `token` is below 64. The kernel forgets a closed descriptor.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u8) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: u64::from(token),
        };
        // SAFETY: both descriptors are open and `event` lives through the call.
        check(unsafe {
            libc::epoll_ctl(
                self.0.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                fd.as_raw_fd(),
                &mut event,
            )
        })?;
        Ok(())
    }

    /// Waits until something is ready or the time is over; whole milliseconds, rounded up.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<Ready> {
        let milliseconds = timeout.map_or(-1, |timeout| {
            i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX)
        });
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
        // SAFETY: `events` is writable for as many entries as are asked for.
        let answer = check(unsafe {
            libc::epoll_wait(
                self.0.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as i32, // 8
                milliseconds,
            )
        });
        let count = match answer {
            Ok(count) => count,
            // A signal is a reason to look at the clock again, not a failure.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        let mut ready = Ready::default();
        for event in events.iter().take(usize::try_from(count).unwrap_or(0)) {
            ready.0 |= 1 << (event.u64 & 63);
        }
        Ok(ready)
    }
}
