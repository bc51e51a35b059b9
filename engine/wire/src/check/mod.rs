//! What the parsers promise, as functions that take any bytes: called by property tests and by fuzz targets.

mod form;
pub mod frames;
mod http;
pub mod json;
pub mod sse;
mod websocket;

pub use form::form;
pub use http::*;
pub use websocket::websocket;
