//! Paths, API by API.

use std::borrow::Cow;

use faregate_wire::Method;

use super::{Called, Family, Surface, stored};

/// The surfaces of OpenAI's API that have a path of their own.
const OPENAI: [(&str, Surface); 7] = [
    ("/chat/completions", Surface::ChatCompletions),
    ("/completions", Surface::Completions),
    ("/embeddings", Surface::Embeddings),
    ("/responses", Surface::Responses),
    ("/responses/input_tokens", Surface::CountResponse),
    ("/models", Surface::Models),
    ("/realtime", Surface::Realtime),
];

/// How many of them are metered.
const METERED: usize = 4;

/// The paths of those that are metered.
pub(super) const METERED_PATHS: [&str; METERED] =
    [OPENAI[0].0, OPENAI[1].0, OPENAI[2].0, OPENAI[3].0];

/// Paths of self-hosted servers that lie at their root (vLLM, SGLang, TEI), and pass as they are.
const AT_ROOT: [&str; 6] =
    ["/tokenize", "/detokenize", "/score", "/v1/score", "/pooling", "/classify"];

/// A path as every client library spells it: what nearly all requests have.
pub(super) fn usual(method: Method, path: &str) -> Option<Called<'_>> {
    let rest = path.strip_prefix("/v1")?;
    let (path, surface) = OPENAI[..METERED].iter().find(|(path, _)| *path == rest)?;
    (method == Method::Post).then(|| called(*surface, Family::OpenAi, path))
}

/// What is called at a path that everybody reads alike.
///
/// Whichever API a path seems to be of, a client may name a provider of another one for it: what that one could read as a
/// stored response is one, and what it would meter as a chat is not served.
pub(super) fn find(path: &str) -> Option<Called<'_>> {
    let called = find_api(path)?;
    if called.surface != Surface::Other {
        return Some(called);
    }
    if stored::response_id(path).is_some() {
        return Some(Called { surface: Surface::StoredResponse, ..called });
    }
    (!stored::is_like_metered(path)).then_some(called)
}

fn find_api(path: &str) -> Option<Called<'_>> {
    if let Some(rest) = behind(path, "/anthropic") {
        return anthropic(behind(rest, "/v1").unwrap_or(rest), true);
    }
    if let Some(rest) = behind(path, "/gemini") {
        return gemini(behind_gemini_version(rest).unwrap_or(rest), true);
    }
    if let Some(rest) = behind(path, "/v1beta").or_else(|| behind(path, "/v1alpha")) {
        return gemini(rest, true);
    }
    if let Some(rest) =
        behind(path, "/bedrock").or_else(|| Some(path).filter(|p| starts(p, "/model")))
    {
        return converse(rest);
    }
    if starts(path, "/api") {
        return Some(Called { from_root: true, ..called(Surface::Other, Family::Ollama, path) });
    }
    if AT_ROOT.contains(&path) {
        return Some(Called { from_root: true, ..called(Surface::Other, Family::OpenAi, path) });
    }
    if ["/rerank", "/v1/rerank", "/v2/rerank"].contains(&path) {
        return Some(called(Surface::Rerank, Family::OpenAi, "/rerank"));
    }
    let (rest, has_version) = behind_version(path);
    anthropic(rest, false)
        .or_else(|| gemini(rest, false).filter(|_| has_version))
        .or_else(|| vertex(rest).filter(|_| has_version))
        .or_else(|| openai(rest, has_version))
}

const fn called(surface: Surface, family: Family, path: &str) -> Called<'_> {
    Called { surface, family, path, from_root: false, model: None, stream: None }
}

/// The OpenAI API. Azure's older paths (`/deployments/{name}/chat/completions`) name the model.
fn openai(path: &str, has_version: bool) -> Option<Called<'_>> {
    let deployment = behind_deployment(path).filter(|_| has_version);
    let named = deployment.map_or(path, |(_, rest)| rest);
    let named = named.strip_suffix('/').unwrap_or(named);
    if let Some((path, surface)) = OPENAI.iter().find(|(path, _)| named.eq_ignore_ascii_case(path))
    {
        let model = deployment.map(|(model, _)| decoded(model));
        return Some(Called { model, ..called(*surface, Family::OpenAi, path) });
    }
    if OPENAI[..METERED].iter().any(|(path, _)| ends_with_ignoring_case(named, path)) {
        return None;
    }
    if named.strip_prefix("/models/").is_some_and(|model| !model.is_empty()) {
        return Some(called(Surface::Model, Family::OpenAi, named));
    }
    (has_version && !named.is_empty()).then(|| called(Surface::Other, Family::OpenAi, path))
}

