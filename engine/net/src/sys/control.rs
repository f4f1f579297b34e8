//! Control messages: our own address of a datagram (PKTINFO) and the segment size (UDP_SEGMENT).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::{mapped, unmapped, Family};

/// Room for both control messages of a datagram, aligned as the kernel wants them.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct ControlBuffer([u8; 96]);

impl ControlBuffer {
    /// No messages.
    pub const EMPTY: Self = Self([0; 96]);

    /// Where the kernel reads or writes it.
    pub fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.0.as_mut_ptr().cast()
    }

    /// How much the kernel may write.
    pub const fn capacity() -> usize {
        96
    }
}

/// Our own address that a datagram was sent to, when the kernel told it.
///
/// `header` must come from a successful receive call whose control buffer is still alive.
pub fn local_address(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the header was filled by the kernel and describes a live, aligned buffer (caller).
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR answer null or a whole header inside the buffer.
        let (level, kind) = unsafe { ((*message).cmsg_level, (*message).cmsg_type) };
        // SAFETY: as above; the data follow the header.
        let data = unsafe { libc::CMSG_DATA(message) };
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: for this type the kernel writes an in_pktinfo; it may be unaligned.
                let info: libc::in_pktinfo =
                    unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                let ip = Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes());
                return Some(ip.into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: for this type the kernel writes an in6_pktinfo; it may be unaligned.
                let info: libc::in6_pktinfo =
                    unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                return Some(unmapped(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
            }
            // SAFETY: `message` is a header inside the buffer that `header` describes.
            _ => message = unsafe { libc::CMSG_NXTHDR(header, message) },
        }
    }
    None
}

/// Writes the control messages of one outgoing datagram or run and answers their length.
///
/// An unspecified `local` leaves the choice of the source address to the kernel; a `segment` of 0
/// means that it is one datagram.
pub fn write_control(
    buffer: &mut ControlBuffer,
    family: Family,
    local: IpAddr,
    segment: u16,
) -> usize {
    let mut used = 0;
    if !local.is_unspecified() {
        match (family, local) {
            (Family::V4, IpAddr::V4(ip)) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from_ne_bytes(ip.octets()),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                used = append(buffer, used, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            }
            (Family::V4, IpAddr::V6(_)) => {}
            (Family::V6, local) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: mapped(local).octets(),
                    },
                    ipi6_ifindex: 0,
                };
                used = append(buffer, used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            }
        }
    }
    if segment > 0 {
        used = append(buffer, used, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
    }
    used
}

fn append<T: Copy>(
    buffer: &mut ControlBuffer,
    used: usize,
    level: libc::c_int,
    kind: libc::c_int,
    value: T,
) -> usize {
    let size = size_of::<T>() as libc::c_uint; // at most 20 bytes
                                               // SAFETY: pure arithmetic.
    let (space, len) = unsafe { (libc::CMSG_SPACE(size), libc::CMSG_LEN(size)) };
    let end = used + space as usize;
    assert!(end <= ControlBuffer::capacity(), "control buffer too small");
    let header = libc::cmsghdr {
        cmsg_len: len as _, // usize here, u32 with other C libraries
        cmsg_level: level,
        cmsg_type: kind,
    };
    // SAFETY: CMSG_SPACE bytes from `used` on lie inside the buffer (asserted), which is aligned to
    // 8, and so is every CMSG_SPACE; the value follows its header at CMSG_LEN(0).
    unsafe {
        let place = buffer.0.as_mut_ptr().add(used);
        place.cast::<libc::cmsghdr>().write(header);
        place
            .add(libc::CMSG_LEN(0) as usize)
            .cast::<T>()
            .write_unaligned(value);
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for (family, local) in [
            (Family::V4, "192.0.2.9"),
            (Family::V6, "2001:db8::7"),
            (Family::V6, "192.0.2.9"),
        ] {
            let local: IpAddr = local.parse().unwrap();
            let mut buffer = ControlBuffer::EMPTY;
            let len = write_control(&mut buffer, family, local, 1200);
            // SAFETY: msghdr is plain integers and null pointers when zeroed.
            let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
            header.msg_control = buffer.as_mut_ptr();
            header.msg_controllen = len as _;
            let read = local_address(&header);
            // On the way out IPv4 names the source in another field than on the way in.
            if family == Family::V6 {
                assert_eq!(read, Some(local));
            } else {
                assert_eq!(read, Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
            }
        }
    }

    #[test]
    fn nothing_to_say_is_no_message() {
        let mut buffer = ControlBuffer::EMPTY;
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        assert_eq!(write_control(&mut buffer, Family::V4, any, 0), 0);
    }
}
