//! Converse, by the recorded bodies and streams.

mod answers;
mod requests;
mod streams;

use serde_json::Value;

use super::*;
use crate::{
    chat::{Assembler, Finish, Usage},
    quirks::Quirks,
};

/// A file of a recorded case.
macro_rules! golden {
    ($case:literal, $file:literal) => {
        include_bytes!(concat!("../../../../../tests/golden/bedrock/", $case, "/", $file))
            .as_slice()
    };
}
use golden;

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

const TERMS: AnswerTerms<'_> = AnswerTerms {
    model: CLAUDE,
    include_usage: true,
    request_id: "req_1",
    created: 0,
    input_estimate: None,
    json_array: false,
};

const READ: ReadTerms<'_> = ReadTerms { seed: 1, quirks: &Quirks::NONE };

fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error}: {}", json.escape_ascii()))
}

fn read(body: &[u8]) -> Request<'_> {
    CONVERSE.read_request(body, &Call { model: Some(CLAUDE), stream: Some(true) }).unwrap()
}

/// What a request becomes for a model, and what is lost.
fn written(request: &Request<'_>, model: &str) -> (Value, String) {
    let (mut out, mut loss) = (Vec::new(), Loss::default());
    let terms = Terms { model, output_max: 4096, quirks: &Quirks::NONE };
    CONVERSE.write_request(&mut out, request, &terms, &mut loss).unwrap();
    (value(&out), loss.list())
}

/// The deltas as they are shown.
fn shown(delta: &Delta<'_>) -> String {
    match delta {
        Delta::Start(_) => "start".to_owned(),
        Delta::Text { text, .. } => format!("text {text}"),
        Delta::Reasoning { text, .. } => format!("thought {text}"),
        Delta::Signature { signature, redacted, .. } => format!("signed {signature} {redacted}"),
        Delta::ToolStart { call, id, name, .. } => format!("call {call} {id} {name}"),
        Delta::ToolArguments { call, fragment, .. } => format!("arguments {call} {fragment}"),
        Delta::Finish { reason, stop, .. } => format!("finish {reason:?} {stop:?}"),
        Delta::Usage(usage) => format!("usage {} {}", usage.total_input(), usage.total_output()),
        Delta::Error(error) => format!("error {:?} {}", error.kind, error.message),
        Delta::Done => "done".to_owned(),
        other => format!("{other:?}"),
    }
}
