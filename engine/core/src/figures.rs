//! What the forwarder counts, with a name for each figure as it appears in statistics.

counters! {
    /// Of the whole forwarder.
    ForwardCounters {
        /// RTP datagrams that do not parse.
        rtp_malformed,
        /// RTP of an SSRC that neither signalling nor MID and RID explain.
        rtp_unknown_ssrc,
        /// RTP with a payload type that was not negotiated.
        rtp_unknown_payload_type,
        /// Packets with nothing but padding, in or out of a retransmission.
        rtp_probes,
        /// Packets of paused tracks.
        rtp_paused,
        /// SSRCs that were refused: taken by another layer, or too many.
        ssrcs_refused,
        /// RTP packets sent.
        rtp_sent,
        /// RTCP packets sent.
        rtcp_sent,
        /// Commands for objects that are gone.
        stale_commands,
        /// Binds across rooms, which are refused.
        binds_refused,
    }
}

counters! {
    /// Of one track, its layers together.
    TrackCounters {
        /// Media packets received, repaired ones included.
        packets,
        /// Their payload bytes.
        bytes,
        /// Packets that came by retransmission.
        repaired,
        /// Packets that came twice, or too late to be of use.
        duplicates,
        /// Key frames.
        keyframes,
        /// Packets asked for again.
        nacks_sent,
        /// Key frame requests.
        plis_sent,
    }
}

counters! {
    /// Of one slot.
    SlotCounters {
        /// Switches to another source or layer.
        switches,
        /// Sequence numbers that the receiver asked for again.
        nacks_received,
        /// Those that could not be answered: too old, too often, over budget or without RTX.
        nacks_unanswered,
        /// Key frame requests of the receiver.
        plis_received,
        /// Packets of a codec that the receiver did not accept.
        dropped_codec,
        /// Loss since the last report of the receiver, in 1/256.
        fraction_lost,
        /// Packets that the receiver says it lost.
        lost,
        /// Jitter that the receiver reports, in RTP timestamp units.
        jitter,
    }
}
