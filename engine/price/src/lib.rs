//! Money, and what things cost.
//!
//! In: usage and the price of a model. Out: an amount in nano-dollars. Nothing is remembered; there is no clock, no file and
//! no floating point.
#![forbid(unsafe_code)]

pub mod money;

pub use money::NanoUsd;
