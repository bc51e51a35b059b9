//! Whole files: what they come to, and that nothing in them can break the importer or get out as a secret.

use faregate_policy::{LimitKind, Policy, Strategy};
use proptest::{prelude::*, test_runner::Config};

use super::*;

const LITELLM: &str = include_str!("../../../../../tests/live/import/litellm.yaml");
const BIFROST: &str = include_str!("../../../../../tests/live/import/bifrost.json");

fn nothing_set(_: &str) -> Option<String> {
    None
}

fn imported(text: &str) -> Imported {
    convert(text, "input", &nothing_set).unwrap_or_else(|stop| panic!("{}", stop.message))
}

fn policy(text: &str) -> Policy {
    Policy::compile(&imported(text).text, "p", 1, None).unwrap()
}

/// The targets of a model, with their weights.
fn targets(policy: &Policy, model: &str) -> Vec<(String, u32)> {
    let resolved = policy.models.list().iter().find(|known| &*known.name == model);
    let indices = &resolved.unwrap_or_else(|| panic!("no model {model}")).targets;
    let target = |&index: &usize| {
        let target = &policy.targets[index];
        (target.name.to_string(), target.weight)
    };
    indices.iter().map(target).collect()
}

fn check(yaml: &str, model: &str, expected: &[&str]) {
    let found = targets(&policy(yaml), model);
    let found: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(found, expected, "{model} of\n{yaml}");
}

/// A file of `LiteLLM` with one deployment.
fn one(parameters: &str) -> String {
    format!("model_list:\n- model_name: m\n  litellm_params: {parameters}\n")
}

#[test]
fn a_deployment_leads_to_a_provider_of_its_kind() {
    for (parameters, target, dialect) in [
        ("{model: openai/gpt-5}", "openai/gpt-5", "openai"),
        ("{model: gpt-5}", "openai/gpt-5", "openai"),
        ("{model: claude-sonnet-4-5}", "anthropic/claude-sonnet-4-5", "anthropic"),
        ("{model: azure/d, api_base: 'https://x.openai.azure.com'}", "azure/d", "azure"),
        ("{model: gemini/gemini-2.5-pro}", "gemini/gemini-2.5-pro", "gemini"),
        ("{model: bedrock/amazon.nova-pro-v1:0}", "bedrock/amazon.nova-pro-v1:0", "bedrock"),
        ("{model: bedrock/converse/us.x}", "bedrock/us.x", "bedrock"),
        (
            "{model: bedrock/invoke/anthropic.claude-3}",
            "bedrock-anthropic/anthropic.claude-3",
            "bedrock-anthropic",
        ),
        ("{model: vertex_ai/gemini-2.5-pro, vertex_project: p}", "vertex/gemini-2.5-pro", "vertex"),
        (
            "{model: vertex_ai/claude-opus-4, vertex_project: p}",
            "vertex-anthropic/claude-opus-4",
            "vertex-anthropic",
        ),
        ("{model: together_ai/meta/llama}", "together/meta/llama", "openai"),
        ("{model: hosted_vllm/q, api_base: 'http://gpu:8000/v1'}", "vllm/q", "openai"),
        ("{model: openai/q, api_base: 'http://gpu:8000/v1', api_key: none}", "gpu/q", "openai"),
        ("{model: sambanova/q}", "sambanova/q", "openai"),
        (
            "{model: azure_ai/claude-opus-4, api_base: 'https://x.services.ai.azure.com'}",
            "azure-anthropic/claude-opus-4",
            "anthropic",
        ),
        ("{model: whatever/q, api_base: 'http://gpu:8000'}", "gpu/q", "openai"),
    ] {
        let policy = policy(&one(parameters));
        assert_eq!(targets(&policy, "m"), [(target.to_owned(), 1)], "{parameters}");
        assert_eq!(policy.providers[0].kind.name, dialect, "{parameters}");
    }
}

#[test]
fn a_region_in_a_model_or_beside_it_is_the_provider_s() {
    for parameters in [
        "{model: bedrock/eu-central-1/anthropic.claude-v2}",
        "{model: bedrock/anthropic.claude-v2, aws_region_name: eu-central-1}",
    ] {
        let policy = policy(&one(parameters));
        assert_eq!(policy.providers[0].region.as_deref(), Some("eu-central-1"), "{parameters}");
        assert_eq!(targets(&policy, "m")[0].0, "bedrock/anthropic.claude-v2");
    }
}

