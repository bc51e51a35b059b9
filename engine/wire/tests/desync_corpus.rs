//! Requests that others have classified by the danger that two servers see two different requests
//! in them.
//!
//! In: the corpus of `http_desync_guardian`, see `data/http_desync_guardian/README.md`. What it
//! calls severe or ambiguous has to be refused, with the exceptions of [`ACCEPTED`]; what it calls
//! acceptable or compliant has to be read with the framing that its fields say, with the exceptions
//! of [`STRICTER`]. Neither list may hold a line that is not needed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use faregate_wire::{Framing, HeadError, HeadLimits, Slots, parse_request};
use yaml_rust2::{Yaml, YamlLoader};

macro_rules! corpus {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("data/http_desync_guardian/", $name, ".yaml")))),*]
    };
}

const CORPUS: [(&str, &str); 9] = corpus![
    "acceptable",
    "ambiguous",
    "bad-header-characters",
    "edge-cases",
    "more-compliant-tests",
    "real-life-test-cases",
    "rfc-compliant",
    "severe",
    "uri-specific-test-cases"
];

/// Ambiguous requests that are accepted, by the corpus' reason, and why that is safe.
const ACCEPTED: [(&str, &str); 2] = [
    (
        "UndefinedContentLengthSemantics",
        "a body of GET and HEAD is read by its length like any other",
    ),
    (
        "UndefinedTransferEncodingSemantics",
        "a body of GET and HEAD is read by its chunks like any other",
    ),
];

const NAMES: &str = "a name is a token and a value holds no control byte (RFC 9112 section 5)";
const VERSIONS: &str = "HTTP/1.1 and HTTP/1.0 are spoken, each in one spelling";
const CODINGS: &str = "the only transfer coding is chunked, once and without parameters";
const TARGETS: &str =
    "a target is printable ascii without spaces and without a fragment (RFC 9112 section 3.2)";

/// Compliant and acceptable requests that are refused: file and name, by what, and by which
/// stricter rule.
const STRICTER: [(&str, HeadError, &str); 23] = [
    ("acceptable: No TE/CL headers, some others are non-compliant", HeadError::Field, NAMES),
    ("acceptable: TE and some others are non-compliant", HeadError::Field, NAMES),
    (
        "acceptable: A non-essential header with a non-printable character (x01)",
        HeadError::Field,
        NAMES,
    ),
    ("acceptable: CL and some others are non-compliant", HeadError::Field, NAMES),
    ("bad-header-characters: Some-Header\\x01", HeadError::Field, NAMES),
    ("bad-header-characters: \\x01Some-Header", HeadError::Field, NAMES),
    ("bad-header-characters: Some-Header: \\x01value", HeadError::Field, NAMES),
    ("bad-header-characters: Some-Header: value\\x01", HeadError::Field, NAMES),
    ("acceptable: Non-RFC, but OK HTTP/0.9", HeadError::Version, VERSIONS),
    ("acceptable: Empty version, which means HTTP/0.9", HeadError::RequestLine, VERSIONS),
    ("acceptable: Unknown but OK HTTP/1.2", HeadError::Version, VERSIONS),
    ("uri-specific-test-cases: Extra spaces in version", HeadError::RequestLine, VERSIONS),
    ("more-compliant-tests: Correct TE OK", HeadError::CodingUnknown, CODINGS),
    (
        "more-compliant-tests: Transfer-Encoding: identity and chunked OK",
        HeadError::CodingUnknown,
        CODINGS,
    ),
    (
        "more-compliant-tests: Multiple transfer encoding headers in a single request OK",
        HeadError::Coding,
        CODINGS,
    ),
    ("more-compliant-tests: TE with custom parameters OK", HeadError::Coding, CODINGS),
    ("rfc-compliant: Different Transfer-Encoding headers", HeadError::Coding, CODINGS),
    (
        "rfc-compliant: Different Transfer-Encoding headers combined",
        HeadError::CodingUnknown,
        CODINGS,
    ),
    (
        "rfc-compliant: Transfer-Encoding with a param: chunked;custom_param",
        HeadError::Coding,
        CODINGS,
    ),
    ("rfc-compliant: Compliant URL", HeadError::Target, TARGETS),
    ("rfc-compliant: International in URI", HeadError::Target, TARGETS),
    ("rfc-compliant: Empty URI", HeadError::RequestLine, TARGETS),
    ("uri-specific-test-cases: [space] in URI", HeadError::RequestLine, TARGETS),
];

struct Case {
    label: String,
    wire: Vec<u8>,
    tier: String,
    reason: String,
    method: String,
    /// What its fields say about its body, taken at their word.
    framing: Framing,
}

