//! Texts, names and durations as a policy has them.

use std::fmt::Write;

/// A text in quotes, as TOML has it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A list of texts, as TOML has it.
pub(super) fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// A part of a header: bare where it can be.
pub(super) fn key(text: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !text.is_empty() && text.bytes().all(bare) { text.to_owned() } else { quoted(text) }
}

/// A name of a provider, team or key, made of any text.
pub(super) fn name(text: &str) -> String {
    const BYTES_MAX: usize = 48;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = text.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "unnamed".to_owned() } else { head(name, BYTES_MAX).to_owned() }
}

/// A duration as people write it.
pub(super) fn span(ms: u64) -> String {
    match ms {
        ms if ms % 60_000 == 0 && ms > 60_000 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// The first bytes of an ASCII text.
pub(super) fn head(text: &str, bytes: usize) -> &str {
    text.get(..bytes).unwrap_or(text)
}

/// The made-up name of an environment variable for a secret of this provider.
pub(super) fn variable(provider: &str, end: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = provider.chars().map(upper).collect();
    format!("FAREGATE_{name}_{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_can_be_quoted_and_named() {
        let text = "a\"b\\c\n\u{7f}\u{e9}\u{85}";
        let table: ::toml::Table = format!("k = {}", quoted(text)).parse().unwrap();
        assert_eq!(table["k"].as_str(), Some(text));
        assert_eq!(name("--Search & Co\u{e9}"), "Search---Co");
        assert_eq!(name("\u{e9}"), "unnamed");
        assert_eq!(
            (span(90_000), span(600_000), span(1500)),
            ("90s".into(), "10m".into(), "1500ms".into())
        );
        assert_eq!(variable("azure-eu.1", "API_KEY"), "FAREGATE_AZURE_EU_1_API_KEY");
    }
}
