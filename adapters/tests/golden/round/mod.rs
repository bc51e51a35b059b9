//! A request that is read and written again in its own dialect says what it said; what it no longer says is named as lost.
//!
//! What may be spelled in two ways is brought to one first: [`same`] has each such rule and its reason.

mod same;

use faregate_adapters::dialect::Form;
use serde_json::Value;

use super::{fixture::cases, relay};

#[test]
fn what_recorded_requests_say_is_said_again_or_named_as_lost() {
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for case in cases() {
        let Some(body) = case.request() else { continue };
        tried += 1;
        for place in silently_lost(case.form, &body) {
            wrong.push(format!("{}: {place}", case.label()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(tried >= 100, "{tried} requests");
}

/// What a request says and no longer says once it is read and written, unless that is named as lost.
fn silently_lost(form: Form, body: &[u8]) -> Vec<String> {
    let (written, lost) = match relay::request(form, body, form) {
        Ok(written) => written,
        Err(invalid) => return vec![format!("refused: {}", invalid.message)],
    };
    let before = same::spelled(form, serde_json::from_slice(body).unwrap());
    let after = same::spelled(form, serde_json::from_slice(&written).unwrap());
    let lost: Vec<&str> = lost.split(',').filter(|name| !name.is_empty()).collect();
    let mut places = Vec::new();
    compare("", &before, &after, &mut |place, before, after| {
        if !lost.iter().any(|name| is_named(place, name)) {
            places.push(format!("{place}: {before} became {after}; lost {lost:?}"));
        }
    });
    places
}

/// Finds what is said before and not after. What is only said after is the provider's default, or its demand.
fn compare(
    place: &str,
    before: &Value,
    after: &Value,
    differs: &mut dyn FnMut(&str, &Value, &Value),
) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                let dot = if place.is_empty() { "" } else { "." };
                let after = after.get(name).unwrap_or(&Value::Null);
                compare(&format!("{place}{dot}{name}"), value, after, differs);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (before, after) in before.iter().zip(after) {
                compare(place, before, after, differs);
            }
        }
        _ if before == after => {}
        _ => differs(place, before, after),
    }
}

/// Whether a name in a loss means a place: the place itself, what it is in, or its last names.
fn is_named(place: &str, name: &str) -> bool {
    format!(".{place}.").contains(&format!(".{name}."))
}

#[test]
fn a_loss_names_a_place_by_any_of_its_members() {
    assert!(is_named("messages.content.cache_control.ttl", "cache_control"));
    assert!(is_named("messages.content.detail", "messages.content"));
    assert!(!is_named("messages.content", "messages.content.detail"));
    assert!(!is_named("metadata.team", "data"));
}