#[test]
fn what_only_looks_like_openai_speaks_chat_only_and_openai_itself_speaks_more() {
    let own = policy(&one("{model: openai/q, api_base: 'http://gpu:8000/v1', api_key: k}"));
    assert_eq!(own.providers[0].forms.len(), 1);
    let two = policy(&format!(
        "{}- model_name: n\n  litellm_params: {{model: openai/gpt-5, api_key: os.environ/OTHER}}\n",
        one("{model: openai/gpt-5}")
    ));
    assert_eq!(two.providers.len(), 2);
    assert!(two.providers.iter().all(|provider| provider.forms.len() == 2), "both are OpenAI");
    assert_eq!(two.providers[0].quirks, two.providers[1].quirks);
}

#[test]
fn deployments_are_weighted_and_fallbacks_follow() {
    let policy = policy(LITELLM);
    let found = targets(&policy, "gpt-4o");
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "azure/gpt-4o-eu",
            "azure-acme-us/gpt-4o-us",
            "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0",
            "10.0.0.11/qwen3-32b"
        ]
    );
    let weights: Vec<u32> = found.iter().map(|(_, weight)| *weight).collect();
    assert_eq!(weights, [1_000_000, 333_333, 1, 1]);
    assert_eq!(targets(&policy, "gpt-4"), found, "an alias leads to the same");
    let local = policy.models.list().iter().find(|model| &*model.name == "local").unwrap();
    assert_eq!(local.strategy, Strategy::Order, "one deployment and its fallback");
}

#[test]
fn order_stands_before_weight() {
    let yaml = "model_list:
- {model_name: m, litellm_params: {model: groq/b, order: 2, weight: 9}}
- {model_name: m, litellm_params: {model: mistral/a, order: 1}}
";
    check(yaml, "m", &["mistral/a", "groq/b"]);
}

#[test]
fn names_with_a_star_reach_what_they_reached() {
    let policy = policy(LITELLM);
    for (asked, sent) in [
        ("openai/gpt-5-mini", ("openai", "gpt-5-mini")),
        ("claude-haiku-4-5", ("anthropic", "claude-haiku-4-5")),
    ] {
        let found = policy.models.resolve(asked).unwrap_or_else(|| panic!("{asked}"));
        let target = &policy.targets[found.targets[0]];
        assert_eq!(&*policy.providers[target.provider].name, sent.0, "{asked}");
    }
    assert!(policy.models.resolve("azure/other").is_none(), "only what was served is served");
    assert!(policy.models.resolve("anthropic/claude-opus-4").is_none());
}

#[test]
fn settings_become_deadlines_retries_and_limits() {
    let policy = policy(LITELLM);
    assert_eq!(policy.server.deadlines.total.as_secs(), 600);
    assert_eq!(policy.providers.iter().map(|p| p.deadlines.first_byte.as_secs()).max(), Some(120));
    assert_eq!(policy.server.body_bytes, 20 << 20);
    assert_eq!(policy.breaker.failures, 4);
    assert_eq!(policy.breaker.open.as_secs(), 30);
    assert!(policy.keys.anonymous.is_none(), "there is a master key");
    let organisation = policy.scopes.iter().find(|scope| &*scope.name == "organisation").unwrap();
    assert!(
        organisation
            .limits
            .iter()
            .any(|limit| { (limit.kind, limit.amount) == (LimitKind::Concurrent, 200) })
    );
}

#[test]
fn a_key_of_a_client_is_carried_as_its_hash() {
    let policy = policy(LITELLM);
    let hash = faregate_policy::key::hash(b"sk-SECRETMARKER-master-1234");
    let text = imported(LITELLM).text;
    assert!(text.contains(&hash.to_string()), "{text}");
    assert_eq!(policy.keys.len(), 1);
}

#[test]
fn a_reference_that_is_not_known_keeps_the_door_shut() {
    let yaml =
        format!("{}general_settings: {{master_key: os.environ/MASTER}}\n", one("{model: gpt-5}"));
    let shut = policy(&yaml);
    assert!(shut.keys.anonymous.is_none());
    let text = imported(&yaml).text;
    assert!(text.contains("disabled = true"), "{text}");
    let known = |name: &str| (name == "MASTER").then(|| "sk-1".to_owned());
    let open = convert(&yaml, "input", &known).unwrap_or_else(|stop| panic!("{}", stop.message));
    assert!(!open.text.contains("disabled"), "{}", open.text);
    assert!(open.report.is_whole(), "{:?}", open.report.lines());
}

