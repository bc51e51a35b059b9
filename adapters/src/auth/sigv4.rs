//! AWS Signature Version 4, in headers.
//!
//! In: a request as it goes over the wire, credentials, and the time. Out: the headers that sign it. Nothing is
//! remembered.
//!
//! The path is taken as it stands in the request line and encoded once more for the signature: a model's id with a colon
//! is `%3A` on the wire and `%253A` in what is signed. Whoever forgets that gets a 403 for exactly these models.
//! Format: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::Write;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::{Seconds, Secret};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What AWS knows a client by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Names the key; not secret.
    pub access_key: String,
    /// The key.
    pub secret_key: Secret,
    /// Goes with keys that expire.
    pub session_token: Option<Secret>,
    /// When they expire; `None` for those that do not.
    pub expires: Option<Seconds>,
}

/// Where a signature is valid.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Such as `us-east-1`.
    pub region: &'a str,
    /// Such as `bedrock`.
    pub service: &'a str,
}

/// A request to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned<'a> {
    /// Such as `POST`.
    pub method: &'a str,
    /// The path as in the request line, percent-encoded, without the query.
    pub path: &'a str,
    /// The query as in the request line, percent-encoded, without `?`.
    pub query: &'a str,
    /// The headers that are signed; `host` is one of them. `x-amz-date` and `x-amz-security-token` are added.
    pub headers: &'a [(&'a str, &'a str)],
    /// [`sha256_hex`] of the body.
    pub body_hash: &'a str,
}

/// The headers to be added to a request.
#[derive(Clone)]
pub struct Signed {
    /// `authorization`
    pub authorization: String,
    /// `x-amz-date`
    pub date: String,
    /// `x-amz-security-token`
    pub session_token: Option<Secret>,
}

impl Credentials {
    /// Whether they expire within `margin` seconds from `now`.
    #[must_use]
    pub fn expire_within(&self, margin: u64, now: Seconds) -> bool {
        self.expires.is_some_and(|expires| expires <= now.plus(margin))
    }
}

impl Signed {
    /// The headers by name.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let token = self.session_token.as_ref();
        [("x-amz-date", &*self.date), ("authorization", &*self.authorization)]
            .into_iter()
            .chain(token.map(|token| ("x-amz-security-token", token.reveal())))
    }
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed").field("date", &self.date).finish_non_exhaustive()
    }
}

/// Signs a request.
#[must_use]
pub fn sign(
    request: &Unsigned<'_>,
    credentials: &Credentials,
    scope: Scope<'_>,
    now: Seconds,
) -> Signed {
    let date = now.basic();
    let day = &date[..8];
    let token = credentials.session_token.as_ref();
    let mut headers: Vec<(String, String)> = request
        .headers
        .iter()
        .copied()
        .chain([("x-amz-date", &*date)])
        .chain(token.map(|token| ("x-amz-security-token", token.reveal())))
        .map(|(name, value)| (name.to_ascii_lowercase(), plain(value)))
        .collect();
    headers.sort_by(|(a, _), (b, _)| a.cmp(b)); // stable: several values of a name keep their order
    let (canonical, names) = canonical(request, &headers);
    let scope_text = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let hash = sha256_hex(canonical.as_bytes());
    let to_sign = format!("{ALGORITHM}\n{date}\n{scope_text}\n{hash}");
    let signature = hex(&mac(&signing_key(credentials, day, scope), &to_sign));
    let access_key = &credentials.access_key;
    let authorization = format!(
        "{ALGORITHM} Credential={access_key}/{scope_text}, SignedHeaders={names}, Signature={signature}"
    );
    Signed { authorization, date, session_token: token.cloned() }
}

/// The SHA-256 of `bytes` in hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of bytes that lie in several parts, in hex.
#[must_use]
pub fn sha256_hex_of(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hex(&hash.finalize())
}

/// HMAC-SHA-256 (RFC 2104) in hexadecimal digits, also of what is none of AWS's.
#[must_use]
pub fn hmac_sha256_hex(key: &[u8], text: &str) -> String {
    hex(&mac(key, text))
}

/// Appends `text` percent-encoded as one segment of a path: all but letters, digits and `-._~`.
pub fn encode_segment(out: &mut String, text: &str) {
    encode(out, text, false);
}

/// The canonical request and the names of its headers.
fn canonical(request: &Unsigned<'_>, headers: &[(String, String)]) -> (String, String) {
    let mut text = format!("{}\n", request.method);
    encode(&mut text, &without_dots(request.path), true);
    text.push('\n');
    text.push_str(&sorted_query(request.query));
    text.push('\n');
    let mut names = String::new();
    for group in headers.chunk_by(|(a, _), (b, _)| a == b) {
        let values: Vec<&str> = group.iter().map(|(_, value)| &**value).collect();
        let name = &*group[0].0;
        let _ = writeln!(text, "{name}:{}", values.join(","));
        if !names.is_empty() {
            names.push(';');
        }
        names.push_str(name);
    }
    let _ = write!(text, "\n{names}\n{}", request.body_hash);
    (text, names)
}

