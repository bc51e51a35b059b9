//! What a model's name means, in a policy with 200 names and 20 more with `*`.

mod measure;

fn main() {
    measure::group("model_resolve");
}
