//! The Faregate binary.

mod clock;
mod io;
mod tls;
fn main() {}
