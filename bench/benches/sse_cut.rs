//! Events cut out of what was read, and their data found.

mod measure;

fn main() {
    measure::group("sse_cut");
}