/// Anthropic's API; `own` when the path said so by its prefix.
fn anthropic(path: &str, own: bool) -> Option<Called<'_>> {
    const FAMILY: Family = Family::Anthropic;
    let named = path.strip_suffix('/').unwrap_or(path);
    if named.eq_ignore_ascii_case("/messages") {
        return Some(called(Surface::Messages, FAMILY, "/messages"));
    }
    if named.eq_ignore_ascii_case("/messages/count_tokens") {
        return Some(called(Surface::CountTokens, FAMILY, "/messages/count_tokens"));
    }
    if starts(path, "/messages/batches") {
        return Some(called(Surface::Other, FAMILY, path));
    }
    if !own || named.is_empty() || ends_with_ignoring_case(named, "/messages") {
        return None;
    }
    Some(match named.strip_prefix("/models") {
        Some("") => called(Surface::Models, FAMILY, "/models"),
        Some(model) if model.len() > 1 && model.starts_with('/') => {
            called(Surface::Model, FAMILY, named)
        }
        _ => called(Surface::Other, FAMILY, path),
    })
}

/// Google's API; `own` when the path said so by its prefix or version.
fn gemini(path: &str, own: bool) -> Option<Called<'_>> {
    const FAMILY: Family = Family::Gemini;
    let verb = path.strip_prefix("/models/").or_else(|| path.strip_prefix("/tunedModels/"));
    if let Some((model, verb)) = verb.and_then(|rest| rest.rsplit_once(':'))
        && !model.is_empty()
        && let Some((surface, stream)) = gemini_verb(verb)
    {
        let model = Some(decoded(model));
        return Some(Called { model, stream, ..called(surface, FAMILY, path) });
    }
    if !own || path.len() < 2 || path.contains("enerateContent") {
        return None;
    }
    if let Some(rest) = behind(path, "/openai") {
        return openai(rest, true); // Google's own path for OpenAI's dialect
    }
    let named = path.strip_suffix('/').unwrap_or(path);
    Some(match named.strip_prefix("/models") {
        Some("") => called(Surface::Models, FAMILY, "/models"),
        Some(model) if model.len() > 1 && model.starts_with('/') && !model.contains(':') => {
            called(Surface::Model, FAMILY, named)
        }
        _ => called(Surface::Other, FAMILY, path),
    })
}

fn gemini_verb(verb: &str) -> Option<(Surface, Option<bool>)> {
    Some(match verb {
        "generateContent" => (Surface::GenerateContent, Some(false)),
        "streamGenerateContent" => (Surface::GenerateContent, Some(true)),
        "countTokens" => (Surface::CountContent, Some(false)),
        "embedContent" | "batchEmbedContents" => (Surface::EmbedContent, Some(false)),
        _ => return None,
    })
}

/// Vertex AI: `/projects/{p}/locations/{l}/publishers/google/models/{model}:{verb}`.
fn vertex(path: &str) -> Option<Called<'_>> {
    let at = path.strip_prefix("/projects/")?.find("/publishers/google/models/")?;
    gemini(&path["/projects/".len() + at + "/publishers/google".len()..], false)
}

/// Bedrock: `/model/{model}/converse`.
fn converse(path: &str) -> Option<Called<'_>> {
    let (model, verb) = path.strip_prefix("/model/")?.rsplit_once('/')?;
    let stream = match verb {
        "converse" => false,
        "converse-stream" => true,
        _ => return None,
    };
    let model = (!model.is_empty()).then(|| decoded(model))?;
    let called = called(Surface::Converse, Family::Bedrock, path);
    Some(Called { model: Some(model), stream: Some(stream), ..called })
}

/// What follows `prefix`, when a segment ends there.
fn behind<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn starts(path: &str, prefix: &str) -> bool {
    behind(path, prefix).is_some()
}

fn behind_gemini_version(path: &str) -> Option<&str> {
    ["/v1beta", "/v1alpha", "/v1"].iter().find_map(|version| behind(path, version))
}

/// The path behind the version, and whether it had one.
fn behind_version(path: &str) -> (&str, bool) {
    for version in ["/v1", "/openai/v1", "/openai"] {
        if let Some(rest) = behind(path, version) {
            return (rest, true);
        }
    }
    (path, false)
}

/// The deployment's name, and the path behind `/deployments/{name}`.
fn behind_deployment(path: &str) -> Option<(&str, &str)> {
    let named = path.strip_prefix("/deployments/")?;
    named.find('/').map(|at| named.split_at(at))
}

pub(super) fn ends_with_ignoring_case(path: &str, end: &str) -> bool {
    let start = path.len().checked_sub(end.len());
    start.is_some_and(|start| path.as_bytes()[start..].eq_ignore_ascii_case(end.as_bytes()))
}

/// A segment with what is percent-encoded in it decoded; a clean path encodes nothing that separates segments.
pub(super) fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        match (first, behind) {
            (b'%', [high, low, after @ ..]) if digit(high).is_some() && digit(low).is_some() => {
                bytes.push(digit(high).unwrap_or(0) << 4 | digit(low).unwrap_or(0));
                rest = after;
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(segment), Cow::Owned)
}
