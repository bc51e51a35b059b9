//! The real binary on loopback, against the scripted provider: what an operator and a client see of it.
//!
//! One test binary, so that the gateway is built once. Every test starts gateways and providers of its own on free ports.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod agents;
mod answers;
mod books;
mod bytes;
mod cloud;
mod deadlines;
mod dialects;
mod drain;
mod faults;
mod front;
mod newcomer;
mod rates;
mod realtime;
mod reload;
mod routing;
mod sdk;
mod stored;
mod streams;
mod telemetry;
mod tls;
mod uploads;
