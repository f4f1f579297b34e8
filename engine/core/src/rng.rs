//! Randomness as an argument: a generator that gives the same bytes for the same seed.
//!
//! SHA-256 over (key, counter): strong enough for ICE passwords, and repeatable in tests. The
//! core never asks the operating system; the shell seeds it once. Not for SRTP keys or nonces:
//! keys come from DTLS and nonces are counters.

use aws_lc_rs::digest::{digest, SHA256};

/// A seeded generator of unpredictable bytes.
#[derive(Clone)]
pub struct Rng {
    key: [u8; 32],
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl Rng {
    /// From 32 secret bytes, as the operating system gives them.
    #[must_use]
    pub fn from_key(key: [u8; 32]) -> Self {
        Self {
            key,
            counter: 0,
            block: [0; 32],
            used: 32,
        }
    }

    /// From a number, for repeatable tests.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self::from_key(hash(&[b"sunup seed", &seed.to_be_bytes()]))
    }

    /// An independent generator; what is drawn from one does not change the other.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        Self::from_key(hash(&[b"sunup fork", &self.key, label.as_bytes()]))
    }

    /// Fills the whole slice.
    pub fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.block.len() {
                self.block = hash(&[&self.key, &self.counter.to_be_bytes()]);
                self.counter += 1;
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_be_bytes(bytes)
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    /// A synchronization source identifier: random and not zero (RFC 3550 section 8.1).
    pub fn ssrc(&mut self) -> u32 {
        self.other_ssrc(0)
    }

    /// A short-term canonical name: 96 random bits in base64 (RFC 7022 section 4.2).
    pub fn cname(&mut self) -> String {
        self.base64(16)
    }

    /// So many characters of base64's alphabet, 6 random bits each.
    pub fn base64(&mut self, count: usize) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut bytes = vec![0; count];
        self.fill(&mut bytes);
        bytes
            .into_iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte & 0x3f)]))
            .collect()
    }

    /// One that differs from another, for its retransmissions.
    pub fn other_ssrc(&mut self, other: u32) -> u32 {
        loop {
            let ssrc = self.next_u32();
            if ssrc != 0 && ssrc != other {
                return ssrc;
            }
        }
    }
}

impl std::fmt::Debug for Rng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rng").finish_non_exhaustive() // the key must not reach a log
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// SHA-256 of one slice, for callers that need a fixed-size name of some bytes.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, data).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_however_they_are_drawn() {
        let (mut a, mut b) = (Rng::from_seed(7), Rng::from_seed(7));
        let mut whole = [0; 100];
        a.fill(&mut whole);
        let mut pieces = [0; 100];
        for piece in pieces.chunks_mut(7) {
            b.fill(piece);
        }
        assert_eq!(whole, pieces);
        assert_ne!(a.next_u64(), Rng::from_seed(8).next_u64());
    }

    #[test]
    fn a_fork_is_independent_of_what_its_parent_draws() {
        let mut parent = Rng::from_seed(1);
        let first = parent.fork("a").next_u64();
        parent.next_u64();
        assert_eq!(parent.fork("a").next_u64(), first);
        assert_ne!(parent.fork("b").next_u64(), first);
    }
}
