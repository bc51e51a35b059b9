//! The scripted provider as a program: listens until it is killed.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use loadtest::provider::{Provider, Script, Settings};

/// A strict, scripted provider of the OpenAI dialect.
///
/// Scripts are `key=value` pairs with `;` between them, such as `tokens=50; chunk=20ms`. A request
/// may bring its own in the header x-sim, the member `sim`, or a model name `sim-tokens=50`.
/// GET /sim/counters shows what was seen.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// A model on offer; may be repeated. Without it any name is taken.
    #[arg(long = "model")]
    models: Vec<String>,
    /// A key that is accepted; may be repeated. Without it none is asked for.
    #[arg(long = "key")]
    keys: Vec<String>,
    /// A value of Host that is accepted; may be repeated. Without it any is.
    #[arg(long = "host")]
    hosts: Vec<String>,
    /// The beginning of clients' keys, which must never arrive; may be repeated.
    #[arg(long = "canary")]
    canaries: Vec<String>,
    /// The script of requests that bring none.
    #[arg(long, default_value = "", value_parser = Script::parse)]
    script: Script,
    /// Blocks of 128 tokens that the prefix cache holds.
    #[arg(long, default_value_t = 65_536)]
    prefix_blocks: usize,
    /// Tokens a prompt may have.
    #[arg(long)]
    context_tokens: Option<u64>,
    /// Close a connection, announced, after so many requests.
    #[arg(long)]
    requests_max: Option<u64>,
    /// Bytes of each connection's receive buffer.
    #[arg(long)]
    receive_buffer: Option<usize>,
    /// Let the kernel make connections, but never serve them.
    #[arg(long)]
    never_accept: bool,
}

impl Options {
    fn settings(self) -> Settings {
        Settings {
            listen: self.listen,
            threads: self.threads,
            models: self.models,
            keys: self.keys,
            hosts: self.hosts,
            canaries: self.canaries,
            script: self.script,
            prefix_blocks: self.prefix_blocks,
            context_tokens: self.context_tokens,
            requests_max: self.requests_max,
            receive_buffer: self.receive_buffer,
            accept: !self.never_accept,
            ..Settings::default()
        }
    }
}

fn main() -> ExitCode {
    let provider = match Provider::start(Options::parse().settings()) {
        Ok(provider) => provider,
        Err(error) => return fail(&error),
    };
    say(&format!("listening on {}", provider.base_url()));
    match provider.wait() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stdout, reason = "whoever starts the program waits for this line")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "the one line about why the program ends")]
fn fail(error: &std::io::Error) -> ExitCode {
    eprintln!("faregate-provider: {error}");
    ExitCode::FAILURE
}
