//! The scripted provider as a program: listens until it is killed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use loadtest::provider::{Provider, Script, Settings};

/// A strict, scripted provider of five dialects, told apart by path.
///
/// OpenAI: /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models, /v1/responses.
/// Anthropic: /v1/messages, /v1/messages/count_tokens, /v1/models (with anthropic-version).
/// Gemini: /v1beta or /v1, models/M:generateContent, :streamGenerateContent (also alt=sse),
/// :countTokens, :embedContent, :batchEmbedContents; Vertex paths with a bearer token.
/// Bedrock: /model/M/converse, /model/M/converse-stream, with a signature or a bearer key.
///
/// Each refuses what the real API refuses, with its status and in its words.
///
/// The last user turn steers the answer: `call NAME` or `call A and B` calls tools that the request
/// offers, `refuse me` is refused, `short please` ends at the limit. A tool's result is quoted, an
/// image is named by its type, a schema for the answer is met. Thoughts come with a signature
/// where they are asked for, and must come back unaltered.
///
/// Scripts are `key=value` pairs with `;` between them, such as `tokens=50; chunk=20ms`. A request
/// may bring its own in the header x-sim, the member `sim`, or a model name `sim-tokens=50`.
/// GET /sim/counters shows what was seen.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
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
    /// Folder of recorded answers. A request names one in the header x-replay or the script key odd;
    /// it is answered with DIR/NAME/stream.txt, stream.bin or answer.json.
    #[arg(long, value_name = "DIR")]
    replay_dir: Option<PathBuf>,
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
            replay_dir: self.replay_dir,
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
