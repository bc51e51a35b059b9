//! Every decision of one request, identify to settle: key, limits of four scopes, model, route, breaker.

mod measure;

fn main() {
    measure::group("exchange");
}
