//! The journal: any bytes as a segment and as a batch; what can be read can be written, and opens again.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| faregate_ledger::journal::check::segment(bytes));
