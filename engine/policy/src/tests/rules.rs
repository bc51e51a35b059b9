//! What the values of a file mean together.

use std::{sync::Arc, time::Duration};

use super::{read, reasons, right, warnings};
use crate::{
    Wall,
    budget::{Period, Unit},
    caller::Caller,
    models::Strategy,
    policy::{AccessLog, HeaderValue, LimitKind, Policy, Scheme, Secret},
    problem::Problems,
};

/// A table of a file that has one of each: its path in the reference, its header, its lines.
type Table = (&'static str, &'static str, &'static [&'static str]);

const WHOLE: &[Table] = &[
    ("server", "[server]", &["anonymous = true"]),
    ("server.tls", "[server.tls]", &["cert = \"c\"", "key = \"k\""]),
    ("server.deadlines", "[server.deadlines]", &[]),
    ("providers.*", "[providers.openai]", &[]),
    ("providers.*.deadlines", "[providers.openai.deadlines]", &[]),
    ("providers.*.keys[]", "[[providers.groq.keys]]", &["key = \"env:A\"", "name = \"a\""]),
    ("providers.*.cache", "[providers.openai.cache]", &["prompt = \"auto\""]),
    ("models.*", "[models.default]", &["strategy = \"weighted\""]),
    ("models.*.targets[]", "[[models.default.targets]]", &["target = \"openai/x\""]),
    ("models.*.cache", "[models.default.cache]", &["prompt = \"auto\""]),
    ("models.*.route[]", "[[models.auto.route]]", &["use = \"default\"", "when = \"tools\""]),
    ("models.*.route[]", "[[models.auto.route]]", &["use = \"default\""]),
    ("attribution", "[attribution]", &[]),
    ("ledger", "[ledger]", &[]),
    ("difficulty", "[difficulty]", &[]),
    ("retries", "[retries]", &[]),
    ("breaker", "[breaker]", &[]),
    ("budgets", "[budgets]", &[]),
    ("budgets.store", "[budgets.store]", &["url = \"redis://127.0.0.1\""]),
    (
        "budgets.webhook",
        "[budgets.webhook]",
        &["url = \"https://h/x?y\"", "secret = \"env:HOOK\"", "ca_file = \"a.pem\""],
    ),
    ("users.*", "[users.default]", &["limits = \"$5/day\""]),
    ("sessions.*", "[sessions.default]", &["limits = \"$5/day\""]),
    ("tags.*", "[tags.\"feature=*\"]", &["limits = \"$5/day\""]),
    ("workloads.*", "[workloads.faq]", &["limits = \"$5/day\""]),
    ("workloads.*.match", "[workloads.faq.match]", &["header = { x-a = \"1\" }"]),
    ("organisation", "[organisation]", &[]),
    ("teams.*", "[teams.search]", &[]),
    ("teams.*", "[teams.public]", &[]),
    ("….limits[]", "[[teams.paying.limits]]", &["limit = \"$1/day\""]),
    ("….limits[].raise", "[teams.paying.limits.raise]", &["to = \"$900\"", "until = 2027-01-01"]),
    ("teams.*.projects.*", "[teams.search.projects.ranking]", &[]),
    ("teams.*.projects.*.agents.*", "[teams.search.projects.ranking.agents.crawler]", &[]),
    (
        "keys[]",
        "[[keys]]",
        &[
            "name = \"a\"",
            "hash = \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"",
            "team = \"search\"",
            "project = \"ranking\"",
        ],
    ),
    (
        "prices.*",
        "[prices.\"openai/x\"]",
        &["input = \"$1/M\"", "output = \"$2/M\"", "gpu_hour = \"$2\"", "tokens_per_second = 9"],
    ),
    (
        "prices.*.tiers[]",
        "[[prices.\"openai/x\".tiers]]",
        &["service = \"flex\"", "above = 200000"],
    ),
    ("workloads.*.cache.exact", "[workloads.faq.cache.exact]", &[]),
    ("workloads.*.cache.semantic", "[workloads.faq.cache.semantic]", &["error = \"2%\""]),
    ("cache", "[cache]", &[]),
    ("currencies.*", "[currencies.EUR]", &["rate = \"1.08\"", "date = 2026-11-01"]),
];

