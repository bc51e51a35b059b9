//! Clients of every dialect, at providers of every dialect: chats, streams, tools, thoughts, images, shapes, errors.
//!
//! The provider refuses what the real ones refuse, so each answer also proves that the request was said well.

pub(crate) mod clouds;
mod edges;
pub(crate) mod speak;

use std::panic::{AssertUnwindSafe, catch_unwind};

use faregate_tests::{Answer, Client, Gateway, Launch, Provider, provider_with};
use loadtest::provider::Settings;
use serde_json::Value;
use speak::{Ask, Heard, Tongue};

/// The providers, the models that a client calls them by, and what the model is called there.
pub(crate) const TARGETS: [(&str, &str); 5] = [
    ("chat", "gpt-5"),
    ("responses", "gpt-5.5"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gemini", "gemini-3-pro"),
    ("bedrock", "anthropic.claude-sonnet-4-5-v1:0"),
];

/// One simulated provider under five names, each spoken to in its own dialect.
pub(crate) fn policy(provider: &Provider) -> String {
    let root = format!("http://{}", provider.address());
    let mut policy = format!(
        "[providers.chat]\nbase_url = \"{root}/v1\"\n\
         [providers.responses]\nbase_url = \"{root}/v1\"\nspeaks = [\"responses\"]\n\
         [providers.anthropic]\ndialect = \"anthropic\"\nbase_url = \"{root}/v1\"\napi_key = \"env:PROVIDER_KEY\"\n\
         [providers.gemini]\ndialect = \"gemini\"\nbase_url = \"{root}/v1beta\"\napi_key = \"env:PROVIDER_KEY\"\n\
         [providers.bedrock]\ndialect = \"bedrock\"\nbase_url = \"{root}\"\napi_key = \"env:PROVIDER_KEY\"\n\
         [retries]\nattempts = 1\n[breaker]\nfailures = 10000\n"
    );
    for (name, model) in TARGETS {
        policy.push_str(&format!("[models.at-{name}]\ntargets = [\"{name}/{model}\"]\n"));
        policy.push_str(&format!("[models.\"{name}-*\"]\ntargets = [\"{name}/sim-*\"]\n"));
    }
    policy
}

pub(crate) fn launch(provider: &Provider) -> Launch {
    Launch::new(policy(provider)).variable("PROVIDER_KEY", "provider-key")
}

pub(crate) fn simulator() -> Provider {
    provider_with(Settings { capture: 4096, ..Settings::default() })
}

/// What a check looks at.
pub(crate) struct Cell<'a> {
    pub(crate) tongue: Tongue,
    pub(crate) target: &'static str,
    provider: &'a Provider,
    pub(crate) gateway: &'a Gateway,
    pub(crate) client: Client,
}

impl Cell<'_> {
    fn model(&self) -> String {
        format!("at-{}", self.target)
    }

    fn ask(&mut self, ask: &Ask) -> (Answer, Heard) {
        let model = self.model();
        let answer = self.tongue.send(&mut self.client, &model, ask);
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{shown}\n{}", self.sent());
        let heard = catch_unwind(|| self.tongue.hear(&answer, ask.stream));
        let heard = heard.unwrap_or_else(|_| panic!("not well-formed: {shown}"));
        assert!(heard.error.is_none(), "{shown}");
        (answer, heard)
    }

    /// The last request that the provider got.
    fn sent(&self) -> String {
        let last = self.provider.take_captured().pop();
        last.map_or_else(String::new, |c| {
            format!("{} {}", c.target, String::from_utf8_lossy(&c.body))
        })
    }

    /// Whether the target speaks what the client speaks, so that bytes pass.
    pub(crate) fn is_own(&self) -> bool {
        let own = match self.tongue {
            Tongue::Chat => "chat",
            Tongue::Responses => "responses",
            Tongue::Messages => "anthropic",
            Tongue::Gemini | Tongue::GeminiArray => "gemini",
            Tongue::Converse => "bedrock",
        };
        self.target == own
    }

    pub(crate) fn said(&self, said: &str) -> Ask {
        Ask { turns: vec![self.tongue.user(said, false)], ..Ask::default() }
    }
}

