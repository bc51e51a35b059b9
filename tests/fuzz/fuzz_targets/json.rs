//! The JSON scanner against a full parser, however the body arrived.
#![no_main]

use faregate_wire::check::json;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    json::agrees_with_a_full_parser(body);
    json::does_not_depend_on_pieces(body, &[1]);
    json::does_not_depend_on_pieces(body, &[2, 3, 7]);
});
