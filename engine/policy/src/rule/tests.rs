//! Conditions that hold, conditions that are wrong, and any text at all.

use proptest::prelude::*;

use super::*;

/// A request of team `search` with tools, three turns, an effort, some fields and tags.
struct Sample {
    hours: u64,
}

impl Facts for Sample {
    fn flag(&self, field: FlagField) -> bool {
        field == FlagField::Tools
    }

    fn number(&self, field: NumberField) -> f64 {
        match field {
            NumberField::Turns => 3.0,
            NumberField::ToolCount => 2.0,
            NumberField::Difficulty => 0.8,
            NumberField::InputTokens => 9000.0,
            NumberField::BudgetLeft => 1.0,
            NumberField::Images | NumberField::MaxTokens | NumberField::Warm => 0.0,
        }
    }

    fn text(&self, field: TextField) -> &str {
        match field {
            TextField::Team => "search",
            TextField::Model => "gpt-5-mini",
            TextField::Reasoning => "high",
            _ => "",
        }
    }

    fn header(&self, index: usize) -> &str {
        ["gold", ""][index.min(1)]
    }

    fn tag(&self, _: usize) -> &str {
        "nightly"
    }

    fn healthy(&self, target: usize) -> bool {
        target == 0
    }

    fn wall_nanos(&self) -> u64 {
        self.hours * 3_600_000_000_000
    }
}

fn known() -> Known<'static> {
    Known { targets: vec!["a/one", "b/two"], ..Known::default() }
}

fn read(text: &str) -> Result<Rule, Mistake> {
    Rule::compile(text, &mut known())
}

