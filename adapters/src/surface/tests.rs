//! Paths, and what they lead to.

use NotServed::{Path, Unclean};

use super::*;

fn check(method: Method, path: &str, expected: Result<(Surface, &str), NotServed>) {
    let called = Called::of(method, path).map(|called| (called.surface, called.path));
    assert_eq!(called, expected, "{method:?} {path}");
}

/// Surface, family, path, model and stream.
fn check_post(path: &str, expected: (Surface, Family, &str, Option<&str>, Option<bool>)) {
    let called = Called::of(Method::Post, path).unwrap();
    let model = called.model.as_deref();
    let found = (called.surface, called.family, called.path, model, called.stream);
    assert_eq!(found, expected, "{path}");
}

#[test]
fn paths_lead_to_surfaces() {
    use Surface::{ChatCompletions, Completions, Embeddings, Models};
    for (name, method, surface) in [
        ("/chat/completions", Method::Post, ChatCompletions),
        ("/completions", Method::Post, Completions),
        ("/embeddings", Method::Post, Embeddings),
        ("/models", Method::Get, Models),
        ("/models", Method::Head, Models),
    ] {
        for version in ["", "/v1", "/openai/v1", "/openai"] {
            check(method, &format!("{version}{name}"), Ok((surface, name)));
            check(method, &format!("{version}{name}/"), Ok((surface, name)));
            check(method, &format!("{version}{}", name.to_uppercase()), Ok((surface, name)));
        }
        check(Method::Delete, name, Err(NotServed::Method(surface.methods())));
    }
    check(Method::Get, "/v1/chat/completions", Err(NotServed::Method("POST")));
    check(Method::Post, "/v1/models", Err(NotServed::Method("GET, HEAD")));
}

#[test]
fn other_paths_of_a_version_pass_as_they_are() {
    for (path, behind) in [
        ("/v1/responses/compact", "/responses/compact"),
        ("/v1/files/file-1/content", "/files/file-1/content"),
        ("/v1/images/generations", "/images/generations"),
        ("/openai/v1/audio/speech", "/audio/speech"),
        ("/openai/batches", "/batches"),
        ("/v1/chat/completions/chatcmpl-1", "/chat/completions/chatcmpl-1"),
        ("/v1/files/", "/files/"),
        ("/v1/a%20b/c:d@e", "/a%20b/c:d@e"),
        ("/v1/v1beta/x.y", "/v1beta/x.y"),
    ] {
        for method in [Method::Get, Method::Post, Method::Delete] {
            check(method, path, Ok((Surface::Other, behind)));
        }
        check(Method::Options, path, Err(NotServed::Method(Surface::Other.methods())));
    }
}

#[test]
fn one_model_is_named_by_the_rest_of_the_path() {
    for model in ["gpt-5", "openai/gpt-5-mini", "qwen3:8b", "accounts%40x"] {
        check(
            Method::Get,
            &format!("/v1/models/{model}"),
            Ok((Surface::Model, &format!("/models/{model}"))),
        );
    }
}

#[test]
fn azure_deployments_are_chats_too() {
    let path = "/openai/deployments/gpt-4o/chat/completions";
    check(Method::Post, path, Ok((Surface::ChatCompletions, "/chat/completions")));
    check(Method::Get, "/openai/deployments/gpt-4o", Ok((Surface::Other, "/deployments/gpt-4o")));
    check(Method::Post, "/deployments/gpt-4o/embeddings", Err(Path));
}

#[test]
fn what_is_metered_does_not_pass_as_something_else() {
    for path in
        ["/v1/v1/chat/completions", "/v1/x/Embeddings/", "/openai/deployments/a/b/completions"]
    {
        check(Method::Post, path, Err(Path));
    }
}

#[test]
fn nothing_is_served_elsewhere() {
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/openai",
        "/openai/v1",
        "/v2/chat",
        "/v1beta",
        "/gemini",
        "/anthropic/v1",
        "/model/x",
        "/v1x/models",
        "/chat",
        "/metrics",
    ] {
        check(Method::Get, path, Err(Path));
    }
}

#[test]
fn a_path_is_read_in_one_way() {
    for path in [
        "",
        "*",
        "v1/models",
        "//v1/models",
        "/v1//models",
        "/v1/../models",
        "/v1/./models",
        "/v1/.",
        "/v1/x..y",
        "/v1/models%2fx",
        "/v1/models%2Fx",
        "/v1/%2e%2e/x",
        "/v1/ch%61t/completions",
        "/v1/x%",
        "/v1/x%2",
        "/v1/x%zz",
        "/v1/x%00",
        "/v1/x%0a",
        "/v1/x%5c",
        "/v1/x%252f",
        "/v1/x\\y",
        "/v1/x;y",
        "/v1/x y",
        "/v1/x\u{7f}",
        "/v1/x\u{e9}",
        "/v1/x#y",
        "/v1/x?y",
        "/v1/x%3f",
        "/v1/x%+1",
    ] {
        check(Method::Post, path, Err(Unclean));
    }
}

