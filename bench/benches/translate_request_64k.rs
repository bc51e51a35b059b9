//! A request of 64 KiB, translated.

mod measure;

fn main() {
    measure::group("translate_request_64k");
}
