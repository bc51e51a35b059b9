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
mod even;
mod exact;
mod fallbacks;
mod faults;
mod fleets;
mod front;
mod hedging;
mod import;
mod keys;
mod limits;
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
mod silence;
mod spending;
mod stored;
mod storms;
mod streams;
mod telemetry;
mod tls;
mod tokens;
mod uploads;