/// Reads a whole file in which a key of one table has this value.
pub(super) fn takes(path: &str, key: &str, value: &str) -> Result<Policy, Problems> {
    let mut text = String::new();
    let mut done = false;
    for (at, header, lines) in WHOLE {
        text.push_str(&format!("{header}\n"));
        let here = *at == path && !done;
        for line in lines.iter().filter(|line| !(here && line.starts_with(&format!("{key} =")))) {
            text.push_str(&format!("{line}\n"));
        }
        if here {
            text.push_str(&format!("{key} = {value}\n"));
            done = true;
        }
    }
    assert!(done, "there is no table {path}");
    read(&text)
}

const OPENAI: &str = "[providers.openai]\napi_key = \"env:K\"\n";

fn hash(digit: char) -> String {
    format!("sha256:{}", digit.to_string().repeat(64))
}

pub(super) fn key(name: &str, digit: char, rest: &str) -> String {
    format!("[[keys]]\nname = \"{name}\"\nhash = \"{}\"\n{rest}", hash(digit))
}

pub(super) fn caller<'p>(policy: &'p Policy, name: &str) -> &'p Caller {
    policy.keys.callers.iter().find(|caller| &*caller.key == name).unwrap()
}

#[test]
fn what_is_left_out_has_its_default() {
    let policy = right(OPENAI);
    assert_eq!(policy.server.listen, ["127.0.0.1:4000".parse().unwrap()]);
    assert_eq!(policy.server.admin, Some("127.0.0.1:4001".parse().unwrap()));
    assert_eq!(policy.server.body_bytes, 32 << 20);
    assert_eq!(policy.server.deadlines.keep_alive_comment, Some(Duration::from_secs(15)));
    assert_eq!(policy.retries.attempts, 3);
    let provider = &policy.providers[0];
    assert_eq!(provider.replicas[0].host, "api.openai.com");
    assert_eq!(provider.replicas[0].path_prefix, "/v1");
    assert_eq!(provider.deadlines.first_token, Duration::from_secs(120));
    assert_eq!(policy.passthrough_name(), Some("openai"));
    assert!(provider.passthrough && policy.server.pin);
}

#[test]
fn secrets_are_named_as_other_gateways_name_them() {
    for (written, expected) in [
        ("env:K", Secret::Env("K".into())),
        ("env::K", Secret::Env("K".into())),
        ("env.K", Secret::Env("K".into())),
        ("os.environ/K", Secret::Env("K".into())),
        ("$K", Secret::Env("K".into())),
        ("${K}", Secret::Env("K".into())),
        ("file:/run/k", Secret::File("/run/k".into())),
        ("file:///run/k", Secret::File("/run/k".into())),
    ] {
        let policy = right(&format!("[providers.openai]\napi_key = \"{written}\"\n"));
        assert_eq!(policy.providers[0].api_key, Some(expected), "{written}");
    }
    for written in ["sk-abc", "env:", "env:A-B", "file:", "K"] {
        let text = format!("[providers.openai]\napi_key = \"{written}\"\n");
        assert_eq!(reasons(&text).len(), 1, "{written}");
    }
}

#[test]
fn a_secret_does_not_come_back_in_a_message() {
    let text = "[providers.openai]\napi_key = \"hunter2\"\nheaders = { Authorization = \"pass7\" }\n\
        [providers.a]\nbase_url = \"https://me:hunter2@a.b/v1\"\n[[keys]]\nname = \"x\"\nhash = \"hunter2\"\n";
    let shown = read(text).unwrap_err().to_string();
    assert!(!shown.contains("hunter2") && !shown.contains("pass7"), "{shown}");
    assert_eq!(reasons(text).len(), 5, "{shown}");
}

#[test]
fn a_secret_in_the_wrong_place_or_spelling_does_not_come_back_either() {
    for line in
        ["key = \"hunter2\"", "API_KEY = 'hunter2'", "api_key = hunter2", "api_key = \"hunter2"]
    {
        let shown = read(&format!("[providers.openai]\n{line}\n")).unwrap_err().to_string();
        assert!(!shown.contains("unter"), "{shown}");
    }
}

