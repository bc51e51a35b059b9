//! A whole answer, translated.

mod measure;

fn main() {
    measure::group("translate_answer");
}
