//! Any bytes as a STUN message: parsed, verified, and never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunup_engine_core::stun::{IntegrityKey, Message};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::parse(bytes) {
        let _ = message.verify(&IntegrityKey::new("password"));
    }
});
