//! The Faregate binary.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking"))]

mod admin;
mod affinity;
mod allowance;
mod answer;
mod attempt;
mod books;
mod buffer;
mod cache;
mod carry;
mod catalogue;
mod cli;
mod client;
mod clock;
mod connection;
mod counter;
mod credentials;
mod exchange;
mod forward;
mod hedge;
mod homes;
mod io;
mod keys;
mod live;
mod local;
mod log;
mod metrics;
mod pool;
mod realtime;
mod record;
mod relay;
mod reload;
mod replica;
mod reply;
mod semantic;
mod serve;
mod stored;
mod tls;
mod trace;
mod upload;
mod upstream;
mod worker;

fn main() -> std::process::ExitCode {
    cli::run()
}