#[test]
fn variables_that_the_file_sets_are_known_and_not_copied_where_they_are_secrets() {
    let yaml = format!(
        "{}general_settings: {{master_key: os.environ/MASTER}}
environment_variables: {{MASTER: SECRETMARKER, BASE: 'http://gpu:8000/v1', KEY: SECRETMARKER2}}
",
        one("{model: openai/q, api_base: os.environ/BASE, api_key: os.environ/KEY}")
    );
    let text = imported(&yaml).text;
    assert!(!text.contains("SECRETMARKER"), "{text}");
    assert!(text.contains(&faregate_policy::key::hash(b"SECRETMARKER").to_string()), "{text}");
    assert!(text.contains("base_url = \"http://gpu:8000/v1\"") && text.contains("env:KEY"));
}

#[test]
fn customers_teams_and_virtual_keys_keep_their_levels_and_permissions() {
    let policy = policy(BIFROST);
    assert_eq!(policy.keys.len(), 3);
    let caller = policy.keys.callers.iter().find(|caller| &*caller.key == "search-ci").unwrap();
    assert_eq!(caller.team.as_deref(), Some("Acme-Corp"));
    assert_eq!(caller.project.as_deref(), Some("ML-Team"));
    let may = |model: &str| {
        caller.models.iter().all(|level| level.iter().any(|pattern| pattern.matches(model)))
    };
    for (model, expected) in [
        ("openai/gpt-4o", true),
        ("openai/gpt-5", false),
        ("azure/gpt-4o", true),
        ("gpt-4o-mini", true),
        ("bedrock/x", false),
        ("qwen3-32b", false),
        ("smart", false),
    ] {
        assert_eq!(may(model), expected, "{model}");
    }
    assert!(policy.keys.callers.iter().filter(|caller| caller.disabled).count() == 2);
}

#[test]
fn several_keys_of_a_provider_share_the_models_they_name() {
    let policy = policy(BIFROST);
    let shared =
        [("openai/gpt-4o-mini".to_owned(), 1000), ("openai-spare/gpt-4o-mini".to_owned(), 429)];
    assert_eq!(targets(&policy, "openai/gpt-4o-mini"), shared);
    assert_eq!(targets(&policy, "gpt-4o-mini"), shared);
    assert_eq!(targets(&policy, "azure/gpt-4o"), [("azure/gpt-4o-prod".to_owned(), 1)]);
    let smart = targets(&policy, "smart");
    assert_eq!(smart.last(), Some(&("fleet/qwen3-32b".to_owned(), 1)));
}

#[test]
fn a_provider_s_key_for_one_provider_opens_no_other_by_a_bare_name() {
    let json = r#"{"providers": {
      "openai": {"keys": [{"name": "a", "value": "env.A", "models": ["m"]}]},
      "groq": {"keys": [{"name": "b", "value": "env.B", "models": ["m"]}]}},
      "client": {"enforce_auth_on_inference": true},
      "governance": {"virtual_keys": [{"id": "1", "name": "k", "value": "v",
        "provider_configs": [{"provider": "openai", "allowed_models": ["m"]}]}]}}"#;
    let policy = policy(json);
    assert_eq!(targets(&policy, "m").len(), 2);
    let models = &policy.keys.callers[0].models;
    let may = |model: &str| models.iter().all(|l| l.iter().any(|pattern| pattern.matches(model)));
    assert!(may("openai/m") && !may("m") && !may("groq/m"), "{models:?}");
}

#[test]
fn no_secret_of_a_file_gets_out() {
    for file in [LITELLM, BIFROST] {
        assert!(file.matches("SECRETMARKER").count() >= 5);
        let imported = imported(file);
        assert!(!imported.text.contains("SECRETMARKER"), "{}", imported.text);
        assert!(!imported.report.lines().concat().contains("SECRETMARKER"));
    }
}

