//! What the parsers promise, as functions that take any bytes: called by property tests and by fuzz targets.

pub mod frames;
mod http;
pub mod json;
pub mod sse;

pub use http::*;