/// Does `act` for every client, target and way of asking, and tells all that went wrong.
pub(crate) fn each(act: impl Fn(&mut Cell<'_>, bool)) {
    let provider = simulator();
    let gateway = launch(&provider).start();
    each_at(&provider, &gateway, &TARGETS.map(|(name, _)| name), act);
}

fn each_at(
    provider: &Provider,
    gateway: &Gateway,
    targets: &[&'static str],
    act: impl Fn(&mut Cell<'_>, bool),
) {
    let mut wrong = Vec::new();
    for tongue in Tongue::ALL {
        for target in targets.iter().copied() {
            for stream in [false, true] {
                let client = gateway.client("");
                let mut cell = Cell { tongue, target, provider, gateway, client };
                let done = catch_unwind(AssertUnwindSafe(|| act(&mut cell, stream)));
                if let Err(panic) = done {
                    let text = panic.downcast_ref::<String>().cloned();
                    let text = text.or(panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
                    let text = text.unwrap_or_default();
                    let kind = if stream { "stream" } else { "whole" };
                    wrong.push(format!("== {tongue:?} at {target}, {kind}: {text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(provider.counters().breached(), 0, "{:?}", provider.counters().take_breaches());
}

fn is_stop(finish: &str) -> bool {
    matches!(finish, "stop" | "completed" | "end_turn" | "STOP")
}

#[test]
fn chats() {
    each(chat);
}

fn chat(cell: &mut Cell<'_>, stream: bool) {
    let (answer, heard) = cell.ask(&Ask { stream, ..cell.said("hi") });
    assert_eq!(heard.text.split_whitespace().count(), 16, "{heard:?}");
    assert!(is_stop(&heard.finish), "{heard:?}");
    assert!(heard.output >= 16, "{heard:?}");
    assert!(heard.input > 0, "{heard:?}");
    assert_eq!(answer.header("x-faregate-lost"), None);
    let line = cell.gateway.access_line(answer.header("x-faregate-request-id").unwrap());
    assert_eq!(line["usage"], "provider", "{line}");
    assert_eq!(line["input_tokens"], heard.input, "{line}");
    let tokens = |name: &str| line[name].as_u64().unwrap_or(0);
    assert_eq!(tokens("output_tokens") + tokens("reasoning_tokens"), heard.output, "{line}");
}

#[test]
fn tools_are_called_in_parallel_and_answered() {
    each(tools);
}

fn tools(cell: &mut Cell<'_>, stream: bool) {
    let mut ask = Ask { stream, tools: true, ..cell.said("call get_weather and find") };
    let (_, heard) = cell.ask(&ask);
    check_calls(&heard);
    ask.turns.extend(heard.turn.clone());
    ask.turns.extend(cell.tongue.results(&heard, &["21 C", "a needle"]));
    let (_, heard) = cell.ask(&ask);
    assert!(heard.text.starts_with("The tool said: "), "{heard:?}");
    for result in ["21 C", "a needle"] {
        assert!(heard.text.contains(result), "{heard:?}");
    }
    assert!(is_stop(&heard.finish), "{heard:?}");
}

fn check_calls(heard: &Heard) {
    let names: Vec<&str> = heard.calls.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["get_weather", "find"], "{heard:?}");
    assert!(heard.calls[0].2["city"].is_string(), "{heard:?}");
    assert!(heard.calls[1].2["q"].is_string(), "{heard:?}");
    let is_call = matches!(heard.finish.as_str(), "tool_calls" | "completed" | "tool_use" | "STOP");
    assert!(is_call, "{heard:?}");
}

#[test]
fn thoughts_stay_signed_over_turns() {
    each(thoughts);
}

/// The provider refuses the second turn when what it has signed does not come back with it.
fn thoughts(cell: &mut Cell<'_>, stream: bool) {
    let said = cell.said("call get_weather and find");
    let mut ask = Ask { stream, tools: true, thinks: true, ..said };
    let (_, heard) = cell.ask(&ask);
    check_calls(&heard);
    // OpenAI's chat shows no thoughts.
    if !matches!(cell.target, "chat" | "azure" | "azure-deployments") {
        assert!(!heard.thought.is_empty(), "{heard:?}");
    }
    ask.turns.extend(heard.turn.clone());
    ask.turns.extend(cell.tongue.results(&heard, &["21 C", "a needle"]));
    let (_, heard) = cell.ask(&ask);
    assert!(heard.text.starts_with("The tool said: "), "{heard:?}");
    ask.turns.extend(heard.turn.clone());
    ask.turns.push(cell.tongue.user("and now call find", false));
    let (_, heard) = cell.ask(&ask);
    assert_eq!(heard.calls.len(), 1, "{heard:?}");
}

#[test]
fn images_are_seen() {
    each(images);
}

fn images(cell: &mut Cell<'_>, stream: bool) {
    let turns = vec![cell.tongue.user("what is it?", true)];
    let (_, heard) = cell.ask(&Ask { stream, turns, ..Ask::default() });
    assert!(heard.text.starts_with("I see image/png."), "{heard:?}");
}

#[test]
fn answers_take_the_shape_that_is_asked_for() {
    each(shapes);
}

fn shapes(cell: &mut Cell<'_>, stream: bool) {
    let (_, heard) = cell.ask(&Ask { stream, shaped: true, ..cell.said("where?") });
    let shaped: Value = serde_json::from_str(&heard.text).unwrap();
    assert!(shaped["city"].is_string(), "{heard:?}");
}

#[test]
fn refusals_and_limits_are_told() {
    each(ends);
}

fn ends(cell: &mut Cell<'_>, stream: bool) {
    let (_, heard) = cell.ask(&Ask { stream, ..cell.said("refuse me") });
    let words = ["stop", "content_filter", "completed", "refusal", "SAFETY", "content_filtered"];
    let blocked = ["guardrail_intervened", "PROHIBITED_CONTENT", "STOP", "end_turn"];
    assert!(words.iter().chain(&blocked).any(|word| *word == heard.finish), "{heard:?}");
    let (_, heard) = cell.ask(&Ask { stream, ..cell.said("short please") });
    let words = ["length", "max_output_tokens", "max_tokens", "MAX_TOKENS"];
    assert!(words.contains(&heard.finish.as_str()), "{heard:?}");
}
