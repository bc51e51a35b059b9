//! Budgets reserved and settled: what money costs a request.

mod measure;

fn main() {
    measure::group("budget_hold");
}
