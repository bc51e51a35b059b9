//! Conversations whose target is the one where they cost least from here on: they stay where that pays, and move where it
//! does, and every choice can be made again from its row.

use std::{collections::HashMap, path::Path};

use faregate_ledger::{
    Row,
    journal::{Follow, Position, Record, disk::Files},
};
use faregate_policy::affinity::Even;
use faregate_tests::{Answer, Client, Gateway, Launch, Provider, binary, key, provider, wait};
use loadtest::provider::Script;
use serde_json::{Value, json};

/// A dear target and one with these prices, and a breaker that forgives soon.
fn policy(dear: &Provider, other: &Provider, prices: &str, rest: &str) -> String {
    format!(
        "[providers.dear]\nbase_url = \"{}\"\n[providers.other]\nbase_url = \"{}\"\n\
         [models.m]\ntargets = [\"dear/x\", \"other/y\"]\nstrategy = \"break-even\"\n\
         [prices.\"dear/x\"]\ninput = \"$3/M\"\ncache_read = \"$0.30/M\"\noutput = \"$15/M\"\n\
         [prices.\"other/y\"]\n{prices}\n\
         [breaker]\nfailures = 1\nopen = \"50ms\"\nopen_max = \"50ms\"\n\
         [retries]\nbackoff = \"1ms\"\nbudget = \"100%\"\n{rest}",
        dear.base_url(),
        other.base_url()
    )
}

/// A little cheaper: less than a turn to come pays for.
const NEARLY: &str = "input = \"$2.90/M\"\ncache_read = \"$0.29/M\"\noutput = \"$14.50/M\"";
/// A tenth.
const CHEAP: &str = "input = \"$0.30/M\"\ncache_read = \"$0.03/M\"\noutput = \"$1.50/M\"";

/// The turn of a conversation, the first one being 0: each adds about 12 KB.
fn body(talk: usize, turn: usize) -> Value {
    let mut messages = vec![json!({"role": "system", "content": "Be brief."})];
    for at in 0..=turn {
        let text = format!("talk {talk}, question {at}. ").repeat(500);
        messages.push(json!({"role": "user", "content": text}));
        if at < turn {
            messages.push(json!({"role": "assistant", "content": format!("answer {at}")}));
        }
    }
    json!({"messages": messages, "model": "m"})
}

/// Asks for a turn. Out: which target has answered, and why.
#[track_caller]
fn ask(client: &mut Client, body: &Value) -> (String, String) {
    let answer = client.post("/v1/chat/completions", body);
    assert_eq!(answer.status, 200, "{answer:?}");
    let reason = reason(&answer);
    (answer.header("x-faregate-route").unwrap().to_owned(), reason)
}

fn reason(answer: &Answer) -> String {
    answer.header("x-faregate-route-reason").unwrap().to_owned()
}

/// A conversation that has had its first turn at the dear target, because the other one was down.
fn begun_dear(gateway: &Gateway, other: &Provider, talk: usize) {
    other.set_script(&Script::parse("reset_at=head").unwrap());
    let mut client = gateway.client("");
    let (target, reason) = ask(&mut client, &body(talk, 0));
    assert_eq!(target, "dear/x", "{reason}");
    other.set_script(&Script::default());
    // A conversation of no other's, until the other target is asked again.
    let mut probe = 1000 * (talk + 1);
    wait::until_true("the other target is asked again", || {
        probe += 1;
        ask(
            &mut client,
            &json!({"model": "m", "messages": [{"role": "user", "content": format!("p{probe}")}]}),
        )
        .0
        .starts_with("other")
    });
}

#[test]
fn a_conversation_stays_where_it_is_warm_while_that_pays() {
    let (dear, other) = (provider(), provider());
    let gateway = Launch::new(policy(&dear, &other, NEARLY, "")).start();
    begun_dear(&gateway, &other, 1);
    let mut client = gateway.client("");
    for turn in 1..6 {
        let (target, reason) = ask(&mut client, &body(1, turn));
        assert_eq!(target, "dear/x", "turn {turn}: {reason}");
        assert!(
            reason.starts_with("break-even 1/2 $") && reason.contains(" stays; even "),
            "{reason}"
        );
        let (even, _) = Even::read(&reason).unwrap_or_else(|| panic!("{reason}"));
        assert_eq!(even.turn.home, Some(0));
        let side = even.sides[0];
        // All but the last question: 12 KB of some 12 KB a turn.
        let expected = side.prompt_tokens * turn as u64 / (turn as u64 + 1);
        assert!(side.warm_tokens.abs_diff(expected) <= side.prompt_tokens / 20, "{reason}");
        assert!(side.warm_odds > 900_000, "{reason}");
        assert_eq!(even.sides[1].warm_tokens, 0, "{reason}");
    }
    // One that is new goes where it is cheaper.
    let (target, reason) = ask(&mut client, &body(2, 0));
    assert_eq!(target, "other/y", "{reason}");
    assert!(reason.contains(" new; even "), "{reason}");
}

