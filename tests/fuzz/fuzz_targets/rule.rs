//! Conditions of rules: a rule or a mistake that lies in the text, never a panic.
#![no_main]

use faregate_policy::rule::{Known, Rule};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut known = Known { targets: vec!["a/one"], ..Known::default() };
    match Rule::compile(text, &mut known) {
        Ok(rule) => assert_eq!(rule.text(), text),
        Err(mistake) => assert!(text.get(mistake.span).is_some(), "a mistake lies in the text"),
    }
});
