//! Replicas that are chosen by the prompts that they have read: conversations stay, spread, move when they must, and return.

use std::collections::HashSet;

use faregate_tests::{Answer, Client, Gateway, Launch, Provider, key, provider, wait};
use loadtest::provider::Script;
use serde_json::{Value, json};

/// A policy of a fleet of these places.
fn fleet(places: &[&Provider], rest: &str) -> String {
    let urls: Vec<String> =
        places.iter().map(|place| format!("\"{}\"", place.base_url())).collect();
    format!(
        "[providers.fleet]\nreplicas = [{}]\naffinity = \"prefix\"\n\
         [models.m]\ntargets = [\"fleet/x\"]\n{rest}",
        urls.join(", ")
    )
}

/// The turn of a conversation, the first one being 0: each adds about 2 KB.
fn body(talk: usize, turn: usize) -> Value {
    let mut messages = vec![json!({"role": "system", "content": "Be brief."})];
    for at in 0..=turn {
        let text = format!("talk {talk}, question {at}. ").repeat(90);
        messages.push(json!({"role": "user", "content": text}));
        if at < turn {
            messages.push(json!({"role": "assistant", "content": format!("answer {at}")}));
        }
    }
    json!({"temperature": turn % 2, "messages": messages, "model": "m"})
}

fn ask(client: &mut Client, body: &Value) -> Answer {
    let answer = client.post("/v1/chat/completions", body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// Which replica has answered, from 1 on, and how many blocks it was believed to know.
fn place(answer: &Answer) -> (usize, u64) {
    let reason = answer.header("x-faregate-route-reason").unwrap();
    let (_, stay) = reason.split_once("; replica ").unwrap_or_else(|| panic!("{reason}"));
    let number = |text: &str| text.split(' ').next().unwrap().parse().unwrap();
    let warm = stay.split_once("warm for ").unwrap().1;
    (usize::try_from(number(stay)).unwrap(), number(warm))
}

fn cached(answer: &Answer) -> u64 {
    answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
}

fn start(places: &[&Provider], rest: &str) -> Gateway {
    Launch::new(fleet(places, rest)).start()
}

#[test]
fn conversations_stay_where_they_began_and_spread() {
    let (a, b) = (provider(), provider());
    let gateway = start(&[&a, &b], "");
    let mut client = gateway.client("");
    let mut homes = Vec::new();
    for talk in 0..12 {
        let (home, warm) = place(&ask(&mut client, &body(talk, 0)));
        assert_eq!(warm, 0, "nobody has read it before");
        for turn in 1..4 {
            let answer = ask(&mut client, &body(talk, turn));
            let (there, warm) = place(&answer);
            assert_eq!(there, home, "talk {talk}, turn {turn}");
            assert!(warm >= 6 * turn as u64, "talk {talk}, turn {turn}: {warm}");
            if turn > 2 {
                assert!(cached(&answer) > 1000, "talk {talk}: {}", answer.text());
            }
            let line = gateway.access_line(answer.header("x-faregate-request-id").unwrap());
            let told = line["affinity"].as_str().unwrap();
            assert!(
                told.starts_with(&format!("replica {home} of 2, warm for {warm} of ")),
                "{told}"
            );
        }
        homes.push(home);
    }
    let first = homes.iter().filter(|home| **home == 1).count();
    assert!((2..=10).contains(&first), "both have conversations: {homes:?}");
    let asked = [a.counters().requests(), b.counters().requests()];
    assert_eq!(asked.iter().sum::<u64>(), 48, "nobody was asked for anything else: {asked:?}");
}

#[test]
fn without_affinity_they_do_not_stay() {
    let (a, b) = (provider(), provider());
    let policy = fleet(&[&a, &b], "").replace("affinity = \"prefix\"\n", "");
    let gateway = Launch::new(policy).start();
    let mut client = gateway.client("");
    for turn in 0..20 {
        let answer = ask(&mut client, &body(1, turn));
        assert!(!answer.header("x-faregate-route-reason").unwrap().contains("replica"));
    }
    assert!(a.counters().requests() > 2 && b.counters().requests() > 2);
}

#[test]
fn callers_do_not_see_each_others_prompts() {
    let (a, b) = (provider(), provider());
    let keys = [key::row("alice", ""), key::row("bob", "")].concat();
    let gateway = start(&[&a, &b], &keys);
    ask(&mut gateway.client(&key::named("alice")), &body(1, 3));
    let again = place(&ask(&mut gateway.client(&key::named("alice")), &body(1, 3)));
    let other = place(&ask(&mut gateway.client(&key::named("bob")), &body(1, 3)));
    assert!(again.1 > 20);
    assert_eq!(other.1, 0);
}

#[test]
fn a_session_stays_though_its_prompt_begins_anew() {
    let (a, b) = (provider(), provider());
    let gateway = start(&[&a, &b], "");
    let mut homes = HashSet::new();
    for session in 0..8 {
        let mut client = gateway.client("").with("x-session-id", &format!("s{session}"));
        let places: HashSet<_> =
            (0..5).map(|turn| place(&ask(&mut client, &body(100 * session + turn, 1))).0).collect();
        assert_eq!(places.len(), 1, "session {session}");
        homes.extend(places);
    }
    assert_eq!(homes.len(), 2);
}

#[test]
fn conversations_move_when_a_replica_fails_and_new_ones_return() {
    let (a, b) = (provider(), provider());
    let rest = "[breaker]\nfailures = 2\nopen = \"50ms\"\nopen_max = \"50ms\"\n[retries]\nbackoff = \"1ms\"\nbudget = \"100%\"\n";
    let gateway = start(&[&a, &b], rest);
    let mut client = gateway.client("");
    let homes: Vec<_> = (0..10).map(|talk| place(&ask(&mut client, &body(talk, 0))).0).collect();
    assert!(homes.contains(&1) && homes.contains(&2), "{homes:?}");
    a.set_script(&Script::parse("reset_at=head").unwrap());
    for turn in 1..3 {
        for talk in 0..10 {
            let answer = ask(&mut client, &body(talk, turn));
            assert_eq!(place(&answer).0, 2, "talk {talk}: the other one answers");
        }
    }
    a.set_script(&Script::default());
    for talk in 0..10 {
        assert_eq!(place(&ask(&mut client, &body(talk, 3))).0, 2, "they stay where they are warm");
    }
    let mut talk = 1000;
    wait::until_true("the replica is asked again", || {
        talk += 1;
        place(&ask(&mut client, &body(talk, 0))).0 == 1
    });
    assert_eq!(place(&ask(&mut client, &body(talk, 1))).0, 1);
}

#[test]
fn a_busy_replica_is_passed_over() {
    let (a, b) = (provider(), provider());
    let gateway = start(&[&a, &b], "");
    let (home, _) = place(&ask(&mut gateway.client(""), &body(1, 0)));
    let slow = Script::parse("delay=1500ms").unwrap();
    a.set_script(&slow);
    b.set_script(&slow);
    let places: Vec<usize> = std::thread::scope(|scope| {
        let one = || place(&ask(&mut gateway.client(""), &body(1, 1))).0;
        let running: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let here = places.iter().filter(|place| **place == home).count();
    // As many as a replica may always have, and no more than 1.85 times the mean of eight, which is the bound of two.
    assert!(
        (4..=14).contains(&here),
        "{places:?}: some wait where it is warm, and some go elsewhere"
    );
}
