//! `faregate import`: files of other gateways become policies that serve.

use std::{path::Path, process::Output};

use faregate_tests::{Gateway, Launch, Provider, binary, folder::Folder, provider};
use loadtest::provider::Script;

const LITELLM: &str = include_str!("import/litellm.yaml");
const BIFROST: &str = include_str!("import/bifrost.json");

fn run(arguments: &[&str], folder: &Folder) -> Output {
    let mut command = binary::command(&[&["import"], arguments].concat());
    command.current_dir(folder.path()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The policy that a file comes to, served on free ports.
fn serve(folder: Folder, file: &str, variables: &[(&str, &str)]) -> Gateway {
    let output = run(&[file], &folder);
    assert!(output.status.success(), "{output:?}");
    let policy = folder.join("faregate.toml");
    let mut free = String::new();
    for line in std::fs::read_to_string(&policy).unwrap().lines() {
        let key = ["listen", "admin"].iter().find(|key| line.starts_with(*key));
        free.push_str(&key.map_or(line.to_owned(), |key| format!("{key} = \"127.0.0.1:0\"")));
        free.push('\n');
    }
    std::fs::write(&policy, free).unwrap();
    let launch = variables
        .iter()
        .fold(Launch::default(), |launch, (name, value)| launch.variable(name, value));
    launch.start_with(folder, policy)
}

#[test]
fn the_files_of_both_become_policies_that_check_takes() {
    for (name, file) in [("config.yaml", LITELLM), ("config.json", BIFROST)] {
        let folder = Folder::new();
        folder.write(name, file);
        let output = run(&[name], &folder);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let report = text(&output.stderr);
        for word in [
            &format!("to do: {name}:"),
            "not carried: ",
            "differs: ",
            "not needed: ",
            "wrote faregate.toml",
        ] {
            assert!(report.contains(word), "{word} in\n{report}");
        }
        assert!(output.stdout.is_empty(), "the report is on standard error");
        let policy = std::fs::read_to_string(folder.join("faregate.toml")).unwrap();
        for written in [&policy, &report] {
            assert!(!written.contains("SECRETMARKER"), "{written}");
        }
        for line in report.lines().filter(|line| line.starts_with("not carried: ")) {
            assert!(policy.contains(line), "{line} is a comment of the policy, too");
        }
        let checked =
            binary::command(&["check", "faregate.toml"]).current_dir(folder.path()).output();
        let checked = checked.unwrap();
        assert!(checked.status.success(), "{checked:?}");

        let again = run(&[name], &folder);
        assert_eq!(again.status.code(), Some(1), "a policy is not overwritten: {again:?}");
        assert!(text(&again.stderr).contains("exists already"));
        let strict = run(&[name, "--strict", "--force"], &folder);
        assert_eq!(strict.status.code(), Some(3), "{strict:?}");
        assert_eq!(std::fs::read_to_string(folder.join("faregate.toml")).unwrap(), policy);
        let shown = run(&[name, "-o", "-"], &folder);
        assert_eq!(text(&shown.stdout), policy);
    }
}

#[test]
fn a_file_that_is_carried_whole_satisfies_the_strict() {
    let folder = Folder::new();
    let file =
        "model_list:\n- model_name: m\n  litellm_params: {model: groq/x, api_key: os.environ/K}\n";
    folder.write("config.yaml", file);
    let output = run(&["config.yaml", "--strict"], &folder);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stderr).contains("0 to do, 0 not carried"), "{output:?}");
}

#[test]
fn what_cannot_be_a_policy_is_not_written() {
    let folder = Folder::new();
    folder.write(
        "prices.json",
        "{\"gpt-5\": {\"input_cost_per_token\": 1e-6, \"litellm_provider\": \"openai\"}}",
    );
    folder.write("other.yaml", "a: 1\n");
    folder.write(
        "empty.yaml",
        "model_list:\n- model_name: m\n  litellm_params: {model: replicate/x}\n",
    );
    for (name, word) in [
        ("prices.json", "prices update"),
        ("other.yaml", "neither"),
        ("empty.yaml", "not carried: empty.yaml:2"),
        ("absent.yaml", "absent.yaml"),
    ] {
        let output = run(&[name], &folder);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains(word), "{word} in {output:?}");
        assert!(!Path::new(&folder.join("faregate.toml")).exists(), "{name}");
    }
}

