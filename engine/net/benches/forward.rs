//! CPU of the worker for each datagram that it forwards, beside a bare `sendto` of the same bytes.
//!
//! `cargo bench -p sunup-engine-net --bench forward -- [RECEIVERS]`. One publisher sends 720p-like frames
//! over loopback; every receiver has its own socket, drained by another thread. Rounds of both kinds
//! take turns, so that other load on the machine hits both; the medians are printed.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sunup_engine_core::commands::Command;
use sunup_engine_core::ice::Credentials;
use sunup_engine_core::ids::{RoomId, SlotId, TrackId, TransportId};
use sunup_engine_core::params::{Codec, CodecName, MediaKind, SlotParams, TrackParams};
use sunup_engine_core::rng::Rng;
use sunup_engine_core::srtp::{Keys, MasterKey, Outbound, Profile, MAX_OVERHEAD};
use sunup_engine_core::stun::{Class, IntegrityKey, Writer, BINDING};
use sunup_engine_net::{Config, Engine, Question};

const ROUNDS: usize = 7;
const FRAMES: u16 = 60;
const PACKETS_PER_FRAME: u16 = 5;
const PAYLOAD: usize = 1100;
const PROFILE: Profile = Profile::AeadAes128Gcm;
const ROOM: RoomId = RoomId(1);

struct Peer {
    socket: UdpSocket,
    outbound: Outbound,
}

fn main() {
    let receivers = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next()
        .unwrap_or(50);
    let engine = Engine::start(Config {
        host: [127, 0, 0, 1].into(),
        port: 0,
        rng: Rng::from_seed(1),
    })
    .expect("a free port");
    let server = SocketAddr::from(([127, 0, 0, 1], engine.port()));
    engine.send(Command::CreateRoom { room: ROOM });
    let mut publisher = connect(&engine, server, 1);
    add_track(&engine);
    let sinks: Vec<UdpSocket> = (0..receivers)
        .map(|n| {
            let peer = connect(&engine, server, n + 2);
            add_slot(&engine, n + 2);
            peer.socket
        })
        .collect();
    let addresses: Vec<SocketAddr> = sinks
        .iter()
        .map(|sink| sink.local_addr().expect("it is bound"))
        .collect();
    let done = Arc::new(AtomicBool::new(false));
    let drain = drain(sinks, done.clone());
    let bare = UdpSocket::bind("127.0.0.1:0").expect("a free port");

    let (mut forwarding, mut sending) = (Vec::new(), Vec::new());
    let mut sequence_number = 0;
    for round in 0..=ROUNDS {
        let forward = forward(&engine, &mut publisher, server, &mut sequence_number);
        let send = send_bare(&bare, &addresses);
        if round > 0 {
            forwarding.push(forward);
            sending.push(send);
        }
    }
    done.store(true, Ordering::Relaxed);
    drain.join().expect("the sinks do not panic");
    let (forward, send) = (median(forwarding), median(sending));
    println!("receivers  forward ns  sendto ns  ratio  datagrams/message");
    println!(
        "{receivers:>9}  {forward:>10.0}  {send:>9.0}  {:>5.2}  {:>17.2}",
        forward / send,
        figure(&engine, "packets_out") / figure(&engine, "send_messages"),
    );
}

/// One round through the engine: worker CPU in nanoseconds for each datagram out.
fn forward(
    engine: &Engine,
    publisher: &mut Peer,
    server: SocketAddr,
    sequence_number: &mut u16,
) -> f64 {
    let cpu = figure(engine, "worker_cpu_us");
    let packets = figure(engine, "packets_out");
    for frame in 0..FRAMES {
        let started = Instant::now();
        for packet in 0..PACKETS_PER_FRAME {
            let mut buffer = video_packet(*sequence_number, packet, frame == 0);
            let len = buffer.len();
            buffer.resize(len + MAX_OVERHEAD, 0);
            let len = publisher
                .outbound
                .seal_rtp(&mut buffer, len)
                .expect("numbers rise");
            publisher
                .socket
                .send_to(&buffer[..len], server)
                .expect("loopback");
            *sequence_number = sequence_number.wrapping_add(1);
        }
        std::thread::sleep(Duration::from_millis(10).saturating_sub(started.elapsed()));
    }
    let cpu = figure(engine, "worker_cpu_us") - cpu;
    cpu * 1000.0 / (figure(engine, "packets_out") - packets)
}

