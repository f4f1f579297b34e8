//! From master key and salt to session keys (RFC 3711 section 4.3, RFC 7714 section 11).
//!
//! The pseudo-random function is AES in counter mode in all profiles, with a key derivation rate
//! of zero: keys are derived once.

use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext, UnboundCipherKey, AES_128, AES_256};
use aws_lc_rs::iv::FixedLength;

use super::{MasterKey, Profile};

/// What a derived key is for (RFC 3711 section 4.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// AES-CTR with a given counter block, in place. The key schedule is made once, in `key`.
pub fn ctr(key: &EncryptingKey, counter: [u8; 16], data: &mut [u8]) {
    let context = EncryptionContext::Iv128(FixedLength::from(counter));
    // The only failure of the call is a context of another mode, and the mode is fixed here.
    let done = key.less_safe_encrypt(data, context);
    debug_assert!(done.is_ok(), "AES-CTR refused its own context");
    if done.is_err() {
        data.fill(0);
    }
}

/// An expanded AES key for [`ctr`]. `key` must have 16 or 32 bytes, which [`super::Keys`] checks.
pub fn ctr_key(key: &[u8]) -> EncryptingKey {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    UnboundCipherKey::new(algorithm, key)
        .and_then(EncryptingKey::ctr)
        .expect("key lengths are checked by Keys::new")
}

/// Fills `out` with the session key of a label.
pub fn derive(profile: Profile, master: &MasterKey, label: Label, out: &mut [u8]) {
    debug_assert_eq!(master.salt.len(), profile.salt_len());
    // x = label * 2^48 XOR salt, then shifted by 16 bits: bytes 0..14 of the counter block. The
    // 96-bit salts of the AEAD profiles are padded with zero bits at their end.
    let mut counter = [0; 16];
    for (byte, salt) in counter.iter_mut().zip(&master.salt) {
        *byte = *salt;
    }
    counter[7] ^= label as u8;
    out.fill(0);
    ctr(&ctr_key(&master.key), counter, out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::hex;

    #[test]
    fn rfc_3711_appendix_b_3_session_keys() {
        let master = MasterKey {
            key: hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
            salt: hex("0EC675AD498AFEEBB6960B3AABE6"),
        };
        let derived = |label, len| {
            let mut out = vec![0; len];
            derive(Profile::Aes128CmSha1_80, &master, label, &mut out);
            out
        };
        assert_eq!(
            derived(Label::RtpEncryption, 16),
            hex("C61E7A93744F39EE10734AFE3FF7A087")
        );
        assert_eq!(
            derived(Label::RtpSalt, 14),
            hex("30CBBC08863D8C85D49DB34A9AE1")
        );
        // The RFC prints 94 bytes of this stream; HMAC-SHA1 uses the first 20.
        assert_eq!(
            derived(Label::RtpAuthentication, 94),
            hex(
                "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE\
                 E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25\
                 6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2"
            )
        );
    }

    #[test]
    fn rfc_3711_appendix_b_2_counter_mode() {
        let key = ctr_key(&hex("2B7E151628AED2A6ABF7158809CF4F3C"));
        let mut stream = vec![0; 0xff02 * 16];
        let mut counter = [0; 16];
        counter[..14].copy_from_slice(&hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"));
        ctr(&key, counter, &mut stream);
        assert_eq!(
            stream[..48],
            hex(
                "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB\
                 41E95B3BB0A2E8DD477901E4FCA894C0"
            )[..]
        );
        assert_eq!(
            stream[0xfeff * 16..],
            hex(
                "EC8CDF7398607CB0F2D21675EA9EA1E4362B7C3C6773516318A077D7FC5073AE\
                 6A2CC3787889374FBEB4C81B17BA6C44"
            )[..]
        );
    }
}
