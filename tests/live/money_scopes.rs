//! Budgets of users, sessions, tags and models: each its own, shared by all who come at once, kept over a restart.

use std::thread;

use faregate_tests::{Answer, Client, Gateway, Launch, Provider, client, gateway, provider, wait};

/// A dollar for each request, whatever its tokens.
const PRICES: &str =
    "[prices.\"sim/*\"]\ninput = \"$0/M\"\noutput = \"$0/M\"\nrequest = \"$1/request\"\n";

fn policy(provider: &Provider, rest: &str) -> String {
    format!("{}{PRICES}{rest}", gateway::sim(provider))
}

fn ask(gateway: &Gateway, model: &str, fields: &[(&str, &str)]) -> Answer {
    let mut client = gateway.client("any");
    for (name, value) in fields {
        client = client.with(name, value);
    }
    let mut body = client::chat(model);
    body["max_tokens"] = 8.into();
    client.post("/v1/chat/completions", &body)
}

/// How many of `asked` requests were answered; all others were refused for their budget.
fn answered(gateway: &Gateway, asked: usize, model: &str, fields: &[(&str, &str)]) -> usize {
    let answers = (0..asked).map(|_| ask(gateway, model, fields));
    answers.filter(is_paid).count()
}

fn is_paid(answer: &Answer) -> bool {
    if answer.status != 200 {
        let code = answer.code();
        assert!(code == "budget_exceeded" || code == "budget_spent", "{answer:?}");
    }
    answer.status == 200
}

#[test]
fn each_new_user_has_its_own_money() {
    let provider = provider();
    let rest = "[users.default]\nlimits = \"$3/day\"\n[users.alice]\nlimits = \"$5/day\"\n";
    let gateway = Launch::new(policy(&provider, rest)).start();
    for (user, paid) in [("bob", 3), ("eve", 3), ("alice", 5)] {
        assert_eq!(answered(&gateway, 7, "m", &[("x-faregate-user", user)]), paid, "{user}");
    }
    let refused = ask(&gateway, "m", &[("x-faregate-user", "bob")]);
    assert_eq!(refused.json()["error"]["scope"], "user/bob", "{refused:?}");
    assert_eq!(ask(&gateway, "m", &[]).status, 200, "nobody's request is nobody's money");
    assert_eq!(provider.counters().requests(), 12);
    let told = Client::new(gateway.admin, "").get("/budgets").json();
    let scopes = told["scopes"].as_array().unwrap();
    let alice = scopes.iter().find(|scope| scope["scope"] == "user/alice").unwrap();
    assert_eq!(alice["budgets"][0]["spent"], 5_000_000_000_u64, "{told}");
    assert_eq!((scopes.len(), &told["unlisted"]), (3, &0.into()));
}

#[test]
fn first_requests_of_a_user_that_come_together_share_one_budget() {
    let provider = provider();
    let gateway = Launch::new(policy(&provider, "[users.default]\nlimits = \"$10/day\"\n")).start();
    let paid: usize = thread::scope(|scope| {
        let one = || is_paid(&ask(&gateway, "m", &[("x-faregate-user", "new")]));
        let all: Vec<_> = (0..64).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|one| usize::from(one.join().unwrap())).sum()
    });
    assert_eq!(paid, 10);
    assert_eq!(provider.counters().requests(), 10);
}

#[test]
fn sessions_tags_and_models_have_budgets() {
    let provider = provider();
    let rest = "[sessions.default]\nlimits = \"$2 total\"\n[tags.\"feature=*\"]\nlimits = \"$3/day\"\n\
         [tags.\"feature=search\"]\nlimits = \"$4/day\"\n[models.small]\ntargets = [\"sim/s\"]\nlimits = \"$5/day\"\n";
    let gateway = Launch::new(policy(&provider, rest)).start();
    assert_eq!(answered(&gateway, 4, "m", &[("x-faregate-session", "one")]), 2);
    assert_eq!(answered(&gateway, 4, "m", &[("x-faregate-session", "two")]), 2);
    for (tag, paid) in [("feature=search", 4), ("feature=chat", 3), ("feature=mail", 3)] {
        assert_eq!(answered(&gateway, 6, "m", &[("x-faregate-tags", tag)]), paid, "{tag}");
    }
    assert_eq!(answered(&gateway, 7, "small", &[]), 5);
    assert_eq!(ask(&gateway, "small", &[]).json()["error"]["scope"], "model/small");
    assert_eq!(ask(&gateway, "other", &[]).status, 200);
}

#[test]
fn what_a_user_has_spent_is_known_after_a_restart() {
    let provider = provider();
    let launch = Launch::new(policy(&provider, "[users.default]\nlimits = \"$5/day\"\n"));
    let folder = faregate_tests::folder::Folder::new();
    let launch = launch.variable("FAREGATE_DATA", &folder.path().display().to_string());
    let again = launch.clone();
    let mut first = launch.start();
    assert_eq!(answered(&first, 3, "m", &[("x-faregate-user", "bob")]), 3);
    assert!(first.stop().success());
    let second = again.start();
    assert_eq!(answered(&second, 5, "m", &[("x-faregate-user", "bob")]), 2);
    assert_eq!(answered(&second, 6, "m", &[("x-faregate-user", "new")]), 5);
}

