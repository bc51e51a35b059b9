//! What clouds make of others' dialects: Claude on Vertex AI and in Bedrock's InvokeModel, OpenAI's on Azure.
//!
//! In: the path, fields and members of a request. Out: the members as Anthropic's own API would get them, or the
//! [`Refusal`]; events in Bedrock's wrapping; the path as OpenAI's own API has it. Formats:
//! <https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle>,
//! <https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html>

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Dialect, Fields, Route, Service, query_value};
use crate::provider::pieces::Event;
use crate::provider::refusal::{Reason, Refusal};
use crate::provider::text;

/// `anthropic_version` of each.
const VERTEX_VERSION: &str = "vertex-2023-10-16";
const BEDROCK_VERSION: &str = "bedrock-2023-05-31";

/// Letters of padding, as in the real ones.
const PADDING: &str = "abcdefghijk";

/// The members without what is the cloud's own, and with the model that the path has named.
pub(crate) fn unwrapped(
    route: &Route,
    fields: &Fields<'_>,
    members: &Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let refuse = |reason, at: &str, message: String| Err(route.dialect.refuse(reason, at, message));
    let extra = |name: &str| {
        let message = match route.dialect {
            Dialect::Invoke => format!(
                "Malformed input request: #: extraneous key [{name}] is not permitted, please \
                 reformat your input and try again."
            ),
            _ => format!("{name}: Extra inputs are not permitted"),
        };
        refuse(Reason::MemberUnknown, name, message)
    };
    let is_invoke = route.dialect == Dialect::Invoke;
    let version = if is_invoke { BEDROCK_VERSION } else { VERTEX_VERSION };
    match members.get("anthropic_version") {
        Some(told) if told == version => {}
        Some(told) => {
            let message = format!("anthropic_version: {told} is not {version}");
            return refuse(Reason::Value, "anthropic_version", message);
        }
        None => {
            let message = "anthropic_version: Field required".to_owned();
            return refuse(Reason::Missing, "anthropic_version", message);
        }
    }
    let counts = route.service == Service::Count;
    match members.contains_key("model") {
        true if !counts => return extra("model"),
        false if counts => {
            return refuse(Reason::Missing, "model", "model: Field required".to_owned());
        }
        _ => {}
    }
    let streams = members.get("stream").and_then(Value::as_bool);
    match (is_invoke, route.stream.is_some()) {
        // The path says it.
        (true, _) if members.contains_key("stream") => return extra("stream"),
        // What passes the path by is the body, and Anthropic's servers look there.
        (false, wanted) if streams.unwrap_or(false) != wanted => {
            let message = "stream: does not agree with the method that was called".to_owned();
            return refuse(Reason::Value, "stream", message);
        }
        _ => {}
    }
    // Nobody reads them there: a beta that somebody asked for would be lost.
    for name in ["anthropic-beta", "anthropic-version"] {
        if is_invoke && fields.get(name).is_some() {
            return refuse(Reason::Value, name, format!("{name} belongs into the body"));
        }
    }
    let mut members = members.clone();
    members.remove("anthropic_version");
    if let Some(betas) = members.remove("anthropic_beta").filter(|_| is_invoke) {
        let names = betas.as_array().into_iter().flatten();
        let known = names.clone().count() > 0 && names.clone().all(Value::is_string);
        if !known {
            let message = "anthropic_beta: Input should be a valid list".to_owned();
            return refuse(Reason::Type, "anthropic_beta", message);
        }
        // Claude Code's own mark is one of those that it turns down.
        if let Some(flag) =
            names.filter_map(Value::as_str).find(|flag| flag.starts_with("claude-code"))
        {
            return refuse(Reason::Value, "anthropic_beta", format!("invalid beta flag: {flag}"));
        }
    } else if !is_invoke && members.contains_key("anthropic_beta") {
        return extra("anthropic_beta");
    }
    if let Some(model) = &route.model {
        members.insert("model".to_owned(), model.clone().into());
    }
    Ok(members)
}

/// Events as frames that wrap them.
pub(crate) fn wrapped(events: Vec<Event>) -> Vec<Event> {
    let wrap = |event: Event| {
        let mut coded = Vec::new();
        text::base64(&mut coded, event.data.as_bytes());
        let coded = String::from_utf8_lossy(&coded).into_owned();
        Event::named("chunk", json!({"bytes": coded, "p": PADDING}))
    };
    events.into_iter().map(wrap).collect()
}

/// The publisher in a path of Vertex AI's, `/v1/projects/{p}/locations/{l}/publishers/{publisher}/models/{model}:{verb}`.
pub(crate) fn vertex_publisher(path: &str) -> Option<&str> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [
            "",
            "v1" | "v1beta1",
            "projects",
            project,
            "locations",
            place,
            "publishers",
            publisher,
            "models",
            model,
        ] if !project.is_empty() && !place.is_empty() && model.contains(':') => Some(publisher),
        _ => None,
    }
}

/// The path and query of OpenAI's own API for one of Azure's: `/openai/v1/…`, or of its older API, where the path names the
/// model, `/openai/deployments/{deployment}/…`.
pub(crate) fn behind_azure(target: &str) -> Option<Cow<'_, str>> {
    let rest = target.strip_prefix("/openai")?;
    if rest.starts_with("/v1/") {
        return Some(Cow::Borrowed(rest));
    }
    let (deployment, call) = rest.strip_prefix("/deployments/")?.split_once('/')?;
    (!deployment.is_empty()).then(|| Cow::Owned(format!("/v1/{call}")))
}