#[test]
fn a_conversation_moves_when_that_pays_and_stays_there() {
    let (dear, other) = (provider(), provider());
    let gateway = Launch::new(policy(&dear, &other, CHEAP, "")).start();
    begun_dear(&gateway, &other, 1);
    let mut client = gateway.client("");
    let (target, reason) = ask(&mut client, &body(1, 1));
    assert_eq!(target, "other/y", "{reason}");
    assert!(reason.contains(" moves; even "), "{reason}");
    for turn in 2..5 {
        let (target, reason) = ask(&mut client, &body(1, turn));
        assert_eq!(target, "other/y", "{reason}");
        let (even, _) = Even::read(&reason).unwrap();
        assert_eq!(even.turn.home, Some(1), "{reason}");
        assert!(even.sides[1].warm_tokens > even.sides[0].warm_tokens, "{reason}");
    }
}

#[test]
fn a_conversation_outlives_a_failover_and_returns_where_it_is_warm() {
    let (dear, other) = (provider(), provider());
    let gateway = Launch::new(policy(&dear, &other, CHEAP, "")).start();
    let mut client = gateway.client("");
    for turn in 0..4 {
        assert_eq!(ask(&mut client, &body(1, turn)).0, "other/y");
    }
    other.set_script(&Script::parse("reset_at=head").unwrap());
    let (target, told) = ask(&mut client, &body(1, 4));
    assert_eq!(target, "dear/x");
    let (even, winner) = Even::read(&told).unwrap_or_else(|| panic!("{told}"));
    assert_eq!((winner, even.again()), (0, Some(0)), "the one that failed is off: {told}");
    other.set_script(&Script::default());
    let mut turn = 5;
    wait::until_true("it returns", || {
        let (target, reason) = ask(&mut client, &body(1, turn));
        turn += 1;
        let (even, _) = Even::read(&reason).unwrap();
        // What was read there before the failure still counts.
        assert!(even.sides[1].warm_tokens > 8000, "{reason}");
        target == "other/y"
    });
}

