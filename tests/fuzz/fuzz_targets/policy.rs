//! Policy files: a policy or a report, never a panic, whatever the text.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(problems) = faregate_policy::Policy::compile(text, "fuzz.toml", 2, None) {
        assert!(!problems.to_string().is_empty(), "a refusal says why");
    }
});
