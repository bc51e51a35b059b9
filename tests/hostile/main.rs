//! The real binary among clients and providers that mean no good, or break: on io_uring and on epoll.
//!
//! The live tests show that what is right works; these show what becomes of what is wrong. Every test runs with each
//! driver, starts gateways and providers of its own on free ports, and waits for what should happen, never for time.
//! `FAREGATE_SWEEP=full` breaks answers at every byte instead of at some.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod answers;
mod cancel;
mod cut;
mod door;
mod load;
mod passage;
mod phases;
mod pool;
mod pressure;
mod unread;

use faregate_tests::{Driver, Gateway, Launch, Upstream};

/// The body of a chat.
const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

/// The body of a streamed chat.
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// A policy with one provider at `base_url`, called `sim`, that is asked once and never rests.
fn once(base_url: &str) -> String {
    format!(
        "[retries]\nattempts = 1\n[breaker]\nfailures = 10000\n\
         [models.\"*\"]\ntargets = [\"sim/*\"]\n[providers.sim]\nbase_url = \"{base_url}\"\n"
    )
}

/// A gateway in front of `upstream`, open to everybody.
fn before(upstream: &Upstream, driver: Driver) -> Gateway {
    Launch::new(once(&upstream.base_url())).on(driver).start()
}

/// A chat with this body, told apart by its number.
fn post(case: usize, body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\nx-case: {case}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}
