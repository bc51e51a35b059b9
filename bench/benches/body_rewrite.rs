//! A request body to the bytes that are sent, scan and patch together, beside libraries that parse, set and write.

mod measure;

fn main() {
    measure::group("body_rewrite");
}
