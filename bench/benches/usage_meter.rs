//! The usage of a whole answer, found as it passes in reads of 4 KiB.

mod measure;

fn main() {
    measure::group("usage_meter");
}