#[test]
fn help_says_what_becomes_of_what() {
    let output = run(&["--help"], &Folder::new());
    for word in ["os.environ/NAME", "--strict", "to do", "not carried", "64"] {
        assert!(text(&output.stdout).contains(word), "{word}");
    }
}

fn litellm(a: &Provider, b: &Provider) -> String {
    format!(
        "model_list:
- model_name: chat
  litellm_params: {{model: openai/one, api_base: '{}', api_key: os.environ/KEY_A}}
- model_name: spare
  litellm_params: {{model: openai/two, api_base: '{}', api_key: sk-in-the-clear-0123456789}}
router_settings:
  fallbacks: [{{chat: [spare]}}]
  model_group_alias: {{gpt-4: chat}}
general_settings: {{master_key: sk-1234}}
",
        a.base_url(),
        b.base_url()
    )
}

#[test]
fn clients_of_litellm_keep_their_key_and_their_models() {
    let (a, b) = (provider(), provider());
    let folder = Folder::new();
    folder.write("config.yaml", &litellm(&a, &b));
    let shown = text(&run(&["config.yaml", "-o", "-"], &folder).stdout);
    let made_up = shown.split("env:").map(|rest| rest.split('"').next().unwrap_or_default());
    let made_up = made_up.filter(|name| name.starts_with("FAREGATE_")).collect::<Vec<_>>();
    let [name] = made_up[..] else { panic!("one key in the clear: {shown}") };
    let gateway = serve(folder, "config.yaml", &[("KEY_A", "sk-a"), (name, "sk-b")]);
    assert_eq!(gateway.client("").chat("chat").status, 401, "the master key is asked for");
    assert_eq!(gateway.client("sk-12345").chat("chat").status, 401);
    for model in ["chat", "gpt-4"] {
        let answer = gateway.client("sk-1234").chat(model);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["model"], "one");
    }
    let other = gateway.client("sk-1234").chat("openai/one");
    assert_eq!(other.status, 404, "only the models of the file are served: {other:?}");
    a.set_script(&Script::parse("status=500").unwrap());
    let answer = gateway.client("sk-1234").chat("chat");
    assert_eq!((answer.status, &answer.json()["model"]), (200, &"two".into()), "{answer:?}");
}

#[test]
fn clients_of_bifrost_keep_their_keys_and_may_what_they_might() {
    let a = provider();
    let json = format!(
        r#"{{"client": {{"enforce_auth_on_inference": true}},
        "providers": {{"fleet": {{
            "keys": [{{"name": "f", "value": "env.FLEET_KEY", "models": ["one", "two"], "weight": 1}}],
            "network_config": {{"base_url": "{}"}}}}}},
        "governance": {{
            "rate_limits": [{{"id": "r", "request_max_limit": 3, "request_reset_duration": "1h"}}],
            "virtual_keys": [{{"id": "v", "name": "ci", "value": "sk-bf-1", "rate_limit_id": "r",
                "provider_configs": [{{"provider": "fleet", "allowed_models": ["one"]}}]}}]}}}}"#,
        a.base_url()
    );
    let folder = Folder::new();
    folder.write("config.json", &json);
    let gateway = serve(folder, "config.json", &[("FLEET_KEY", "sk-a")]);
    let mut client = gateway.client("sk-bf-1");
    assert_eq!(gateway.client("").chat("one").status, 401);
    assert_eq!(client.chat("fleet/two").status, 403);
    for model in ["fleet/one", "one"] {
        assert_eq!(client.chat(model).status, 200, "{model}");
    }
    assert_eq!(client.chat("one").status, 429, "three requests an hour, a refused one among them");
    assert_eq!(a.counters().requests(), 2);
}