impl Case {
    fn is_dangerous(&self) -> bool {
        match self.tier.as_str() {
            "Severe" | "Ambiguous" => true,
            "Acceptable" | "Compliant" => false,
            other => panic!("{other} is no tier"),
        }
    }
}

fn text(yaml: &Yaml) -> String {
    match yaml {
        Yaml::Integer(number) => number.to_string(),
        Yaml::Real(text) | Yaml::String(text) => text.clone(),
        Yaml::BadValue | Yaml::Null => String::new(),
        other => panic!("{other:?} is no text"),
    }
}

/// The bytes of `text`, which the corpus spells with escapes: as UTF-8, and as Latin-1 where it is
/// that.
fn spellings(text: &str) -> Vec<Vec<u8>> {
    let latin: Result<Vec<u8>, _> = text.chars().map(|c| u8::try_from(u32::from(c))).collect();
    let utf8 = text.as_bytes().to_vec();
    latin.into_iter().filter(|latin| *latin != utf8).chain([utf8.clone()]).collect()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (file, source) in CORPUS {
        let documents = YamlLoader::load_from_str(source).unwrap();
        for case in documents[0].as_vec().unwrap() {
            let wires = spellings(&head(case));
            cases.extend(wires.into_iter().map(|wire| Case {
                label: format!("{file}: {}", text(&case["name"])),
                wire,
                tier: text(&case["expected"]["tier"]),
                reason: text(&case["expected"]["reason"]),
                method: text(&case["method"]),
                framing: framing(case),
            }));
        }
    }
    cases
}

fn fields(case: &Yaml) -> impl Iterator<Item = (String, String)> {
    let fields = case["headers"].as_vec().into_iter().flatten();
    fields.map(|field| (text(&field["name"]), text(&field["value"])))
}

/// The head of a case. The corpus leaves `Host` out, which has to be there.
fn head(case: &Yaml) -> String {
    let line = ["method", "uri", "version"].map(|part| text(&case[part])).join(" ");
    let host = ("Host".to_owned(), "gate.test".to_owned());
    let host =
        Some(host).filter(|_| !fields(case).any(|(name, _)| name.eq_ignore_ascii_case("host")));
    let fields = fields(case).chain(host).map(|(name, value)| format!("{name}: {value}\r\n"));
    format!("{line}\r\n{}\r\n", fields.collect::<String>())
}

fn framing(case: &Yaml) -> Framing {
    let mut framing = Framing::None;
    for (name, value) in fields(case) {
        if name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case("content-length") {
            let length = value.trim().parse().unwrap_or_default();
            framing = if length == 0 { Framing::None } else { Framing::Length(length) };
        }
    }
    framing
}

fn read(wire: &[u8]) -> Result<Framing, HeadError> {
    let mut slots = Slots::new();
    let head = parse_request(wire, &mut slots, &HeadLimits::default())?;
    Ok(head.unwrap_or_else(|| panic!("incomplete: {}", wire.escape_ascii())).framing)
}

#[test]
fn dangerous_requests_are_refused() {
    let mut needed = BTreeSet::new();
    let mut refused = 0;
    for case in cases().iter().filter(|case| case.is_dangerous()) {
        let listed = ACCEPTED.iter().find(|(reason, _)| case.reason == *reason);
        match (read(&case.wire), listed) {
            (Err(_), _) => refused += 1,
            (Ok(framing), Some((reason, _))) => {
                assert!(case.method == "GET" || case.method == "HEAD", "{}", case.label);
                assert_eq!(framing, case.framing, "{}", case.label);
                needed.insert(*reason);
            }
            (Ok(framing), None) => panic!("{} was read as {framing:?}", case.label),
        }
    }
    assert!(refused > 100, "the corpus is there");
    assert_eq!(needed.len(), ACCEPTED.len(), "each exception is needed");
}

#[test]
fn harmless_requests_are_read_as_their_fields_say_or_refused_by_a_listed_rule() {
    let mut needed = BTreeSet::new();
    let mut accepted = 0;
    for case in cases().iter().filter(|case| !case.is_dangerous()) {
        match (read(&case.wire), STRICTER.iter().find(|(label, _, _)| case.label == *label)) {
            (Ok(framing), None) => {
                assert_eq!(framing, case.framing, "{}", case.label);
                accepted += 1;
            }
            (Err(error), Some((label, expected, _))) => {
                assert_eq!(error, *expected, "{}", case.label);
                needed.insert(*label);
            }
            (outcome, _) => panic!("{} gave {outcome:?}", case.label),
        }
    }
    assert!(accepted > 20, "the corpus is there");
    assert_eq!(needed.len(), STRICTER.len(), "each exception is needed");
}
