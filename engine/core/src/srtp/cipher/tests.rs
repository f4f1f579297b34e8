//! RFC 7714 sections 16 and 17: packets sealed with given session keys.

use super::*;
use crate::test_support::hex;

const SALT: &[u8; 12] = b"Quid pro quo";
const RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
                   69736120 696e2070 61727465 73207472 6573";
const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
                    deadbeef deadbeef deadbeef deadbeef deadbeef";
const RTCP_INDEX: u32 = 0x5d4;
const MARS: u32 = 0x4d61_7273;

fn gcm(key_len: u8) -> Cipher {
    let key: Vec<u8> = (0..key_len).collect();
    let algorithm = if key_len == 16 {
        &AES_128_GCM
    } else {
        &AES_256_GCM
    };
    Cipher::Gcm(GcmCipher {
        key: LessSafeKey::new(UnboundKey::new(algorithm, &key).unwrap()),
        salt: *SALT,
    })
}

fn check_rtp(cipher: &Cipher, plain: &[u8], sealed: &[u8], index: u64) {
    let ssrc = u32::from_be_bytes(plain[8..12].try_into().unwrap());
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + MAX_OVERHEAD, 0);
    let len = cipher
        .seal_rtp(&mut buffer, plain.len(), 12, ssrc, index)
        .unwrap();
    assert_eq!(buffer[..len], *sealed);
    let mut packet = sealed.to_vec();
    let len = cipher.open_rtp(&mut packet, 12, ssrc, index).unwrap();
    assert_eq!(packet[..len], *plain);
}

fn check_rtcp(cipher: &Cipher, plain: &[u8], sealed: &[u8], index: u32) {
    let ssrc = u32::from_be_bytes(plain[4..8].try_into().unwrap());
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + MAX_OVERHEAD, 0);
    let len = cipher
        .seal_rtcp(&mut buffer, plain.len(), ssrc, index)
        .unwrap();
    assert_eq!(buffer[..len], *sealed);
    let mut packet = sealed.to_vec();
    assert_eq!(cipher.rtcp_index(&packet), Some(index));
    let len = cipher.open_rtcp(&mut packet, ssrc, index).unwrap();
    assert_eq!(packet[..len], *plain);
}

#[test]
fn rfc_7714_section_16_1_srtp_aead_aes_128_gcm() {
    let sealed = hex(
        "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
         0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439
         0cce",
    );
    check_rtp(&gcm(16), &hex(RTP), &sealed, 0xf17b);
}

#[test]
fn rfc_7714_section_16_2_srtp_aead_aes_256_gcm() {
    let sealed = hex(
        "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238
         9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7
         6c13",
    );
    check_rtp(&gcm(32), &hex(RTP), &sealed, 0xf17b);
}

#[test]
fn rfc_7714_section_17_1_srtcp_aead_aes_128_gcm() {
    let sealed = hex(
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
         c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872
         45d9eade 800005d4",
    );
    check_rtcp(&gcm(16), &hex(RTCP), &sealed, RTCP_INDEX);
}

#[test]
fn rfc_7714_section_17_2_srtcp_aead_aes_256_gcm() {
    let sealed = hex(
        "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50
         a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c
         b26ac3be 800005d4",
    );
    check_rtcp(&gcm(32), &hex(RTCP), &sealed, RTCP_INDEX);
}

/// The key of RFC 3711 appendix B.3, through key derivation; sealed bytes agree with libsrtp.
#[test]
fn counter_mode_seals_as_other_implementations_do() {
    let master = MasterKey {
        key: hex("e1f97a0d 3e018be0 d64fa32c 06de4139"),
        salt: hex("0ec675ad 498afeeb b6960b3a abe6"),
    };
    let rtp = Cipher::new(Profile::Aes128CmSha1_80, &master, Protocol::Rtp);
    check_rtp(
        &rtp,
        &hex("800f1234 decafbad cafebabe abababab abababab abababab abababab"),
        &hex(
            "800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402
              b78d6acc 99ea179b 8dbb",
        ),
        0x1234,
    );
    let rtcp = Cipher::new(Profile::Aes128CmSha1_80, &master, Protocol::Rtcp);
    check_rtcp(
        &rtcp,
        &hex("81c8000b cafebabe abababab abababab abababab abababab"),
        &hex(
            "81c8000b cafebabe 7128035b e487b9bd bef89041 f977a5a8 80000001
              993e08cd 54d6c123 0798",
        ),
        1,
    );
}

#[test]
fn a_changed_bit_anywhere_is_noticed() {
    let master = |profile: Profile| MasterKey {
        key: vec![7; profile.key_len()],
        salt: vec![9; profile.salt_len()],
    };
    for profile in [
        Profile::Aes128CmSha1_80,
        Profile::AeadAes128Gcm,
        Profile::AeadAes256Gcm,
    ] {
        let rtp = Cipher::new(profile, &master(profile), Protocol::Rtp);
        let mut sealed = hex(RTP);
        let len = sealed.len();
        sealed.resize(len + MAX_OVERHEAD, 0);
        let len = rtp.seal_rtp(&mut sealed, len, 12, 5, 9).unwrap();
        for bit in 0..len * 8 {
            let mut packet = sealed[..len].to_vec();
            packet[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(rtp.open_rtp(&mut packet, 12, 5, 9), Err(Inauthentic));
        }
        let rtcp = Cipher::new(profile, &master(profile), Protocol::Rtcp);
        let mut sealed = hex(RTCP);
        let len = sealed.len();
        sealed.resize(len + MAX_OVERHEAD, 0);
        let len = rtcp.seal_rtcp(&mut sealed, len, MARS, 9).unwrap();
        for bit in 0..len * 8 {
            let mut packet = sealed[..len].to_vec();
            packet[bit / 8] ^= 1 << (bit % 8);
            let ssrc = u32::from_be_bytes(packet[4..8].try_into().unwrap());
            let opened = match rtcp.rtcp_index(&packet) {
                Some(index) => rtcp.open_rtcp(&mut packet, ssrc, index),
                None => Err(Inauthentic), // the E flag was flipped
            };
            assert_eq!(opened, Err(Inauthentic), "{profile:?} bit {bit}");
        }
    }
}

#[test]
fn too_short_for_a_tag_is_inauthentic_and_no_panic() {
    for cipher in [
        gcm(16),
        Cipher::new(
            Profile::Aes128CmSha1_80,
            &MasterKey {
                key: vec![0; 16],
                salt: vec![0; 14],
            },
            Protocol::Rtp,
        ),
    ] {
        for len in 0..40 {
            let mut packet = vec![0x80; len];
            assert_eq!(cipher.open_rtp(&mut packet, 12, 1, 1), Err(Inauthentic));
            assert_eq!(cipher.open_rtcp(&mut packet, 1, 1), Err(Inauthentic));
            assert_eq!(cipher.seal_rtp(&mut packet, len, 12, 1, 1), None);
            assert_eq!(cipher.seal_rtcp(&mut packet, len, 1, 1), None);
        }
    }
}
