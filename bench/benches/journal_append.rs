//! Rows made durable, a thousand at a time.

mod measure;

fn main() {
    measure::group("journal_append");
}
