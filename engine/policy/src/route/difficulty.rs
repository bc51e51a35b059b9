//! How hard a request looks: a small logistic model over its shape.
//!
//! In: a [`Shape`]. Out: a [`Difficulty`] between 0 and 1, with what each feature has added. Remembered: nothing.
//!
//! # Where the weights come from
//!
//! They were set by hand, not trained: each feature is scaled to about 0 to 1, each weight says how much the feature alone
//! moves the log-odds, and the bias makes an ordinary short question about 0.2. The tests below hold a list of requests
//! that must come out easy or hard. The score is an order of requests, not a probability: thresholds belong into the policy,
//! after a look at `difficulty` in `x-faregate-route-reason` or in the answers of `/v1/faregate/quote`. Weights that are trained
//! on requests of one's own ([`train`](super::train)) stand in the policy, and go before these.

use faregate_adapters::shape::{Effort, Shape};

/// A feature, how it is called, and its weight in log-odds.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// As in quotes and documents.
    pub name: &'static str,
    /// What is added when the feature is 1.
    pub weight: f64,
    /// From the shape to about 0 to 1.
    value: fn(&Shape<'_>) -> f64,
}

const fn feature(name: &'static str, weight: f64, value: fn(&Shape<'_>) -> f64) -> Feature {
    Feature { name, weight, value }
}

/// The log-odds of a request without any feature.
pub const BIAS: f64 = -1.9;

/// How many features there are.
pub const FEATURES_COUNT: usize = 14;

/// Every feature with its weight.
pub const FEATURES: [Feature; FEATURES_COUNT] = [
    feature("length", 1.6, |shape| log(shape.bytes, 1024.0, 6.0)),
    feature("turns", 0.5, |shape| log(shape.turns as usize, 1.0, 5.0)),
    feature("question_length", 1.2, |shape| log(shape.question.bytes, 256.0, 5.0)),
    feature("tools", 0.5, |shape| yes(shape.tools > 0)),
    feature("tool_count", 0.5, |shape| log(shape.tools as usize, 1.0, 4.0)),
    feature("tool_results", 0.6, |shape| log(shape.tool_results as usize, 1.0, 4.0)),
    feature("images", 0.3, |shape| yes(shape.images > 0)),
    feature("code", 1.3, code),
    feature("figures", 0.8, |shape| share(shape.question.figures, 12.0, shape)),
    feature("hard_words", 3.2, |shape| (f64::from(shape.question.hard) / 3.0).min(1.0)),
    feature("easy_words", -1.6, |shape| (f64::from(shape.question.easy) / 2.0).min(1.0)),
    feature("short_question", -0.7, |shape| yes(is_short(shape))),
    feature("parts", 0.9, parts),
    feature("effort", 1.6, effort),
];

/// What moves the log-odds, and how much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// The log-odds of a request without any feature.
    pub bias: f64,
    /// Of each of [`FEATURES`].
    pub of: [f64; FEATURES_COUNT],
}

impl Default for Weights {
    fn default() -> Self {
        Self { bias: BIAS, of: FEATURES.map(|feature| feature.weight) }
    }
}

/// What each of [`FEATURES`] is of a request of this shape, about 0 to 1.
#[must_use]
pub fn features(shape: &Shape<'_>) -> [f64; FEATURES_COUNT] {
    FEATURES.map(|feature| (feature.value)(shape))
}

/// How hard a request looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difficulty {
    /// From 0 to 1.
    pub value: f64,
    /// What each of [`FEATURES`] has added to the log-odds; `None` when the client has said how hard it is.
    pub terms: Option<[f64; FEATURES_COUNT]>,
}

impl Difficulty {
    /// How hard a request of this shape looks.
    #[must_use]
    pub fn of(shape: &Shape<'_>) -> Self {
        Self::by(shape, &Weights::default())
    }

    /// How hard it looks by these weights.
    #[must_use]
    pub fn by(shape: &Shape<'_>, weights: &Weights) -> Self {
        let mut terms = features(shape);
        terms.iter_mut().zip(weights.of).for_each(|(term, weight)| *term *= weight);
        Self { value: squash(weights.bias + terms.iter().sum::<f64>()), terms: Some(terms) }
    }

    /// What the client says; out of bounds it is the nearest bound.
    #[must_use]
    pub fn told(value: f64) -> Self {
        Self { value: if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }, terms: None }
    }
}

