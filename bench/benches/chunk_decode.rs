//! Chunked coding taken off, byte by byte in its framing: the path for what cannot be passed on as it is.

mod measure;

fn main() {
    measure::group("chunk_decode");
}
