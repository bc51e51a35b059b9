//! What a policy with rules adds to a request.

mod measure;

fn main() {
    measure::group("route_rule");
}
