//! Receiving up to 64 datagrams with one system call.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};

use sunup_engine_core::ice::Path;

use super::address::RawAddress;
use super::control::{local_address, ControlBuffer};
use super::udp::UdpSocket;
use super::uninterrupted;

const BATCH: usize = 64;
/// No datagram of WebRTC is larger than an Ethernet frame; what is gets cut and dropped.
const MAX_DATAGRAM: usize = 2048;

/// Buffers for one call, used again and again.
pub struct ReceiveBatch {
    buffers: Box<[[u8; MAX_DATAGRAM]; BATCH]>,
    addresses: Box<[RawAddress; BATCH]>,
    controls: Box<[ControlBuffer; BATCH]>,
    // What the kernel said of each datagram of the last call.
    results: Vec<Received>,
}

#[derive(Clone, Copy)]
struct Received {
    len: usize,
    path: Path,
}

impl ReceiveBatch {
    /// Empty buffers.
    pub fn new() -> Self {
        Self {
            buffers: Box::new([[0; MAX_DATAGRAM]; BATCH]),
            addresses: Box::new([RawAddress::EMPTY; BATCH]),
            controls: Box::new([ControlBuffer::EMPTY; BATCH]),
            results: Vec::with_capacity(BATCH),
        }
    }

    /// Reads what is there, at most 64 datagrams; answers whether there may be more.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        self.results.clear();
        // SAFETY: iovec and mmsghdr are plain integers and pointers, null when zeroed.
        let mut vectors: [libc::iovec; BATCH] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        let parts = self
            .buffers
            .iter_mut()
            .zip(self.addresses.iter_mut())
            .zip(self.controls.iter_mut())
            .zip(vectors.iter_mut().zip(headers.iter_mut()));
        for (((buffer, address), control), (vector, header)) in parts {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = buffer.len();
            let header = &mut header.msg_hdr;
            header.msg_name = std::ptr::from_mut(address).cast();
            header.msg_namelen = size_of::<RawAddress>() as libc::socklen_t;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr();
            header.msg_controllen = ControlBuffer::capacity() as _;
        }
        // SAFETY: every header points at a buffer, an address and a control buffer of `self` and at a
        // vector of this frame, with their right sizes; all of them outlive the call.
        let answer = uninterrupted(|| unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        });
        let count = match answer {
            Ok(count) => usize::try_from(count).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        for (header, address) in headers.iter().zip(self.addresses.iter()).take(count) {
            let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            let remote = address.get().filter(|_| !cut);
            let local = local_address(&header.msg_hdr);
            self.results.push(Received {
                len: remote.map_or(0, |_| header.msg_len as usize),
                path: Path {
                    local: local.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
                    remote: remote.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into()),
                },
            });
        }
        Ok(count == BATCH)
    }

    /// The datagrams of the last call. Empty ones and ones that were cut are left out.
    pub fn datagrams(&mut self) -> impl Iterator<Item = (Path, &mut [u8])> {
        self.results
            .iter()
            .zip(self.buffers.iter_mut())
            .filter_map(|(received, buffer)| {
                let datagram = buffer.get_mut(..received.len)?;
                (!datagram.is_empty()).then_some((received.path, datagram))
            })
    }
}