/// One round without the engine: this thread's CPU in nanoseconds for each datagram.
fn send_bare(socket: &UdpSocket, addresses: &[SocketAddr]) -> f64 {
    let datagram = [0x5a; PAYLOAD + 12 + 16];
    let cpu = thread_cpu_ns();
    let mut packets = 0.0;
    for _ in 0..FRAMES {
        let started = Instant::now();
        for _ in 0..PACKETS_PER_FRAME {
            for address in addresses {
                socket.send_to(&datagram, address).expect("loopback");
                packets += 1.0;
            }
        }
        std::thread::sleep(Duration::from_millis(10).saturating_sub(started.elapsed()));
    }
    (thread_cpu_ns() - cpu) / packets
}

fn drain(sinks: Vec<UdpSocket>, done: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        for sink in &sinks {
            sink.set_nonblocking(true).expect("it is a socket");
        }
        while !done.load(Ordering::Relaxed) {
            for sink in &sinks {
                while sink.recv(&mut buffer).is_ok() {}
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    })
}

fn connect(engine: &Engine, server: SocketAddr, id: u64) -> Peer {
    let transport = TransportId(id);
    let credentials = Credentials::generate(&mut Rng::from_seed(id));
    engine.send(Command::CreateTransport {
        transport,
        room: ROOM,
        credentials: credentials.clone(),
    });
    let master = |salt: u8| MasterKey {
        key: id.to_be_bytes().repeat(2),
        salt: vec![salt; PROFILE.salt_len()],
    };
    let keys = Keys::new(PROFILE, master(1), master(2)).expect("lengths are the profile's");
    engine.send(Command::SetKeys {
        transport,
        keys: Box::new(keys),
    });
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let mut buffer = [0; 300];
    let len = Writer::new(&mut buffer, Class::Request, BINDING, [1; 12])
        .username(&format!("{}:bench", credentials.ufrag))
        .priority(1)
        .use_candidate()
        .integrity(&IntegrityKey::new(&credentials.pwd))
        .fingerprint()
        .finish()
        .expect("it fits");
    socket.send_to(&buffer[..len], server).expect("loopback");
    socket.recv(&mut buffer).expect("an answer");
    let outbound = Keys::new(PROFILE, master(2), master(1)).expect("as above");
    Peer {
        socket,
        outbound: outbound.contexts().1,
    }
}

fn codecs() -> Vec<Codec> {
    vec![Codec {
        payload_type: 96,
        name: CodecName::Vp8,
        clock_rate: 90_000,
        rtx_payload_type: Some(97),
    }]
}

fn add_track(engine: &Engine) {
    engine.send(Command::AddTrack {
        track: TrackId(1),
        transport: TransportId(1),
        params: Box::new(TrackParams {
            kind: MediaKind::Video,
            mid: "1".into(),
            codecs: codecs(),
            extensions: Vec::new(),
            rids: Vec::new(),
            ssrcs: vec![(7, Some(8))],
        }),
    });
}

fn add_slot(engine: &Engine, id: u64) {
    let number = u32::try_from(id).expect("few receivers");
    engine.send(Command::AddSlot {
        slot: SlotId(id),
        transport: TransportId(id),
        params: Box::new(SlotParams {
            kind: MediaKind::Video,
            mid: "6".into(),
            codecs: codecs(),
            extensions: Vec::new(),
            auto: false,
            ssrc: 10_000 + number,
            rtx_ssrc: Some(20_000 + number),
            cname: "c".into(),
        }),
    });
    engine.send(Command::BindSlot {
        slot: SlotId(id),
        track: Some(TrackId(1)),
    });
    engine.send(Command::SetSlotSize {
        slot: SlotId(id),
        width: 1280,
        height: 720,
    });
}

fn video_packet(sequence_number: u16, in_frame: u16, key: bool) -> Vec<u8> {
    let frame = sequence_number / PACKETS_PER_FRAME;
    let marker = if in_frame + 1 == PACKETS_PER_FRAME {
        0x80
    } else {
        0
    };
    let mut packet = vec![0x80, marker | 96];
    packet.extend(sequence_number.to_be_bytes());
    packet.extend((u32::from(frame) * 900).to_be_bytes());
    packet.extend(7u32.to_be_bytes());
    let start = if in_frame == 0 { 0x10 } else { 0 };
    packet.extend([0x80 | start, 0x80]);
    packet.extend((0x8000 | frame).to_be_bytes());
    if in_frame == 0 && key {
        packet.extend([0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02]);
    } else if in_frame == 0 {
        packet.extend([0x11, 0, 0]);
    }
    packet.resize(PAYLOAD + 12, 0x5a);
    packet
}

fn figure(engine: &Engine, name: &str) -> f64 {
    let figures = engine.ask(Question::Engine).expect("it runs");
    let found = figures.iter().find(|(known, _)| *known == name);
    found.expect("the figure exists").1 as f64
}

fn thread_cpu_ns() -> f64 {
    let figures = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = figures.split(' ').next().expect("three figures");
    first.parse().expect("a number")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
