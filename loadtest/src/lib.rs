//! A strict scripted model provider and an open-loop load generator.
//!
//! Both are programs (`faregate-provider`, `faregate-load`) and both are libraries, so that a
//! black-box test can start a provider in its own process and read its counters directly.
//!
//! ```
//! use loadtest::provider::{Provider, Settings};
//!
//! let provider = Provider::start(Settings::default())?;
//! let base_url = format!("http://{}/v1", provider.address());
//! assert!(base_url.starts_with("http://127.0.0.1:"));
//! assert_eq!(provider.counters().requests(), 0);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! They stand outside the floors of the gateway and share no code with it: what judges the gateway
//! must not make its mistakes. Both run single-threaded event loops over epoll, written with the
//! safe calls of `rustix`; its `epoll_pwait2` gives timers finer than a millisecond.

#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "tests fail by panicking"))]

pub mod clock;
pub mod http;
pub mod load;
mod poll;
pub mod provider;
mod timer;
