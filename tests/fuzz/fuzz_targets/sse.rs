//! Server-sent events: the same events wherever the network cut them.
#![no_main]

use faregate_wire::check::sse;

libfuzzer_sys::fuzz_target!(|stream: &[u8]| {
    // The stream itself says where it is cut, so that one input finds the same thing again.
    sse::does_not_depend_on_pieces(stream, &[]);
    sse::does_not_depend_on_pieces(stream, stream);
});
