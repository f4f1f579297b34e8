//! SRTP between two ends: loss, reorder, replay, wraps, limits, and no index used twice.

mod support;

use std::collections::HashSet;

use proptest::prelude::*;
use sunup_engine_core::srtp::{
    Inbound, Keys, MasterKey, OpenError, Outbound, Profile, SealError, MAX_OVERHEAD, MAX_SOURCES,
};
use support::rtp;

const PROFILES: [Profile; 3] = [
    Profile::AeadAes128Gcm,
    Profile::AeadAes256Gcm,
    Profile::Aes128CmSha1_80,
];

fn ends(profile: Profile) -> (Outbound, Inbound) {
    let master = |n: u8| MasterKey {
        key: vec![n; profile.key_len()],
        salt: vec![n + 1; profile.salt_len()],
    };
    let sender = Keys::new(profile, master(1), master(3)).unwrap();
    let receiver = Keys::new(profile, master(3), master(1)).unwrap();
    (sender.contexts().1, receiver.contexts().0)
}

fn seal(outbound: &mut Outbound, packet: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + MAX_OVERHEAD, 0);
    let len = outbound.seal_rtp(&mut buffer, packet.len())?;
    buffer.truncate(len);
    Ok(buffer)
}

fn open(inbound: &mut Inbound, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut buffer = sealed.to_vec();
    let len = inbound.open_rtp(&mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}

fn seal_rtcp(outbound: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + MAX_OVERHEAD, 0);
    let len = outbound.seal_rtcp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(len);
    buffer
}