#[test]
fn a_limit_that_a_reload_adds_counts_what_the_ledger_knows() {
    let provider = provider();
    let rest = "[users.default]\nlimits = \"$5/day\"\n";
    let gateway = Launch::new(policy(&provider, rest)).start();
    assert_eq!(answered(&gateway, 4, "m", &[("x-faregate-user", "bob")]), 4);
    let before = gateway.generation();
    let more = "[users.default]\nlimits = [\"$9/day\", \"$6/month\"]\n[organisation]\nlimits = \"$7/month\"\n";
    gateway.replace(&policy(&provider, more));
    gateway.wait_generation_after(before);
    assert_eq!(answered(&gateway, 5, "m", &[("x-faregate-user", "bob")]), 2, "6 a month");
    assert_eq!(answered(&gateway, 5, "m", &[("x-faregate-user", "eve")]), 1, "7 of all");
    wait::until_true("the provider has counted", || provider.counters().requests() == 7);
}

#[test]
fn without_room_for_another_user_requests_are_refused_with_a_clear_word() {
    let provider = provider();
    let rest = "[budgets]\nscopes_max = 2\n[users.default]\nlimits = \"$3/day\"\n";
    let gateway = Launch::new(policy(&provider, rest)).start();
    for user in ["a", "b", "a"] {
        assert_eq!(ask(&gateway, "m", &[("x-faregate-user", user)]).status, 200, "{user}");
    }
    let refused = ask(&gateway, "m", &[("x-faregate-user", "c")]);
    assert_eq!((refused.status, refused.code()), (503, "scopes_full".to_owned()));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("user/c"));
}

#[test]
fn workloads_have_budgets_and_are_among_the_reports() {
    let provider = provider();
    let rest = "[workloads.faq]\nmatch = { header = { \"x-app\" = \"faq\" } }\nlimits = \"$3/day\"\n\
         [workloads.default]\nlimits = \"$2/day\"\n";
    let launch = Launch::new(policy(&provider, rest));
    let mut gateway = launch.start();
    let (faq, mine) = (("x-app", "faq"), ("x-faregate-workload", "mine"));
    assert_eq!(answered(&gateway, 5, "m", &[faq]), 3);
    assert_eq!(answered(&gateway, 4, "m", &[mine]), 2);
    // What the policy matches goes before what the client says.
    let refused = ask(&gateway, "m", &[faq, mine]);
    assert_eq!(refused.json()["error"]["scope"], "workload/faq", "{refused:?}");
    assert_eq!(ask(&gateway, "m", &[]).status, 200, "no workload at all");
    gateway.stop();
    let books = super::money::spend_by(gateway.folder.path(), "workload");
    let mut groups: Vec<_> = books["groups"].as_array().unwrap().iter().collect();
    groups.sort_by_key(|group| group["workload"].as_str().unwrap_or_default().to_owned());
    let of = |group: &serde_json::Value| {
        (group["workload"].as_str().unwrap_or_default().to_owned(), group["cost_nano_usd"].as_u64())
    };
    let found: Vec<_> = groups.into_iter().map(of).collect();
    let dollars = |name: &str, dollars: u64| (name.to_owned(), Some(dollars * 1_000_000_000));
    assert_eq!(found, [dollars("", 1), dollars("faq", 3), dollars("mine", 2)]);
}

#[test]
fn tokens_and_requests_are_known_after_a_restart_and_after_a_kill() {
    let provider = provider();
    let rest = "[teams.a]\nlimits = [\"9 requests/month\", { limit = \"1M tokens/day\", calendar = true }, \
         { limit = \"2 requests/year\", soft = true }]\n[users.default]\nlimits = \"4 requests/day\"\n";
    let rest = format!("{rest}{}", faregate_tests::key::row("one", "team = \"a\""));
    let sim = gateway::sim(&provider);
    let folder = faregate_tests::folder::Folder::new();
    let launch = Launch::new(format!("{sim}{rest}"));
    let launch = launch.variable("FAREGATE_DATA", &folder.path().display().to_string());
    let ask = |gateway: &Gateway, user: &str| {
        let mut client = gateway.client(&faregate_tests::key::named("one"));
        client = client.with("x-faregate-user", user);
        client.chat("m").status
    };
    let levels = |gateway: &Gateway| {
        let me = gateway.client(&faregate_tests::key::named("one")).get("/v1/faregate/me").json();
        let budgets = me["scopes"][0]["budgets"].as_array().unwrap().clone();
        budgets.iter().map(|one| one["spent"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let mut first = launch.clone().start();
    assert_eq!([ask(&first, "bob"), ask(&first, "bob"), ask(&first, "bob")], [200; 3]);
    let before = levels(&first);
    assert_eq!((before[0], before[2]), (3, 3), "{before:?}");
    assert!(before[1] > 0, "{before:?}");
    assert!(first.stop().success());
    let mut second = launch.clone().start();
    assert_eq!(levels(&second), before, "after an end as it should be");
    assert_eq!([ask(&second, "bob"), ask(&second, "bob")], [200, 429], "four a day");
    let known = levels(&second);
    // A soft limit is written down behind its use.
    wait::until_true("the journal has it", || {
        second.metrics().sum("faregate_journal_rows_waiting", &[]) == 0.0
    });
    wait::pass(std::time::Duration::from_millis(100));
    second.kill();
    let third = launch.start();
    let found = levels(&third);
    assert!(found.iter().zip(&known).all(|(found, known)| found >= known), "{found:?} {known:?}");
    assert!(found[0] <= 9, "{found:?}");
    assert_eq!(ask(&third, "bob"), 429);
    assert_eq!(ask(&third, "eve"), 200);
}
