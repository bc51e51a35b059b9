//! The body of a refusal, in OpenAI's shape.

mod measure;

fn main() {
    measure::group("error_body");
}
