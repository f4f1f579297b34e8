//! ICE connectivity checks that keep a peer's consent alive (RFC 7675).
//!
//! The runner has made the first check by its own means; these repeat it, as a browser does every
//! few seconds, so that the server goes on sending.

use sunup_engine_core::stun::{Class, IntegrityKey, Writer, BINDING};

use crate::plan::Peer;

/// Between two checks of one peer.
pub const INTERVAL: u64 = 2_500_000_000;
/// RFC 8445 section 5.1.2.1, a peer-reflexive candidate: its value does not matter to a lite agent.
const PRIORITY: u32 = 0x6eff_ffff;

/// Writes the checks of one peer.
pub struct Checks {
    username: String,
    key: IntegrityKey,
    count: u64,
}

impl Checks {
    /// For a peer's credentials.
    pub fn new(peer: &Peer) -> Self {
        Self {
            username: peer.username.clone(),
            key: IntegrityKey::new(&peer.password),
            count: 0,
        }
    }

    /// The next check.
    pub fn write(&mut self, out: &mut [u8]) -> Option<usize> {
        self.count += 1;
        let mut transaction = *b"load\0\0\0\0\0\0\0\0";
        transaction[4..].copy_from_slice(&self.count.to_be_bytes());
        Writer::new(out, Class::Request, BINDING, transaction)
            .username(&self.username)
            .priority(PRIORITY)
            .ice_controlling(1)
            .use_candidate()
            .integrity(&self.key)
            .fingerprint()
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sunup_engine_core::srtp::{Keys, MasterKey, Profile};
    use sunup_engine_core::stun::Message;

    #[test]
    fn a_check_carries_the_credentials_and_a_new_transaction() {
        let master = || MasterKey {
            key: vec![1; 16],
            salt: vec![2; 12],
        };
        let peer = Peer {
            fd: 0,
            server: ([127, 0, 0, 1], 1).into(),
            username: "there:here".to_owned(),
            password: "secret".to_owned(),
            keys: Keys::new(Profile::AeadAes128Gcm, master(), master()).expect("keys"),
        };
        let mut checks = Checks::new(&peer);
        let mut written = Vec::new();
        for _ in 0..2 {
            let mut buffer = [0; 256];
            let len = checks.write(&mut buffer).expect("room");
            let message = Message::parse(&buffer[..len]).expect("STUN");
            assert!(message.verify(&IntegrityKey::new("secret")));
            assert!(!message.verify(&IntegrityKey::new("other")));
            written.push(buffer[..len].to_vec());
        }
        assert_ne!(written[0], written[1]);
    }
}
