//! Usage in every recording: classes that do not overlap add up to what the provider says in all, whether the answer is
//! translated or passes.

use faregate_adapters::{
    chat::{Assembler, Usage},
    check::stream::{Ends, read_all},
    dialect::{Form, UsageReport},
};
use serde_json::{Map, Value};

use super::{
    fixture::{Case, cases},
    relay::READ,
};

#[test]
fn classes_add_up_to_the_providers_totals() {
    let (mut wrong, mut counted) = (Vec::new(), 0);
    for case in cases() {
        for (kind, told, found) in [streamed(&case), whole(&case)].into_iter().flatten() {
            counted += usize::from(told != (0, 0));
            for (way, usage) in ["translated", "passed"].into_iter().zip(found) {
                let sums = usage.map_or((0, 0), |u| (u.total_input(), u.total_output()));
                if sums != told {
                    wrong.push(format!("{} {kind} {way}: {sums:?}, not {told:?}", case.label()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(counted > 100, "{counted} recordings count");
}

/// What the provider says in all, and what is found in the translated and in the passing stream.
fn streamed(case: &Case) -> Option<(&'static str, (u64, u64), [Option<Usage>; 2])> {
    let stream = case.stream()?;
    let translated = Ends::plain(case.form, other(case.form)).relay(&stream, &[], true).usage;
    let (mut told, mut passed) = (Value::Object(Map::new()), None);
    for (name, data) in read_all(case.form, &stream) {
        let seen = case.form.passage().inspect(&name, &data);
        passed = seen.usage.map(|report: UsageReport| report.over(passed)).or(passed);
        if let Ok(event) = serde_json::from_slice(&data) {
            later(&mut told, &event);
        }
    }
    Some(("stream", totals(case.form, &told), [translated, passed]))
}

/// The same of the whole answer.
fn whole(case: &Case) -> Option<(&'static str, (u64, u64), [Option<Usage>; 2])> {
    let body = case.answer()?;
    let mut assembler = Assembler::default();
    case.form.outbound().read_answer(&body, &READ, &mut |delta| assembler.push(delta)).ok()?;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let (member, read) = case.form.passage().usage_member();
    let passed = answer.get(member).and_then(|usage| read(usage.to_string().as_bytes()));
    let mut told = Value::Object(Map::new());
    later(&mut told, &answer);
    Some(("answer", totals(case.form, &told), [assembler.finish().usage, passed]))
}

const fn other(form: Form) -> Form {
    if matches!(form, Form::Chat) { Form::Messages } else { Form::Chat }
}

/// Takes in the usage that an answer or an event tells: counts are cumulative, and zero may mean that nothing is said.
fn later(told: &mut Value, event: &Value) {
    let places = ["/usage", "/response/usage", "/message/usage", "/usageMetadata", "/x_groq/usage"];
    let usage = places.iter().find_map(|place| event.pointer(place)?.as_object());
    for (name, count) in usage.into_iter().flatten() {
        if count.as_u64().is_some_and(|count| count > 0) {
            told[name] = count.clone();
        }
    }
}

/// What a usage object says of input and output in all, as the provider's documents define it.
fn totals(form: Form, usage: &Value) -> (u64, u64) {
    let sum = |names: &[&str]| names.iter().filter_map(|name| usage[*name].as_u64()).sum::<u64>();
    let (input, output) = match form {
        Form::Chat | Form::Responses => {
            (sum(&["prompt_tokens", "input_tokens"]), sum(&["completion_tokens", "output_tokens"]))
        }
        Form::Messages => (
            sum(&["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]),
            sum(&["output_tokens"]),
        ),
        Form::Gemini => (
            sum(&["promptTokenCount", "toolUsePromptTokenCount"]),
            sum(&["candidatesTokenCount", "thoughtsTokenCount"]),
        ),
        Form::Converse => (
            sum(&["inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"]),
            sum(&["outputTokens"]),
        ),
    };
    // Where a total is told, what is beyond the input is output, named or not.
    let total = sum(&["total_tokens", "totalTokenCount", "totalTokens"]);
    (input, output.max(total.saturating_sub(input)))
}
