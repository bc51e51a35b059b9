//! Any bytes as a client's request: read or refused, and what was read is JSON in every provider's dialect.

use faregate_wire::Scanner;

use super::model;
use crate::{
    chat::{Customs, Loss, Names},
    dialect::{Call, Form, Terms},
    kind,
};

/// Asserts that any bytes, taken for a client's request, are refused or read, and become JSON for every kind of provider.
/// The first byte says what the client speaks, what follows is the body.
///
/// # Panics
///
/// When they do not.
pub fn any_bytes_as_a_request(bytes: &[u8]) {
    let [choice, body @ ..] = bytes else { return };
    let client = Form::ALL[usize::from(*choice) % Form::ALL.len()];
    let call = match client {
        Form::Gemini | Form::Converse => Call { model: Some(model(client)), stream: Some(true) },
        Form::Chat | Form::Responses | Form::Messages => Call::default(),
    };
    // The gateway scans a body before anything else reads it, and goes no further with one that is not well-formed.
    let Ok(peek) = Scanner::new(client.passage().fields()).finish(body) else { return };
    let _ = client.passage().ask(&peek, body, &call);
    for kind in kind::ALL {
        for target in kind.forms {
            write(client, body, &call, *target, kind);
        }
    }
}

fn write(client: Form, body: &[u8], call: &Call<'_>, target: Form, kind: &kind::Kind) {
    let prepared = client.inbound().prepare(body);
    let body = prepared.as_deref().unwrap_or(body);
    let Ok(mut request) = client.inbound().read_request(body, call) else { return };
    if matches!(target, Form::Messages | Form::Gemini | Form::Converse) {
        Customs::lower(&mut request);
    }
    Names::fit(&mut request, &target.outbound().name_rule());
    let terms = Terms { model: model(target), output_max: 8192, quirks: &kind.quirks };
    let (mut out, mut loss) = (Vec::new(), Loss::default());
    if target.outbound().write_request(&mut out, &request, &terms, &mut loss).is_ok() {
        // The scanner agrees with a full parser, but for numbers that are too large for one: they keep their spelling.
        let read = Scanner::new(&[]).finish(&out);
        assert!(read.is_ok(), "{} is written no JSON: {}", kind.name, out.escape_ascii());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_client_can_ask_every_provider() {
        let bodies = [
            r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#,
            r#"{"model":"m","input":"Hi"}"#,
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#,
            r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#,
            r#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}"#,
        ];
        for (choice, body) in (0_u8..).zip(bodies) {
            any_bytes_as_a_request(&[&[choice], body.as_bytes()].concat());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_are_read_or_refused(choice in 0_u8..5, body in "\\{(\"[a-z]{1,8}\":[\\[\\]{}0-9\",:a-z]{0,20},?){0,4}\\}") {
            any_bytes_as_a_request(&[&[choice], body.as_bytes()].concat());
        }
    }
}
