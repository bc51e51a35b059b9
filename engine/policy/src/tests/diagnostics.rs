//! The exact text that people get.

use super::{read, reasons};

fn check(text: &str, expected: &str) {
    let shown = read(text).unwrap_err().to_string();
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn every_mistake_is_shown_at_once_where_it_is() {
    check(
        r#"[server]
lisen = "0.0.0.0:4000"
connections = 0
body_bytes = "32 MX"
pin = "yes"

[providers.openai]
api_key = "sk-abc"
audit = "p95"

[models.default]
targets = ["opanai/gpt-5", "gpt-5"]

[teams.search]
limits = ["$500/moon", "600 requests"]
models = ["defualt"]

[[keys]]
name = "ci"
hash = "fg-secret"
team = "serch"
"#,
        r#"p.toml:2:1: unknown key `lisen` in `server`
  |
2 | lisen = "0.0.0.0:4000"
  | ^^^^^
  = help: did you mean `listen`?

p.toml:3:15: `connections` must be a whole number from 1 to 10000000, not 0
  |
3 | connections = 0
  |               ^
  = help: for example: connections = 65536

p.toml:4:14: `MX` is no unit of size
  |
4 | body_bytes = "32 MX"
  |              ^^^^^^^
  = help: write a number and a unit: 512 KiB, 32 MiB or 1 GiB

p.toml:5:7: `pin` must be true or false, not "yes"
  |
5 | pin = "yes"
  |       ^^^^^
  = help: for example: pin = true

p.toml:8:11: a secret does not stand in the policy
  |
8 | api_key = "******"
  |           ^^^^^^^^
  = help: name the place where it is kept: "env:NAME" or "file:/run/secrets/name"

p.toml:9:1: `audit` is not part of this version
  |
9 | audit = "p95"
  | ^^^^^
  = help: take it out: it would have no effect

p.toml:12:12: there is no provider `opanai`
   |
12 | targets = ["opanai/gpt-5", "gpt-5"]
   |            ^^^^^^^^^^^^^^
   = help: did you mean `openai`?

p.toml:12:28: `gpt-5` does not name a provider
   |
12 | targets = ["opanai/gpt-5", "gpt-5"]
   |                            ^^^^^^^
   = help: a target is provider/model: "openai/gpt-5"

p.toml:15:11: `moon` is no period of a budget of money
   |
15 | limits = ["$500/moon", "600 requests"]
   |           ^^^^^^^^^^^
   = help: a budget of money is by hour, day, week, month, quarter or year, or a total: "$500/month", "$0.50/day", "$20 total"

p.toml:15:24: `600 requests` does not say in what time
   |
15 | limits = ["$500/moon", "600 requests"]
   |                        ^^^^^^^^^^^^^^
   = help: a period is s, min, h, day, week, month, quarter or year: "600 requests/min", "2M tokens/day"; or a sum for ever: "1G tokens total"

p.toml:16:11: nothing answers to model `defualt`
   |
16 | models = ["defualt"]
   |           ^^^^^^^^^
   = help: did you mean `default`?

p.toml:20:8: this is a key itself, not its hash
   |
20 | hash = "*********"
   |        ^^^^^^^^^^^
   = help: faregate key new prints key and hash; of a key you have: printf %s "$KEY" | sha256sum, and sha256: in front

p.toml:21:8: there is no team `serch`
   |
21 | team = "serch"
   |        ^^^^^^^
   = help: did you mean `search`?

13 problems"#,
    );
}

#[test]
fn text_that_is_no_toml_is_shown_where_it_breaks() {
    check(
        "[server]\nlisten = 127.0.0.1\npin = \"x\"\nadmin = \"off\n[models.m]\ntargets = [\"a/b\"]\n",
        r#"p.toml:2:15: invalid float
  |
2 | listen = 127.0.0.1
  |               ^^^^
  = help: a text stands in quotes, and so does a number with a unit: "30s"

p.toml:3:7: `pin` must be true or false, not "x"
  |
3 | pin = "x"
  |       ^^^
  = help: for example: pin = true

p.toml:4:13: invalid basic string, expected `"`
  |
4 | admin = "off
  |             ^
  = help: close the text with " on its line; \ in it is written \\

3 problems"#,
    );
}

#[test]
fn what_other_gateways_call_it_is_understood() {
    let shown =
        read("[providers.x]\napi_base = \"http://x\"\nbase_url = \"http://x\"\n").unwrap_err();
    assert!(shown.to_string().contains("here it is spelled base_url = \"…\""), "{shown}");
}

#[test]
fn a_key_in_the_wrong_table_is_sent_to_the_right_one() {
    let shown = read("[server]\nfirst_token = \"5s\"\n").unwrap_err().to_string();
    assert!(shown.contains("`first_token` belongs to [providers.NAME.deadlines]"), "{shown}");
}

#[test]
fn what_is_planned_is_not_called_unknown() {
    assert_eq!(
        reasons("[evals.faq]\n[providers.x]\nbase_url = \"http://x\"\n"),
        ["1: `evals` is not part of this version"]
    );
}

#[test]
fn more_than_a_hundred_problems_are_counted() {
    let text: String = (0..150).map(|n| format!("x{n} = 1\n")).collect();
    let shown = read(&text).unwrap_err().to_string();
    assert!(shown.ends_with("151 problems, 100 of them shown"), "{shown}");
}
