//! The same clients at the clouds that serve others' dialects: Azure, Vertex AI with Gemini and with Claude, and Claude in
//! Bedrock's InvokeModel.
//!
//! Each has paths, proofs of who pays and members of its own; the provider refuses those of the API that it resembles.

use faregate_tests::{
    Gateway, Launch, Provider,
    upstream::{Act, Upstream, json},
};

use super::{Cell, chat, each_at, ends, images, shapes, simulator, thoughts, tools};

/// The providers, and what each calls its model.
const CLOUDS: [(&str, &str); 4] = [
    ("azure", "gpt-5"),
    ("vertex", "gemini-3-pro"),
    ("vertex-claude", "claude-sonnet-4-5@20250929"),
    ("invoke", "anthropic.claude-sonnet-4-5-v1:0"),
];

/// What Google's machine says who it is.
fn machine() -> Upstream {
    Upstream::start(|_| {
        let token = r#"{"access_token":"ya29","expires_in":3600,"token_type":"Bearer"}"#;
        vec![Act::Send(json(token))]
    })
}

fn start(provider: &Provider, machine: &Upstream) -> Gateway {
    let root = format!("http://{}", provider.address());
    let vertex = format!("{root}/v1/projects/p/locations/us-east5/publishers");
    let mut policy = format!(
        "[providers.azure]\ndialect = \"azure\"\nbase_url = \"{root}\"\napi_key = \"env:PROVIDER_KEY\"\n\
         [providers.vertex]\ndialect = \"vertex\"\nbase_url = \"{vertex}/google\"\n\
         [providers.vertex-claude]\ndialect = \"vertex-anthropic\"\nbase_url = \"{vertex}/anthropic\"\n\
         [providers.invoke]\ndialect = \"bedrock-anthropic\"\nbase_url = \"{root}\"\napi_key = \"env:PROVIDER_KEY\"\n\
         [retries]\nattempts = 1\n[breaker]\nfailures = 10000\n"
    );
    for (name, model) in CLOUDS {
        policy.push_str(&format!("[models.at-{name}]\ntargets = [\"{name}/{model}\"]\n"));
    }
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