/// The body with the model that a path of Azure's older API names, when the body names none, as it need not there.
pub(crate) fn named_by_deployment(target: &str, body: &[u8]) -> Option<Vec<u8>> {
    let (deployment, _) = target.strip_prefix("/openai/deployments/")?.split_once('/')?;
    let mut body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    if body.contains_key("model") {
        return None;
    }
    body.insert("model".to_owned(), deployment.into());
    serde_json::to_vec(&body).ok()
}

/// Judges the version in the query of a path of Azure's: a date belongs to its older API, which takes nothing else.
pub(crate) fn azure_version(target: &str) -> Result<(), Refusal> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let is_dated = |version: &str| version.len() >= 10 && version.as_bytes()[4] == b'-';
    let is_older = path.starts_with("/openai/deployments/");
    match query_value(query, "api-version") {
        None if is_older => Err(Refusal::new(Reason::PathUnknown, "Resource not found")),
        Some(version) if is_older && is_dated(version) => Ok(()),
        None => Ok(()),
        Some("v1" | "preview" | "latest") if !is_older => Ok(()),
        Some(version) => {
            let message = format!("API version not supported: {version}");
            Err(Refusal::of(Reason::Value, "api-version", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(
        target: &str,
        fields: &[(&str, &str)],
        body: Value,
    ) -> Result<Map<String, Value>, String> {
        let dialect = Dialect::of(target, false, false);
        let route = Route::of(dialect, "POST", target).unwrap();
        let fields: Vec<(String, String)> =
            fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let outcome = unwrapped(&route, &Fields(&fields), body.as_object().unwrap());
        outcome.map_err(|refusal| refusal.message)
    }

    const VERTEX: &str = "/v1/projects/p/locations/l/publishers/anthropic/models/c@1:";

    #[test]
    fn vertex_wants_the_version_and_no_model_and_the_stream_in_both_places() {
        let body = || json!({"anthropic_version": VERTEX_VERSION, "max_tokens": 1});
        let raw = format!("{VERTEX}rawPredict");
        let streamed = format!("{VERTEX}streamRawPredict");
        assert_eq!(judge(&raw, &[], body()).unwrap()["model"], "c@1");
        assert!(judge(&streamed, &[], body()).unwrap_err().contains("stream"));
        let mut more = body();
        more["stream"] = true.into();
        assert!(judge(&streamed, &[], more.clone()).is_ok());
        assert!(judge(&raw, &[], more.clone()).is_err());
        more["model"] = "c".into();
        assert!(judge(&streamed, &[], more).unwrap_err().contains("model"));
        assert!(judge(&raw, &[], json!({})).unwrap_err().contains("anthropic_version"));
        let count = VERTEX.replace("c@1", "count-tokens") + "rawPredict";
        assert!(judge(&count, &[], body()).unwrap_err().contains("model"));
        let counted = json!({"anthropic_version": VERTEX_VERSION, "model": "c@1"});
        assert_eq!(judge(&count, &[], counted).unwrap()["model"], "c@1");
    }

    #[test]
    fn bedrock_has_the_stream_in_the_path_and_betas_in_the_body() {
        let body = || json!({"anthropic_version": BEDROCK_VERSION, "max_tokens": 1});
        let path = "/model/a%3A0/invoke-with-response-stream";
        assert_eq!(judge(path, &[], body()).unwrap()["model"], "a:0");
        let mut more = body();
        more["anthropic_beta"] = json!(["effort-2025-11-24"]);
        assert!(judge(path, &[], more).unwrap().get("anthropic_beta").is_none());
        let mut more = body();
        more["anthropic_beta"] = json!(["claude-code-20250219"]);
        assert!(judge(path, &[], more).unwrap_err().contains("invalid beta flag"));
        let mut more = body();
        more["stream"] = true.into();
        assert!(judge(path, &[], more).unwrap_err().contains("extraneous key [stream]"));
        let beta = [("anthropic-beta", "effort-2025-11-24")];
        assert!(judge("/model/a/invoke", &beta, body()).is_err());
        let vertex = json!({"anthropic_version": VERTEX_VERSION});
        assert!(judge("/model/a/invoke", &[], vertex).is_err());
    }

    #[test]
    fn paths_of_vertex_have_a_publisher() {
        assert_eq!(vertex_publisher(&format!("{VERTEX}rawPredict")), Some("anthropic"));
        for other in
            ["/v1/models/m:generateContent", "/v1/projects//locations/l/publishers/g/models/m:x"]
        {
            assert_eq!(vertex_publisher(other), None);
        }
    }

    #[test]
    fn azure_has_openais_paths_and_no_dates() {
        let behind = |target| behind_azure(target).map(Cow::into_owned);
        assert_eq!(behind("/openai/v1/responses?a=b").as_deref(), Some("/v1/responses?a=b"));
        assert_eq!(
            behind("/openai/deployments/m/chat/completions?a=b").as_deref(),
            Some("/v1/chat/completions?a=b")
        );
        assert_eq!(behind("/v1/responses"), None);
        let is_right = |target| azure_version(target).is_ok();
        assert!(is_right("/openai/v1/x?api-version=preview") && is_right("/openai/v1/x"));
        assert!(!is_right("/openai/v1/x?api-version=2024-10-21"));
        assert!(is_right("/openai/deployments/m/x?api-version=2024-10-21"));
        assert!(!is_right("/openai/deployments/m/x"));
        assert!(!is_right("/openai/deployments/m/x?api-version=preview"));
        assert_eq!(Dialect::of("/openai/v1/responses", false, false), Dialect::Responses);
    }

    #[test]
    fn events_are_wrapped_in_base64() {
        let events = wrapped(vec![Event::named("message_stop", json!({"type": "message_stop"}))]);
        let data: Value = serde_json::from_str(&events[0].data).unwrap();
        let inner = text::unbase64(data["bytes"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(inner, br#"{"type":"message_stop"}"#);
    }
}
