//! Datagrams that wait to be sent, grouped by where they go.
//!
//! Each is written once, into one arena, and sealed where it stands. Those for one path form a chain,
//! in order, so that the shell can hand runs of equal size to the kernel in one call. After the
//! first turns nothing is allocated any more. Draining means: read [`Outbox::chains`], send, then
//! [`Outbox::clear`].

use crate::ice::Path;

const NONE: u32 = u32::MAX;

/// All datagrams of one turn.
#[derive(Default)]
pub struct Outbox {
    arena: Vec<u8>,
    used: usize,
    datagrams: Vec<Datagram>,
    chains: Vec<Chain>,
    turn: u64,
}

#[derive(Clone, Copy)]
struct Datagram {
    offset: usize,
    len: usize,
    next: u32,
}

#[derive(Clone, Copy)]
struct Chain {
    path: Path,
    first: u32,
    last: u32,
}

/// Remembers for a sender which chain it wrote to last; forgotten after each turn.
#[derive(Clone, Copy, Default, Debug)]
pub struct Ticket {
    turn: u64,
    chain: usize,
}

impl Outbox {
    /// Appends one datagram of at most `room` bytes for a path.
    ///
    /// `write` gets `room` bytes with arbitrary content and answers how many it used, or an error,
    /// and then nothing is appended.
    pub fn push<E>(
        &mut self,
        path: Path,
        ticket: &mut Ticket,
        room: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let end = self.used + room;
        if self.arena.len() < end {
            self.arena.resize(end.next_power_of_two(), 0);
        }
        let len = write(&mut self.arena[self.used..end])?;
        debug_assert!(len <= room, "wrote {len} of {room} bytes");
        let index = self.datagrams.len() as u32; // 2^32 datagrams do not fit in memory
        self.datagrams.push(Datagram {
            offset: self.used,
            len,
            next: NONE,
        });
        self.used += len;
        // The turn in a ticket that was never used is 0, and turns are counted from 1 inside.
        let open = (ticket.turn == self.turn + 1)
            .then(|| self.chains.get_mut(ticket.chain))
            .flatten()
            .filter(|chain| chain.path == path);
        match open {
            Some(chain) => {
                self.datagrams[chain.last as usize].next = index;
                chain.last = index;
            }
            None => {
                *ticket = Ticket {
                    turn: self.turn + 1,
                    chain: self.chains.len(),
                };
                self.chains.push(Chain {
                    path,
                    first: index,
                    last: index,
                });
            }
        }
        Ok(len)
    }

    /// Everything that waits: for each path its datagrams in order.
    pub fn chains(&self) -> impl Iterator<Item = (Path, Datagrams<'_>)> {
        self.chains.iter().map(|chain| {
            let datagrams = Datagrams {
                outbox: self,
                next: chain.first,
            };
            (chain.path, datagrams)
        })
    }

    /// Bytes that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Forgets everything; the memory is kept for the next turn.
    pub fn clear(&mut self) {
        self.used = 0;
        self.datagrams.clear();
        self.chains.clear();
        self.turn += 1;
    }
}

/// The datagrams of one chain.
pub struct Datagrams<'a> {
    outbox: &'a Outbox,
    next: u32,
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let datagram = self.outbox.datagrams.get(self.next as usize)?;
        self.next = datagram.next;
        self.outbox
            .arena
            .get(datagram.offset..datagram.offset + datagram.len)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use super::*;

    fn path(port: u16) -> Path {
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Path {
            local: localhost,
            remote: SocketAddr::new(localhost, port),
        }
    }

    fn push(outbox: &mut Outbox, port: u16, ticket: &mut Ticket, bytes: &[u8]) {
        outbox
            .push(path(port), ticket, bytes.len() + 20, |room| {
                room[..bytes.len()].copy_from_slice(bytes);
                Ok::<_, ()>(bytes.len())
            })
            .unwrap();
    }

    fn contents(outbox: &Outbox) -> Vec<(u16, Vec<Vec<u8>>)> {
        outbox
            .chains()
            .map(|(path, datagrams)| (path.remote.port(), datagrams.map(<[u8]>::to_vec).collect()))
            .collect()
    }

    #[test]
    fn datagrams_of_one_path_stay_together_and_in_order() {
        let mut outbox = Outbox::default();
        let (mut a, mut b) = (Ticket::default(), Ticket::default());
        for round in 0..3u8 {
            push(&mut outbox, 1, &mut a, &[round; 3]);
            push(&mut outbox, 2, &mut b, &[round + 10; 5]);
        }
        let expected = vec![
            (1, (0..3).map(|n| vec![n; 3]).collect::<Vec<_>>()),
            (2, (10..13).map(|n| vec![n; 5]).collect()),
        ];
        assert_eq!(contents(&outbox), expected);
        assert_eq!(outbox.len(), 24);
    }

    #[test]
    fn a_sender_that_moves_starts_a_new_chain() {
        let mut outbox = Outbox::default();
        let mut ticket = Ticket::default();
        push(&mut outbox, 1, &mut ticket, b"old");
        push(&mut outbox, 2, &mut ticket, b"new");
        let ports: Vec<u16> = contents(&outbox)
            .into_iter()
            .map(|(port, _)| port)
            .collect();
        assert_eq!(ports, [1, 2]);
    }

    #[test]
    fn a_ticket_of_an_earlier_turn_is_worthless() {
        let mut outbox = Outbox::default();
        let mut stale = Ticket::default();
        push(&mut outbox, 1, &mut stale, b"before");
        outbox.clear();
        assert!(outbox.is_empty());
        push(&mut outbox, 1, &mut Ticket::default(), b"first");
        push(&mut outbox, 1, &mut stale, b"second");
        assert_eq!(contents(&outbox).len(), 2);
    }

    #[test]
    fn a_failed_write_appends_nothing() {
        let mut outbox = Outbox::default();
        let refused = outbox.push(path(1), &mut Ticket::default(), 10, |_| Err("no"));
        assert_eq!(refused, Err("no"));
        assert!(outbox.is_empty());
        assert_eq!(outbox.len(), 0);
    }
}
