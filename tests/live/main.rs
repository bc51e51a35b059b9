//! The real binary on loopback, against the scripted provider: what an operator and a client see of it.
//!
//! One test binary, so that the gateway is built once. Every test starts gateways and providers of its own on free ports.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod affinity;
mod agents;
mod answers;
mod books;
mod budgets;
mod bytes;
mod caching;
mod cloud;
mod deadlines;
mod dialects;
mod drain;
mod exact;
mod faults;
mod front;
mod import;
mod llama;
mod money;
mod money_scopes;
mod newcomer;
mod prices;
mod rates;
mod realtime;
mod reload;
mod routing;
mod rules;
mod sdk;
mod semantic;
mod servers;
mod spending;
mod stored;
mod streams;
mod telemetry;
mod tls;
mod tokens;
mod uploads;
