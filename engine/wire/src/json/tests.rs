//! Tests of the scanner: by example, against a full parser, and in pieces.

use proptest::prelude::*;

use super::*;
use crate::{
    check::json::{NAMES, agrees_with_a_full_parser, does_not_depend_on_pieces},
    patch::{Patch, quote},
};

fn scan(body: &str) -> Result<Peek, JsonError> {
    Scanner::new(NAMES).finish(body.as_bytes())
}

fn check_error(body: &str, expected: JsonError) {
    assert_eq!(scan(body).map(drop), Err(expected), "{body}");
    for size in 1..=9 {
        does_not_depend_on_pieces(body.as_bytes(), &[size]);
    }
    agrees_with_a_full_parser(body.as_bytes());
}

#[test]
fn members_of_interest_are_found_wherever_they_are() {
    let body = r#" {"messages":[{"role":"user","content":"\"model\":\"x\"","model":1}], "model" : "gpt-5" ,"n":2,
        "stream":true,"max_tokens":null,"other":{"stream":false}}"#;
    let peek = scan(body).unwrap();
    let text = |index| peek.span(index).map(|span| &body[span]);
    assert_eq!(text(0), Some("\"gpt-5\""));
    assert_eq!(text(1), Some("true"));
    assert_eq!(text(2), Some("null"));
    assert_eq!(text(3), Some("2"));
    assert_eq!(text(4), None);
    assert_eq!(peek.string(body.as_bytes(), 0), Some(Ok("gpt-5".into())));
    assert_eq!(peek.bool(body.as_bytes(), 1), Some(Ok(true)));
    assert!(peek.is_null(body.as_bytes(), 2));
    assert_eq!(peek.number_u64(body.as_bytes(), 3), Some(Ok(2)));
    assert_eq!(peek.bool(body.as_bytes(), 3), Some(Err(JsonError::Mistyped(3))));
    assert_eq!(peek.string(body.as_bytes(), 1), Some(Err(JsonError::Mistyped(1))));
    assert_eq!(peek.number_u64(body.as_bytes(), 4), None);
    assert_eq!(&body[peek.object()], body.trim_start());
    assert!(!peek.is_empty_object());
    assert!(scan("{ }").unwrap().is_empty_object());
}

