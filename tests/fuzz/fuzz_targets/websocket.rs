//! WebSocket frames: the same frames wherever the network cut them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| faregate_wire::check::websocket(bytes));
