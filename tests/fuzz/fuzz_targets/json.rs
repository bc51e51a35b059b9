//! The JSON scanner against a full parser, and patches of what it found.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| faregate_wire::check::json(bytes));
