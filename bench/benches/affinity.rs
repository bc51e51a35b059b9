//! A prompt to the replica that takes it: hashed, looked up, weighed.

mod measure;

fn main() {
    measure::group("affinity");
}
