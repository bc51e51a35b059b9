//! Requests of clients: refused, or JSON for every provider.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| faregate_adapters::check::any_bytes_as_a_request(bytes));
