//! Every decision, without I/O and without a clock.
//!
//! In: the policy as text, the head and the wish of a request, what became of an attempt, and the
//! present as an argument. Out: who is calling, what may pass, where it goes, when it is tried
//! again, and what is counted.

#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking"))]

pub mod affinity;
mod atomic;
pub mod attribution;
pub mod budget;
pub mod cache;
pub mod caller;
pub mod crowd;
pub mod environment;
pub mod exchange;
pub mod fault;
mod file;
pub mod health;
pub mod hedge;
pub mod key;
pub mod keyring;
pub mod known;
pub mod limiter;
pub mod metric;
pub mod models;
mod nearest;
pub mod pattern;
pub mod phase;
pub mod policy;
pub mod prices;
pub mod problem;
pub mod rate;
pub mod reference;
pub mod retry;
pub mod route;
pub mod rule;
mod starter;
pub mod summary;
#[cfg(all(test, not(loom)))]
mod tests;
pub mod time;
pub mod units;
pub mod webhook;
pub mod workload;

pub use caller::Caller;
pub use exchange::Exchange;
pub use fault::{Fault, Refusal};
pub use key::KeyHash;
pub use models::{Model, Models, Resolved, Sticky, Strategy};
pub use pattern::Pattern;
pub use phase::Phase;
pub use policy::{Limit, LimitKind, Policy, Provider, Scope, Target};
pub use prices::{CorePolicy, PriceCache, Priced, Prices};
pub use problem::{Problem, Problems};
pub use time::{Nanos, Wall};