#[test]
fn callers_do_not_see_each_others_conversations_and_rules_see_how_warm_one_is() {
    let (dear, other) = (provider(), provider());
    let rules = "[models.auto]\nroute = [{ when = \"warm > 0.4\", use = \"other/y\" }, { use = \"dear/x\" }]\n";
    let rest = [rules, &key::row("alice", ""), &key::row("bob", "")].concat();
    let gateway = Launch::new(policy(&dear, &other, CHEAP, &rest)).start();
    let turn = |who: &str, turn| {
        let mut body = body(1, turn);
        body["model"] = json!("auto");
        ask(&mut gateway.client(&key::named(who)), &body).0
    };
    assert_eq!((turn("alice", 0), turn("alice", 1)), ("dear/x".into(), "other/y".into()));
    assert_eq!((turn("bob", 1), turn("bob", 2)), ("dear/x".into(), "other/y".into()));
    let quote = |who: &str| {
        let mut body = body(1, 3);
        body["model"] = json!("m");
        let answer = gateway.client(&key::named(who)).post("/v1/faregate/quote", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let told = quote("alice");
    assert_eq!(told["winner"], "other/y", "{told}");
    assert!(told["warm"].as_f64().unwrap() > 0.4, "{told}");
    assert!(told["candidates"][1]["warm_tokens"].as_u64().unwrap() > 4000, "{told}");
    assert_eq!(told["candidates"][1]["home"], true, "alice was there last: {told}");
}

/// Rows of the journal, once there are so many.
fn rows(data: &Path, count: usize) -> Vec<Row> {
    wait::until(&format!("the journal has {count} rows"), || {
        let files = Files::open(&data.join("journal")).ok()?;
        let mut follow = Follow::new(files, Position::default());
        let mut rows = Vec::new();
        while let Some(records) = follow.read(u64::MAX).ok().filter(|records| !records.is_empty()) {
            rows.extend(records.into_iter().filter_map(|record| match record {
                Record::Row(row) => Some(*row),
                _ => None,
            }));
        }
        (rows.len() >= count).then_some(rows)
    })
}

#[test]
fn every_choice_can_be_made_again_from_its_row_alone() {
    const ASKED: usize = 90;
    let (dear, other) = (provider(), provider());
    let gateway = Launch::new(policy(&dear, &other, CHEAP, "[ledger]\n")).start();
    let mut told = HashMap::new();
    let mut client = gateway.client("");
    for at in 0..ASKED {
        // Either target fails from time to time, so that conversations are moved and return.
        let script = |fails: bool| Script::parse(if fails { "reset_at=head" } else { "" }).unwrap();
        other.set_script(&script(at % 11 > 7));
        dear.set_script(&script(at % 23 == 3));
        let answer = client.post("/v1/chat/completions", &body(at % 7, at / 7));
        if answer.status == 200 {
            let id = answer.header("x-faregate-request-id").unwrap().to_owned();
            told.insert(
                id,
                (answer.header("x-faregate-route").unwrap().to_owned(), reason(&answer)),
            );
        }
    }
    assert!(told.len() > ASKED * 3 / 4, "{}", told.len());
    let rows = rows(&gateway.folder.join("data"), told.len());
    let mut winners = [0, 0];
    for row in rows.iter().filter(|row| told.contains_key(&*row.request_id)) {
        let (route, reason) = &told[&*row.request_id];
        assert_eq!(&row.work.route_reason, reason, "the row says what the client was told");
        let (even, winner) =
            Even::read(&row.work.route_reason).unwrap_or_else(|| panic!("{reason}"));
        assert_eq!(even.again(), Some(winner), "{reason}");
        assert_eq!(*route, ["dear/x", "other/y"][winner], "{reason}");
        assert_eq!(*route, format!("{}/{}", row.work.provider, row.work.model));
        let line = gateway.access_line(&row.request_id);
        assert_eq!(line["route_reason"], *reason);
        winners[winner] += 1;
    }
    assert_eq!(winners.iter().sum::<usize>(), told.len(), "each has its row");
    assert!(winners.iter().all(|count| *count > 3), "{winners:?}");
}

#[test]
fn what_caches_and_routes_saved_is_in_the_books_to_the_last_nano_dollar() {
    let (dear, other) = (provider(), provider());
    let gateway = Launch::new(policy(&dear, &other, CHEAP, "[ledger]\n")).start();
    let mut client = gateway.client("");
    let turns: Vec<Answer> =
        (0..4).map(|turn| client.post("/v1/chat/completions", &body(1, turn))).collect();
    let (mut by_cache, mut by_routing, mut cost) = (0, 0, 0);
    for answer in &turns {
        assert_eq!(answer.header("x-faregate-route"), Some("other/y"), "{answer:?}");
        let usage = &answer.json()["usage"];
        let number = |at: &Value| at.as_u64().unwrap();
        let cached = number(&usage["prompt_tokens_details"]["cached_tokens"]);
        let anew = number(&usage["prompt_tokens"]) - cached;
        let output = number(&usage["completion_tokens"]);
        // Nano-dollars for a thousand tokens at these rates are whole.
        let at = |input: u64, read: u64, made: u64| anew * input + cached * read + output * made;
        let here = at(300, 30, 1500);
        cost += here;
        by_cache += cached * (300 - 30);
        by_routing += at(3000, 300, 15_000) - here;
        let line = gateway.access_line(answer.header("x-faregate-request-id").unwrap());
        assert_eq!(line["cost_nanousd"], here, "{line}");
        assert_eq!(line["saved_by_routing_nanousd"], at(3000, 300, 15_000) - here, "{line}");
        assert_eq!(line["saved_by_cache_nanousd"].as_u64().unwrap_or(0), cached * 270, "{line}");
    }
    assert!(by_cache > 1_000_000, "{by_cache}");
    let data = gateway.folder.join("data");
    let spend = |format: &str| {
        let command =
            &mut binary::command(&["spend", "--by", "model", "--format", format, "--ledger"]);
        String::from_utf8(command.arg(&data).output().unwrap().stdout).unwrap()
    };
    let total = wait::until("the books have four rows", || {
        let report: Value = serde_json::from_str(&spend("json")).ok()?;
        (report["total"]["requests"] == 4).then(|| report["total"].clone())
    });
    assert_eq!(total["cost_nano_usd"], cost, "{total}");
    assert_eq!(total["saved_by_cache_nano_usd"], by_cache, "{total}");
    assert_eq!(total["saved_by_routing_nano_usd"], by_routing, "{total}");
    let table = spend("table");
    assert!(table.contains("caches saved") && table.contains("routing saved"), "{table}");
}
