//! The same clients at the clouds that serve others' dialects: Azure, Vertex AI with Gemini and with Claude, and Claude in
//! Bedrock's InvokeModel.
//!
//! Each has paths, proofs of who pays and members of its own; the provider refuses those of the API that it resembles.

use faregate_tests::{
    Gateway, Launch, Provider,
    upstream::{self, Act, Upstream},
};
use serde_json::{Value, json};

use super::{
    Cell, Tongue, chat, each_at,
    edges::{breaks, errors},
    ends, images, shapes, simulator, thoughts, tools,
};

/// The providers, and what each calls its model.
pub(crate) const CLOUDS: [(&str, &str); 5] = [
    ("azure", "gpt-5"),
    ("azure-deployments", "gpt-5"),
    ("vertex", "gemini-3-pro"),
    ("vertex-claude", "claude-sonnet-4-5@20250929"),
    ("invoke", "anthropic.claude-sonnet-4-5-v1:0"),
];

/// What Google's machine says who it is.
pub(crate) fn machine() -> Upstream {
    Upstream::start(|_| {
        let token = r#"{"access_token":"ya29","expires_in":3600,"token_type":"Bearer"}"#;
        vec![Act::Send(upstream::json(token))]
    })
}

fn start(provider: &Provider, machine: &Upstream) -> Gateway {
    start_with(provider, machine, "")
}

/// A gateway with a model `at-…` at each cloud, and these rows of policy more.
pub(crate) fn start_with(provider: &Provider, machine: &Upstream, rows: &str) -> Gateway {
    let root = format!("http://{}", provider.address());
    let vertex = format!("{root}/v1/projects/p/locations/us-east5/publishers");
    let mut policy = format!(
        "[providers.azure]\ndialect = \"azure\"\nbase_url = \"{root}\"\napi_key = \"env:PROVIDER_KEY\"\n\
         [providers.azure-deployments]\ndialect = \"azure-deployments\"\nbase_url = \"{root}\"\napi_key = \"env:PROVIDER_KEY\"\n\
         [providers.vertex]\ndialect = \"vertex\"\nbase_url = \"{vertex}/google\"\n\
         [providers.vertex-claude]\ndialect = \"vertex-anthropic\"\nbase_url = \"{vertex}/anthropic\"\n\
         [providers.invoke]\ndialect = \"bedrock-anthropic\"\nbase_url = \"{root}\"\napi_key = \"env:PROVIDER_KEY\"\n\
         [retries]\nattempts = 1\n[breaker]\nfailures = 10000\n"
    );
    for (name, model) in CLOUDS {
        policy.push_str(&format!("[models.at-{name}]\ntargets = [\"{name}/{model}\"]\n"));
        policy.push_str(&format!("[models.\"{name}-*\"]\ntargets = [\"{name}/sim-*\"]\n"));
    }
    policy.push_str(rows);
    Launch::new(policy)
        .variable("PROVIDER_KEY", "provider-key")
        .variable("GCE_METADATA_HOST", &machine.address.to_string())
        .variable("CLOUDSDK_CONFIG", "/nowhere")
        .start()
}

fn each(act: impl Fn(&mut Cell<'_>, bool)) {
    let (provider, machine) = (simulator(), machine());
    let gateway = start(&provider, &machine);
    each_at(&provider, &gateway, &CLOUDS.map(|(name, _)| name), act);
}

#[test]
fn chats() {
    each(chat);
}

#[test]
fn tools_are_called_in_parallel_and_answered() {
    each(tools);
}

#[test]
fn thoughts_stay_signed_over_turns() {
    each(thoughts);
}

#[test]
fn images_are_seen() {
    each(images);
}

#[test]
fn answers_take_the_shape_that_is_asked_for() {
    each(shapes);
}

#[test]
fn refusals_and_limits_are_told() {
    each(ends);
}

#[test]
fn errors_are_told_in_the_clients_dialect() {
    each(errors);
}

/// Bedrock's are exceptions among the frames.
#[test]
fn streams_that_break_end_with_an_error() {
    each(breaks);
}

/// Claude Code asks for betas that Bedrock does not know, by a path that has a query.
#[test]
fn what_anthropics_own_clients_say_in_heads_and_queries_is_said_in_the_clouds_way() {
    let (provider, machine) = (simulator(), machine());
    let gateway = start(&provider, &machine);
    let mut client = gateway
        .client("")
        .with("anthropic-version", "2023-06-01")
        .with("anthropic-beta", "claude-code-20250219,effort-2025-11-24");
    for (target, path) in [
        (
            "vertex-claude",
            "/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict",
        ),
        ("invoke", "/model/anthropic.claude-sonnet-4-5-v1%3A0/invoke-with-response-stream"),
    ] {
        let model = format!("at-{target}");
        let body = json!({"model": model, "stream": true, "max_tokens": 9,
            "messages": [{"role": "user", "content": "hi"}]});
        let answer = client.post("/v1/messages?beta=true", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(Tongue::Messages.hear(&answer, true).output > 0);
        let sent = provider.take_captured().pop().unwrap();
        assert_eq!(sent.target, path);
        let body: Value = serde_json::from_slice(&sent.body).unwrap();
        let betas = sent.header("anthropic-beta");
        match target {
            "invoke" => {
                assert_eq!((betas, &body["anthropic_beta"]), (None, &json!(["effort-2025-11-24"])));
            }
            _ => assert_eq!(betas, Some("claude-code-20250219,effort-2025-11-24")),
        }
        // Vertex has a path that counts. Nothing is asked elsewhere that would be answered and paid for.
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        let answer = client.post("/v1/messages/count_tokens", &body);
        assert!(
            answer.json()["input_tokens"].as_u64().is_some_and(|tokens| tokens > 0),
            "{answer:?}"
        );
        let sent = provider.take_captured().pop();
        match target {
            "invoke" => assert_eq!(sent, None),
            _ => {
                let sent = sent.unwrap();
                assert!(sent.target.ends_with("/anthropic/models/count-tokens:rawPredict"));
                let body: Value = serde_json::from_slice(&sent.body).unwrap();
                assert_eq!(body["model"], "claude-sonnet-4-5@20250929");
            }
        }
    }
}

/// Clients of Azure's older API name a deployment and a date, at any target.
#[test]
fn azures_older_paths_reach_the_newer_ones() {
    let (provider, machine) = (simulator(), machine());
    let gateway = start(&provider, &machine);
    let mut client = gateway.client("");
    let body = json!({"messages": [{"role": "user", "content": "hi"}]});
    for (target, _) in CLOUDS {
        let path =
            format!("/openai/deployments/at-{target}/chat/completions?api-version=2024-10-21");
        let answer = client.post(&path, &body);
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        assert!(Tongue::Chat.hear(&answer, false).output > 0);
        let sent = provider.take_captured().pop().unwrap();
        let is_older = target == "azure-deployments";
        assert_eq!(sent.target.contains("api-version"), is_older, "{}", sent.target);
        if target == "azure" {
            let mut streamed = body.clone();
            streamed["stream"] = true.into();
            let answer = client.post(&path, &streamed);
            assert!(Tongue::Chat.hear(&answer, true).text.contains(' '), "{answer:?}");
            assert_eq!(sent.target, "/openai/v1/chat/completions");
            assert_eq!(sent.header("api-key"), Some("provider-key"));
            let body: Value = serde_json::from_slice(&sent.body).unwrap();
            assert_eq!(body["model"], "gpt-5");
        }
    }
    assert_eq!(provider.counters().breached(), 0, "{:?}", provider.counters().take_breaches());
}
