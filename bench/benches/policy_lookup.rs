//! Who shows a key, among 10,000: the hash of the key, then the table.

mod measure;

fn main() {
    measure::group("policy_lookup");
}
