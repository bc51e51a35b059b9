//! The built-in catalogue is whole, and names mean what they say or nothing.

use super::*;
use crate::{Class, Service};

fn find<'c>(catalogue: &'c Catalogue, provider: &str, model: &str) -> Option<&'c str> {
    let asked = Asked { provider, region: None, model };
    catalogue.find(&asked).map(|found| found.name)
}

fn small(lines: &str) -> Catalogue {
    Catalogue::read(format!("# faregate prices 1\n# version 2026-01-02\n{lines}")).unwrap()
}

#[test]
fn the_built_in_catalogue_is_a_catalogue_of_thousands() {
    let catalogue = Catalogue::read(BUILT_IN.to_owned()).unwrap();
    let count = catalogue.iter().count();
    assert!(count > 7500, "{count}");
    assert!(BUILT_IN.len() < 700_000, "{}", BUILT_IN.len());
    let origin = catalogue.origin();
    assert_eq!(origin.version, "2026-11-24");
    assert_eq!(origin.sources.len(), 2);
    assert!(origin.sources.iter().all(|source| source.contains("MIT")));
    for found in catalogue.iter() {
        assert!(
            found.name == found.name.to_ascii_lowercase() && found.name.contains('/'),
            "{}",
            found.name
        );
        let tokens = found.price.tiers().first();
        let is_free = tokens.is_some_and(|tier| tier.rate(Class::Input) == 0);
        assert!(!is_free || found.name.contains("moderation"), "{} is free", found.name);
    }
}

#[test]
fn every_name_is_found_where_it_stands() {
    let catalogue = Catalogue::built_in();
    for entry in catalogue.iter() {
        assert_eq!(catalogue.get(entry.name).as_ref(), Some(&entry));
    }
    for name in
        ["", "a", "openai", "openai/", "openai/gpt-5-min", "openai/gpt-5-minii", "zzzz", "~", "#"]
    {
        assert_eq!(catalogue.get(name), None, "{name}");
    }
    let one = small("b/c\tl\ti1 o2");
    assert_eq!(one.get("b/c").map(|found| found.name), Some("b/c"));
    assert!(one.get("a/c").is_none() && one.get("c/c").is_none());
}

#[test]
fn names_are_understood_as_people_and_clouds_spell_them() {
    let catalogue = Catalogue::built_in();
    let check = |provider, model, name| {
        assert_eq!(find(&catalogue, provider, model), Some(name), "{model}")
    };
    check("openai", "gpt-5-mini", "openai/gpt-5-mini");
    check("openai", "openai/gpt-5-mini", "openai/gpt-5-mini");
    check("OpenAI", "GPT-5-Mini", "openai/gpt-5-mini");
    check("openai", "gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13");
    check("openai", "ft:gpt-4o-mini-2024-07-18:my-org::abc", "openai/ft:gpt-4o-mini-2024-07-18");
    check("anthropic", "claude-haiku-4-5", "anthropic/claude-haiku-4-5");
    check("anthropic", "claude-opus-5-5-latest", "anthropic/claude-opus-5-5");
    check("gemini", "models/gemini-2.5-pro", "gemini/gemini-2.5-pro");
    check("vertex", "publishers/google/models/gemini-2.5-pro", "vertex/gemini-2.5-pro");
    check("vertex", "google/gemini-2.5-pro", "vertex/gemini-2.5-pro");
    check("vertex", "claude-opus-5-5@default", "vertex/claude-opus-5-5@default");
    check(
        "bedrock",
        "global.anthropic.claude-opus-5-5",
        "bedrock/global.anthropic.claude-opus-5-5",
    );
    check(
        "bedrock",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5-5",
        "bedrock/us.anthropic.claude-opus-5-5",
    );
    check(
        "bedrock",
        "us.anthropic.claude-opus-5-5-v1:0",
        "bedrock/us-gov.anthropic.claude-opus-5-5",
    );
    check("azure", "gpt-5-mini", "azure/gpt-5-mini");
    check("azure", "eu/gpt-5.1", "azure/eu/gpt-5.1");
    check("azure", "mistral-ocr-2512", "azure_ai/mistral-ocr-2512");
    check("groq", "openai/gpt-oss-120b", "groq/openai/gpt-oss-120b");
    check("mistral", "mistral-large-latest", "mistral/mistral-large-latest");
    let regional = Asked { provider: "azure", region: Some("EU"), model: "gpt-5.1" };
    assert_eq!(catalogue.find(&regional).unwrap().name, "azure/eu/gpt-5.1");
    let elsewhere = Asked { region: Some("mars-1"), ..regional };
    assert_eq!(catalogue.find(&elsewhere).unwrap().name, "azure/gpt-5.1");
}

