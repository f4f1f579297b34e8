//! What the load program asks of Linux: batched receives with the kernel's own time stamps, plain
//! sends, clocks, sleeping, cores. All `unsafe` of this crate is here.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Messages of one `recvmmsg`.
const BATCH: usize = 32;
/// Room for one datagram; larger ones are cut and then fail their authentication.
const DATAGRAM: usize = 2048;
/// Room for the control message with the time stamp.
const CONTROL: usize = 64;

/// A clock, in nanoseconds.
#[derive(Clone, Copy)]
pub enum Clock {
    /// For pacing; never jumps.
    Monotonic,
    /// The clock of the kernel's receive time stamps.
    Wall,
    /// CPU time of the calling thread.
    ThreadCpu,
}

impl Clock {
    fn id(self) -> libc::clockid_t {
        match self {
            Self::Monotonic => libc::CLOCK_MONOTONIC,
            Self::Wall => libc::CLOCK_REALTIME,
            Self::ThreadCpu => libc::CLOCK_THREAD_CPUTIME_ID,
        }
    }

    /// Reads it.
    pub fn now(self) -> u64 {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `time` is a valid place for a timespec.
        unsafe { libc::clock_gettime(self.id(), &mut time) };
        nanos(&time)
    }
}

fn nanos(time: &libc::timespec) -> u64 {
    let part = |value: i64| u64::try_from(value).unwrap_or_default();
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}

/// Sleeps until the monotonic clock shows `due`.
pub fn sleep_until(due: u64) {
    let time = libc::timespec {
        tv_sec: i64::try_from(due / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(due % 1_000_000_000).unwrap_or_default(),
    };
    // SAFETY: `time` outlives the call, which may write no remainder for an absolute time. A
    // signal only makes the caller look at its clock a little early.
    unsafe {
        libc::clock_nanosleep(
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &time,
            ptr::null_mut(),
        )
    };
}

/// Keeps the calling thread, and the threads it will start, on one core.
pub fn pin_to(core: usize) -> io::Result<()> {
    // SAFETY: an all-zero cpu_set_t is the empty set, and CPU_SET checks its bound.
    let set = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(core, &mut set);
        set
    };
    // SAFETY: `set` outlives the call and has the size that is given.
    check(unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &set) }).map(drop)
}

/// Makes a receiving socket deep, non-blocking, and stamp what arrives.
pub fn prepare_receiver(fd: RawFd) -> io::Result<()> {
    set_option(fd, libc::SO_RCVBUF, 1 << 21)?;
    set_option(fd, libc::SO_TIMESTAMPNS, 1)?;
    // SAFETY: F_GETFL and F_SETFL take and give integers only.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(drop)
}

fn set_option(fd: RawFd, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = libc::socklen_t::try_from(mem::size_of_val(&value)).unwrap_or(4);
    // SAFETY: `value` outlives the call and has the length that is given.
    check(unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            option,
            ptr::from_ref(&value).cast(),
            length,
        )
    })
    .map(drop)
}

/// The IPv4 address that a socket is bound to.
pub fn local_address(fd: RawFd) -> io::Result<SocketAddr> {
    // SAFETY: an all-zero sockaddr_in is valid; length and place belong together.
    let name = unsafe {
        let mut name: libc::sockaddr_in = mem::zeroed();
        let mut length = socket_address_len();
        check(libc::getsockname(
            fd,
            ptr::from_mut(&mut name).cast(),
            &mut length,
        ))?;
        name
    };
    Ok(to_address(&name))
}

/// `sendto` with nothing round it: the baseline and the publisher use it alike.
pub fn send_to(fd: RawFd, datagram: &[u8], to: &Target) -> io::Result<()> {
    // SAFETY: the slice and the address outlive the call and have the lengths that are given.
    let sent = unsafe {
        libc::sendto(
            fd,
            datagram.as_ptr().cast(),
            datagram.len(),
            0,
            ptr::from_ref(&to.0).cast(),
            socket_address_len(),
        )
    };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// A destination in the kernel's form, made once.
pub struct Target(libc::sockaddr_in);

impl Target {
    /// Media runs over IPv4 in the benchmark.
    pub fn new(address: SocketAddr) -> io::Result<Self> {
        let SocketAddr::V4(address) = address else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the benchmark runs over IPv4",
            ));
        };
        Ok(Self(libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t, // 2, fits
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr {
                s_addr: address.ip().to_bits().to_be(),
            },
            sin_zero: [0; 8],
        }))
    }
}

fn to_address(name: &libc::sockaddr_in) -> SocketAddr {
    let ip = Ipv4Addr::from_bits(u32::from_be(name.sin_addr.s_addr));
    SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into()
}

fn socket_address_len() -> libc::socklen_t {
    // 16 bytes, fits.
    mem::size_of::<libc::sockaddr_in>() as libc::socklen_t
}

/// Which sockets have something to read.
pub struct Poll {
    epoll: OwnedFd,
    ready: Vec<libc::epoll_event>,
}

