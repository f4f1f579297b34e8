//! The plan that the runner writes: who publishes, who subscribes, which process is measured.
//!
//! One line an object, `kind key=value …`, ended by `run`. The program is given to by our own
//! runner only, so a mistake in a line is an error with the line in it, never a guess.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::str::FromStr;

use sunup_engine_core::srtp::{Keys, MasterKey, Profile};

/// Everything that stays the same during a run.
#[derive(Debug, Default)]
pub struct Plan {
    /// The process whose CPU is read, and the core it is pinned to.
    pub server: Option<Server>,
    /// The core for this program.
    pub core: Option<usize>,
    /// Who sends.
    pub publisher: Option<Publisher>,
    /// Who receives.
    pub subscribers: Vec<Peer>,
}

/// The measured process.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// Process id.
    pub pid: u32,
    /// Core of the server and of the baseline.
    pub core: usize,
}

/// One ICE and SRTP association with the media server.
#[derive(Debug)]
pub struct Peer {
    /// An open, bound, unconnected UDP socket.
    pub fd: RawFd,
    /// Where the media server listens for it.
    pub server: SocketAddr,
    /// USERNAME of its checks.
    pub username: String,
    /// The server's ICE password.
    pub password: String,
    /// Both directions, local being what this side seals.
    pub keys: Keys,
}

/// The sender and its stream as negotiated.
#[derive(Debug)]
pub struct Publisher {
    /// Its association.
    pub peer: Peer,
    /// SSRC of the video.
    pub ssrc: u32,
    /// Payload type of VP8.
    pub payload_type: u8,
    /// The MID's text.
    pub mid: String,
    /// Extension ids; 0 leaves one out.
    pub mid_id: u8,
    /// Of abs-send-time.
    pub abs_send_time_id: u8,
    /// Of the transport-wide sequence number.
    pub transport_cc_id: u8,
}

/// Reads lines up to `run`.
pub fn read(lines: &mut impl Iterator<Item = io::Result<String>>) -> Result<Plan, String> {
    let mut plan = Plan::default();
    for line in lines {
        let line = line.map_err(|error| error.to_string())?;
        let fields = Fields::parse(&line)?;
        match fields.kind {
            "run" => return Ok(plan),
            "core" => plan.core = Some(fields.number("index")?),
            "server" => {
                plan.server = Some(Server {
                    pid: fields.number("pid")?,
                    core: fields.number("core")?,
                });
            }
            "publisher" => {
                plan.publisher = Some(Publisher {
                    peer: peer(&fields)?,
                    ssrc: fields.number("ssrc")?,
                    payload_type: fields.number("payload_type")?,
                    mid: fields.text("mid")?.to_owned(),
                    mid_id: fields.number("mid_id")?,
                    abs_send_time_id: fields.number("abs_send_time_id")?,
                    transport_cc_id: fields.number("transport_cc_id")?,
                });
            }
            "subscriber" => plan.subscribers.push(peer(&fields)?),
            kind => return Err(format!("unknown object {kind:?} in the plan")),
        }
    }
    Err("the plan ended before `run`".to_owned())
}

fn peer(fields: &Fields<'_>) -> Result<Peer, String> {
    let profile = Profile::from_number(fields.number("profile")?)
        .ok_or_else(|| fields.problem("an unknown SRTP profile"))?;
    let master = |key: &str, salt: &str| {
        Ok::<_, String>(MasterKey {
            key: fields.hex(key)?,
            salt: fields.hex(salt)?,
        })
    };
    let keys = Keys::new(
        profile,
        master("local_key", "local_salt")?,
        master("remote_key", "remote_salt")?,
    )
    .map_err(|error| fields.problem(&error.to_string()))?;
    Ok(Peer {
        fd: fields.number("fd")?,
        server: fields.number("server")?,
        username: fields.text("username")?.to_owned(),
        password: fields.text("password")?.to_owned(),
        keys,
    })
}

/// One line, taken apart; orders have the same shape.
pub struct Fields<'a> {
    /// The first word.
    pub kind: &'a str,
    line: &'a str,
    values: HashMap<&'a str, &'a str>,
}

impl<'a> Fields<'a> {
    /// Takes a line apart.
    pub fn parse(line: &'a str) -> Result<Self, String> {
        let mut words = line.split_ascii_whitespace();
        let kind = words.next().ok_or("an empty line")?;
        let values = words
            .map(|word| word.split_once('=').ok_or(word))
            .collect::<Result<_, _>>()
            .map_err(|word| format!("{word:?} is not key=value in {line:?}"))?;
        Ok(Self { kind, line, values })
    }

    /// A value as it stands.
    pub fn text(&self, key: &str) -> Result<&'a str, String> {
        self.values
            .get(key)
            .copied()
            .ok_or_else(|| self.problem(&format!("no {key}")))
    }

    /// A value that parses, be it a number or an address.
    pub fn number<T: FromStr>(&self, key: &str) -> Result<T, String> {
        self.text(key)?
            .parse()
            .map_err(|_| self.problem(&format!("a bad {key}")))
    }

    /// Bytes written in hexadecimal.
    pub fn hex(&self, key: &str) -> Result<Vec<u8>, String> {
        let text = self.text(key)?;
        (0..text.len())
            .step_by(2)
            .map(|at| text.get(at..at + 2))
            .map(|pair| pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()))
            .collect::<Option<_>>()
            .ok_or_else(|| self.problem(&format!("{key} is not hexadecimal")))
    }

    /// An error text that names the line.
    pub fn problem(&self, what: &str) -> String {
        format!("{what} in {:?}", self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "profile=7 local_key=000102030405060708090a0b0c0d0e0f \
        local_salt=000102030405060708090a0b remote_key=000102030405060708090a0b0c0d0e0f \
        remote_salt=000102030405060708090a0b";

    fn plan(text: &str) -> Result<Plan, String> {
        read(&mut text.lines().map(|line| Ok(line.to_owned())))
    }

    #[test]
    fn a_whole_plan_is_read() {
        let peer = format!("fd=5 server=10.0.0.1:7882 username=a:b password=c {KEYS}");
        let text = format!(
            "server pid=12 core=0\ncore index=1\npublisher {peer} ssrc=1 payload_type=96 mid=1 \
             mid_id=1 abs_send_time_id=2 transport_cc_id=3\nsubscriber {peer}\nrun"
        );
        let plan = plan(&text).expect("a plan");
        assert_eq!(plan.server.expect("a server").pid, 12);
        assert_eq!(plan.core, Some(1));
        assert_eq!(plan.publisher.expect("a publisher").payload_type, 96);
        assert_eq!(plan.subscribers.len(), 1);
        assert_eq!(plan.subscribers[0].server.port(), 7882);
    }

    #[test]
    fn a_mistake_names_its_line() {
        for (text, problem) in [
            ("core index=x\nrun", "a bad index in \"core index=x\""),
            ("core\nrun", "no index in \"core\""),
            ("core index\nrun", "\"index\" is not key=value"),
            ("what a=1\nrun", "unknown object \"what\""),
            ("core index=1", "the plan ended before `run`"),
        ] {
            let found = plan(text).expect_err(text);
            assert!(found.contains(problem), "{found}");
        }
    }

    #[test]
    fn half_a_byte_is_not_hexadecimal() {
        let fields = Fields::parse("x key=0g").expect("fields");
        assert!(fields.hex("key").is_err());
        let fields = Fields::parse("x key=012").expect("fields");
        assert!(fields.hex("key").is_err());
        let fields = Fields::parse("x key=01ff").expect("fields");
        assert_eq!(fields.hex("key"), Ok(vec![1, 255]));
    }
}
