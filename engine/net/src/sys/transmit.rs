//! Sending up to 64 messages with one system call, each of them one datagram or a run of
//! equal ones that the kernel cuts (UDP_SEGMENT).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use sunup_engine_core::ice::Path;

use super::address::RawAddress;
use super::control::{write_control, ControlBuffer};
use super::udp::UdpSocket;
use super::uninterrupted;

const MESSAGES: usize = 64;
const VECTORS: usize = 512;
/// The kernel's limit for one message was 64 before it became 128.
pub const MAX_SEGMENTS: usize = 64;
/// An IPv6 payload without the UDP header, with room for options.
const MAX_MESSAGE: usize = 65_000;

/// Messages that are gathered and then sent together.
///
/// Holds addresses of the datagrams, so it borrows them until [`SendBatch::clear`].
pub struct SendBatch<'a> {
    vectors: Vec<libc::iovec>,
    messages: Vec<Message>,
    addresses: Vec<RawAddress>,
    controls: Vec<ControlBuffer>,
    datagrams: std::marker::PhantomData<&'a [u8]>,
}

#[derive(Clone, Copy)]
struct Message {
    first_vector: usize,
    vectors: usize,
    bytes: usize,
    address_len: libc::socklen_t,
    control_len: usize,
    path: Path,
}

/// How far a call came.
#[derive(Debug)]
pub enum Outcome {
    /// All messages are sent.
    Done,
    /// The message at this index was refused; those before it are sent.
    Refused(usize, io::Error),
}

impl<'a> SendBatch<'a> {
    /// An empty batch with room for all that one call takes.
    pub fn new() -> Self {
        Self {
            vectors: Vec::with_capacity(VECTORS),
            messages: Vec::with_capacity(MESSAGES),
            addresses: Vec::with_capacity(MESSAGES),
            controls: Vec::with_capacity(MESSAGES),
            datagrams: std::marker::PhantomData,
        }
    }

    /// Adds a run for one path: all of `run` but the last have the same size, the last is not
    /// larger, and [`fits_run`] said yes to each. False if the batch is full.
    pub fn push(&mut self, socket: &UdpSocket, path: Path, run: &[&'a [u8]]) -> bool {
        if self.messages.len() == MESSAGES || self.vectors.len() + run.len() > VECTORS {
            return false;
        }
        let Some((address, address_len)) = RawAddress::new(socket.family(), path.remote) else {
            return true; // cannot be reached from this socket, so there is nothing to send
        };
        let segment = match run {
            [first, _, ..] => u16::try_from(first.len()).unwrap_or(0),
            _ => 0,
        };
        let mut control = ControlBuffer::EMPTY;
        let control_len = write_control(&mut control, socket.family(), path.local, segment);
        self.messages.push(Message {
            first_vector: self.vectors.len(),
            vectors: run.len(),
            bytes: run.iter().map(|datagram| datagram.len()).sum(),
            address_len,
            control_len,
            path,
        });
        self.addresses.push(address);
        self.controls.push(control);
        self.vectors.extend(run.iter().map(|datagram| libc::iovec {
            iov_base: datagram.as_ptr().cast_mut().cast(),
            iov_len: datagram.len(),
        }));
        true
    }

    /// Messages in the batch.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Datagrams and bytes of one message.
    pub fn size(&self, message: usize) -> (usize, usize) {
        self.messages
            .get(message)
            .map_or((0, 0), |message| (message.vectors, message.bytes))
    }

    /// Sends the messages from `from` on.
    pub fn send(&mut self, socket: &UdpSocket, from: usize) -> Outcome {
        // SAFETY: mmsghdr is plain integers and pointers, null when zeroed.
        let mut headers: [libc::mmsghdr; MESSAGES] = unsafe { std::mem::zeroed() };
        let vectors = self.vectors.as_mut_ptr();
        let parts = self
            .messages
            .iter()
            .zip(self.addresses.iter_mut())
            .zip(self.controls.iter_mut())
            .zip(headers.iter_mut());
        for (((message, address), control), header) in parts {
            let header = &mut header.msg_hdr;
            header.msg_name = std::ptr::from_mut(address).cast();
            header.msg_namelen = message.address_len;
            // SAFETY: `push` put this message's vectors at this place, so it is inside the array.
            header.msg_iov = unsafe { vectors.add(message.first_vector) };
            header.msg_iovlen = message.vectors as _;
            if message.control_len > 0 {
                header.msg_control = control.as_mut_ptr();
                header.msg_controllen = message.control_len as _;
            }
        }
        let mut at = from;
        while let Some(rest) = headers.get_mut(at..self.messages.len()) {
            if rest.is_empty() {
                break;
            }
            // SAFETY: every header in `rest` points at an address, a control buffer and vectors of
            // `self`, and the vectors at datagrams that 'a keeps borrowed; the kernel only reads.
            let answer = uninterrupted(|| unsafe {
                libc::sendmmsg(
                    socket.as_fd().as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint, // at most MESSAGES
                    libc::MSG_DONTWAIT,
                )
            });
            match answer {
                Ok(sent) => at += usize::try_from(sent).unwrap_or(0).max(1),
                Err(error) => return Outcome::Refused(at, error),
            }
        }
        Outcome::Done
    }

    /// Sends one message of the batch datagram by datagram; answers how many went out.
    pub fn send_split(&self, socket: &UdpSocket, message: usize) -> usize {
        let (Some(message), Some(address)) =
            (self.messages.get(message), self.addresses.get(message))
        else {
            return 0;
        };
        let mut control = ControlBuffer::EMPTY;
        let control_len = write_control(&mut control, socket.family(), message.path.local, 0);
        let end = message.first_vector + message.vectors;
        let mut sent = 0;
        for vector in self
            .vectors
            .get(message.first_vector..end)
            .unwrap_or_default()
        {
            let mut vector = *vector;
            // SAFETY: msghdr is plain integers and pointers, null when zeroed.
            let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
            header.msg_name = std::ptr::from_ref(address).cast_mut().cast();
            header.msg_namelen = message.address_len;
            header.msg_iov = &mut vector;
            header.msg_iovlen = 1;
            if control_len > 0 {
                header.msg_control = control.as_mut_ptr();
                header.msg_controllen = control_len as _;
            }
            // SAFETY: the header points at live values of this frame and of `self`; the vector
            // points at a datagram that 'a keeps borrowed; the kernel only reads.
            let answer = uninterrupted(|| unsafe {
                let len = libc::sendmsg(socket.as_fd().as_raw_fd(), &header, libc::MSG_DONTWAIT);
                if len < 0 {
                    -1
                } else {
                    0
                }
            });
            sent += usize::from(answer.is_ok());
        }
        sent
    }

    /// Forgets the messages and keeps the memory for other datagrams.
    pub fn clear<'b>(mut self) -> SendBatch<'b> {
        self.vectors.clear();
        self.messages.clear();
        self.addresses.clear();
        self.controls.clear();
        SendBatch {
            vectors: self.vectors,
            messages: self.messages,
            addresses: self.addresses,
            controls: self.controls,
            datagrams: std::marker::PhantomData,
        }
    }
}

/// Whether `next` may join a run: nothing may follow a shorter one, nothing may be longer.
pub fn fits_run(run: &[&[u8]], next: &[u8]) -> bool {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return true;
    };
    run.len() < MAX_SEGMENTS
        && last.len() == first.len()
        && next.len() <= first.len()
        && run.len() * first.len() + next.len() <= MAX_MESSAGE
}
