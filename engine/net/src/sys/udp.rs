//! The UDP socket: made, bound and tuned here.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::address::{Family, RawAddress};
use super::check;

/// Room for about a quarter of a second of a busy room, so that a late turn loses nothing.
const SOCKET_BUFFER: libc::c_int = 8 << 20;

/// A bound, non-blocking UDP socket.
#[derive(Debug)]
pub struct UdpSocket {
    fd: OwnedFd,
    family: Family,
    port: u16,
    segmentation: bool,
}

impl UdpSocket {
    /// Binds a port; 0 takes a free one. `::` serves IPv4 as well.
    pub fn bind(host: IpAddr, port: u16) -> io::Result<Self> {
        let (family, domain) = match host {
            IpAddr::V4(_) => (Family::V4, libc::AF_INET),
            IpAddr::V6(_) => (Family::V6, libc::AF_INET6),
        };
        let flags = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers are passed.
        let fd = check(unsafe { libc::socket(domain, flags, 0) })?;
        // SAFETY: the call succeeded, so `fd` is open and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut socket = Self {
            fd,
            family,
            port,
            segmentation: false,
        };
        match family {
            Family::V4 => socket.set(libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?,
            Family::V6 => {
                let only = libc::c_int::from(!host.is_unspecified());
                socket.set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, only)?;
                socket.set(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
            }
        }
        for (forced, polite) in [
            (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
            (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
        ] {
            // Only a privileged process may go above the system's limit.
            if socket.set(libc::SOL_SOCKET, forced, SOCKET_BUFFER).is_err() {
                socket.set(libc::SOL_SOCKET, polite, SOCKET_BUFFER)?;
            }
        }
        socket.bind_to(SocketAddr::new(host, port))?;
        socket.port = socket.local_port()?;
        // Setting it to 0 changes nothing and fails where the kernel does not know it.
        socket.segmentation = socket.set(libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok();
        Ok(socket)
    }

    /// The bound port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Of which family peers' addresses must be.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Whether the kernel knows UDP_SEGMENT.
    pub fn segmentation(&self) -> bool {
        self.segmentation
    }

    /// Turns UDP checksums off, with which the kernel refuses segmentation: for tests.
    #[cfg(test)]
    pub fn refuse_segmentation(&self) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_NO_CHECK, 1)
    }

    fn set(&self, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
        // SAFETY: the value lives through the call and its size is passed.
        check(unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                level,
                name,
                std::ptr::from_ref(&value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        })?;
        Ok(())
    }

    fn bind_to(&self, address: SocketAddr) -> io::Result<()> {
        let (raw, len) =
            RawAddress::new(self.family, address).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: the address lives through the call and its length is right for its family.
        check(unsafe { libc::bind(self.fd.as_raw_fd(), std::ptr::from_ref(&raw).cast(), len) })?;
        Ok(())
    }

    fn local_port(&self) -> io::Result<u16> {
        let mut raw = RawAddress::EMPTY;
        let mut len = size_of::<RawAddress>() as libc::socklen_t;
        // SAFETY: both out-parameters are live, and `len` says how much room there is.
        check(unsafe {
            libc::getsockname(
                self.fd.as_raw_fd(),
                std::ptr::from_mut(&mut raw).cast(),
                &mut len,
            )
        })?;
        let address = raw.get().ok_or(io::ErrorKind::InvalidData)?;
        Ok(address.port())
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
