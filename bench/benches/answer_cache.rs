//! A request whose workload keeps its answers: the key of all that shapes the answer, then the table of 10,000 that are kept.

mod measure;

fn main() {
    measure::group("answer_cache");
}
