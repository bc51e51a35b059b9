//! One event of text, translated.

mod measure;

fn main() {
    measure::group("translate_chunk");
}
