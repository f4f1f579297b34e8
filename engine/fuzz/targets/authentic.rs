//! RTP and RTCP of a peer with keys: everything behind SRTP sees these bytes.
//!
//! Input: for each packet one byte (even: RTP, odd: RTCP), one for its length, then its content.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../core/tests/support/mod.rs"]
mod support;

use sunup_engine_core::commands::Command;
use sunup_engine_core::ids::{SlotId, TrackId};
use sunup_engine_core::params::{Codec, CodecName, Extension, MediaKind, SlotParams, TrackParams};
use sunup_engine_core::srtp::{Profile, MAX_OVERHEAD};
use support::{path, Server};

fuzz_target!(|bytes: &[u8]| {
    let mut server = Server::new();
    let mut peer = server.connect("192.0.2.1:1000", Profile::AeadAes128Gcm);
    let receiver = server.connect("192.0.2.2:1000", Profile::AeadAes128Gcm);
    let codecs = vec![
        codec(96, CodecName::Vp8, 97),
        codec(98, CodecName::H264, 99),
    ];
    let extensions: Vec<Extension> = [
        (4, "urn:ietf:params:rtp-hdrext:sdes:mid"),
        (10, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
    ]
    .map(|(id, uri)| Extension {
        id,
        uri: uri.into(),
    })
    .into();
    server.command(Command::AddTrack {
        track: TrackId(1),
        transport: peer.transport,
        params: Box::new(TrackParams {
            kind: MediaKind::Video,
            mid: "1".into(),
            codecs: codecs.clone(),
            extensions: extensions.clone(),
            rids: vec!["f".into(), "q".into()],
            ssrcs: vec![(21, Some(22))],
        }),
    });
    server.command(Command::AddSlot {
        slot: SlotId(1),
        transport: receiver.transport,
        params: Box::new(SlotParams {
            kind: MediaKind::Video,
            mid: "6".into(),
            codecs,
            extensions,
            auto: false,
            ssrc: 31,
            rtx_ssrc: Some(32),
        }),
    });
    server.command(Command::BindSlot {
        slot: SlotId(1),
        track: Some(TrackId(1)),
    });
    let mut rest = bytes;
    while let [kind, length, tail @ ..] = rest {
        let (content, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        let mut packet = content.to_vec();
        packet.resize(content.len() + MAX_OVERHEAD, 0);
        let outbound = peer.outbound.as_mut().expect("it is connected");
        let sealed = if kind % 2 == 0 {
            outbound.seal_rtp(&mut packet, content.len())
        } else {
            outbound.seal_rtcp(&mut packet, content.len())
        };
        if let Ok(len) = sealed {
            server.receive(path("192.0.2.1:1000"), &packet[..len]);
        }
        server.wait(u64::from(*kind) * 100);
        rest = tail;
    }
    assert_eq!(server.core.counters().dropped_out_index_used, 0);
});

fn codec(payload_type: u8, name: CodecName, rtx: u8) -> Codec {
    Codec {
        payload_type,
        name,
        clock_rate: 90_000,
        rtx_payload_type: Some(rtx),
    }
}
