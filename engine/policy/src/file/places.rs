//! Where else than in the policy is said where a provider listens: `replicas = "dns"`, and files of places.

use super::{
    Reader,
    section::Section,
    url::{self, BadUrl},
};
use crate::policy::{BaseUrl, Discovery, Scheme};

/// Places of one provider.
const PLACES_MAX: usize = 1024;

/// Reads whether the places of a provider are found elsewhere.
pub(super) fn discovery(section: &Section<'_, '_>) -> Discovery {
    let only = section.texts("replicas").filter(|words| words.len() == 1);
    match only.as_ref().map(|words| words[0].text) {
        Some("dns") => Discovery::Dns,
        Some(text) => {
            let path =
                text.strip_prefix("file:").map(|path| path.strip_prefix("//").unwrap_or(path));
            path.map_or(Discovery::None, |path| Discovery::File(path.into()))
        }
        None => Discovery::None,
    }
}

/// Notes what is wrong with places that are found elsewhere. `urls` are those of the policy.
pub(super) fn check(
    reader: &Reader<'_>,
    section: &Section<'_, '_>,
    discovery: &Discovery,
    urls: &[BaseUrl],
) {
    let Some(span) = section.given("replicas") else { return };
    match discovery {
        Discovery::None => {}
        Discovery::File(path) if path.as_os_str().is_empty() => {
            reader.wrong(
                &span,
                "the file has no name",
                "for example: replicas = \"file:/etc/fleet\"",
            );
        }
        Discovery::File(_) => {
            if let Some(one) = section.given("base_url") {
                reader.clash(
                    &one,
                    "base_url and a file of places are both there",
                    "keep one of the two",
                );
            }
        }
        Discovery::Dns => {
            let is_address = |url: &BaseUrl| {
                let bare = url.host.trim_start_matches('[').trim_end_matches(']');
                bare.parse::<std::net::IpAddr>().is_ok() || matches!(url.scheme, Scheme::Unix(_))
            };
            let help =
                "for example: base_url = \"http://fleet.internal:8000\" and replicas = \"dns\"";
            if section.given("base_url").is_none() || urls.iter().any(is_address) {
                reader.clash(&span, "there is no name whose addresses could be places", help);
            }
        }
    }
}

/// Reads a file of places.
pub(crate) fn read_places(text: &str, path_default: &str) -> Result<Vec<BaseUrl>, String> {
    let mut urls: Vec<BaseUrl> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        match url::parse(line, path_default) {
            Ok(url) if urls.contains(&url) => {}
            Ok(url) => urls.push(url),
            // The text of a line may hold a secret: it is not repeated.
            Err(BadUrl { hide: true, help, .. }) => return Err(format!("line {number}: {help}")),
            Err(BadUrl { reason, help, .. }) => {
                return Err(format!("line {number}: {reason}; {help}"));
            }
        }
    }
    match urls.len() {
        0 => Err("it names no place".to_owned()),
        count if count > PLACES_MAX => {
            Err(format!("it names {count} places, more than {PLACES_MAX}"))
        }
        _ => Ok(urls),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_places_has_one_url_a_line() {
        let text = "# the fleet\nhttp://10.0.0.1:8000\n\n  http://10.0.0.2:8000/v2 # the new one\nhttp://10.0.0.1:8000\n";
        let places = read_places(text, "/v1").unwrap();
        let told: Vec<_> = places.iter().map(|url| (&*url.host, &*url.path_prefix)).collect();
        assert_eq!(told, [("10.0.0.1", "/v1"), ("10.0.0.2", "/v2")]);
    }

    #[test]
    fn what_is_no_place_is_said_with_its_line() {
        for (text, said) in [
            ("", "it names no place"),
            ("# none", "it names no place"),
            ("http://a\nftp://b", "line 2: `ftp` is no scheme"),
            ("http://user:sk-secret@a", "line 1: keep the secret"),
        ] {
            let error = read_places(text, "/v1").unwrap_err();
            assert!(error.starts_with(said) && !error.contains("sk-secret"), "{text}: {error}");
        }
    }
}