#[test]
fn other_apis_are_called_by_their_own_paths() {
    use Family::{Anthropic, Bedrock, Gemini, OpenAi};
    for path in ["/v1/messages", "/messages", "/anthropic/v1/messages", "/anthropic/messages/"] {
        check_post(path, (Surface::Messages, Anthropic, "/messages", None, None));
    }
    check_post(
        "/v1/messages/count_tokens",
        (Surface::CountTokens, Anthropic, "/messages/count_tokens", None, None),
    );
    check_post(
        "/v1/messages/batches/b1/cancel",
        (Surface::Other, Anthropic, "/messages/batches/b1/cancel", None, None),
    );
    for start in ["/v1beta", "/v1", "/v1alpha", "/gemini/v1beta", "/gemini", "/gemini/v1"] {
        for (verb, surface, stream) in [
            ("generateContent", Surface::GenerateContent, false),
            ("streamGenerateContent", Surface::GenerateContent, true),
            ("countTokens", Surface::CountContent, false),
            ("batchEmbedContents", Surface::EmbedContent, false),
        ] {
            let behind = format!("/models/gemini-3-pro:{verb}");
            let expected = (surface, Gemini, &*behind, Some("gemini-3-pro"), Some(stream));
            check_post(&format!("{start}{behind}"), expected);
        }
    }
    check_post(
        "/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
        (Surface::GenerateContent, Gemini, "/models/g:generateContent", Some("g"), Some(false)),
    );
    check_post(
        "/v1beta/models/fleet/qwen3:8b:generateContent",
        (
            Surface::GenerateContent,
            Gemini,
            "/models/fleet/qwen3:8b:generateContent",
            Some("fleet/qwen3:8b"),
            Some(false),
        ),
    );
    for start in ["", "/bedrock"] {
        check_post(
            &format!("{start}/model/anthropic.claude-v1%3A0/converse-stream"),
            (
                Surface::Converse,
                Bedrock,
                "/model/anthropic.claude-v1%3A0/converse-stream",
                Some("anthropic.claude-v1:0"),
                Some(true),
            ),
        );
    }
    for path in ["/v1/responses", "/responses", "/openai/v1/responses/"] {
        check_post(path, (Surface::Responses, OpenAi, "/responses", None, None));
    }
    for path in ["/v1/responses/input_tokens", "/responses/input_tokens/"] {
        let expected = (Surface::CountResponse, OpenAi, "/responses/input_tokens", None, None);
        check_post(path, expected);
    }
    for path in ["/rerank", "/v1/rerank", "/v2/rerank"] {
        check_post(path, (Surface::Rerank, OpenAi, "/rerank", None, None));
    }
    check_post(
        "/openai/deployments/gpt-4o/chat/completions",
        (Surface::ChatCompletions, OpenAi, "/chat/completions", Some("gpt-4o"), None),
    );
    check_post(
        "/v1beta/openai/chat/completions",
        (Surface::ChatCompletions, OpenAi, "/chat/completions", None, None),
    );
}

#[test]
fn lists_and_stored_things_have_their_families() {
    for (path, surface, family) in [
        ("/anthropic/v1/models", Surface::Models, Family::Anthropic),
        ("/anthropic/v1/models/claude", Surface::Model, Family::Anthropic),
        ("/v1beta/models", Surface::Models, Family::Gemini),
        ("/v1beta/models/gemini-3", Surface::Model, Family::Gemini),
        ("/v1beta/files/x", Surface::Other, Family::Gemini),
        ("/v1/responses/resp_1", Surface::StoredResponse, Family::OpenAi),
        ("/v1/responses/resp_1/input_items", Surface::StoredResponse, Family::OpenAi),
        ("/v1/Responses/resp_1/", Surface::StoredResponse, Family::OpenAi),
        ("/v1/v1/responses/resp_1", Surface::StoredResponse, Family::OpenAi),
        ("/openai/deployments/m/responses/resp_1", Surface::StoredResponse, Family::OpenAi),
        ("/anthropic/v1/responses/resp_1", Surface::StoredResponse, Family::Anthropic),
        ("/v1beta/responses/resp_1", Surface::StoredResponse, Family::Gemini),
        ("/api/v1/responses/resp_1", Surface::StoredResponse, Family::Ollama),
        ("/v1/responses/compact", Surface::Other, Family::OpenAi),
        ("/v1/realtime", Surface::Realtime, Family::OpenAi),
        ("/api/tags", Surface::Other, Family::Ollama),
    ] {
        let called = Called::of(Method::Get, path).unwrap();
        assert_eq!((called.surface, called.family), (surface, family), "{path}");
    }
    assert!(Called::of(Method::Get, "/api/tags").unwrap().from_root);
    check(Method::Get, "/v1/messages", Err(NotServed::Method("POST")));
    check(Method::Post, "/anthropic/v1/x/messages", Err(Path));
    check(Method::Post, "/v1beta/x/models/m:generateContent", Err(Path));
}

#[test]
fn what_is_metered_does_not_pass_as_another_api() {
    for path in ["/responses", "/Responses/", "/chat/completions", "/v1/embeddings"] {
        for start in ["/anthropic", "/anthropic/v1", "/v1beta", "/gemini", "/api", "/api/v1"] {
            check(Method::Post, &format!("{start}{path}"), Err(Path));
        }
    }
    check(Method::Post, "/api/embeddings", Ok((Surface::Other, "/api/embeddings")));
}

#[test]
fn stored_responses_are_behind_clean_paths_alone() {
    for path in [
        "/v1/responses//resp_1",
        "/v1//responses/resp_1",
        "/v1/x/../responses/resp_1",
        "/v1/responses/./resp_1",
        "/v1/responses/%72esp_1",
        "/v1/re%73ponses/resp_1",
        "/v1/responses%2Fresp_1",
        "/v1/responses/resp_1%2Finput_items",
        "/v1/responses/resp_1;x",
    ] {
        check(Method::Get, path, Err(Unclean));
    }
    check(Method::Get, "/responses/resp_1", Err(Path));
}