/// Log-odds as odds of one.
pub(super) fn squash(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

fn yes(flag: bool) -> f64 {
    f64::from(u8::from(flag))
}

/// Grows with the logarithm of a count, and is 1 at `(e^scale - 1) * unit`.
fn log(count: usize, unit: f64, scale: f64) -> f64 {
    let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    ((count / unit).ln_1p() / scale).min(1.0)
}

/// The share of bytes of a kind in what was seen of the question, `factor` times.
fn share(count: u32, factor: f64, shape: &Shape<'_>) -> f64 {
    let seen = u32::try_from(shape.question.seen).unwrap_or(u32::MAX).max(64);
    (f64::from(count) * factor / f64::from(seen)).min(1.0)
}

fn code(shape: &Shape<'_>) -> f64 {
    let least = if shape.question.fences > 0 { 0.6 } else { 0.0 };
    share(shape.question.code, 8.0, shape).max(least)
}

fn is_short(shape: &Shape<'_>) -> bool {
    let question = &shape.question;
    question.bytes < 160 && question.hard == 0 && question.questions < 2 && question.lines == 0
}

/// Several questions, or a list of them.
fn parts(shape: &Shape<'_>) -> f64 {
    let further = f64::from(shape.question.questions.saturating_sub(1));
    ((further + f64::from(shape.question.lines) / 8.0) / 4.0).min(1.0)
}

fn effort(shape: &Shape<'_>) -> f64 {
    match shape.effort {
        None => 0.0,
        Some(Effort::None) => -1.0,
        Some(Effort::Minimal) => -0.75,
        Some(Effort::Low) => -0.4,
        Some(Effort::Medium) => 0.2,
        Some(Effort::High) => 0.8,
        Some(Effort::XHigh) => 1.0,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn chat(question: &str, rest: &str) -> f64 {
        let body =
            format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"{question}\"}}]{rest}}}");
        Difficulty::of(&Shape::of(body.as_bytes())).value
    }

    #[test]
    fn what_is_easy_and_what_is_hard_come_out_so() {
        for (question, rest) in [
            ("hi", ""),
            ("What is the capital of France?", ""),
            ("Translate 'good morning' into Spanish", ""),
            ("Please summarize this paragraph in one sentence: the cat sat on the mat.", ""),
            ("Thanks, that is all", ""),
            ("Classify the sentiment of this review: great phone, bad battery", ""),
            ("Is 17 a prime number?", ",\"reasoning_effort\":\"minimal\""),
        ] {
            let value = chat(question, rest);
            assert!(value < 0.3, "{value}: {question}");
        }
        for (question, rest) in [
            ("Prove the theorem and derive the equation for the general case.", ""),
            ("Refactor this module, diagnose the deadlock and design a concurrent algorithm.", ""),
            (
                "Why does this crash? Debug it:\\n```rust\\nfn main() { let x: Vec<u8> = vec![]; x[0]; }\\n```\\nAnd why only in release?",
                "",
            ),
            (
                "What follows from this?",
                ",\"reasoning_effort\":\"xhigh\",\"tools\":[{},{},{},{},{},{},{},{},{},{},{},{}],\"x\":\"LONG\"",
            ),
        ] {
            let rest = rest.replace("LONG", &"text ".repeat(8000));
            let value = chat(question, &rest);
            assert!(value > 0.6, "{value}: {question}");
        }
    }

    #[test]
    fn more_of_a_hard_feature_is_harder() {
        let plain = chat("Tell me about bridges in some detail, if you would.", "");
        for (question, rest) in [
            ("Tell me about bridges in some detail, and analyze why.", ""),
            ("Tell me about bridges in some detail, if you would.", ",\"tools\":[{}]"),
            (
                "Tell me about bridges in some detail, if you would.",
                ",\"reasoning_effort\":\"high\"",
            ),
            ("Tell me about bridges; f(x) = {x[0] + y[1]};", ""),
        ] {
            assert!(chat(question, rest) > plain, "{question}{rest}");
        }
    }

    #[test]
    fn the_terms_add_up_to_the_value() {
        let shape =
            Shape::of(br#"{"messages":[{"role":"user","content":"debug 1+1"}],"tools":[{}]}"#);
        let difficulty = Difficulty::of(&shape);
        let odds = (difficulty.value / (1.0 - difficulty.value)).ln();
        let sum: f64 = difficulty.terms.unwrap().iter().sum();
        assert!((odds - BIAS - sum).abs() < 1e-9, "{odds} {sum}");
    }

    #[test]
    fn nothing_is_out_of_bounds() {
        assert_eq!(Difficulty::told(7.0).value, 1.0);
        assert_eq!(Difficulty::told(-1.0).value, 0.0);
        assert_eq!(Difficulty::told(f64::NAN).value, 0.0);
        let most = Shape {
            bytes: usize::MAX,
            turns: u32::MAX,
            tools: u32::MAX,
            tool_results: u32::MAX,
            ..Shape::default()
        };
        assert!((0.0..=1.0).contains(&Difficulty::of(&most).value));
        assert!(Difficulty::of(&Shape::default()).value < 0.2);
    }
}
