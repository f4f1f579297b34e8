//! Socket addresses between Rust's form and the kernel's.
//!
//! The core sees IPv4 peers of a dual-stack socket as IPv4, so that XOR-MAPPED-ADDRESS is right;
//! towards such a socket they are mapped again (RFC 4291 section 2.5.5.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The address family of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// AF_INET.
    V4,
    /// AF_INET6, which may serve IPv4 as well.
    V6,
}

/// Room for an address of either family.
#[derive(Clone, Copy)]
#[repr(C)]
pub union RawAddress {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl RawAddress {
    /// All bytes zero.
    pub const EMPTY: Self = Self {
        v6: libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        },
    };

    /// For a socket of a family; `None` for an IPv6 address on an IPv4 socket.
    pub fn new(family: Family, address: SocketAddr) -> Option<(Self, libc::socklen_t)> {
        match (family, address) {
            (Family::V4, SocketAddr::V4(v4)) => {
                let raw = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t, // a constant below 2^16
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(v4.ip().octets()),
                    },
                    sin_zero: [0; 8],
                };
                let len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
                Some((Self { v4: raw }, len))
            }
            (Family::V4, SocketAddr::V6(_)) => None,
            (Family::V6, address) => {
                let (ip, flow, scope) = match address {
                    SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), 0, 0),
                    SocketAddr::V6(v6) => (*v6.ip(), v6.flowinfo(), v6.scope_id()),
                };
                let raw = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t, // a constant below 2^16
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: flow,
                    sin6_addr: libc::in6_addr {
                        s6_addr: ip.octets(),
                    },
                    sin6_scope_id: scope,
                };
                let len = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
                Some((Self { v6: raw }, len))
            }
        }
    }

    /// What the kernel wrote; `None` if it is of neither family.
    pub fn get(&self) -> Option<SocketAddr> {
        // SAFETY: all bytes of the union are initialised (`EMPTY` or `new`), the kernel only writes
        // plain integers into it, and the family field lies at the same place in both forms.
        let family = i32::from(unsafe { self.v4.sin_family });
        match family {
            libc::AF_INET => {
                // SAFETY: as above; the family says which form was written.
                let v4 = unsafe { self.v4 };
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddr::new(ip.into(), u16::from_be(v4.sin_port)))
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let v6 = unsafe { self.v6 };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                Some(match ip.to_ipv4_mapped() {
                    Some(ip) => SocketAddr::new(ip.into(), port),
                    None => SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into(),
                })
            }
            _ => None,
        }
    }
}

/// An IPv4 address that came in IPv6's form, as IPv4.
pub fn unmapped(ip: Ipv6Addr) -> IpAddr {
    ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
}

/// An address in IPv6's form.
pub fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_the_kernel_and_back() {
        for (family, address) in [
            (Family::V4, "192.0.2.7:1234"),
            (Family::V6, "192.0.2.7:1234"),
            (Family::V6, "[2001:db8::1]:65535"),
            (Family::V6, "[fe80::1%3]:9"),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            let (raw, _) = RawAddress::new(family, address).unwrap();
            assert_eq!(raw.get(), Some(address));
        }
    }

    #[test]
    fn an_ipv4_socket_has_no_ipv6_peers() {
        let address: SocketAddr = "[2001:db8::1]:1".parse().unwrap();
        assert!(RawAddress::new(Family::V4, address).is_none());
        assert_eq!(RawAddress::EMPTY.get(), None);
    }
}
