//! Forms: the same field wherever the network cut them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| faregate_wire::check::form(bytes));
