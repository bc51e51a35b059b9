//! SDKs, unchanged but for their base URL.
//!
//! Their scripts (`tests/sdk`) print a line for each thing they have checked and end with `all good`.

use std::process::Command;

use faregate_tests::{Gateway, Launch, Provider, gateway, key, program, provider};
use loadtest::provider::Script;

use crate::dialects;

/// A gateway with the keys and models that the scripts expect.
fn start(provider: &Provider) -> Gateway {
    let policy = format!(
        "{}[models.unreachable]\ntargets = [\"sim/x\"]\n{}{}[retries]\nattempts = 2\nbackoff = \"1ms\"\n[breaker]\nfailures = 10000\n",
        gateway::sim(provider).replace("[models", "models = [\"gpt-5\", \"*\"]\n[models"),
        key::row("one", ""),
        key::row("narrow", "limits = [\"1 requests/day\"]\nmodels = [\"gpt-5\"]"),
    );
    Launch::new(policy).start()
}

fn check(provider: &Provider, gateway: &Gateway, command: &mut Command) {
    let output = program::run(
        command
            .env("BASE_URL", format!("http://{}/v1", gateway.address))
            .env("KEY", key::named("one"))
            .env("NARROW_KEY", key::named("narrow")),
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.trim_end().ends_with("all good"), "{printed}");
    assert_eq!(provider.counters().breached(), 0, "{:?}", provider.counters().take_breaches());
}

/// The requests of the retry test: answered once with an error that the gateway itself did not retry.
fn count_of(provider: &Provider, path: &str) -> usize {
    provider.take_captured().iter().filter(|captured| captured.target == path).count()
}

#[test]
fn python() {
    let Some(mut command) = program::python("openai-python", "openai") else { return };
    let provider = provider();
    let gateway = start(&provider);
    check(&provider, &gateway, command.arg(program::sdk_script("openai_python.py")));
    assert_eq!(
        count_of(&provider, "/v1/audio/retry-probe"),
        2,
        "two attempts of the gateway, none of the SDK"
    );
}

#[test]
fn node() {
    let Some((mut command, modules)) = program::node("openai-node", "openai") else { return };
    let provider = provider();
    let gateway = start(&provider);
    let script = program::sdk_script("openai_node.mjs");
    check(&provider, &gateway, command.arg(script).env("MODULES", modules));
    assert_eq!(
        count_of(&provider, "/v1/audio/retry-probe"),
        2,
        "two attempts of the gateway, none of the SDK"
    );
}

#[test]
fn curl() {
    let Some(mut command) = program::on_path("curl") else { return };
    let provider = provider();
    assert!(provider.queue(Script::default()));
    let gateway = start(&provider);
    let output = program::run(command.args([
        "-sS",
        "--fail-with-body",
        &format!("http://{}/v1/chat/completions", gateway.address),
        "-H",
        &format!("Authorization: Bearer {}", key::named("one")),
        "-H",
        "Content-Type: application/json",
        "-d",
        r#"{"model":"gpt-5","messages":[{"role":"user","content":"hi"}]}"#,
    ]));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["object"], "chat.completion");
}

/// Runs a script that goes through a model of every dialect.
fn check_every(command: &mut Command) {
    let provider = dialects::simulator();
    let policy = format!("{}{}", dialects::policy(&provider), key::row("one", ""));
    let gateway = Launch::new(policy).variable("PROVIDER_KEY", "provider-key").start();
    let models: Vec<String> =
        dialects::TARGETS.iter().map(|(name, _)| format!("at-{name}")).collect();
    let output = program::run(
        command
            .env("ROOT", format!("http://{}", gateway.address))
            .env("KEY", key::named("one"))
            .env("MODELS", models.join(",")),
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.trim_end().ends_with("all good"), "{printed}");
    assert_eq!(provider.counters().breached(), 0, "{:?}", provider.counters().take_breaches());
    let written = gateway.everything_written();
    assert!(!written.contains(key::CANARY), "a key is in a log");
}

#[track_caller]
fn every_python(name: &str, module: &str, script: &str) {
    let Some(mut command) = program::python(name, module) else { return };
    check_every(command.arg(program::sdk_script(script)));
}

#[test]
fn responses_python() {
    every_python("openai-python", "openai", "responses_python.py");
}

#[test]
fn azure_python() {
    every_python("openai-python", "openai", "azure_python.py");
}

#[test]
fn anthropic_python() {
    every_python("anthropic-python", "anthropic", "anthropic_python.py");
}

#[test]
fn google_python() {
    every_python("google-python", "google.genai", "google_python.py");
}

#[test]
fn langchain_python() {
    every_python("langchain", "langchain_openai, langchain_anthropic", "langchain_python.py");
}

#[test]
fn litellm_python() {
    every_python("litellm", "litellm", "litellm_python.py");
}

#[test]
fn boto3_python() {
    every_python("boto3", "boto3", "boto3_python.py");
}

#[track_caller]
fn every_node(name: &str, package: &str, script: &str) {
    let Some((mut command, modules)) = program::node(name, package) else { return };
    check_every(command.arg(program::sdk_script(script)).env("MODULES", modules));
}

#[test]
fn ai_node() {
    every_node("ai-node", "ai", "ai_node.mjs");
}

#[test]
fn anthropic_node() {
    every_node("anthropic-node", "@anthropic-ai/sdk", "anthropic_node.mjs");
}

#[test]
fn google_node() {
    every_node("google-node", "@google/genai", "google_node.mjs");
}
