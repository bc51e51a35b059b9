//! Every leaf of every recorded request, changed and taken out: another key, but for the members that are documented.

use std::collections::BTreeMap;

use faregate_adapters::{
    repeat::{is_repeatable, left_out},
    surface::Surface,
};
use faregate_policy::cache::key::{CacheKey, KeyMaker};
use faregate_wire::Json;
use serde_json::{Value, json};

const RECORDED: [(&str, Surface); 5] = [
    ("anthropic", Surface::Messages),
    ("bedrock", Surface::Converse),
    ("gemini", Surface::GenerateContent),
    ("openai", Surface::ChatCompletions),
    ("responses", Surface::Responses),
];

fn key(surface: Surface, body: &[u8]) -> CacheKey {
    let mut maker = KeyMaker::new("test");
    maker.add_body(Json::new(body).expect("recorded requests are JSON"), left_out(surface));
    maker.finish()
}

/// Each leaf of a JSON value changed, one after the other, and each member taken out; with the path of each.
pub(super) fn changed(value: &Value) -> Vec<(String, Value)> {
    let mut paths = Vec::new();
    walk(value, &mut String::new(), &mut paths);
    let mut all = Vec::new();
    for (path, is_leaf) in paths {
        let mut copy = value.clone();
        let place = copy.pointer_mut(&path).expect("it was walked to");
        if is_leaf {
            *place = match place {
                Value::Bool(flag) => json!(!*flag),
                Value::Number(number) => json!(number.as_f64().unwrap_or(0.0) * 0.5 + 0.125),
                Value::String(text) => json!(format!("{text} ")),
                Value::Null | Value::Array(_) | Value::Object(_) => json!("x"),
            };
            all.push((path.clone(), copy.clone()));
        }
        let mut without = value.clone();
        let (parent, name) = path.rsplit_once('/').expect("paths begin with a slash");
        if let Some(Value::Object(members)) = without.pointer_mut(parent) {
            members.remove(&name.replace("~1", "/").replace("~0", "~"));
            all.push((path, without));
        }
    }
    all
}

fn walk(value: &Value, path: &mut String, paths: &mut Vec<(String, bool)>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            let name = |name: &String| name.replace('~', "~0").replace('/', "~1");
            members.iter().map(|(own, value)| (name(own), value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    if !path.is_empty() {
        paths.push((path.clone(), below.is_empty()));
    }
    let len = path.len();
    for (name, value) in below {
        path.push('/');
        path.push_str(&name);
        walk(value, path, paths);
        path.truncate(len);
    }
}

#[test]
fn whatever_is_changed_in_a_recorded_request_makes_another_key() {
    let (mut requests, mut changes, mut free) = (0, 0, 0);
    for (folder, surface) in RECORDED {
        assert!(is_repeatable(surface));
        let folder = faregate_tests::root().join("tests/golden").join(folder);
        for case in std::fs::read_dir(&folder).unwrap().flatten() {
            let Ok(text) = std::fs::read(case.path().join("request.json")) else { continue };
            let Ok(value) = serde_json::from_slice::<Value>(&text) else { continue };
            if !value.is_object() {
                continue;
            }
            requests += 1;
            let name = case.path().display().to_string();
            let compact = value.to_string();
            let plain = key(surface, compact.as_bytes());
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            assert_eq!(key(surface, pretty.as_bytes()), plain, "{name}: blanks mean nothing");
            let mut keys = BTreeMap::from([(plain, compact)]);
            for (path, other) in changed(&value) {
                let top = path[1..].split('/').next().unwrap_or_default();
                let text = other.to_string();
                let other_key = key(surface, text.as_bytes());
                if left_out(surface).contains(&top) {
                    assert_eq!(other_key, plain, "{name}: {path} says whom it is for");
                    free += 1;
                    continue;
                }
                let before = keys.insert(other_key, text.clone());
                assert!(before.is_none_or(|before| before == text), "{name}: {path} is another");
                changes += 1;
            }
        }
    }
    assert!(requests > 80 && changes > 2000, "{requests} requests, {changes} changes");
    assert!(free > 20, "{free} changes of members that say whom it is for");
}
