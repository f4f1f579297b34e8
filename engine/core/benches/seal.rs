//! What one forwarded packet costs before the kernel: copy into the outbox, rewrite the header, seal.
//!
//! `cargo bench -p sunup-engine-core --bench seal`. 200 receivers with their own keys, as a webinar;
//! prints the median of seven rounds in nanoseconds per packet.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use sunup_engine_core::ice::Path;
use sunup_engine_core::outbox::{Outbox, Ticket};
use sunup_engine_core::srtp::{Keys, MasterKey, Outbound, Profile, MAX_OVERHEAD};

const RECEIVERS: u8 = 200;
const PACKETS: u16 = 200;
const ROUNDS: usize = 7;

struct Receiver {
    outbound: Outbound,
    path: Path,
    ticket: Ticket,
}

fn main() {
    println!("profile             bytes  ns/packet");
    for profile in [
        Profile::AeadAes128Gcm,
        Profile::AeadAes256Gcm,
        Profile::Aes128CmSha1_80,
    ] {
        for len in [160, 1200] {
            let nanoseconds = measure(profile, len);
            println!(
                "{:<18} {len:>6} {nanoseconds:>10.0}",
                format!("{profile:?}")
            );
        }
    }
}

fn measure(profile: Profile, len: usize) -> f64 {
    let mut receivers: Vec<Receiver> = (0..RECEIVERS).map(|n| receiver(profile, n)).collect();
    let mut source = vec![0x5a; len];
    source[0] = 0x80;
    let mut outbox = Outbox::default();
    let mut sequence_number = 0u16;
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..PACKETS {
                sequence_number = sequence_number.wrapping_add(1);
                for receiver in &mut receivers {
                    forward(&mut outbox, receiver, &source, sequence_number);
                }
                black_box(&outbox);
                outbox.clear();
            }
            let packets = f64::from(PACKETS) * f64::from(RECEIVERS);
            started.elapsed().as_nanos() as f64 / packets
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn forward(outbox: &mut Outbox, receiver: &mut Receiver, source: &[u8], sequence_number: u16) {
    let outbound = &mut receiver.outbound;
    let pushed = outbox.push(
        receiver.path,
        &mut receiver.ticket,
        source.len() + MAX_OVERHEAD,
        |room| {
            room[..source.len()].copy_from_slice(source);
            room[2..4].copy_from_slice(&sequence_number.to_be_bytes());
            room[8..12].copy_from_slice(&77u32.to_be_bytes());
            outbound.seal_rtp(room, source.len())
        },
    );
    assert!(pushed.is_ok());
}

fn receiver(profile: Profile, n: u8) -> Receiver {
    let master = MasterKey {
        key: vec![n; profile.key_len()],
        salt: vec![n; profile.salt_len()],
    };
    let keys = Keys::new(profile, master.clone(), master).expect("lengths are the profile's");
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Receiver {
        outbound: keys.contexts().1,
        path: Path {
            local: localhost,
            remote: SocketAddr::new(localhost, 1000 + u16::from(n)),
        },
        ticket: Ticket::default(),
    }
}
