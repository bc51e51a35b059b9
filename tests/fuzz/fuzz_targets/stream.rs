//! Streams and answers of providers: whatever comes, a client reads what is well-formed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| faregate_adapters::check::any_bytes_as_a_stream(bytes));
