//! What servers of models offer beside chats passes: ranking, scores, tokens, and Ollama's own chat and vectors.
//!
//! The provider refuses members that each path does not have, so that nothing is put into a body that is not asked for.

use faregate_tests::{Client, Gateway, Launch, Provider, key};
use serde_json::{Value, json};

use crate::dialects;

fn start(provider: &Provider) -> Gateway {
    let root = format!("http://{}", provider.address());
    Launch::new(format!(
        "[providers.vllm]\nbase_url = \"{root}/v1\"\n\
         [providers.cohere]\nbase_url = \"{root}/compatibility/v1\"\napi_key = \"env:PROVIDER_KEY\"\n\
         [providers.ollama]\nbase_url = \"{root}/v1\"\n\
         [models.ranker]\ntargets = [\"vllm/bge-reranker\"]\n\
         [models.cohere-ranker]\ntargets = [\"cohere/rerank-v3.5\"]\n\
         [retries]\nattempts = 1\n{}",
        key::row("one", "")
    ))
    .server("passthrough = \"vllm\"")
    .variable("PROVIDER_KEY", "provider-key")
    .start()
}

/// The answer, and what the provider got.
fn ask(
    client: &mut Client,
    provider: &Provider,
    path: &str,
    body: &Value,
) -> (Value, String, Value) {
    let answer = client.post(path, body);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let sent = provider.take_captured().pop().unwrap();
    assert!(!sent.headers.iter().any(|(_, value)| value.contains(key::CANARY)), "{sent:?}");
    (answer.json(), sent.target, serde_json::from_slice(&sent.body).unwrap())
}

#[test]
fn documents_are_ranked_at_the_path_that_the_provider_has() {
    let provider = dialects::simulator();
    let gateway = start(&provider);
    let mut client = gateway.client(&key::named("one"));
    for (model, theirs, path) in
        [("ranker", "bge-reranker", "/v1/rerank"), ("cohere-ranker", "rerank-v3.5", "/v2/rerank")]
    {
        for asked in ["/rerank", "/v1/rerank", "/v2/rerank"] {
            let body =
                json!({"model": model, "query": "q", "documents": ["a", "b", "c"], "top_n": 2});
            let (answer, target, sent) = ask(&mut client, &provider, asked, &body);
            assert_eq!(target, path, "{asked}");
            let mut expected = body;
            expected["model"] = theirs.into();
            assert_eq!(sent, expected);
            let results = answer["results"].as_array().unwrap();
            let order: Vec<&Value> = results.iter().map(|result| &result["index"]).collect();
            assert_eq!(order, [2, 1], "{answer}");
        }
    }
    let body = json!({"model": "ranker", "query": "q", "documents": ["a", "b", "c"]});
    let answer = client.post("/v1/rerank", &body);
    let line = gateway.access_line(answer.header("x-faregate-request-id").unwrap());
    assert_eq!(line["usage"], "provider", "{line}");
    assert_eq!(line["input_tokens"], answer.json()["usage"]["total_tokens"], "{line}");
    let unknown = json!({"model": "nobody", "query": "q", "documents": ["a"]});
    assert_eq!(client.post("/v1/rerank", &unknown).status, 404);
    assert_eq!(provider.counters().breached(), 0, "{:?}", provider.counters().take_breaches());
}

#[test]
fn scores_and_tokens_pass_from_the_root() {
    let provider = dialects::simulator();
    let gateway = start(&provider);
    let mut client = gateway.client(&key::named("one"));
    let scored = json!({"model": "m", "text_1": "a", "text_2": ["b", "c"]});
    let asked = [
        ("/v1/score", scored.clone(), "/data/1/score", json!(0.5)),
        ("/score", scored, "/data/0/index", json!(0)),
        ("/tokenize", json!({"model": "m", "prompt": "hi"}), "/tokens", json!([104, 105])),
        ("/detokenize", json!({"model": "m", "tokens": [104, 105]}), "/prompt", json!("hi")),
    ];
    for (path, body, place, value) in asked {
        let (answer, target, sent) = ask(&mut client, &provider, path, &body);
        assert_eq!((&*target, &sent), (path, &body));
        assert_eq!(answer.pointer(place), Some(&value), "{answer}");
    }
    // What the server refuses, it refuses in its own words.
    let answer = client.post("/tokenize", &json!({"model": "m", "what": 1}));
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("Unknown parameter"), "{}", answer.text());
    assert_eq!(gateway.client("").post("/tokenize", &json!({"prompt": "hi"})).status, 401);
}

#[test]
fn ollamas_own_chats_and_vectors_pass() {
    let provider = dialects::simulator();
    let gateway = start(&provider);
    let client = || gateway.client(&key::named("one")).with("x-faregate-provider", "ollama");
    let body = json!({"model": "llama3", "messages": [{"role": "user", "content": "hi"}],
        "options": {"temperature": 0}});
    let answer = client().post("/api/chat", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> =
        answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 17);
    assert!(lines.iter().rev().skip(1).all(|line| line["done"] == false));
    assert_eq!((&lines[16]["done"], &lines[16]["eval_count"]), (&json!(true), &json!(16)));
    let sent = provider.take_captured().pop().unwrap();
    assert_eq!((&*sent.target, &*sent.body), ("/api/chat", body.to_string().as_bytes()));
    let mut whole = body;
    whole["stream"] = false.into();
    let (answer, ..) = ask(&mut client(), &provider, "/api/chat", &whole);
    assert_eq!(answer["done"], true);
    let embed = json!({"model": "nomic", "input": ["a", "b"]});
    let (answer, target, _) = ask(&mut client(), &provider, "/api/embed", &embed);
    assert_eq!((&*target, answer["embeddings"].as_array().unwrap().len()), ("/api/embed", 2));
    assert_eq!(provider.counters().breached(), 0, "{:?}", provider.counters().take_breaches());
}

/// A line reaches the client when it is written, not with the last one.
#[test]
fn lines_of_a_chat_arrive_one_by_one() {
    let provider = dialects::simulator();
    let gateway = start(&provider);
    let client = gateway.client(&key::named("one"));
    let body = json!({"model": "m", "sim": "tokens=3; stall_at=200; split=1000",
        "messages": [{"role": "user", "content": "hi"}]});
    let request = client.request("POST", "/api/chat", Some(body.to_string().as_bytes()));
    let mut wire = gateway.connect();
    wire.send(request);
    assert_eq!(wire.head().status, 200);
    let first = wire.try_chunk().unwrap().unwrap();
    assert!(first.starts_with(b"{"), "{:?}", String::from_utf8_lossy(&first));
}
