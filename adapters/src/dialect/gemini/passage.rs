//! What is looked for where a Gemini client's bytes go to a Gemini provider as they are.
//!
//! The path names the model and whether the answer is a stream. A stream has no last event; an event is taken for the
//! last when it has candidates and each of them has its `finishReason`, or when it says that the prompt was blocked.
//! What follows is passed on all the same.

use std::borrow::Cow;

use faregate_wire::{Json, Peek};

use super::{
    bare_model,
    finish::{Meaning, meaning},
    member::{is_named, list, member, object},
    usage,
};
use crate::dialect::{Asked, Call, Invalid, Seen};

/// Members of a request that are looked for, in both spellings where there are two.
pub(super) const FIELDS: &[&str] = &[
    "contents",
    "generationConfig",
    "generation_config",
    "systemInstruction",
    "system_instruction",
    "tools",
    "toolConfig",
    "tool_config",
    "cachedContent",
    "cached_content",
    "safetySettings",
    "labels",
    "serviceTier",
    "service_tier",
    "model",
];

/// Where the two spellings of `generationConfig` are among them.
const CONFIGS: [usize; 2] = [1, 2];

pub(super) fn ask<'a>(peek: &Peek, body: &'a [u8], call: &Call<'a>) -> Result<Asked<'a>, Invalid> {
    let mut asked = Asked {
        model: call.model.map(|model| Cow::Borrowed(bare_model(model))),
        stream: call.stream.unwrap_or(false),
        output_max: None,
        choices: 1,
        tells_usage: true,
    };
    for field in CONFIGS {
        let span = peek.span(field).and_then(|span| body.get(span));
        let Some(config) = span.and_then(Json::new).filter(|config| !config.is_null()) else {
            continue;
        };
        // Of a member that occurs more than once the largest counts: nobody says which one the provider takes.
        for (name, value) in object(config, "generationConfig")?.members() {
            if is_named(&name, "maxOutputTokens") {
                asked.output_max = asked.output_max.max(bound(value, "maxOutputTokens")?);
            } else if is_named(&name, "candidateCount") {
                asked.choices = asked.choices.max(bound(value, "candidateCount")?.unwrap_or(1));
            }
        }
    }
    Ok(asked)
}

/// A number that bounds something, rounded up; `None` when it is null or negative. The API takes it as a string too.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and what is too large becomes the largest there is"
)]
fn bound(json: Json<'_>, name: &str) -> Result<Option<u64>, Invalid> {
    if json.is_null() {
        return Ok(None);
    }
    let number = json.f64().or_else(|| json.str()?.parse().ok()).filter(|number| !number.is_nan());
    let number = number
        .ok_or_else(|| Invalid::type_of(format!("generationConfig.{name}"), "a whole number"))?;
    let whole = json.u64().unwrap_or(number.ceil().max(0.0) as u64);
    Ok((number >= 0.0).then_some(whole))
}

pub(super) fn inspect(data: &[u8]) -> Seen {
    let Some(json) = Json::new(data).and_then(|json| list(json).next()) else {
        return Seen::default();
    };
    let mut seen = Seen::default();
    let (mut candidates, mut ended) = (0, 0);
    for (name, value) in json.members() {
        if is_named(&name, "candidates") {
            for candidate in list(value) {
                candidates += 1;
                ended += usize::from(has_ended(candidate));
                seen.content |= has_content(candidate);
            }
        } else if is_named(&name, "usageMetadata") {
            seen.usage = usage::report(value);
        } else if name == "error" {
            seen.error = !value.is_null();
        } else if is_named(&name, "promptFeedback") {
            seen.done |= member(value, "blockReason").is_some();
        }
    }
    seen.done = (candidates > 0 && ended == candidates) || (candidates == 0 && seen.done);
    seen
}

fn has_ended(candidate: Json<'_>) -> bool {
    let reason = member(candidate, "finishReason").and_then(Json::str);
    reason.is_some_and(|reason| meaning(&reason) != Meaning::Open)
}

/// Whether a candidate has a part that is more than an empty text.
fn has_content(candidate: Json<'_>) -> bool {
    let parts = member(candidate, "content").and_then(|content| member(content, "parts"));
    let says = |(name, value): (Cow<'_, str>, Json<'_>)| match &*name {
        "text" => value.raw() != b"\"\"" && !value.is_null(),
        "thought" | "thoughtSignature" | "thought_signature" | "partMetadata" => false,
        _ => !value.is_null(),
    };
    parts.into_iter().flat_map(list).any(|part| part.members().any(says))
}

#[cfg(test)]
mod tests {
    use faregate_wire::Scanner;

    use super::*;

    fn asked(body: &str) -> Result<Asked<'_>, Invalid> {
        let peek = Scanner::new(FIELDS).finish(body.as_bytes()).unwrap();
        let call = Call { model: Some("models/gemini-3-pro"), stream: Some(true) };
        ask(&peek, body.as_bytes(), &call)
    }

    #[test]
    fn a_request_is_asked() {
        assert!(FIELDS.len() <= faregate_wire::json::NAMES_MAX);
        for (config, output_max, choices) in [
            ("{}", None, 1),
            (r#"{"maxOutputTokens":512,"candidateCount":2}"#, Some(512), 2),
            (r#"{"max_output_tokens":"512"}"#, Some(512), 1),
            (r#"{"maxOutputTokens":5,"max_output_tokens":7.5}"#, Some(8), 1),
            (r#"{"maxOutputTokens":-1,"candidateCount":null}"#, None, 1),
        ] {
            for name in ["generationConfig", "generation_config"] {
                let body = format!("{{\"{name}\":{config},\"contents\":[]}}");
                let asked = asked(&body).unwrap();
                assert_eq!(asked.model.as_deref(), Some("gemini-3-pro"));
                assert_eq!((asked.output_max, asked.choices), (output_max, choices), "{body}");
                assert!(asked.stream && asked.tells_usage);
            }
        }
        let wrong = asked(r#"{"generationConfig":{"maxOutputTokens":"x"}}"#).unwrap_err();
        assert_eq!(wrong.param, "generationConfig.maxOutputTokens");
        assert!(asked(r#"{"generationConfig":[]}"#).is_err());
    }

    #[test]
    fn events_are_looked_into() {
        let check = |data: &str, expected: (bool, bool, bool, bool)| {
            let seen = inspect(data.as_bytes());
            let found = (seen.done, seen.error, seen.content, seen.usage.is_some());
            assert_eq!(found, expected, "{data}");
        };
        check(
            r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}"#,
            (false, false, true, false),
        );
        check(
            r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"x"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}"#,
            (true, false, false, true),
        );
        check(
            r#"{"candidates":[{"finishReason":"STOP"},{"index":1,"content":{"parts":[{"functionCall":{}}]}}]}"#,
            (false, false, true, false),
        );
        check(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, (true, false, false, false));
        check(r#"[{"error":{"code":503}}]"#, (false, true, false, false));
        let text = r#""{\"error\":{},\"finishReason\":\"STOP\",\"usageMetadata\":{}}""#;
        check(
            &format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":{text}}}]}}}}]}}"#),
            (false, false, true, false),
        );
        check("{\"candidates\":[", (false, false, false, false));
        check("", (false, false, false, false));
    }
}