#[test]
fn head_fields_are_plain_or_secret() {
    let text =
        "[providers.openai]\nheaders = { X-A = \"b\", Authorization = \"$T\", x-c = \"env:C\" }\n";
    let headers = &right(text).providers[0].headers;
    assert_eq!(headers[0], ("x-a".into(), HeaderValue::Plain("b".into())));
    assert_eq!(headers[1], ("authorization".into(), HeaderValue::Secret(Secret::Env("T".into()))));
    assert_eq!(headers[2], ("x-c".into(), HeaderValue::Secret(Secret::Env("C".into()))));
    for wrong in
        ["Host = \"a\"", "\"a b\" = \"c\"", "a = \"b\\r\\nc: d\"", "a = 1", "a = \"b\", A = \"c\""]
    {
        let text = format!("[providers.openai]\nheaders = {{ {wrong} }}\n");
        assert_eq!(reasons(&text).len(), 1, "{wrong}");
    }
}

#[test]
fn addresses_are_those_of_this_machine_with_a_port() {
    let listen = |value: &str| {
        let text = format!("[server]\nlisten = {value}\nanonymous = true\n{OPENAI}");
        read(&text).map(|policy| policy.server.listen).map_err(|problems| {
            let problem = &problems.0[0];
            format!("{}; {}", problem.reason, problem.help.clone().unwrap_or_default())
        })
    };
    let at = |text: &str| text.parse().unwrap();
    assert_eq!(listen("\"localhost:80\""), Ok(vec![at("127.0.0.1:80")]));
    assert_eq!(listen("[\"0.0.0.0:1\", \"[::]:1\"]"), Ok(vec![at("0.0.0.0:1"), at("[::]:1")]));
    assert_eq!(
        listen("\":4000\""),
        Err("`:4000` is no address to listen at; for this machine alone \"127.0.0.1:4000\", \
             for all \"0.0.0.0:4000\""
            .to_owned())
    );
    assert_eq!(
        listen("\"10.0.0.1\""),
        Err("`10.0.0.1` is no address to listen at; the port is missing: \"10.0.0.1:4000\""
            .to_owned())
    );
    for wrong in ["\"\"", "\"example.com:80\"", "[]", "4000", "[\"[::1]:1\", \"[::1]:1\"]"] {
        assert!(listen(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_access_log_has_a_place() {
    let log = |value: &str| {
        right(&format!("[server]\naccess_log = \"{value}\"\n{OPENAI}")).server.access_log
    };
    assert_eq!(log("off"), AccessLog::Off);
    assert_eq!(log("stderr"), AccessLog::Stderr);
    assert_eq!(log("file:/var/log/a"), AccessLog::File("/var/log/a".into()));
    assert_eq!(right(OPENAI).server.access_log, AccessLog::Stdout);
    let text = format!("[server]\naccess_log = \"/var/log/a\"\n{OPENAI}");
    assert_eq!(reasons(&text), ["2: `/var/log/a` is no place for the access log"]);
}

#[test]
fn names_resolve_before_providers_and_providers_before_patterns() {
    let policy = right(
        "[providers.a]\nbase_url = \"http://a\"\nmodels = [\"m\", \"n-*\"]\n\
         [providers.b]\nbase_url = \"unix:/run/b\"\nmodels = []\n\
         [models.m]\ntargets = [\"a/m\", \"b/x\"]\n\
         [models.\"n-*\"]\ntargets = [\"b/*\"]\n\
         [models.\"n-1*\"]\ntargets = [\"b/one-*\"]\n\
         [models.\"*\"]\ntargets = [\"b/rest\"]\n",
    );
    let to = |asked| {
        let found = policy.models.resolve(asked).unwrap();
        let names = found.targets.iter().map(|&index| {
            let target = &policy.targets[index];
            format!("{}={}", target.name, target.model_for(found.asked))
        });
        (found.name.to_owned(), names.collect::<Vec<_>>().join(" "))
    };
    let expect = |asked, name: &str, targets: &str| {
        assert_eq!(to(asked), (name.to_owned(), targets.to_owned()), "{asked}");
    };
    expect("m", "m", "a/m=m b/x=x");
    expect("a/m", "", "a/m=m");
    expect("a/n-7", "", "a/*=n-7");
    expect("n-7", "n-*", "b/*=n-7");
    expect("n-17", "n-1*", "b/one-*=one-n-17");
    expect("b/x", "*", "b/rest=rest");
    expect("a/z", "*", "b/rest=rest");
    assert_eq!(policy.providers[1].replicas[0].scheme, Scheme::Unix("/run/b".into()));
    let offered: Vec<_> = policy.models.offered(None).collect();
    assert_eq!(offered, [("m", "faregate"), ("a/m", "a")]);
}

#[test]
fn targets_of_one_name_share_a_breaker() {
    let policy = right(&format!(
        "{OPENAI}[models.a]\ntargets = [\"openai/x\"]\n[models.b]\nstrategy = \"weighted\"\n\
         targets = [{{ target = \"openai/x\", weight = 3 }}, \"openai/y\"]\n"
    ));
    let found = |name| policy.models.resolve(name).unwrap();
    let target = |name, at: usize| &policy.targets[found(name).targets[at]];
    assert!(Arc::ptr_eq(&target("a", 0).breaker, &target("b", 0).breaker));
    assert!(Arc::ptr_eq(&target("a", 0).breaker, &target("openai/x", 0).breaker));
    assert_eq!((target("a", 0).weight, target("b", 0).weight, target("b", 1).weight), (1, 3, 1));
    assert_eq!((found("a").strategy, found("b").strategy), (Strategy::Order, Strategy::Weighted));
}

#[test]
fn a_caller_is_bound_by_every_level_above_its_key() {
    let policy = right(&format!(
        "{OPENAI}[models.a]\ntargets = [\"openai/a\"]\n[organisation]\nname = \"acme\"\n\
         limits = [\"1k requests/min\"]\n[teams.t]\nmodels = [\"a\", \"openai/*\"]\n\
         [teams.t.projects.p]\nlimits = [\"9 concurrent\"]\n[teams.t.projects.p.agents.g]\n\
         models = [\"openai/*\"]\n{}{}",
        key("k", '1', "team = \"t\"\nproject = \"p\"\nagent = \"g\"\nlimits = [\"5 tokens/s\"]\n"),
        key("l", '2', ""),
    ));
    let scopes = |caller: &Caller| {
        let names = caller.scopes.iter().map(|&index| policy.scopes[index].name.to_string());
        names.collect::<Vec<_>>()
    };
    let k = caller(&policy, "k");
    assert_eq!(scopes(k), ["organisation", "project/t/p", "key/k"]);
    assert!(k.may_use("openai/x") && !k.may_use("a") && !k.may_use("x"));
    assert!(k.may_use_all_of("openai"));
    assert_eq!(k.organisation.as_deref(), Some("acme"));
    let l = caller(&policy, "l");
    assert_eq!(scopes(l), ["organisation"]);
    assert!(l.may_use("anything"));
    let offered: Vec<_> = policy.models.offered(Some(k)).collect();
    assert_eq!(offered, []);
    let limit = &policy.scopes[k.scopes[2]].limits[0];
    assert_eq!(
        (limit.kind, limit.amount, limit.period),
        (LimitKind::Tokens, 5, Duration::from_secs(1))
    );
}

#[test]
fn callers_without_a_key_are_served_when_nothing_else_can_be_meant() {
    let anonymous = |text: &str| right(&format!("{text}\n{OPENAI}")).keys.anonymous.is_some();
    assert!(anonymous(""));
    assert!(anonymous("[server]\nlisten = \"[::1]:1\"\n"));
    assert!(anonymous("[server]\nlisten = \"0.0.0.0:1\"\nanonymous = true\n"));
    assert!(!anonymous(&key("k", '1', "")));
    assert!(anonymous(&format!("[server]\nanonymous = true\n{}", key("k", '1', ""))));
    let refused = |text: &str| reasons(&format!("{text}\n{OPENAI}"));
    assert_eq!(
        refused("[server]\nlisten = [\"127.0.0.1:1\", \"0.0.0.0:1\"]"),
        ["2: there are no [[keys]], and other machines can connect"]
    );
    assert_eq!(
        refused("[server]\nanonymous = false"),
        ["2: nobody is served: there are no [[keys]], and callers without one are refused"]
    );
    assert_eq!(
        refused("[server]\nlisten = \"0.0.0.0:1\"\nkeys = []"),
        [
            "2: there are no [[keys]], and other machines can connect",
            "3: unknown key `keys` in `server`"
        ]
    );
    let text = format!("[server]\nanonymous = true\nanonymous_team = \"t\"\n[teams.t]\n{OPENAI}");
    assert_eq!(caller(&right(&text), "anonymous").team.as_deref(), Some("t"));
}

#[test]
fn a_reload_keeps_what_is_counted_where_it_is() {
    let text = |limit: &str| {
        format!(
            "{OPENAI}[models.m]\ntargets = [\"openai/m\"]\n[teams.t]\nlimits = [\"{limit}\", \"3 tokens/s\"]\n\
             [teams.u]\nlimits = [\"5 requests/min\"]\n"
        )
    };
    let before = right(&text("5 requests/min"));
    let after = Policy::compile(&text("7 requests/min"), "p.toml", 2, Some(&before)).unwrap();
    after.take_effect();
    let pool = |policy: &Policy, scope: usize, limit: usize| {
        Arc::clone(&policy.scopes[scope].limits[limit].pool)
    };
    assert!(Arc::ptr_eq(&pool(&before, 0, 0), &pool(&after, 0, 0)));
    assert!(Arc::ptr_eq(&pool(&before, 0, 1), &pool(&after, 0, 1)));
    assert!(!Arc::ptr_eq(&pool(&after, 0, 0), &pool(&after, 1, 0)));
    assert_eq!(after.scopes[0].limits[0].amount, 7);
    let hourly = Policy::compile(&text("5 requests/h"), "p.toml", 2, Some(&before)).unwrap();
    assert!(!Arc::ptr_eq(&pool(&before, 0, 0), &pool(&hourly, 0, 0)));
    assert!(Arc::ptr_eq(&before.targets[0].breaker, &after.targets[0].breaker));
}

#[test]
fn budgets_say_what_they_are_of_and_whose_calendar_they_go_by() {
    let text = format!(
        "{OPENAI}[budgets]\ntimezone = \"Europe/Berlin\"\nfiscal_year_start = \"april\"\n[teams.t]\n\
         limits = [\"$2,000/month\", \"4 concurrent\", {{ limit = \"$150/day\", soft = true, timezone = \"UTC\", \
         warn_at = [\"80%\", \"50%\"], raise = {{ to = \"$200\", until = 2026-12-01 }} }}, \
         \"1G tokens total\"]\n[organisation]\nlimits = \"$9k/year\"\n{}",
        key("k", '1', "team = \"t\"\n")
    );
    let policy = right(&text);
    let scopes = &caller(&policy, "k").scopes;
    let [year] = &policy.scopes[scopes[0]].budgets[..] else { panic!("one") };
    assert_eq!(
        (year.unit, year.period, year.limit),
        (Unit::Money, Period::Year, 9_000_000_000_000)
    );
    let day = 86_400_000_000_000;
    let november = Wall(20_782 * day);
    // From the first of April in Berlin, where it is summer.
    let april = Wall(20_544 * day - 7_200_000_000_000);
    assert_eq!(year.level(november).window.start, april);
    let team = &policy.scopes[scopes[1]];
    let [month, daily, tokens] = &team.budgets[..] else { panic!("three") };
    assert_eq!((&*team.name, team.limits.len(), &*month.text), ("team/t", 1, "$2,000/month"));
    assert_eq!((month.calendar.zone(), daily.calendar.zone()), ("Europe/Berlin", "UTC"));
    assert!(daily.is_soft && !month.is_soft);
    assert_eq!(daily.warn_at, [50, 80]);
    assert_eq!(daily.raise.map(|raise| raise.to), Some(200_000_000_000));
    assert_eq!((tokens.unit, tokens.period), (Unit::Tokens, Period::Total));
    // Terms hold once the policy is in force.
    assert_eq!(daily.level(november).limit, 150_000_000_000);
    policy.take_effect();
    assert_eq!(daily.level(november).limit, 200_000_000_000);
    assert_eq!(policy.budgets().count(), 4);
}

#[test]
fn a_reload_keeps_what_is_spent_where_it_is() {
    let text = |limit: &str| {
        format!("{OPENAI}[teams.t]\nlimits = [\"{limit}\"]\n[teams.u]\nlimits = [\"$5/day\"]\n")
    };
    let before = right(&text("$5/day"));
    let after = Policy::compile(&text("$7/day"), "p.toml", 2, Some(&before)).unwrap();
    let fund = |policy: &Policy, scope: usize| Arc::clone(&policy.scopes[scope].budgets[0].fund);
    assert!(Arc::ptr_eq(&fund(&before, 0), &fund(&after, 0)));
    assert!(!Arc::ptr_eq(&fund(&after, 0), &fund(&after, 1)));
    after.take_effect();
    assert_eq!(before.scopes[0].budgets[0].level(Wall(1)).limit, 7_000_000_000);
    let monthly = Policy::compile(&text("$5/month"), "p.toml", 2, Some(&before)).unwrap();
    assert!(!Arc::ptr_eq(&fund(&before, 0), &fund(&monthly, 0)));
}

#[test]
fn what_is_wrong_with_a_budget_is_said() {
    for (limits, expected) in [
        ("[{ soft = true }]", "this entry of `teams.t.limits` has no limit"),
        ("[{ limit = \"$5\" }]", "`$5` does not say for how long"),
        ("[5]", "an entry of limits must be a text or a table, not an integer"),
        (
            "[{ limit = \"5 requests/s\", soft = true }]",
            "`5 requests/s` is no budget, so soft means nothing to it",
        ),
        (
            "[{ limit = \"$5/day\", timezone = \"Europe/Berlim\" }]",
            "there is no zone `Europe/Berlim`",
        ),
        ("[{ limit = \"$5/day\", warn_at = \"0%\" }]", "`0%` is no share to warn at"),
        (
            "[{ limit = \"$5/day\", raise = { to = \"$5\", until = 2027-01-01 } }]",
            "`$5` is no more than `$5/day`",
        ),
        (
            "[{ limit = \"$5/day\", raise = { to = \"6 tokens\", until = 2027-01-01 } }]",
            "`6 tokens` is no amount of money",
        ),
        (
            "[{ limit = \"$5/day\", raise = { to = \"$6\", until = \"soon\" } }]",
            "`soon` is no moment",
        ),
        (
            "[{ limit = \"$5/day\", raise = { to = \"$6\" } }]",
            "`teams.t.limits[].raise` has no until",
        ),
        (
            "[{ limit = \"$5/day\", hard = true }]",
            "unknown key `hard` in this entry of `teams.t.limits`",
        ),
    ] {
        let found = reasons(&format!("{OPENAI}[teams.t]\nlimits = {limits}\n"));
        assert_eq!(found.len(), 1, "{limits}: {found:?}");
        assert!(found[0].contains(expected), "{limits}: {found:?}");
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (text, expected) in [
        (
            "[server.deadlines]\nbody = \"11m\"",
            "2: body is longer than total, and so without effect",
        ),
        (
            "[server.deadlines]\ntotal = \"1m\"\n[providers.x]\nbase_url = \"http://x\"\ndeadlines \
             = { connect = \"2m\" }",
            "5: connect is longer than server.deadlines.total, and so without effect",
        ),
        (
            "[providers.x]\nbase_url = \"http://x\"\ndeadlines = { first_byte = \"9s\", \
             first_token = \"8s\" }",
            "3: first_byte is longer than first_token, and so without effect",
        ),
        ("[retries]\nbackoff = \"9s\"", "2: backoff is longer than backoff_max"),
        ("[server]\nadmin = \"127.0.0.1:4000\"", "2: 127.0.0.1:4000 is also an address of listen"),
        (
            "[providers.x]\nbase_url = \"http://x\"\nreplicas = [\"http://y\"]",
            "3: base_url and replicas are both there",
        ),
        (
            "[models.m]\ntargets = [{ target = \"openai/m\", weight = 2 }]",
            "2: a weight is without effect when targets are tried in order",
        ),
        (
            "[models.\"openai/*\"]\ntargets = [\"openai/m\"]",
            "1: no request reaches model `openai/*`: provider openai takes them first",
        ),
        (
            "[server]\nanonymous_team = \"t\"\n[teams.t]\n[[keys]]\nname = \"k\"\nhash = \"sha256:\
             1111111111111111111111111111111111111111111111111111111111111111\"",
            "2: callers without a key are refused, so this is without effect",
        ),
        (
            "[teams.t]\nlimits = [\"5 requests/min\", \"6 requests/m\"]",
            "2: `6 requests/m` limits the same as `5 requests/min`",
        ),
        ("[teams.t]\nlimits = [\"$5/day\", \"$6/d\"]", "2: `$6/d` limits the same as `$5/day`"),
        ("[teams.t]\nmodels = []", "2: an empty list allows no model"),
        ("[models.m]\ntargets = []", "2: `models.m` has nowhere to go"),
        ("[models.m]\n", "1: `models.m` has no targets"),
    ] {
        assert_eq!(reasons(&format!("{text}\n{OPENAI}")), [expected], "{text}");
    }
}

#[test]
fn shorter_deadlines_shorten_the_defaults_behind_them() {
    let policy = right(
        "[server.deadlines]\ntotal = \"90s\"\n[providers.x]\nbase_url = \"http://x\"\n\
         deadlines = { first_token = \"20s\" }\n",
    );
    let deadlines = policy.providers[0].deadlines;
    assert_eq!(deadlines.first_byte, Duration::from_secs(20));
    assert_eq!(deadlines.first_token, Duration::from_secs(20));
    assert_eq!(deadlines.between_tokens, Duration::from_secs(60));
}

#[test]
fn keys_are_told_apart() {
    let text = format!("{OPENAI}{}{}{}", key("a", '1', ""), key("a", '2', ""), key("b", '1', ""));
    assert_eq!(reasons(&text), ["7: there is another key `a`", "11: key a has the same hash"]);
    let text = format!(
        "{OPENAI}{}",
        key("anonymous", '1', "agent = \"x\"\nexpires = 2027-02-30T00:00:00\n")
    );
    assert_eq!(reasons(&text).len(), 3, "{:?}", reasons(&text));
    let policy = right(&format!("{OPENAI}{}", key("a", '1', "expires = 2027-01-01\n")));
    let caller = &policy.keys.callers[0];
    assert_eq!(caller.expires, Some(1_798_761_600_000_000_000));
    assert!(caller.is_expired(1_798_761_600_000_000_000) && !caller.is_expired(0));
}

#[test]
fn what_may_cost_a_secret_is_said() {
    let text = "[server]\nlisten = \"0.0.0.0:4000\"\nadmin = \"0.0.0.0:4001\"\nanonymous = true\n\
        [providers.x]\nbase_url = \"http://api.example.com\"\napi_key = \"env:K\"\n\
        [providers.y]\nbase_url = \"https://10.0.0.1\"\ninsecure_skip_verify = true\n[providers.groq]\n";
    let found = warnings(text);
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(warnings(OPENAI)[0].starts_with("there are no [[keys]]"));
    assert_eq!(warnings(OPENAI).len(), 1);
}

#[test]
fn a_policy_is_described_in_a_few_lines() {
    let policy = right(super::example::EXAMPLE);
    assert_eq!(
        policy.describe().to_string(),
        "providers  6: openai, shared, bedrock, vertex, azure, fleet\n\
         models     5: default, split, thrifty, auto, gpt-*\n\
         keys       1; callers without a key are served\n\
         limits     17 in 7: model/split, organisation, team/public, team/search, project/search/ranking, \
         agent/search/ranking/crawler, key/search-ci\n\
         listens    127.0.0.1:4000 by TLS, admin 127.0.0.1:4001\n\
         access log stdout; a request may take 10m"
    );
}

#[test]
fn users_sessions_tags_and_models_have_budgets() {
    let text = format!(
        "{OPENAI}[users.default]\nlimits = \"$5/day\"\n[users.\"alice@x\"]\nlimits = [\"$9/day\", \"$1 total\"]\n\
         [tags.\"feature=*\"]\nlimits = \"$1/day\"\n[tags.\"feature=a=b\"]\nlimits = \"$2/day\"\n\
         [models.m]\ntargets = [\"openai/x\"]\nlimits = \"$7/day\"\n"
    );
    let crowd = right(&text).crowd;
    assert_eq!(crowd.users.default.as_ref().map(|rule| rule.len()), Some(1));
    assert_eq!(crowd.users.named["alice@x"].len(), 2);
    assert_eq!(crowd.tags["feature"].named["a=b"][0].limit, 2_000_000_000);
    assert!(crowd.tags["feature"].default.is_some() && crowd.sessions.default.is_none());
    let policy = right(&text);
    assert_eq!(&*policy.scopes[policy.crowd.models["m"]].name, "model/m");
    let wrong = format!(
        "{OPENAI}[users.default]\n[users.a]\nlimits = \"60 requests/min\"\n[tags.feature]\nlimits = \"$1/day\"\n\
         [tags.\"=x\"]\nlimits = \"$1/day\"\n[sessions.\" a\"]\nlimits = \"$1/day\"\n"
    );
    let found = reasons(&wrong);
    assert_eq!(found.len(), 5, "{found:#?}");
    for (reason, part) in found.iter().zip([
        "limits",
        "no budget, and users, sessions, tags, workloads and models have budgets alone",
        "no tag with its value",
        "names nothing",
        "white space",
    ]) {
        assert!(reason.contains(part), "{part}: {found:#?}");
    }
}

#[test]
fn workloads_are_matched_and_have_budgets() {
    let text = format!(
        "{OPENAI}[workloads.faq]\nmatch = {{ header = {{ X-Workload = \"faq\" }} }}\nlimits = \"$5/day\"\n\
         [workloads.night]\nmatch = {{ tag = {{ run = \"night\" }} }}\n[workloads.default]\nlimits = \"$1/day\"\n"
    );
    let policy = right(&text);
    let crowd = &policy.crowd;
    assert_eq!(crowd.workloads.named["faq"][0].limit, 5_000_000_000);
    assert!(crowd.workloads.default.is_some() && crowd.workloads.named.len() == 1);
    let labels = |name: &'static str| {
        policy.attribution.of_head([(name.as_bytes(), &b"faq"[..])].into_iter())
    };
    assert_eq!(&*labels("x-workload").workload, "faq");
    assert_eq!(&*labels("x-other").workload, "");
    let scopes = crowd.draw(&labels("x-workload"), Wall(1)).unwrap();
    assert_eq!(&*scopes[0].drawn().name, "workload/faq");
    let wrong = format!(
        "{OPENAI}[workloads.a]\n[workloads.b]\nmatch = {{}}\n[workloads.default]\nlimits = \"$1/day\"\n\
         match = {{ tag = {{ a = \"b\" }} }}\n[workloads.c]\nmatch = {{ header = {{ \"a b\" = \"c\" }}, tag = {{ a = \" b\" }} }}\n"
    );
    let found = reasons(&wrong);
    for part in [
        "has no limits",
        "matches nothing by itself",
        "matches none",
        "no name of a head",
        "no request can",
    ] {
        assert!(found.iter().any(|reason| reason.contains(part)), "{part}: {found:#?}");
    }
}

#[test]
fn a_webhook_has_a_url_and_a_secret() {
    let text = |rest: &str| format!("{OPENAI}[budgets.webhook]\n{rest}\n");
    let hook = right(&text("url = \"https://h/x?y=1\"\nsecret = \"env:HOOK\"")).webhook.unwrap();
    assert_eq!((&*hook.url, hook.secret), ("https://h/x?y=1", Secret::Env("HOOK".to_owned())));
    for (rest, part) in [
        ("secret = \"env:HOOK\"", "has no url"),
        ("url = \"https://h/x\"", "has no secret"),
        ("url = \"ftp://h/x\"\nsecret = \"env:HOOK\"", "no URL of http"),
        ("url = \"https://u:p@h/x\"\nsecret = \"env:HOOK\"", "no password"),
        ("url = \"https:///x\"\nsecret = \"env:HOOK\"", "no host"),
        ("url = \"https://h/x y\"\nsecret = \"env:HOOK\"", "no URL"),
        ("url = \"https://h/x\"\nsecret = \"hunter2\"", "does not stand in the policy"),
    ] {
        let found = reasons(&text(rest));
        assert!(found.len() == 1 && found[0].contains(part), "{part}: {found:?}");
    }
}
