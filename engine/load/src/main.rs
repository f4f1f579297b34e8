//! `sunup-load`: the publisher and the subscribers of the forwarding benchmark, outside the
//! measured process.
//!
//! The runner (`benchmarks/load.py`) opens every subscriber's UDP socket, makes it known to a
//! media server, and hands sockets and SRTP keys to this program: first the plan ([`plan`]), then
//! orders, one a line on standard input; one line answers each. A sink thread ([`sink`]) drains,
//! authenticates and counts; [`sender`] publishes the workload ([`workload`]) at its pace;
//! [`baseline`] sends the same bytes to the same sockets without any server. Nothing here is part
//! of the product.
#![deny(unsafe_code)]

mod baseline;
mod checks;
mod numbers;
mod orders;
mod plan;
mod sender;
mod sink;
#[allow(unsafe_code)] // the one module that calls libc
mod sys;
mod workload;

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let stdin = io::stdin();
    let mut lines = stdin.lock().lines();
    let plan = match plan::read(&mut lines) {
        Ok(plan) => plan,
        Err(problem) => {
            eprintln!("sunup-load: {problem}");
            return ExitCode::from(2);
        }
    };
    let mut load = match orders::Load::start(plan) {
        Ok(load) => load,
        Err(problem) => {
            eprintln!("sunup-load: {problem}");
            return ExitCode::FAILURE;
        }
    };
    println!("ready");
    for line in lines.map_while(Result::ok) {
        match load.order(&line) {
            Ok(answer) => println!("{answer}"),
            Err(problem) => {
                eprintln!("sunup-load: {problem}");
                return ExitCode::FAILURE;
            }
        }
        // A closed pipe means that the runner is gone: nothing is left to do.
        if io::stdout().flush().is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}
