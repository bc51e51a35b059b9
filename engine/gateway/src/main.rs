//! The Faregate binary.
fn main() {}
