//! What one event of a stream says: content, usage, the end.

mod measure;

fn main() {
    measure::group("sse_inspect");
}