impl Poll {
    /// An empty set.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the call takes a flag and gives a new descriptor, which is ours alone.
        let epoll = unsafe {
            let fd = check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Self {
            epoll,
            ready: vec![libc::epoll_event { events: 0, u64: 0 }; 256],
        })
    }

    /// Adds a socket under a number of the caller's.
    pub fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32, // 1, fits
            u64: token,
        };
        // SAFETY: `event` outlives the call.
        check(unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event)
        })
        .map(drop)
    }

    /// Waits at most so long and gives the numbers of the readable sockets.
    pub fn wait(&mut self, milliseconds: i32) -> impl Iterator<Item = u64> + '_ {
        let room = libc::c_int::try_from(self.ready.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: the vector has room for as many events as are asked for.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.ready.as_mut_ptr(),
                room,
                milliseconds,
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        self.ready[..count].iter().map(|event| event.u64)
    }
}

/// One datagram as it arrived.
pub struct Arrival<'a> {
    /// Its bytes, to be opened in place.
    pub bytes: &'a mut [u8],
    /// Who sent it.
    pub from: SocketAddr,
    /// When the kernel took it in, nanoseconds of the wall clock.
    pub at: u64,
}

/// Buffers of one `recvmmsg`, used again and again.
pub struct Inbox {
    buffers: Vec<[u8; DATAGRAM]>,
    names: Vec<libc::sockaddr_in>,
    controls: Vec<Control>,
}

/// Control messages start at the alignment of their header.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

impl Inbox {
    /// Empty buffers.
    pub fn new() -> Self {
        // SAFETY: an all-zero sockaddr_in is valid.
        let name: libc::sockaddr_in = unsafe { mem::zeroed() };
        Self {
            buffers: vec![[0; DATAGRAM]; BATCH],
            names: vec![name; BATCH],
            controls: vec![Control([0; CONTROL]); BATCH],
        }
    }

    /// Reads once without waiting and hands each datagram to `take`; true if there may be more.
    pub fn receive(&mut self, fd: RawFd, mut take: impl FnMut(Arrival<'_>)) -> bool {
        let mut parts: [libc::iovec; BATCH] = std::array::from_fn(|at| libc::iovec {
            iov_base: self.buffers[at].as_mut_ptr().cast(),
            iov_len: DATAGRAM,
        });
        let mut messages: [libc::mmsghdr; BATCH] = std::array::from_fn(|at| {
            // SAFETY: an all-zero mmsghdr is valid; its pointers are set right below.
            let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
            message.msg_hdr.msg_name = ptr::from_mut(&mut self.names[at]).cast();
            message.msg_hdr.msg_namelen = socket_address_len();
            message.msg_hdr.msg_iov = &mut parts[at];
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_control = self.controls[at].0.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = CONTROL;
            message
        });
        // SAFETY: every message points into `self` or `parts`, which outlive the call, with the
        // lengths that these have; BATCH is the length of the array.
        let count = unsafe {
            libc::recvmmsg(
                fd,
                messages.as_mut_ptr(),
                BATCH as libc::c_uint, // 32, fits
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        for (at, message) in messages.iter().enumerate().take(count) {
            // SAFETY: the kernel has filled in the control buffer that the header points to.
            let stamp = unsafe { time_stamp(&message.msg_hdr) };
            let length = message.msg_len as usize; // u32 into usize, fits
            take(Arrival {
                bytes: &mut self.buffers[at][..length.min(DATAGRAM)],
                from: to_address(&self.names[at]),
                at: stamp.unwrap_or_else(|| Clock::Wall.now()),
            });
        }
        count == BATCH
    }
}

/// Finds SCM_TIMESTAMPNS.
///
/// # Safety
/// `header` must describe a control buffer that the kernel has filled in.
unsafe fn time_stamp(header: &libc::msghdr) -> Option<u64> {
    // SAFETY: the caller's promise; CMSG_FIRSTHDR checks the length.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !control.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give null or a header inside the buffer.
        let head = unsafe { ptr::read_unaligned(control) };
        if head.cmsg_level == libc::SOL_SOCKET && head.cmsg_type == libc::SCM_TIMESTAMPNS {
            // SAFETY: the kernel writes a timespec behind a header of this type.
            let time: libc::timespec =
                unsafe { ptr::read_unaligned(libc::CMSG_DATA(control).cast()) };
            return Some(nanos(&time));
        }
        // SAFETY: as above.
        control = unsafe { libc::CMSG_NXTHDR(header, control) };
    }
    None
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_datagram_arrives_with_its_sender_and_a_stamp_between_send_and_receive() {
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let sender = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        prepare_receiver(receiver.as_raw_fd()).expect("options");
        let mut poll = Poll::new().expect("epoll");
        poll.add(receiver.as_raw_fd(), 9).expect("added");
        let to = local_address(receiver.as_raw_fd()).expect("bound");
        assert_eq!(to, receiver.local_addr().expect("bound"));
        let before = Clock::Wall.now();
        let target = Target::new(to).expect("IPv4");
        send_to(sender.as_raw_fd(), b"hello", &target).expect("sent");
        assert_eq!(poll.wait(1_000).collect::<Vec<_>>(), [9]);
        let mut seen = 0;
        let more = Inbox::new().receive(receiver.as_raw_fd(), |arrival| {
            seen += 1;
            assert_eq!(arrival.bytes, b"hello");
            assert_eq!(arrival.from, sender.local_addr().expect("bound"));
            assert!(arrival.at >= before && arrival.at <= Clock::Wall.now());
        });
        assert!(!more);
        assert_eq!(seen, 1);
    }

    #[test]
    fn a_sleep_ends_when_it_is_due() {
        let due = Clock::Monotonic.now() + 2_000_000;
        sleep_until(due);
        assert!(Clock::Monotonic.now() >= due);
    }
}
