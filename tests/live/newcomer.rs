//! The first hour with Faregate: the command line, the first policy, the first key.

use std::process::Output;

use faregate_tests::{Gateway, Launch, binary, folder::Folder, gateway, key, provider};

fn run(arguments: &[&str], folder: &Folder) -> Output {
    binary::command(arguments).current_dir(folder.path()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_names_every_command() {
    let output = run(&["--help"], &Folder::new());
    assert!(output.status.success());
    for word in ["serve", "check", "init", "doctor", "key", "prices", "demo", "OPENAI_API_KEY"] {
        assert!(text(&output.stdout).contains(word), "{word} in {}", text(&output.stdout));
    }
    let output = run(&["--version"], &Folder::new());
    assert!(text(&output.stdout).starts_with("faregate "), "{output:?}");
    assert_eq!(run(&["sreve"], &Folder::new()).status.code(), Some(2));
}

#[test]
fn a_starter_policy_is_written_checked_and_served() {
    let folder = Folder::new();
    let output = run(&["init"], &folder);
    assert!(output.status.success(), "{output:?}");
    let file = folder.join("faregate.toml");
    let starter = std::fs::read_to_string(&file).unwrap();
    assert!(starter.contains("[providers.openai]"), "{starter}");

    let again = run(&["init"], &folder);
    assert_eq!(again.status.code(), Some(1), "an existing file is left alone");
    assert!(text(&again.stderr).contains("exists already"), "{again:?}");

    let checked = run(&["check", "faregate.toml"], &folder);
    assert!(checked.status.success(), "{checked:?}");
    assert!(text(&checked.stdout).contains("good"), "{checked:?}");

    let free =
        starter.replace("127.0.0.1:4000", "127.0.0.1:0").replace("127.0.0.1:4001", "127.0.0.1:0");
    std::fs::write(&file, free).unwrap();
    let gateway = Launch::default().variable("OPENAI_API_KEY", "sk-none").start_with(folder, file);
    assert_eq!(gateway.client("").get("/health").status, 200);
    let models = gateway.client("").get("/v1/models").json();
    assert_eq!(models["object"], "list");
    assert!(models["data"].as_array().unwrap().iter().any(|m| m["id"] == "default"), "{models}");
}

const WRONG: &str = r#"[server]
listen = "127.0.0.1:0"

[providers.sim]
base_ulr = "http://127.0.0.1:1"

[models.default]
targets = ["sin/gpt-5"]

[teams.search]
limits = ["600 requests/fortnight"]

[[keys]]
name = "ci"
hash = "sha256:12"
"#;

#[test]
fn every_mistake_is_shown_with_its_place_and_its_mend() {
    let folder = Folder::new();
    folder.write("wrong.toml", WRONG);
    let output = run(&["check", "wrong.toml"], &folder);
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    let report = text(&output.stderr);
    for place in ["wrong.toml:5:1", "wrong.toml:8:", "wrong.toml:11:", "wrong.toml:15:"] {
        assert!(report.contains(place), "{place} in\n{report}");
    }
    for word in ["base_ulr", "base_url", "fortnight", "sin", "^^^", "help:"] {
        assert!(report.contains(word), "{word} in\n{report}");
    }
    let served = run(&["serve", "-c", "wrong.toml"], &folder);
    assert_eq!(served.status.code(), Some(64), "{served:?}");
    assert!(text(&served.stderr).contains("wrong.toml:5:1"), "{served:?}");
    let absent = run(&["check", "absent.toml"], &folder);
    assert!(!absent.status.success());
    assert!(text(&absent.stderr).contains("absent.toml"), "{absent:?}");
}

#[test]
fn a_secret_that_is_not_there_is_named() {
    let folder = Folder::new();
    folder.write(
        "faregate.toml",
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"off\"\n[providers.openai]\napi_key = \"env:NOT_SET_ANYWHERE\"\n",
    );
    let output = run(&["serve", "-c", "faregate.toml"], &folder);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("NOT_SET_ANYWHERE"), "{output:?}");
}

#[test]
fn a_minted_key_works_at_once_and_only_as_it_is() {
    let provider = provider();
    let minted = run(&["key", "new", "--name", "ci", "--team", "search"], &Folder::new());
    assert!(minted.status.success(), "{minted:?}");
    let printed = text(&minted.stdout);
    let (key, rows) = printed.split_once('\n').unwrap();
    assert!(key.starts_with("fg-") && key.len() > 45, "256 bits and a checksum: {key}");
    assert!(!rows.contains(key), "the policy holds the hash alone");
    let again = text(&run(&["key", "new"], &Folder::new()).stdout);
    assert_ne!(again.lines().next(), Some(key));

    let policy = format!("{}\n[teams.search]\n{rows}", gateway::sim(&provider));
    let gateway = Launch::new(policy).start();
    assert_eq!(gateway.client(key).chat("m").status, 200);
    let mut other = key.to_owned();
    let last = if other.ends_with('A') { 'B' } else { 'A' };
    other.replace_range(other.len() - 1.., &last.to_string());
    let refused = gateway.client(&other).chat("m");
    assert_eq!((refused.status, refused.code()), (401, "invalid_api_key".to_owned()));
    let refused = gateway.client("").chat("m");
    assert_eq!((refused.status, refused.code()), (401, "missing_api_key".to_owned()));
    assert_eq!(provider.counters().requests(), 1);
}

#[test]
fn keys_minted_elsewhere_work_in_every_field_that_clients_use() {
    let provider = provider();
    let key = "sk-proj-minted_elsewhere.0123456789";
    let hashed = {
        use std::io::Write;
        let mut child = binary::command(&["key", "hash"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(format!("{key}\n").as_bytes()).unwrap();
        text(&child.wait_with_output().unwrap().stdout)
    };
    assert_eq!(hashed.trim(), key::hash(key));
    let policy = format!(
        "{}[[keys]]\nname = \"old\"\nhash = \"{}\"\n",
        gateway::sim(&provider),
        hashed.trim()
    );
    let gateway = Launch::new(policy).start();
    for (name, value) in [
        ("authorization", format!("Bearer {key}")),
        ("Authorization", format!("bearer {key}")),
        ("x-api-key", key.to_owned()),
        ("api-key", key.to_owned()),
    ] {
        let answer = gateway.client("").with(name, &value).chat("m");
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
    }
    for captured in provider.take_captured() {
        let seen = format!("{:?}", captured.headers);
        assert!(!seen.contains(key), "the client's key reached the provider: {seen}");
    }
}

#[test]
fn it_serves_without_a_file() {
    let provider = provider();
    let gateway = Gateway::start_without_file(&[
        ("OPENAI_API_KEY", "sk-of-the-provider"),
        ("OPENAI_BASE_URL", &provider.base_url()),
        ("FAREGATE_LISTEN", "127.0.0.1:0"),
        ("FAREGATE_ADMIN", "127.0.0.1:0"),
    ]);
    let answer = gateway.client("whatever-the-sdk-wants").chat("gpt-5-mini");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-faregate-route"), Some("openai/*"));
    let captured = provider.take_captured();
    assert_eq!(captured[0].header("authorization"), Some("Bearer sk-of-the-provider"));
    assert_eq!(captured[0].target, "/v1/chat/completions");
}

#[test]
fn with_nothing_in_the_environment_it_says_what_to_set() {
    let output = run(&["serve"], &Folder::new());
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    assert!(text(&output.stderr).contains("OPENAI_API_KEY"), "{output:?}");
}

#[test]
fn the_doctor_looks_at_the_machine_and_the_providers() {
    let provider = provider();
    let folder = Folder::new();
    let policy = |url: &str| {
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[providers.sim]\nbase_url = \"{url}\"\n"
        )
    };
    folder.write("faregate.toml", &policy(&provider.base_url()));
    let well = text(&run(&["doctor", "-c", "faregate.toml"], &folder).stdout);
    for fact in ["kernel", "driver", "cores", "open files", "port", "clock", "provider sim"] {
        assert!(well.contains(fact), "{fact} in\n{well}");
    }
    let line = |report: &str| {
        let mut lines = report.lines();
        lines.find(|line| line.contains("provider sim")).unwrap().to_owned()
    };
    assert!(line(&well).starts_with("ok"), "{well}");

    drop(provider);
    let ill = run(&["doctor", "-c", "faregate.toml"], &folder);
    assert_eq!(ill.status.code(), Some(1), "{ill:?}");
    assert!(line(&text(&ill.stdout)).starts_with("FAIL"), "{ill:?}");
}

#[test]
fn the_demo_shows_every_scene() {
    let output = run(&["demo"], &Folder::new());
    let shown = text(&output.stdout);
    assert!(output.status.success(), "{shown}{}", text(&output.stderr));
    assert!(shown.matches('✓').count() >= 7 && !shown.contains('✗'), "{shown}");
    for word in [
        "invalid_api_key",
        "model_not_found",
        "request_rate_exceeded",
        "policy edit",
        "curl ",
        "p99",
    ] {
        assert!(shown.contains(word), "{word} in\n{shown}");
    }
}