#[test]
fn a_head_field_is_copied_when_it_cannot_be_a_secret() {
    let text = imported(&one(
        "{model: gpt-5, organization: org-K3jf84nd83kdLs93kd, extra_headers: {x-team: search, \
         x-session-token: abc, x-tag: a1b2c3d4e5f6a7b8c9}}",
    ));
    let lines = "\"openai-organization\" = \"org-K3jf84nd83kdLs93kd\", \"x-team\" = \"search\"";
    assert!(text.text.contains(lines), "{}", text.text);
    for secret in ["\"abc\"", "a1b2c3"] {
        assert!(!text.text.contains(secret), "{}", text.text);
    }
    assert!(text.text.contains("env:FAREGATE_OPENAI_X_SESSION_TOKEN"), "{}", text.text);
    assert!(text.report.count(Fate::Todo) == 2, "{:?}", text.report.lines());
}

#[test]
fn an_address_with_a_password_is_not_repeated() {
    for base in ["https://u:SECRETMARKER@h/v1", "https://h/v1?key=SECRETMARKER", "SECRETMARKER"] {
        let imported = imported(&one(&format!("{{model: openai/m, api_base: '{base}'}}")));
        assert!(!imported.text.contains("SECRETMARKER"), "{}", imported.text);
        assert!(!imported.report.lines().concat().contains("SECRETMARKER"));
    }
}

#[test]
fn what_is_neither_is_said_to_be_neither() {
    for (text, expected) in [
        ("a: 1", "neither"),
        ("[1]", "neither"),
        ("model_list: []", "no provider"),
        ("{\"providers\": {}}", "no provider"),
        ("{\"sample_spec\": {\"input_cost_per_token\": 0}}", "list of prices"),
        ("a: [", "line "),
    ] {
        let stop = convert(text, "f", &nothing_set).err().unwrap_or_else(|| panic!("{text}"));
        assert!(stop.message.contains(expected), "{text}: {}", stop.message);
    }
}

/// What may stand in place of a line or a piece of one.
const PIECES: &[&str] = &[
    "",
    "null",
    "[]",
    "{}",
    "- ",
    "*",
    "/",
    "a/b*c*",
    "-1",
    "1e400",
    "9999999999999999999",
    "\"",
    "'",
    "&a",
    "*a",
    "<<: *a",
    "é",
    "\u{7f}",
    "\u{0}",
    "{model: x}",
    "true",
    "0",
    "os.environ/X",
    "env.",
    "anonymous",
    "openai/*",
    "  ",
    "\n",
    ": ",
    "# ",
    "\\u0000",
    "|\n  x",
    "http://[::1",
    "gpt-4o gpt-4o",
];

/// A file with parts of it replaced.
fn mutated(file: &str, changes: &[(usize, usize, usize)]) -> String {
    let mut text: Vec<char> = file.chars().collect();
    for &(at, cut, piece) in changes {
        let at = at % (text.len() + 1);
        let end = (at + cut).min(text.len());
        let piece = PIECES[piece % PIECES.len()];
        text.splice(at..end, piece.chars());
    }
    text.into_iter().collect()
}

/// A file with the values of some lines replaced.
fn revalued(file: &str, changes: &[(usize, usize)]) -> String {
    let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
    for &(line, piece) in changes {
        let at = line % lines.len();
        let line = &mut lines[at];
        if let Some(colon) = line.find(": ") {
            let end = if line.trim_end().ends_with(',') { "," } else { "" };
            line.replace_range(colon + 2.., PIECES[piece % PIECES.len()]);
            line.push_str(end);
        }
    }
    lines.join("\n")
}

/// A policy that compiles, or a refusal that says why.
fn holds(text: &str) {
    match convert(text, "input", &nothing_set) {
        Ok(imported) => {
            assert!(Policy::compile(&imported.text, "p", 1, None).is_ok());
            assert!(imported.report.lines().iter().all(|line| !line.contains('\n')));
        }
        Err(stop) => assert!(!stop.message.is_empty()),
    }
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_file_gives_a_right_policy_or_a_refusal(
        which in any::<bool>(),
        changes in prop::collection::vec((any::<usize>(), 0..40usize, any::<usize>()), 0..6),
    ) {
        holds(&mutated(if which { LITELLM } else { BIFROST }, &changes));
    }

    #[test]
    fn any_value_gives_a_right_policy_or_a_refusal(
        which in any::<bool>(),
        changes in prop::collection::vec((any::<usize>(), any::<usize>()), 1..8),
    ) {
        holds(&revalued(if which { LITELLM } else { BIFROST }, &changes));
    }

    #[test]
    fn any_text_gives_a_right_policy_or_a_refusal(text in "[ -~\n\t]{0,200}") {
        holds(&text);
    }
}
