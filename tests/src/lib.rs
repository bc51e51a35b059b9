//! What the black-box tests stand on: the real binary started with a policy, and clients that read strictly.
//!
//! The tests see what an operator and a client see: the command line, sockets, files, `/proc`. Providers are the scripted
//! ones of `loadtest`. A helper that fails panics: inside a test that is the test's failure.

#![expect(clippy::panic, reason = "a helper of a test fails by panicking, like the test itself")]

pub mod binary;
pub mod certs;
pub mod client;
pub mod folder;
pub mod gateway;
pub mod gguf;
pub mod key;
pub mod llama;
pub mod metrics;
pub mod process;
pub mod program;
pub mod random;
pub mod redis;
pub mod server;
pub mod upstream;
pub mod wait;
pub mod wire;

use std::path::{Path, PathBuf};

pub use client::Client;
pub use gateway::{Driver, Gateway, Launch};
pub use loadtest::provider::{Provider, Settings};
pub use upstream::{Act, Upstream};
pub use wire::{Answer, Wire};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_owned()
}

/// A provider that keeps what it receives, on a free port.
pub fn provider() -> Provider {
    provider_with(Settings { capture: 4096, ..Settings::default() })
}

/// A provider on a free port.
pub fn provider_with(settings: Settings) -> Provider {
    Provider::start(settings).expect("a provider starts on loopback")
}
