//! Dialects: how providers and clients spell a chat.
//!
//! In: request bodies, answers and events in a provider's spelling. Out: what they say, in the gateway's own terms. No
//! I/O, no clock, and nothing about what a caller may do.
#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking"))]

pub mod aside;
pub mod auth;
pub mod base64;
pub mod cache;
pub mod chat;
#[cfg(any(test, feature = "check"))]
pub mod check;
pub mod declined;
pub mod dialect;
pub mod embed;
pub mod kind;
pub mod media;
pub mod prefix;
pub mod question;
pub mod quirks;
pub mod ratelimit;
pub mod repeat;
pub mod said;
pub mod shape;
pub mod surface;
pub mod tokens;
