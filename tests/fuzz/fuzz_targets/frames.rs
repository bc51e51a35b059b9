//! Event-stream frames: the same frames wherever the network cut them.
#![no_main]

use faregate_wire::{check::frames, write_frame};

libfuzzer_sys::fuzz_target!(|stream: &[u8]| {
    frames::does_not_depend_on_pieces(stream, &[]);
    // Checksums are hard to guess: the same bytes once more as a payload, with themselves behind it.
    let mut framed = Vec::new();
    write_frame(&mut framed, &[(":event-type", "x")], stream);
    framed.extend_from_slice(stream);
    frames::does_not_depend_on_pieces(&framed, stream);
});