#[test]
fn numbers_that_are_not_whole_or_too_large_are_mistyped() {
    for number in ["-1", "1.0", "1e3", "18446744073709551616", "\"1\"", "null"] {
        let body = format!("{{\"n\":{number}}}");
        let peek = scan(&body).unwrap();
        assert_eq!(
            peek.number_u64(body.as_bytes(), 3),
            Some(Err(JsonError::Mistyped(3))),
            "{number}"
        );
    }
    let peek = scan(r#"{"n":18446744073709551615}"#).unwrap();
    assert_eq!(peek.number_u64(br#"{"n":18446744073709551615}"#, 3), Some(Ok(u64::MAX)));
}

#[test]
fn a_member_of_interest_occurs_once_and_is_spelled_plainly() {
    check_error(r#"{"model":"a","x":1,"model":"a"}"#, JsonError::Duplicate(0));
    check_error(r#"{"mod\u0065l":"a"}"#, JsonError::EscapedName(0));
    check_error(r#"{"n":1,"\u006e":1}"#, JsonError::EscapedName(3));
    for body in [
        r#"{"x":1,"x":2}"#,
        r#"{"mod\u0065":1,"\ud800":1,"\n":2}"#,
        r#"{"x":{"model":1,"model":2,"mod\u0065l":3}}"#,
        r#"{"Model":1,"model ":2,"model":3}"#,
    ] {
        assert!(scan(body).is_ok(), "{body}");
        agrees_with_a_full_parser(body.as_bytes());
    }
}

#[test]
fn what_is_not_one_whole_object_is_refused() {
    for body in ["", "  ", "[]", "\"model\"", "1", "null", "\u{feff}{}", "x"] {
        check_error(body, JsonError::NotAnObject);
    }
    for body in [
        "{",
        "{\"a",
        "{\"a\\",
        "{\"a\\u12",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":tr",
        "{\"a\":[1",
        "{\"a\":1,",
    ] {
        check_error(body, JsonError::Unbalanced);
    }
    for body in ["{} x", "{}{}", "{},", "{}\0"] {
        check_error(body, JsonError::Trailing);
    }
}

#[test]
fn the_place_of_a_mistake_is_told() {
    for (body, at) in [
        ("{a", 1),
        ("{,}", 1),
        ("{\"a\" 1}", 5),
        ("{\"a\":}", 5),
        ("{\"a\":1,}", 7),
        ("{\"a\":[1,]}", 8),
        ("{\"a\":[1}}", 7),
        ("{\"a\":{]}", 6),
        ("{\"a\":01}", 6),
        ("{\"a\":+1}", 5),
        ("{\"a\":1.}", 7),
        ("{\"a\":-}", 6),
        ("{\"a\":1e}", 7),
        ("{\"a\":trux}", 8),
        ("{\"a\":nul}", 8),
        ("{\"a\":\"\\x\"}", 6),
        ("{\"a\":\"\\u00g0\"}", 6),
        ("{\"a\":\"line\nbreak\"}", 10),
        ("{\"a\":[1,2,3,4,05,6,7,8,9,10]}", 15),
        ("{\"a\":[1,2,3,4,,5,6,7,8,9,10]}", 14),
        ("{\"a\":[1,2,3,4, 5 6,7,8,9,10]}", 17),
    ] {
        check_error(body, JsonError::Malformed(at));
    }
    let body = b"{\"a\":\"0123456789\xe4\xb8x\"}";
    assert_eq!(Scanner::new(NAMES).finish(body).map(drop), Err(JsonError::Malformed(16)));
}

#[test]
fn depth_has_a_limit() {
    let nested = |open: &str, close: &str, n: usize| {
        format!("{{\"a\":{}1{}}}", open.repeat(n - 1), close.repeat(n - 1))
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        assert!(scan(&nested(open, close, DEPTH_MAX)).is_ok());
        check_error(&nested(open, close, DEPTH_MAX + 1), JsonError::TooDeep);
    }
}

#[test]
fn half_a_surrogate_pair_passes_but_is_no_model() {
    let body = r#"{"model":"\ud83d","messages":"\ud83d x"}"#;
    let peek = scan(body).unwrap();
    assert_eq!(peek.string(body.as_bytes(), 0), Some(Err(JsonError::Malformed(9))));
}

#[test]
fn lists_of_integers_are_read_like_any_other() {
    for separator in [",", ", ", ",  ", " ,", ",\n"] {
        for last in ["7", "07", "7.5", "-7", "\"7\"", "", "[1,2]", "7 7"] {
            for count in 1..40_u32 {
                let mut items: Vec<String> =
                    (0..count).map(|i| (i * i * 37 % 100_000).to_string()).collect();
                items.push(last.into());
                let body = format!("{{\"input\":[{}],\"model\":\"m\"}}", items.join(separator));
                agrees_with_a_full_parser(body.as_bytes());
                does_not_depend_on_pieces(body.as_bytes(), &[7, 1, 19]);
            }
        }
    }
}

proptest! {
    #[test]
    fn the_scanner_agrees_with_a_full_parser(seed: u64) {
        let mut random = Random(seed | 1);
        let body = random.object();
        agrees_with_a_full_parser(&body);
        for _ in 0..20 {
            agrees_with_a_full_parser(&random.mutated(&body));
        }
    }

    #[test]
    fn bodies_do_not_depend_on_where_the_network_cut_them(seed: u64, sizes in prop::collection::vec(any::<u8>(), 1..9)) {
        let mut random = Random(seed | 1);
        let body = random.object();
        let mutated = random.mutated(&body);
        for body in [&body, &mutated] {
            for size in 1..=u8::try_from(body.len()).unwrap_or(40).min(40) {
                does_not_depend_on_pieces(body, &[size]);
            }
            does_not_depend_on_pieces(body, &sizes);
        }
    }

    #[test]
    fn any_bytes_are_read_like_by_a_full_parser(body in "\\{[ \"\\\\{}\\[\\],:0-9a-z\u{e9}-]{0,24}\\}?") {
        agrees_with_a_full_parser(body.as_bytes());
    }

    #[test]
    fn a_patch_changes_nothing_else(seed: u64, model in "\\PC{0,20}") {
        let mut random = Random(seed | 1);
        let body = random.object();
        let Ok(peek) = Scanner::new(NAMES).finish(&body) else { return Ok(()) };
        let mut literal = Vec::new();
        quote(&mut literal, &model);
        let mut patch = Patch::new();
        let mut expected = body.clone();
        if !peek.is_empty_object() {
            patch.insert(peek.insert_at(), &b",\"zz\":1"[..]);
            expected.splice(peek.insert_at()..peek.insert_at(), *b",\"zz\":1");
        }
        if let Some(span) = peek.span(0) {
            patch.replace(span.clone(), literal.clone());
            expected.splice(span, literal);
        }
        let (mut written, mut parts) = (Vec::new(), Vec::new());
        patch.write(&body, &mut written);
        patch.parts(&body, &mut parts);
        prop_assert_eq!(&written, &expected);
        prop_assert_eq!(parts.concat(), expected);
        prop_assert_eq!(patch.len(&body), written.len());
        let patched = Scanner::new(NAMES).finish(&written).unwrap();
        if peek.span(0).is_some() {
            prop_assert_eq!(patched.string(&written, 0).unwrap().unwrap(), model);
        }
    }
}

#[test]
fn large_bodies_arrive_in_random_pieces() {
    let mut random = Random(7);
    for bits in 0..24 {
        let len = 1_usize << bits >> 1;
        let text: String = (0..len / 8 + 1)
            .map(|_| ["a \\\" bcd", "\u{e9}\u{4e16} \\n x", "plain tx"][random.below(3)])
            .collect();
        let body = format!(
            "{{\"messages\":[{{\"content\":\"{text}\"}},[{}1]],\"model\":\"m\"}}",
            "12345,".repeat(len / 60)
        );
        let body = body.as_bytes();
        let mut scanner = Scanner::new(NAMES);
        let mut end = 0;
        while end < body.len() {
            end = body.len().min(end + 1 + random.below(len / 8 + 10));
            scanner.feed(&body[..end]).unwrap();
        }
        let peek = scanner.finish(body).unwrap();
        assert_eq!(peek.string(body, 0), Some(Ok("m".into())));
        assert_eq!(peek.object(), 0..body.len());
    }
}

#[test]
fn a_long_value_in_single_bytes_is_looked_at_once() {
    // Quadratic work would take minutes here.
    for filling in ["a", "\u{e9}", "\\u0041", "1,", "1"] {
        let many = filling.repeat(200_000);
        let body = match filling {
            "1," => format!("{{\"messages\":[{many}1]}}"),
            "1" => format!("{{\"messages\":{many}}}"),
            _ => format!("{{\"messages\":\"{many}\"}}"),
        };
        does_not_depend_on_pieces(body.as_bytes(), &[1]);
    }
}

/// Makes JSON of all shapes (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % end
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn object(&mut self) -> Vec<u8> {
        let mut out = self.of(&["", "", " ", "\n\t"]).to_owned();
        self.members(&mut out, 4);
        out.push_str(self.of(&["", "", " \r\n"]));
        out.into_bytes()
    }

    fn members(&mut self, out: &mut String, depth: usize) {
        out.push('{');
        for index in 0..self.below(7) {
            if index > 0 {
                out.push(',');
            }
            self.space(out);
            let name = self.of(&[
                "model",
                "stream",
                "max_tokens",
                "n",
                "stream_options",
                "messages",
                "x",
                "",
                "mode",
                "models",
                "mod\\u0065l",
                "\\u006e",
                "a\\\"model",
                "\\ud800",
                "\u{e9}",
                "temperature_of_the_room",
                "role",
                "input",
            ]);
            out.extend(["\"", name, "\""]);
            self.space(out);
            out.push(':');
            self.space(out);
            self.value(out, depth);
            self.space(out);
        }
        out.push('}');
    }

    fn value(&mut self, out: &mut String, depth: usize) {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 | 1 => self.string(out),
            2 => out.push_str(self.of(&["true", "false", "null"])),
            3 | 4 => out.push_str(self.of(&[
                "0",
                "1",
                "-0",
                "512",
                "1.5",
                "-12.25e-3",
                "1E+9",
                "0e0",
                "18446744073709551615",
                "1e999",
                "-7",
            ])),
            5 => {
                let separator = self.of(&[",", ", ", " , ", ",\n"]);
                let items: Vec<_> =
                    (0..self.below(30)).map(|_| self.below(70_000).to_string()).collect();
                out.extend(["[", &items.join(separator), "]"]);
            }
            6 => {
                out.push('[');
                self.space(out);
                for index in 0..self.below(4) {
                    if index > 0 {
                        out.push(',');
                    }
                    self.value(out, depth - 1);
                }
                out.push(']');
            }
            _ => self.members(out, depth - 1),
        }
    }

    fn string(&mut self, out: &mut String) {
        out.push('"');
        for _ in 0..self.below(12) {
            out.push_str(self.of(&[
                "a",
                "model",
                "\\\"model\\\":\\\"x\\\"",
                "\\\\",
                "\\\\\\\"",
                "\\n",
                "\\u00e9",
                "\\ud83d\\ude00",
                "\u{2028}",
                "\u{1f600}",
                "{",
                "}]",
                ",\\\"n\\\":9,",
                "some ordinary prose that goes on",
                " ",
                "\\/",
                "\\ud83d",
            ]));
        }
        out.push('"');
    }

    fn space(&mut self, out: &mut String) {
        out.push_str(self.of(&["", "", "", "", " ", "\n  ", "\t\r"]));
    }

    /// A copy with one to three small changes.
    fn mutated(&mut self, body: &[u8]) -> Vec<u8> {
        const BYTES: &[u8] = b"\"\\{}[]:,0123456789-+.eEtfnu aX\n\x00\x1f\x7f\x80\xc3\xff";
        let mut body = body.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(body.len().max(1)).min(body.len());
            let to = (at + self.below(8)).min(body.len());
            let byte = BYTES[self.below(BYTES.len())];
            match self.below(6) {
                0 if at < body.len() => body[at] = byte,
                1 => body.insert(at, byte),
                2 => drop(body.drain(at..to)),
                3 => body.truncate(at.max(1)),
                4 => drop(body.splice(at..at, body[at..to].to_vec()).count()),
                _ if at < body.len() => body[at] ^= 1 << self.below(8),
                _ => {}
            }
        }
        body
    }
}