#[test]
fn a_long_stream_crosses_rollovers_and_each_packet_opens_once() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = ends(profile);
        for n in 0..140_000u32 {
            let packet = rtp(7, (n + 65_000) as u16, &n.to_be_bytes());
            let sealed = seal(&mut outbound, &packet).unwrap();
            assert_eq!(open(&mut inbound, &sealed).unwrap(), packet);
            if n % 1000 == 0 {
                assert_eq!(open(&mut inbound, &sealed), Err(OpenError::Replayed));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    /// Reordered within the window and partly lost, across a rollover, every packet that arrives
    /// opens, and none opens twice.
    #[test]
    fn reordering_within_the_window_loses_nothing(
        seed in any::<u64>(),
        profile in prop::sample::select(PROFILES.to_vec()),
    ) {
        let (mut outbound, mut inbound) = ends(profile);
        let mut rng = sunup_engine_core::rng::Rng::from_seed(seed);
        let mut packets: Vec<(u64, Vec<u8>)> = Vec::new();
        for n in 0..3000u64 {
            let packet = rtp(7, (64_000 + n) as u16, &n.to_be_bytes());
            let sealed = seal(&mut outbound, &packet).unwrap();
            // Each is late by up to 900 places, so up to 900 newer ones come before it. The first
            // ones keep their place: the receiver learns the rollover counter from them.
            let late = if n < 100 { 0 } else { u64::from(rng.next_u32() % 900) };
            packets.push((n + late, sealed));
        }
        packets.sort();
        let mut seen = HashSet::new();
        for (at, (_, sealed)) in packets.iter().enumerate() {
            if rng.next_u32() % 20 == 0 {
                continue;
            }
            let opened = open(&mut inbound, sealed).unwrap();
            prop_assert!(seen.insert(opened));
            let repeated = &packets[rng.next_u32() as usize % (at + 1)].1;
            if let Ok(opened) = open(&mut inbound, repeated) {
                prop_assert!(seen.insert(opened));
            }
        }
    }
}

#[test]
fn rtcp_is_sealed_with_its_own_index_and_opens_once() {
    let packet = [
        0x80, 201, 0, 1, 0, 0, 0, 7, 0x81, 206, 0, 2, 0, 0, 0, 7, 0, 0, 0, 9,
    ];
    for profile in PROFILES {
        let (mut outbound, mut inbound) = ends(profile);
        let first = seal_rtcp(&mut outbound, &packet);
        let second = seal_rtcp(&mut outbound, &packet);
        assert_ne!(first, second);
        for sealed in [&second, &first] {
            let mut buffer = sealed.clone();
            let len = inbound.open_rtcp(&mut buffer).unwrap();
            assert_eq!(buffer[..len], packet);
        }
        let mut replayed = first.clone();
        assert_eq!(inbound.open_rtcp(&mut replayed), Err(OpenError::Replayed));
        // Without the E flag it would be readable by all; WebRTC knows no such RTCP.
        let mut clear = second;
        let at = match profile {
            Profile::Aes128CmSha1_80 => clear.len() - 14,
            _ => clear.len() - 4,
        };
        clear[at] &= 0x7f;
        assert_eq!(inbound.open_rtcp(&mut clear), Err(OpenError::Malformed));
    }
}

#[test]
fn forged_packets_make_no_state_and_a_peer_has_a_limit_of_streams() {
    let (mut outbound, mut inbound) = ends(Profile::AeadAes128Gcm);
    for ssrc in 0..10_000 {
        let forged = rtp(ssrc, 1, &[0; 40]);
        assert_eq!(open(&mut inbound, &forged), Err(OpenError::Inauthentic));
    }
    assert_eq!(inbound.sources(), 0);
    for ssrc in 0..MAX_SOURCES as u32 {
        let sealed = seal(&mut outbound, &rtp(ssrc, 1, b"x")).unwrap();
        open(&mut inbound, &sealed).unwrap();
    }
    let sealed = seal(&mut outbound, &rtp(99_999, 1, b"x")).unwrap();
    assert_eq!(open(&mut inbound, &sealed), Err(OpenError::TooManySources));
    // Known streams go on.
    let sealed = seal(&mut outbound, &rtp(0, 2, b"x")).unwrap();
    assert!(open(&mut inbound, &sealed).is_ok());
}

#[test]
fn reports_count_towards_the_limit_of_streams() {
    let (mut outbound, mut inbound) = ends(Profile::AeadAes128Gcm);
    let mut report = |ssrc: u32| {
        let mut packet = vec![0x80, 201, 0, 1];
        packet.extend(ssrc.to_be_bytes());
        let mut sealed = seal_rtcp(&mut outbound, &packet);
        inbound.open_rtcp(&mut sealed).map(drop)
    };
    for ssrc in 0..MAX_SOURCES as u32 {
        assert_eq!(report(ssrc), Ok(()));
    }
    assert_eq!(report(99_999), Err(OpenError::TooManySources));
    assert_eq!(report(0), Ok(()));
}

/// A million bad packets leave a session as it was (a hung-up call was CVE-2021-41105).
#[test]
fn a_session_survives_a_million_bad_packets() {
    let (mut outbound, mut inbound) = ends(Profile::AeadAes128Gcm);
    let good = seal(&mut outbound, &rtp(7, 10, b"first")).unwrap();
    open(&mut inbound, &good).unwrap();
    let mut bad = seal(&mut outbound, &rtp(7, 11, b"second")).unwrap();
    bad[12] ^= 1;
    for n in 0..1_000_000u32 {
        bad[2..4].copy_from_slice(&(n as u16).to_be_bytes());
        assert!(open(&mut inbound, &bad).is_err());
    }
    let good = seal(&mut outbound, &rtp(7, 12, b"third")).unwrap();
    assert!(open(&mut inbound, &good).is_ok());
}

/// The one rule that GCM cannot forgive: no (SSRC, index) seals two plaintexts.
#[test]
fn a_sequence_number_is_never_sealed_twice() {
    for profile in PROFILES {
        let (mut outbound, _) = ends(profile);
        seal(&mut outbound, &rtp(7, 100, b"a")).unwrap();
        assert_eq!(
            seal(&mut outbound, &rtp(7, 100, b"b")),
            Err(SealError::IndexUsed)
        );
        seal(&mut outbound, &rtp(7, 99, b"late")).unwrap();
        seal(&mut outbound, &rtp(7, 2000, b"c")).unwrap();
        // Too old to know.
        assert_eq!(
            seal(&mut outbound, &rtp(7, 101, b"d")),
            Err(SealError::IndexUsed)
        );
        // A full turn later the same number is another index.
        for sequence_number in (2000..=65_535u32 + 100).step_by(500).skip(1) {
            seal(&mut outbound, &rtp(7, sequence_number as u16, b"e")).unwrap();
        }
        seal(&mut outbound, &rtp(7, 100, b"f")).unwrap();
    }
}

#[test]
fn setting_the_same_keys_again_does_not_start_the_nonces_over() {
    let mut server = support::Server::new();
    let mut peer = server.connect("192.0.2.1:1000", Profile::AeadAes128Gcm);
    let sealed = peer.seal_rtp(&rtp(7, 1, b"payload"));
    let from = support::path("192.0.2.1:1000");
    server.receive(from, &sealed);
    peer.exchange_keys(&mut server, Profile::AeadAes128Gcm);
    server.receive(from, &sealed);
    let counters = server.core.counters();
    assert_eq!(counters.dropped_srtp_replayed, 1);
}
