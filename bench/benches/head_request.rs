//! The head of a request: from its first byte to method, path, framing and credential.

mod measure;

fn main() {
    measure::group("head_request");
}