#[test]
fn a_name_that_is_only_alike_has_no_price() {
    let catalogue = Catalogue::built_in();
    let models = [
        "gpt",
        "gpt-5-min",
        "gpt-5-mini-pro",
        "gpt-5-mini-2",
        "gpt-5-mini-20261",
        "gpt-5-mini-2026-1-1",
        "gpt-5-mini ",
        "",
        "/",
        "gpt-5-mini:free",
        "gpt-5-mini-audio-2026-01-01",
        "claude-opus-5-5",
        "*",
    ];
    for model in models {
        assert_eq!(find(&catalogue, "openai", model), None, "{model}");
    }
    assert_eq!(find(&catalogue, "fleet", "gpt-5-mini"), None);
    assert_eq!(find(&catalogue, "", "gpt-5-mini"), None);
    assert_eq!(
        find(&catalogue, "bedrock", "arn:aws:bedrock:us-east-1:1:application-inference-profile/x1"),
        None
    );
}

#[test]
fn an_unknown_snapshot_costs_what_the_dearest_known_one_does() {
    let catalogue = small(
        "p/m\tl\ti1 o2\np/m-20240101\tl\ti1 o3\np/m-2025-01-01\tl\ti1 o1\np/m-mini\tl\ti9 o9\np/n@20240101\tl\ti1 o1",
    );
    assert_eq!(find(&catalogue, "p", "m"), Some("p/m"), "exactly");
    assert_eq!(find(&catalogue, "p", "m-2026-01-01"), Some("p/m-20240101"));
    assert_eq!(find(&catalogue, "p", "m-latest"), Some("p/m-20240101"));
    assert_eq!(find(&catalogue, "p", "n"), Some("p/n@20240101"));
    assert_eq!(find(&catalogue, "p", "n@default"), Some("p/n@20240101"));
    assert_eq!(find(&catalogue, "p", "m-1926-01-01"), None);
}

#[test]
fn an_unknown_profile_of_bedrock_costs_what_the_dearest_known_one_does() {
    let catalogue =
        small("bedrock/eu.x.y\tl\ti2 o3\nbedrock/global.x.y\tl\ti1 o2\nbedrock/x.y\tl\ti1 o2");
    assert_eq!(find(&catalogue, "bedrock", "jp.x.y"), Some("bedrock/eu.x.y"));
    assert_eq!(find(&catalogue, "bedrock", "x.y"), Some("bedrock/x.y"));
    assert_eq!(find(&catalogue, "bedrock", "x.y-v1:0"), Some("bedrock/eu.x.y"));
    assert_eq!(find(&catalogue, "bedrock", "xx.y"), None);
}

#[test]
fn what_is_no_catalogue_says_where() {
    let line = |text: &str| Catalogue::read(text.to_owned()).unwrap_err().line;
    let head = "# faregate prices 1\n# version x\n";
    assert_eq!(line(""), 1);
    assert_eq!(line("a/b\tl\ti1"), 1);
    assert_eq!(line(head), 0);
    assert_eq!(line(&format!("{head}a/b\tl\ti1\na/a\tl\ti1")), 4);
    assert_eq!(line(&format!("{head}a/b\tl\ti1\na/b\tl\ti1")), 4);
    assert_eq!(line(&format!("{head}a/b\tz\ti1")), 3);
    assert_eq!(line(&format!("{head}a/b\tl\t*batch i1")), 3);
}

#[test]
fn of_two_entries_the_preferred_list_counts_and_then_the_dearer_one() {
    let entry = |list, line| Entry { name: "a/b".into(), list, draft: line::read(line).unwrap() };
    let entries = vec![
        entry(List::ModelsDev, "i9 o9"),
        entry(List::LiteLlm, "i1 o2"),
        entry(List::LiteLlm, "i1 o3"),
    ];
    let text = Catalogue::write(&Origin::default(), entries);
    assert!(text.ends_with("\na/b\tl\ti1 o3\n"), "{text}");
    let found = Catalogue::read(text).unwrap();
    let rate = found.get("a/b").unwrap().price.tiers()[0];
    assert_eq!((rate.service, rate.rate(Class::Output)), (Service::Standard, 3_000_000));
}

#[test]
fn what_changes_between_catalogues_is_told() {
    let old = small("a/a\tl\ti1 o2\na/b\tl\ti1 o2\na/c\tl\ti1 o2\na/d\tl\ti1 o2\na/e\tl\ti1 o2");
    let new = small(
        "a/a\tm\ti1 o2\na/b\tl\ti1 o3\na/c\tl\ti0.5 o2\na/d\tl\ti2 o1\na/f\tl\ti1 o2 @us=1.1",
    );
    let told: Vec<_> = old.changes(&new).iter().map(|c| (c.name, c.drift)).collect();
    let expected = [
        ("a/b", Drift::Dearer),
        ("a/c", Drift::Cheaper),
        ("a/d", Drift::Changed),
        ("a/e", Drift::Gone),
        ("a/f", Drift::Added),
    ];
    assert_eq!(told, expected);
    assert_eq!(new.changes(&new), []);
    let again = Catalogue::write(&old.origin(), old.entries().collect());
    assert_eq!(again, format!("{}\n", old.text));
}
