//! A whole request body to what it asks for: one scan for eleven members, then model, stream and bounds read.

mod measure;

fn main() {
    measure::group("body_scan");
}
