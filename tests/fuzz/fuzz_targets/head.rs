//! Heads of requests and responses, and the framing they decide: one reading for every prefix.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    faregate_wire::check::request(bytes);
    faregate_wire::check::response(bytes);
});
