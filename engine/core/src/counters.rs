//! What the core counts, with a name for each figure as it appears in statistics.

macro_rules! counters {
    (
        $(#[$struct_meta:meta])*
        $name:ident { $( $(#[$meta:meta])* $field:ident, )* }
    ) => {
        $(#[$struct_meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
        pub struct $name {
            $( $(#[$meta])* pub $field: u64, )*
        }

        impl $name {
            /// Every figure with its name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [ $( (stringify!($field), self.$field), )* ].into_iter()
            }
        }
    };
}

counters! {
    /// Of the whole core.
    Counters {
        /// Datagrams received.
        packets_in,
        /// Their bytes, without IP and UDP headers.
        bytes_in,
        /// Datagrams handed out for sending.
        packets_out,
        /// Their bytes, without IP and UDP headers.
        bytes_out,
        /// Connectivity checks answered.
        checks_answered,
        /// STUN that is malformed, no request, or no binding.
        dropped_stun_malformed,
        /// Checks that name no transport of ours.
        dropped_stun_unknown,
        /// Checks signed with a wrong password.
        dropped_stun_inauthentic,
        /// Checks from an address with too many wrong ones.
        dropped_stun_limited,
        /// Checks for one transport over a path on which another one lives.
        dropped_stun_path_taken,
        /// Checks that came before, from where no other check came.
        dropped_stun_repeated,
        /// DTLS, SRTP or SRTCP from where no authenticated check came.
        dropped_unverified,
        /// Neither STUN nor DTLS nor SRTP.
        dropped_unknown_protocol,
        /// DTLS records over the limit of a transport.
        dropped_dtls_flood,
        /// DTLS from the owner for a transport without a path.
        dropped_dtls_unsent,
        /// SRTP before there are keys, or of a transport without consent.
        dropped_srtp_not_ready,
        /// No RTP or RTCP.
        dropped_srtp_malformed,
        /// Opened before.
        dropped_srtp_replayed,
        /// Older than the replay window.
        dropped_srtp_too_old,
        /// With a wrong tag.
        dropped_srtp_inauthentic,
        /// Of more streams than one peer may send.
        dropped_srtp_sources,
        /// Outgoing packets for a transport without keys or consent.
        dropped_out_not_ready,
        /// Outgoing packets that would have used an SRTP index twice.
        dropped_out_index_used,
        /// Outgoing packets that could not be sealed for another reason.
        dropped_out_unsealed,
        /// Commands for rooms and transports that are gone.
        stale_commands,
        /// Panics that were caught and cost one transport.
        panics,
        /// Commands applied.
        commands,
    }
}

counters! {
    /// Of one transport.
    TransportCounters {
        /// Authentic RTP and RTCP packets received.
        srtp_packets_in,
        /// Their bytes on the wire.
        srtp_bytes_in,
        /// RTP and RTCP packets sent.
        srtp_packets_out,
        /// Their bytes on the wire.
        srtp_bytes_out,
        /// Connectivity checks answered.
        checks_answered,
        /// DTLS datagrams handed up.
        dtls_packets_in,
        /// DTLS bytes handed up.
        dtls_bytes_in,
        /// DTLS datagrams sent.
        dtls_packets_out,
        /// DTLS datagrams dropped because there were too many before keys, or too many at once.
        dropped_dtls_flood,
        /// Packets dropped as malformed.
        dropped_malformed,
        /// Packets dropped as replayed.
        dropped_replayed,
        /// Packets dropped as older than the replay window.
        dropped_too_old,
        /// Packets dropped with a wrong tag.
        dropped_inauthentic,
        /// Packets dropped because of too many streams.
        dropped_sources,
    }
}
