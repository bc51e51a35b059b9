//! The head of a streamed answer: from its first byte to status, framing and kind of body.

mod measure;

fn main() {
    measure::group("head_response");
}
