//! Chunked bodies: the same data wherever the network cut them, and the data that the plain twin finds.
#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| faregate_wire::check::chunks(body));
