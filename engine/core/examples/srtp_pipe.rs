//! SRTP as a filter, so that other implementations can be compared with this one.
//!
//! `srtp_pipe PROFILE KEY SALT` keeps one context for each direction, both with the given master
//! key, and answers each line `seal rtp HEX`, `open rtp HEX`, `seal rtcp HEX` or `open rtcp HEX`
//! with the result in hexadecimal digits, or with `error` and its name.

use std::io::{self, BufRead, Write};

use sunup_engine_core::srtp::{Inbound, Keys, MasterKey, Outbound, Profile, MAX_OVERHEAD};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [profile, key, salt] = &arguments[..] else {
        return Err(invalid("usage: srtp_pipe PROFILE KEY SALT"));
    };
    let profile = profile
        .parse()
        .ok()
        .and_then(Profile::from_number)
        .ok_or_else(|| invalid("unknown profile"))?;
    let master = MasterKey {
        key: from_hex(key)?,
        salt: from_hex(salt)?,
    };
    let keys = Keys::new(profile, master.clone(), master).map_err(io::Error::other)?;
    let (mut inbound, mut outbound) = keys.contexts();
    let mut answers = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let answer = match answer(&line?, &mut inbound, &mut outbound)? {
            Ok(bytes) => to_hex(&bytes),
            Err(name) => format!("error {name}"),
        };
        writeln!(answers, "{answer}")?;
        answers.flush()?;
    }
    Ok(())
}

fn answer(
    line: &str,
    inbound: &mut Inbound,
    outbound: &mut Outbound,
) -> io::Result<Result<Vec<u8>, String>> {
    let words: Vec<&str> = line.split(' ').collect();
    let [verb, protocol, digits] = words[..] else {
        return Err(invalid(line));
    };
    let mut packet = from_hex(digits)?;
    let len = packet.len();
    let done = match (verb, protocol) {
        ("open", "rtp") => inbound.open_rtp(&mut packet).map_err(|e| format!("{e:?}")),
        ("open", "rtcp") => inbound.open_rtcp(&mut packet).map_err(|e| format!("{e:?}")),
        ("seal", "rtp") => {
            packet.resize(len + MAX_OVERHEAD, 0);
            outbound
                .seal_rtp(&mut packet, len)
                .map_err(|e| format!("{e:?}"))
        }
        ("seal", "rtcp") => {
            packet.resize(len + MAX_OVERHEAD, 0);
            outbound
                .seal_rtcp(&mut packet, len)
                .map_err(|e| format!("{e:?}"))
        }
        _ => return Err(invalid(line)),
    };
    Ok(done.map(|len| {
        packet.truncate(len);
        packet
    }))
}

fn from_hex(digits: &str) -> io::Result<Vec<u8>> {
    if !digits.is_ascii() || digits.len() % 2 != 0 {
        return Err(invalid(digits));
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).map_err(io::Error::other))
        .collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
