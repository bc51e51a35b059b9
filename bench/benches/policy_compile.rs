//! A policy file to a policy, with 1,000 keys: what a reload costs its thread.

mod measure;

fn main() {
    measure::group("policy_compile");
}
