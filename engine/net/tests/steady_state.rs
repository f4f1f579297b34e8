//! A running room allocates nothing for a packet: not on the way in, not for any of its receivers.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sunup_engine_core::commands::Command;
use sunup_engine_core::ids::{SlotId, TrackId};
use sunup_engine_core::params::{Codec, CodecName, MediaKind, SlotParams, TrackParams};
use sunup_engine_core::srtp::Profile;

#[path = "../../core/tests/support/mod.rs"]
mod support;

use support::{path, rtp, Peer, Server};

const PUBLISHER: &str = "192.0.2.1:1000";
const RECEIVERS: u16 = 50;
const WARM_UP: usize = 3000;
const MEASURED: usize = 3000;
/// Microseconds; the whole run is over before consent is.
const FRAME: u64 = 3_333;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting for each thread.
struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract; the
// counter is a plain thread-local cell that never allocates.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn video(server: &mut Server, publisher: &Peer) {
    let codecs = vec![Codec {
        payload_type: 96,
        name: CodecName::Vp8,
        clock_rate: 90_000,
        rtx_payload_type: Some(97),
    }];
    server.command(Command::AddTrack {
        track: TrackId(1),
        transport: publisher.transport,
        params: Box::new(TrackParams {
            kind: MediaKind::Video,
            mid: "1".into(),
            codecs: codecs.clone(),
            extensions: Vec::new(),
            rids: Vec::new(),
            ssrcs: vec![(7, Some(8))],
        }),
    });
    for n in 0..RECEIVERS {
        let receiver = server.connect(&format!("192.0.2.2:{}", 2000 + n), Profile::AeadAes128Gcm);
        let slot = SlotId(u64::from(n) + 1);
        server.command(Command::AddSlot {
            slot,
            transport: receiver.transport,
            params: Box::new(SlotParams {
                kind: MediaKind::Video,
                mid: "6".into(),
                codecs: codecs.clone(),
                extensions: Vec::new(),
                auto: false,
                ssrc: 1000 + u32::from(n),
                rtx_ssrc: Some(2000 + u32::from(n)),
                cname: "c".into(),
            }),
        });
        server.command(Command::BindSlot {
            slot,
            track: Some(TrackId(1)),
        });
        server.command(Command::SetSlotSize {
            slot,
            width: 320,
            height: 180,
        });
    }
}

/// One frame in one packet; the first is a key frame of 320 x 180.
fn frame(n: u16) -> Vec<u8> {
    let [high, low] = (0x8000 | n).to_be_bytes();
    let mut payload = vec![0x90, 0x80, high, low];
    if n == 0 {
        payload.extend([0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 1, 180, 0]);
    } else {
        payload.extend([0x11, 0, 0]);
    }
    payload.resize(1100, 0x5a);
    let mut packet = rtp(7, n, &payload);
    packet[1] = 0x80 | 96;
    packet[4..8].copy_from_slice(&(u32::from(n) * 300).to_be_bytes());
    packet
}

#[test]
fn a_forwarded_packet_allocates_nothing() {
    let mut server = Server::new();
    let mut publisher = server.connect(PUBLISHER, Profile::AeadAes128Gcm);
    video(&mut server, &publisher);
    let mut packets: Vec<Vec<u8>> = (0..(WARM_UP + MEASURED) as u16)
        .map(|n| publisher.seal_rtp(&frame(n)))
        .collect();
    let from = path(PUBLISHER);
    let core = &mut server.core;
    let mut now = server.now;
    let mut forwarded = 0;
    let (mut by_packets, mut by_deadlines) = (0, 0);
    for (n, packet) in packets.iter_mut().enumerate() {
        let before = ALLOCATIONS.with(Cell::get);
        now += FRAME;
        core.handle_datagram(now, from, packet);
        let by_packet = ALLOCATIONS.with(Cell::get) - before;
        if core.next_timeout().is_some_and(|at| at <= now) {
            core.handle_timeout(now);
        }
        let sent = core.outbox().chains().count();
        core.clear_outbox();
        if n >= WARM_UP {
            by_packets += by_packet;
            by_deadlines += ALLOCATIONS.with(Cell::get) - before - by_packet;
            forwarded += sent;
        }
        while core.poll_event().is_some() {}
    }
    assert!(
        forwarded >= MEASURED * usize::from(RECEIVERS),
        "only {forwarded} datagrams: nothing was measured"
    );
    assert_eq!(by_packets, 0, "allocations for {forwarded} datagrams");
    // Reports are a matter of seconds and may; they must not follow the number of packets.
    let seconds = MEASURED as u64 * FRAME / 1_000_000;
    assert!(
        by_deadlines < 100 * seconds,
        "{by_deadlines} allocations in {seconds} s"
    );
}
