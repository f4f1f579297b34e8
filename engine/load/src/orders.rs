//! The orders of the runner and their answers, one line each.
//!
//! `forward warm_up=S seconds=S` publishes through the server and counts what arrives;
//! `baseline seconds=S size=BYTES sealed=0|1` sends without a server. Both answer with the same
//! keys; `cpu_ns` is the server's, all its threads, or the baseline thread's.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::baseline::Baseline;
use crate::numbers::Tally;
use crate::plan::{Fields, Plan, Server};
use crate::sender::Sender;
use crate::sink::{Counters, Sink};
use crate::sys::{self, Clock};
use crate::workload::Pace;

/// An order may load the machine this long at most.
const MAX_SECONDS: u64 = 60;
/// How often the end of a measurement looks whether everything has arrived.
const LOOK: u64 = 10_000_000;
/// After so many looks without an arrival what is missing counts as lost.
const PATIENCE: u32 = 50;

/// The load program after its plan.
pub struct Load {
    server: Option<Server>,
    sender: Option<Sender>,
    receivers: Vec<SocketAddr>,
    counters: Arc<Counters>,
    round: u32,
}

impl Load {
    /// Pins the program, takes over the sockets and starts the sink.
    pub fn start(plan: Plan) -> io::Result<Self> {
        if let Some(core) = plan.core {
            sys::pin_to(core)?;
        }
        let counters = Arc::<Counters>::default();
        let publisher = plan.publisher.as_ref();
        let sender = publisher.map(Sender::new).transpose()?;
        Sink::new(
            &plan.subscribers,
            publisher.map(|publisher| &publisher.peer),
            Arc::clone(&counters),
        )?
        .spawn();
        Ok(Self {
            server: plan.server,
            sender,
            receivers: plan
                .subscribers
                .iter()
                .map(|peer| sys::local_address(peer.fd))
                .collect::<io::Result<_>>()?,
            counters,
            round: 0,
        })
    }

    /// Carries out one order.
    pub fn order(&mut self, line: &str) -> Result<String, String> {
        let order = Fields::parse(line)?;
        let seconds = |key| match order.number(key)? {
            seconds if seconds <= MAX_SECONDS => Ok(seconds),
            seconds => Err(order.problem(&format!("more than {MAX_SECONDS} s ({seconds})"))),
        };
        self.round += 1;
        let done = match order.kind {
            "forward" => self.forward(seconds("warm_up")?, seconds("seconds")?),
            "baseline" => {
                let sealed = order.number::<u8>("sealed")? != 0;
                self.baseline(seconds("seconds")?, order.number("size")?, sealed)
            }
            _ => return Err(order.problem("an unknown order")),
        };
        done.map_err(|error| error.to_string())
    }

    fn forward(&mut self, warm_up: u64, seconds: u64) -> io::Result<String> {
        let (Some(sender), Some(server)) = (&mut self.sender, self.server) else {
            return Err(io::Error::other("the plan names no publisher or no server"));
        };
        let packets = Pace::packets(seconds);
        self.counters.begin(self.round, None);
        sender.send(0, Pace::packets(warm_up))?;
        let before = process_cpu(server.pid)?;
        sender.send(self.round, packets)?;
        let key_requests = sender.key_requests();
        let tally = self.settle(packets);
        // A thread that ends takes its time out of the sum.
        let cpu = process_cpu(server.pid)?.saturating_sub(before);
        Ok(self.answer(packets, cpu, key_requests, tally))
    }

    fn baseline(&mut self, seconds: u64, size: usize, sealed: bool) -> io::Result<String> {
        let packets = Pace::packets(seconds);
        let mut baseline = Baseline::new(&self.receivers, size, sealed)?;
        self.counters.begin(self.round, Some(baseline.address()?));
        let core = self.server.map(|server| server.core);
        let cpu = baseline.run(core, self.round, packets)?;
        let tally = self.settle(packets);
        Ok(self.answer(packets, cpu, 0, tally))
    }

    /// Waits until everything has arrived or nothing more comes.
    fn settle(&self, packets: u64) -> Tally {
        let expected = packets * self.receivers.len() as u64; // usize into u64, fits
        let (mut last, mut idle) = (0, 0);
        while last < expected && idle < PATIENCE {
            sys::sleep_until(Clock::Monotonic.now() + LOOK);
            let delivered = self.counters.delivered();
            idle = if delivered == last { idle + 1 } else { 0 };
            last = delivered;
        }
        self.counters.tally()
    }

    fn answer(&self, packets: u64, cpu: u64, key_requests: u64, mut tally: Tally) -> String {
        let [p50, p95, p99] = [50, 95, 99].map(|percent| tally.latency(percent));
        let Tally {
            delivered,
            bytes,
            other,
            feedback,
            checks_answered,
            refused,
            ..
        } = tally;
        let expected = packets * self.receivers.len() as u64; // usize into u64, fits
        format!(
            "done expected={expected} delivered={delivered} bytes={bytes} cpu_ns={cpu} \
             p50_us={p50} p95_us={p95} p99_us={p99} other={other} feedback={feedback} \
             checks_answered={checks_answered} refused={refused} key_requests={key_requests}"
        )
    }
}

/// CPU nanoseconds of all threads that a process has now.
fn process_cpu(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // The first number of schedstat is time on a CPU, in nanoseconds.
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let first = text.split_ascii_whitespace().next();
        sum += first
            .and_then(|word| word.parse::<u64>().ok())
            .ok_or_else(|| io::Error::other(format!("schedstat says {text:?}")))?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_cpu() {
        let before = process_cpu(std::process::id()).expect("a process");
        let mut sum = 0_u64;
        while Clock::ThreadCpu.now() < 20_000_000 {
            sum = sum.wrapping_add(1);
        }
        assert!(sum > 0);
        assert!(process_cpu(std::process::id()).expect("a process") > before);
    }

    #[test]
    fn orders_are_bounded_and_known() {
        let mut load = Load::start(Plan::default()).expect("an empty load");
        for (order, problem) in [
            ("forward warm_up=1 seconds=100", "more than 60 s"),
            ("forward warm_up=0 seconds=1", "names no publisher"),
            ("baseline seconds=1 size=1200 sealed=0", "no receivers"),
            ("dance", "an unknown order"),
        ] {
            let found = load.order(order).expect_err(order);
            assert!(found.contains(problem), "{found}");
        }
    }
}
