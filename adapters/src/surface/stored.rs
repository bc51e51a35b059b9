//! Which stored response a path means, and which paths have to do with stored responses at all.
//!
//! In: a clean path (see [`clean`](super::clean)). Whose response it is decides who may have it, so every path that some
//! server could read as one of a stored response is told to be one: behind any prefix, in any case, with or without a
//! slash at its end.
//! Format: <https://platform.openai.com/docs/api-reference/responses/get>

use std::borrow::Cow;

use super::path::{METERED_PATHS, decoded, ends_with_ignoring_case};

const RESPONSES: &str = "responses";

/// What lies beside stored responses and has no id: it makes something from what its body says.
const BESIDE: [&str; 2] = ["input_tokens", "compact"];

/// The id in `…/responses/{id}…`, with what is percent-encoded in it decoded.
#[must_use]
pub fn response_id(path: &str) -> Option<Cow<'_, str>> {
    let rest = behind_responses(path)?;
    let whole = rest.strip_suffix('/').unwrap_or(rest);
    if BESIDE.iter().any(|word| whole.eq_ignore_ascii_case(word)) {
        return None;
    }
    let id = rest.split('/').next().filter(|id| !id.is_empty())?;
    Some(decoded(id))
}

/// Whether the path is `…/responses/{id}` itself, and nothing of it or behind it.
#[must_use]
pub fn is_whole_response(path: &str) -> bool {
    let rest = behind_responses(path).map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
}

/// Whether a body sent to the path may go on from a stored response.
#[must_use]
pub fn may_go_on(path: &str) -> bool {
    path.split('/').any(|segment| segment.eq_ignore_ascii_case(RESPONSES))
}

/// Whether a server could take the path for one whose calls are metered.
pub(super) fn is_like_metered(path: &str) -> bool {
    const OF_OLLAMA: &str = "/api/embeddings";
    let path = path.strip_suffix('/').unwrap_or(path);
    path != OF_OLLAMA && METERED_PATHS.iter().any(|metered| ends_with_ignoring_case(path, metered))
}

fn behind_responses(path: &str) -> Option<&str> {
    let mut rest = path.strip_prefix('/')?;
    while let Some((segment, behind)) = rest.split_once('/') {
        if segment.eq_ignore_ascii_case(RESPONSES) {
            return Some(behind);
        }
        rest = behind;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_however_its_path_is_spelled() {
        for path in [
            "/responses/resp_1",
            "/responses/resp_1/",
            "/Responses/resp_1",
            "/RESPONSES/resp_1/input_items",
            "/v1/responses/resp_1/cancel",
            "/deployments/m/responses/resp_1",
            "/api/v1/responses/resp_1",
        ] {
            assert_eq!(response_id(path).as_deref(), Some("resp_1"), "{path}");
            assert!(may_go_on(path), "{path}");
        }
        assert_eq!(response_id("/responses/a%20b").as_deref(), Some("a b"));
        assert_eq!(response_id("/responses/compact/x").as_deref(), Some("compact"));
        for path in ["/responses", "/responses/", "/files/x", "/myresponses/x", "/x/responses"] {
            assert_eq!(response_id(path), None, "{path}");
        }
        for path in ["/responses/compact", "/responses/Compact/", "/v1/responses/input_tokens"] {
            assert_eq!(response_id(path), None, "{path}");
            assert!(may_go_on(path), "{path}");
        }
        assert!(!may_go_on("/chat/completions"));
    }

    #[test]
    fn a_response_is_told_from_what_is_part_of_it() {
        assert!(is_whole_response("/responses/resp_1") && is_whole_response("/Responses/resp_1/"));
        assert!(!is_whole_response("/responses/resp_1/input_items"));
        assert!(!is_whole_response("/responses") && !is_whole_response("/responses/"));
    }
}
