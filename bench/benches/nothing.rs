//! A call that does nothing: what every other figure holds of the loop around it.

mod measure;

fn main() {
    measure::group("nothing");
}
