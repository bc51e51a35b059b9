//! A scanned body to the bytes that are sent: the model's name replaced, `include_usage` added.

mod measure;

fn main() {
    measure::group("body_patch");
}