/// A header's value without blanks around it and with single blanks within.
fn plain(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// A path without `.`, `..` and empty segments.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

fn sorted_query(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn encode(out: &mut String, text: &str, keeps_slash: bool) {
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if plain || (keeps_slash && byte == b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn signing_key(credentials: &Credentials, day: &str, scope: Scope<'_>) -> [u8; 32] {
    let secret = format!("AWS4{}", credentials.secret_key.reveal());
    [scope.region, scope.service, "aws4_request"]
        .into_iter()
        .fold(mac(secret.as_bytes(), day), |key, text| mac(&key, text))
}

fn mac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-08-30T12:36:00Z, as in AWS's test suite.
    const NOW: Seconds = Seconds(1_440_938_160);

    fn credentials(token: Option<&str>) -> Credentials {
        Credentials {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: token.map(Secret::new),
            expires: None,
        }
    }

    fn check(request: Unsigned<'_>, token: Option<&str>, scope: Scope<'_>, expected: &str) {
        let signed = sign(&request, &credentials(token), scope, NOW);
        let signature = signed.authorization.split("Signature=").nth(1);
        assert_eq!(signature, Some(expected), "{}", signed.authorization);
        assert_eq!(signed.date, "20150830T123600Z");
        assert_eq!(signed.headers().count(), 2 + usize::from(token.is_some()));
    }

    #[test]
    fn codes_are_those_of_rfc_4231() {
        let code = hmac_sha256_hex(b"Jefe", "what do ya want for nothing?");
        assert_eq!(code, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn awss_test_suite_is_met() {
        let empty = sha256_hex(b"");
        let host = ("host", "example.amazonaws.com");
        let mine = [host, ("My-Header1", "  a   b  c ")];
        let vanilla =
            Unsigned { method: "GET", path: "/", query: "", headers: &[host], body_hash: &empty };
        let scope = Scope { region: "us-east-1", service: "service" };
        for (request, expected) in [
            (vanilla, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            (
                Unsigned { method: "POST", ..vanilla },
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                Unsigned { query: "Param2=value2&Param1=value1", ..vanilla },
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                Unsigned { path: "/example/..//./b/", ..vanilla },
                "0b867cc1c01088741ef3c5175a9b8aae7f8e4e32ba46aff9ac2bfc25bbf5791e",
            ),
            (
                Unsigned { path: "/\u{1234}", ..vanilla },
                "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
            ),
            (
                Unsigned { headers: &mine, ..vanilla },
                "6ff6bc3cebca8811504dc903f3a072c310d9f48f8ee5c0b08115052209439e1b",
            ),
        ] {
            check(request, None, scope, expected);
        }
        let form = [("content-type", "application/x-www-form-urlencoded"), host];
        let body_hash = sha256_hex(b"Param1=value1");
        let request = Unsigned { method: "POST", headers: &form, body_hash: &body_hash, ..vanilla };
        let expected = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
        check(request, None, scope, expected);
    }

    #[test]
    fn ids_of_models_are_encoded_twice() {
        // Expected: what botocore 1.44.8 signs.
        let mut path = "/model/".to_owned();
        encode_segment(&mut path, "us.anthropic.claude-sonnet-4-5-20250929-v1:0");
        path.push_str("/converse-stream");
        assert!(path.contains("-v1%3A0/"));
        let headers = [
            ("Host", "bedrock-runtime.us-east-1.amazonaws.com"),
            ("Content-Type", "application/json"),
        ];
        let body_hash = sha256_hex(br#"{"messages":[]}"#);
        let request = Unsigned {
            method: "POST",
            path: &path,
            query: "",
            headers: &headers,
            body_hash: &body_hash,
        };
        check(
            request,
            Some("TOKEN/with+chars=="),
            Scope { region: "us-east-1", service: "bedrock" },
            "5bfb79fd72bfc600bc2858955618ca530a444cd2878b522d03f7684ba35cb2a4",
        );
        let mut path = "/model/".to_owned();
        let arn = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123";
        encode_segment(&mut path, arn);
        path.push_str("/converse");
        let headers = [
            ("host", "bedrock-runtime.eu-west-1.amazonaws.com"),
            ("content-type", "application/json"),
        ];
        let body_hash = sha256_hex(b"{}");
        check(
            Unsigned { path: &path, headers: &headers, body_hash: &body_hash, ..request },
            None,
            Scope { region: "eu-west-1", service: "bedrock" },
            "a41d6f049bafa5954d976e8fa804affdc94040010a61acf112e87480b2091143",
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        let credentials = credentials(Some("TOKEN"));
        let headers = [("host", "h")];
        let request =
            Unsigned { method: "GET", path: "/", query: "", headers: &headers, body_hash: "" };
        let signed = sign(&request, &credentials, Scope { region: "r", service: "s" }, NOW);
        let shown = format!("{credentials:?} {signed:?}");
        assert!(!shown.contains("TOKEN") && !shown.contains("wJalr"), "{shown}");
        assert!(!shown.contains("Signature"), "{shown}");
    }

    #[test]
    fn credentials_expire() {
        let mut credentials = credentials(None);
        assert!(!credentials.expire_within(u64::MAX, NOW));
        credentials.expires = Some(NOW.plus(300));
        assert!(credentials.expire_within(300, NOW));
        assert!(!credentials.expire_within(299, NOW));
    }
}
