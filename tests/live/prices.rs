//! `faregate prices`: what a model costs, as a person and a program are told, and a newer catalogue.

use std::process::Output;

use faregate_tests::{binary, folder::Folder};
use serde_json::Value;

const LIST: &str = r#"{"sample_spec":{},
"gpt-5-mini":{"litellm_provider":"openai","mode":"chat","input_cost_per_token":5e-07,"output_cost_per_token":2e-06},
"gpt-99":{"litellm_provider":"openai","mode":"chat","input_cost_per_token":1e-06,"output_cost_per_token":4e-06}}"#;

const POLICY: &str = "[providers.openai]\napi_key = \"env:NONE\"\n\
                      [providers.fleet]\nbase_url = \"http://127.0.0.1:1\"\n\
                      [models.m]\ntargets = [\"fleet/qwen\", \"fleet/other\"]\n\
                      [prices.\"fleet/qwen\"]\ninput = \"$0.10/M\"\noutput = \"$0.40/M\"\n";

fn run(arguments: &[&str], folder: &Folder) -> Output {
    binary::command(arguments).current_dir(folder.path()).output().unwrap()
}

fn shown(arguments: &[&str], folder: &Folder) -> String {
    let output = run(arguments, folder);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(arguments: &[&str], folder: &Folder) -> String {
    let output = run(arguments, folder);
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_price_is_shown_with_all_its_parts_and_its_source() {
    let folder = Folder::new();
    let sheet = shown(&["prices", "openai/gpt-5.5"], &folder);
    for word in [
        "standard above 272000",
        "batch",
        "priority",
        "45",
        "each search",
        "served in us",
        "litellm",
    ] {
        assert!(sheet.contains(word), "{word} in\n{sheet}");
    }
    let about = shown(&["prices"], &folder);
    assert!(about.contains("MIT, copyright (c) 2023 Berri AI"), "{about}");
    let listed = shown(&["prices", "--search", "gpt-5", "MINI"], &folder);
    assert!(listed.lines().any(|line| line.starts_with("openai/gpt-5-mini ")), "{listed}");
    let json: Value =
        serde_json::from_str(&shown(&["prices", "--json", "openai/gpt-5-mini"], &folder)).unwrap();
    assert_eq!(json[0]["usd_per_million_tokens"][0]["input"], "0.25");
    assert_eq!(json[0]["price_id"], "catalogue/2026-11-24/openai/gpt-5-mini");
    let unknown = refused(&["prices", "openai/gpt-5-mimi"], &folder);
    assert!(unknown.contains("[prices.\"openai/gpt-5-mimi\"]"), "{unknown}");
    let help = shown(&["prices", "--help"], &folder);
    assert!(help.contains("faregate prices update --from"), "{help}");
}

#[test]
fn a_newer_catalogue_is_made_named_by_the_policy_and_used() {
    let folder = Folder::new();
    folder.write("list.json", LIST);
    let update =
        ["prices", "update", "--from", "list.json", "--out", "new.txt", "--date", "2027-01-31"];
    let report = shown(&update, &folder);
    for word in [
        "added since 2026-11-24: 1\n  openai/gpt-99",
        "gone since",
        "price_catalogue = \"new.txt\"",
    ] {
        assert!(report.contains(word), "{word} in\n{report}");
    }
    assert!(
        report.contains("openai/gpt-5-mini") && report.contains("$0.25 in $2 out → $0.5 in $2 out"),
        "{report}"
    );
    assert!(shown(&update, &folder).contains("nothing has changed since 2027-01-31"));

    folder.write("faregate.toml", &format!("[server]\nprice_catalogue = \"new.txt\"\n{POLICY}"));
    let sheet = shown(&["prices", "-c", "faregate.toml", "openai/gpt-99", "fleet/qwen"], &folder);
    assert!(sheet.contains("catalogue/2027-01-31/openai/gpt-99"), "{sheet}");
    assert!(sheet.contains("policy/fleet/qwen, from the policy"), "{sheet}");
    shown(&["check", "faregate.toml"], &folder);
    let targets = shown(&["prices", "-c", "faregate.toml"], &folder);
    assert!(targets.contains("no price is known for fleet/other"), "{targets}");
    assert!(targets.lines().any(|line| line.starts_with("fleet/qwen ")), "{targets}");

    folder.write("new.txt", "# faregate prices 1\n# version x\nb/b\tl\ti1\na/a\tl\ti1\n");
    let broken = refused(&["check", "faregate.toml"], &folder);
    assert!(broken.contains("new.txt: line 4: the names are not in order"), "{broken}");
    assert!(refused(&update, &folder).contains("it is not overwritten"));
    std::fs::remove_file(folder.join("new.txt")).unwrap();
    let absent = refused(&["prices", "-c", "faregate.toml"], &folder);
    assert!(absent.contains("server.price_catalogue: new.txt: "), "{absent}");
    shown(&["check", "faregate.toml"], &folder);
    folder.write("list.json", "{}");
    let none = refused(&["prices", "update", "--from", "list.json", "--out", "other.txt"], &folder);
    assert!(none.contains("list.json: this is neither"), "{none}");
    assert!(!folder.join("other.txt").exists());
}

#[test]
fn a_gateway_does_not_start_without_the_catalogue_that_its_policy_names() {
    let folder = Folder::new();
    let policy = "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"off\"\nprice_catalogue = \"absent.txt\"\n\
                  [providers.fleet]\nbase_url = \"http://127.0.0.1:1\"\n";
    folder.write("faregate.toml", policy);
    let said = refused(&["serve", "-c", "faregate.toml"], &folder);
    assert!(said.contains("server.price_catalogue: absent.txt: "), "{said}");
}
