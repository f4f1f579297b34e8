//! The way out of the forwarder: each packet is sealed for its receiver, sent and counted.
//!
//! What is sent to whom is decided in `forward.rs`; sealing itself is in `transport.rs`.

use crate::counters::Counters;
use crate::forward::{PacketKind, Sink};
use crate::ids::{IdMap, TransportId};
use crate::outbox::Outbox;
use crate::srtp::SealError;
use crate::transport::{SendError, Transport};

/// Where the forwarder's packets go: sealed with the transport's key, into the outbox.
pub(crate) struct Egress<'a> {
    pub(crate) transports: &'a mut IdMap<TransportId, Transport>,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) counters: &'a mut Counters,
}

impl Sink for Egress<'_> {
    fn push(
        &mut self,
        to: TransportId,
        kind: PacketKind,
        len: usize,
        write: impl FnOnce(&mut [u8]),
    ) {
        let sent = match self.transports.get_mut(&to) {
            Some(transport) => transport.send(self.outbox, kind, len, write),
            None => Err(SendError::NotReady),
        };
        match sent {
            Ok(wire_len) => {
                self.counters.packets_out += 1;
                self.counters.bytes_out += wire_len as u64;
            }
            Err(SendError::NotReady) => self.counters.dropped_out_not_ready += 1,
            Err(SendError::Seal(SealError::IndexUsed)) => {
                self.counters.dropped_out_index_used += 1;
            }
            Err(SendError::Seal(_)) => self.counters.dropped_out_unsealed += 1,
        }
    }
}