fn check(text: &str, expected: bool) {
    let rule = read(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"));
    assert_eq!(rule.holds(&Sample { hours: 0 }), expected, "{text}");
}

#[test]
fn conditions_hold_as_they_read() {
    for text in [
        "tools",
        "not stream",
        "difficulty > 0.7 or stream",
        "difficulty > 0.7 and tools and turns == 3",
        "not (stream or turns > 3)",
        "not stream and not stream",
        "team == \"search\" and team != 'ads'",
        "team in [\"ads\", \"search\"]",
        "team not in [\"ads\",]",
        "turns in [1, 3]",
        "model matches \"gpt-*\"",
        "model matches [\"o3*\", \"*-mini\"]",
        "input_tokens >= 9k and input_tokens < 0.01M and input_tokens <= 9_000",
        "turns + 2 * tool_count == 7",
        "turns - 1 - 1 == 1",
        "-turns < -2",
        "(turns + 1) * 2 == 8",
        "budget_left >= 20%",
        "reasoning in ['high', 'xhigh']",
        "header[\"X-Tier\"] == \"gold\"",
        "tag[\"job\"] == \"nightly\"",
        "healthy(\"a/one\") and not healthy(\"b/two\")",
        "stream == false and tools == true",
        "true",
        "user == \"\"",
        "warm == 0",
    ] {
        check(text, true);
    }
    for text in [
        "false",
        "stream",
        "tools and stream",
        "team == \"Search\"",
        "model matches \"gpt\"",
        "turns * 0 == 1",
    ] {
        check(text, false);
    }
}

#[test]
fn and_binds_closer_than_or() {
    check("tools or tools and stream", true);
    check("(tools or tools) and stream", false);
    check("not stream or stream", true);
}

#[test]
fn the_time_of_day_is_that_of_its_zone() {
    let at = |text: &str, hours| read(text).unwrap().holds(&Sample { hours });
    // 1 January 1970 was a Thursday.
    assert!(at("hour == 0 and weekday == \"thu\"", 0));
    assert!(at("hour == 23 and weekday == \"thu\"", 23));
    assert!(at("hour == 1 and weekday == \"fri\"", 25));
    assert!(at("hour(\"+02:00\") == 1 and weekday(\"+02:00\") == \"fri\"", 23));
    assert!(at("hour(\"-0500\") == 20 and weekday(\"-05:00\") == \"thu\"", 25));
    assert!(at("hour(\"UTC\") == 1 and weekday in [\"fri\", \"sat\"]", 25));
}

#[test]
fn a_mistake_says_where_and_what_would_be_right() {
    for (text, marked, reason, help) in [
        ("dificulty > 0.7", "dificulty", "there is no `dificulty`", "did you mean `difficulty`?"),
        ("team = \"a\"", "=", "`=` is not part of the language", "two values are compared by `==`"),
        ("tools && stream", "&&", "`&&` is not part of the language", "write `and`"),
        ("!tools", "!", "`!` is not part of the language", "write `not`"),
        ("difficulty", "difficulty", "this is a number, not true or false", "compare it"),
        ("team or tools", "team", "this is a text, not true or false", "compare it"),
        ("team > \"a\"", ">", "`>` compares numbers", "`==` or `!=`"),
        ("team == 1", "team == 1", "a text is never a number", "of one type"),
        ("1 < turns < 3", "<", "two values are compared at a time", "`and`"),
        ("team in \"a\"", "\"a\"", "`in` needs a list behind it", "team in ["),
        ("turns in [\"a\"]", "turns in [\"a\"]", "a number cannot be in a list of texts", ""),
        ("tools stream", "stream", "the condition has ended before this", "`and` or `or`"),
        ("tools and", "", "a value is missing here", "a name"),
        ("and tools", "and", "a value is missing before `and`", "a name"),
        ("(tools", "(", "this is not closed by `)`", ""),
        ("tools)", ")", "nothing is open here", ""),
        ("team == \"a", "\"a", "a text without an end", "close it"),
        ("header == \"a\"", "header", "`header` needs a name behind it", "header[\"x-tier\"]"),
        ("header[x] == \"\"", "x", "`header` needs a text in quotes", "header[\"x-tier\"]"),
        (
            "header['Authorization'] == ''",
            "'Authorization'",
            "`authorization` holds a secret",
            "`key`",
        ),
        ("healthy(\"a/on\")", "\"a/on\"", "there is no target `a/on`", "did you mean \"a/one\"?"),
        ("hour(\"CET\") > 8", "\"CET\"", "this is no time zone", "+02:00"),
        ("weekday == \"monday\"", "\"monday\"", "`monday` is no day", "mon"),
        ("weekday in ['Mon']", "['Mon']", "`Mon` is no day", "mon"),
        ("team + 1 > 2", "team", "this is a text, and cannot be reckoned with", "numbers"),
        ("turns / 2 > 1", "/", "`/` is not part of the language", "no division"),
        ("turns > 1.2.3", "1.2.3", "`1.2.3` is no number", "32k"),
        ("team in []", "[]", "the list is empty", ""),
        ("team in [\"a\", 1]", "1", "a list holds texts or numbers, not both", ""),
        ("turns matches \"a\"", "turns", "a number matches no pattern", "text"),
        ("team matches model", "model", "a pattern is a text in quotes", "gpt-*"),
        ("team == [\"a\"]", "==", "a list is not compared", "`in`"),
        ("", "", "the condition is empty", "difficulty > 0.7"),
        ("é", "é", "`é` is not part of the language", "quotes"),
    ] {
        let mistake = read(text).map(|rule| rule.text().to_owned()).unwrap_err();
        assert_eq!(&text[mistake.span.clone()], marked, "{text}: {mistake:?}");
        assert!(mistake.reason.contains(reason), "{text}: {mistake:?}");
        assert!(mistake.help.contains(help), "{text}: {mistake:?}");
    }
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    assert!(read(&format!("tools{}", " or tools".repeat(100))).is_ok());
    let long = read(&format!("tools{}", " or tools".repeat(200))).unwrap_err();
    assert!(long.reason.contains("more than 1024"), "{long:?}");
    let brackets = |n| format!("{}tools{}", "(".repeat(n), ")".repeat(n));
    assert!(read(&brackets(DEPTH_MAX)).is_ok());
    assert!(read(&brackets(DEPTH_MAX + 1)).unwrap_err().reason.contains("levels"));
    assert!(read(&format!("{}tools", "not ".repeat(100))).unwrap_err().reason.contains("levels"));
    assert!(read(&format!("{}1 > 0", "-".repeat(100))).unwrap_err().reason.contains("levels"));
    let list = |n| format!("turns in [{}]", "1,".repeat(n));
    assert!(read(&list(LIST_MAX)).is_ok());
    assert!(read(&list(LIST_MAX + 1)).unwrap_err().reason.contains("at most 64"));
}

#[test]
fn names_of_fields_and_tags_are_kept_once() {
    let mut known = known();
    Rule::compile("header['x-a'] == header['X-A'] or header['x-b'] == ''", &mut known).unwrap();
    Rule::compile("header['x-b'] == tag['t']", &mut known).unwrap();
    assert_eq!(known.headers, ["x-a".into(), "x-b".into()]);
    assert_eq!(known.tags, ["t".into()]);
}

#[test]
fn a_condition_says_what_it_needs_of_the_body() {
    let needs = |text| read(text).unwrap().needs();
    assert_eq!(needs("team == \"a\" and input_tokens > 5"), Needs::default());
    assert_eq!(needs("tools"), Needs { shape: true, ..Needs::default() });
    assert_eq!(needs("difficulty > 1 or stream"), Needs { difficulty: true, ..Needs::default() });
}

#[test]
fn a_text_is_looked_at_up_to_its_bound() {
    struct Long(String);
    impl Facts for Long {
        fn flag(&self, _: FlagField) -> bool {
            false
        }
        fn number(&self, _: NumberField) -> f64 {
            f64::INFINITY
        }
        fn text(&self, _: TextField) -> &str {
            &self.0
        }
        fn header(&self, _: usize) -> &str {
            ""
        }
        fn tag(&self, _: usize) -> &str {
            ""
        }
        fn healthy(&self, _: usize) -> bool {
            false
        }
        fn wall_nanos(&self) -> u64 {
            u64::MAX
        }
    }
    let facts = Long(format!("{}z", "é".repeat(TEXT_BYTES_MAX)));
    assert!(!read("user matches '*z'").unwrap().holds(&facts));
    assert!(read("user matches '*é'").unwrap().holds(&facts));
    // What is no number is neither more nor less than another.
    assert!(!read("turns - turns > 0 or turns - turns <= 0").unwrap().holds(&facts));
    assert!(read("hour <= 23").unwrap().holds(&facts));
}

/// A piece of a condition, right or nearly so.
fn piece() -> impl Strategy<Value = String> {
    let mut pieces: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    pieces.extend([
        "and",
        "or",
        "not",
        "in",
        "matches",
        "true",
        "==",
        "!=",
        "<",
        ">=",
        "+",
        "-",
        "*",
        "(",
        ")",
        "[",
        "]",
        ",",
        "\"a\"",
        "'b'",
        "1",
        "0.5",
        "20%",
        "3k",
        "[\"x\"]",
        "(\"a/one\")",
        "=",
        "é",
    ]);
    prop::sample::select(pieces).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
        survives(&text)?;
    }

    #[test]
    fn any_pieces_are_read_or_refused(pieces in prop::collection::vec(piece(), 0..24)) {
        survives(&pieces.join(" "))?;
    }
}

/// A rule that holds or not, twice the same, or a mistake that lies in the text.
fn survives(text: &str) -> Result<(), TestCaseError> {
    match read(text) {
        Ok(rule) => {
            let facts = Sample { hours: 1 };
            prop_assert_eq!(rule.holds(&facts), rule.holds(&facts));
            prop_assert_eq!(rule.text(), text);
        }
        Err(mistake) => {
            prop_assert!(text.get(mistake.span.clone()).is_some(), "{:?}", mistake);
            prop_assert!(!mistake.reason.is_empty());
        }
    }
    Ok(())
}
