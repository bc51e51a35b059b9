//! Money, and what things cost.
//!
//! In: usage and the price of a model. Out: an amount in nano-dollars. Nothing is remembered; there is no clock, no file and
//! no floating point.
#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test fails by panicking"))]

pub mod class;
pub mod decimal;
pub mod draft;
pub mod money;
pub mod price;
pub mod written;

pub use class::{Class, Region, Service, Services, Unit, Units};
pub use decimal::Decimal;
pub use draft::Draft;
pub use money::NanoUsd;
pub use price::{Ask, CacheWrites, Circumstances, NoPrice, PPM_ONE, Price, Tier};
