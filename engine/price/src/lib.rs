//! Money, and what things cost.
//!
//! In: usage and the price of a model. Out: an amount in nano-dollars. Nothing is remembered; there is no clock, no file and
//! no floating point. Prices come from a catalogue that is part of the program, or are written by people.
#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test fails by panicking"))]

pub mod catalogue;
pub mod class;
pub mod decimal;
pub mod draft;
pub mod line;
pub mod money;
pub mod price;
pub mod source;
pub mod written;

pub use catalogue::{Asked, Catalogue, Found, Origin};
pub use class::{Class, Region, Service, Services, Unit, Units};
pub use decimal::Decimal;
pub use draft::Draft;
pub use money::NanoUsd;
pub use price::{Ask, CacheWrites, Circumstances, NoPrice, PPM_ONE, Price, Tier};
pub use source::{Entry, List};
pub use written::{Currencies, Currency, NotMoney};
