//! What the translations share: terms, and how a result is known to be right.

use faregate_adapters::{
    chat::{Loss, Names},
    dialect::{AnswerTerms, Call, Form, ReadTerms, Terms},
    quirks::Quirks,
};
use memchr::memmem;
use serde_json::Value;

/// Terms of a writer of answers.
pub(super) const ANSWER_TERMS: AnswerTerms<'static> = AnswerTerms {
    model: "default",
    include_usage: true,
    request_id: "01939f5c-7c1e-7a3b-8f21-5d0b6f8f2a11",
    created: 1_741_569_952,
    input_estimate: Some(310),
    json_array: false,
};

/// Terms of a reader of answers.
pub(super) const fn read_terms(quirks: &Quirks) -> ReadTerms<'_> {
    ReadTerms { seed: 7, quirks }
}

/// A request of one dialect in another, as the gateway makes it; empty when it cannot be.
pub(super) fn request(from: Form, to: Form, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 512);
    let call = Call { model: Some("default"), stream: Some(true) };
    let Ok(mut request) = from.inbound().read_request(body, &call) else { return Vec::new() };
    let outbound = to.outbound();
    let _names = Names::fit(&mut request, &outbound.name_rule());
    let terms = Terms { model: "gpt-4o-mini", output_max: 8192, quirks: &Quirks::NONE };
    let mut loss = Loss::default();
    if outbound.write_request(&mut out, &request, &terms, &mut loss).is_err() {
        out.clear();
    }
    out
}

/// Whether `text` stands in `out`.
pub(super) fn holds(out: &[u8], text: &str) -> bool {
    memmem::find(out, text.as_bytes()).is_some()
}

/// All text of the messages in a body: the strings of members that hold it in any dialect.
pub(super) fn texts(body: &[u8]) -> String {
    let mut texts = String::new();
    if let Ok(tree) = serde_json::from_slice(body) {
        collect(&tree, &mut texts);
    }
    texts
}

const TEXTS: [&str; 4] = ["text", "content", "system", "instructions"];

fn collect(value: &Value, texts: &mut String) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if TEXTS.contains(&&**name) => {
                        texts.push_str(text);
                    }
                    _ => collect(member, texts),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
