//! A changed policy takes effect, whole or not at all, and nothing under way is lost.

use std::{
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use faregate_tests::{
    Answer, Gateway, Launch, Provider, client, folder::Folder, gateway, key, provider, wait,
};

/// A policy in which only these models exist.
fn models(provider: &Provider, names: &[&str]) -> String {
    let tables: String =
        names.iter().map(|name| format!("[models.{name}]\ntargets = [\"sim/{name}\"]\n")).collect();
    format!("[providers.sim]\nbase_url = \"{}\"\n{tables}", provider.base_url())
}

fn generation(answer: &Answer) -> u64 {
    answer.header("x-faregate-generation").unwrap().parse().unwrap()
}

/// Waits until the model `name` is served; the answer.
fn wait_model(gateway: &Gateway, name: &str) -> Answer {
    wait::until(&format!("{name} is served"), || {
        Some(gateway.client("").chat(name)).filter(|answer| answer.status == 200)
    })
}

#[test]
fn a_file_that_is_written_to_takes_effect() {
    let provider = provider();
    let gateway = Launch::new(models(&provider, &["one"])).start();
    let first = gateway.client("").chat("one");
    assert_eq!(gateway.client("").chat("two").status, 404);
    gateway.write(&models(&provider, &["two"]));
    let second = wait_model(&gateway, "two");
    assert!(generation(&second) > generation(&first));
    assert_eq!(gateway.client("").chat("one").status, 404, "what is gone is gone on every core");
    assert_eq!(gateway.generation(), generation(&second));
    let metrics = gateway.metrics();
    assert!(metrics.sum("faregate_policy_generation", &[]) >= 2.0);
    assert!(metrics.sum("faregate_policy_reloads_total", &[]) >= 1.0);
    gateway.wait_log("policy in force");
    let id = second.header("x-faregate-request-id").unwrap();
    assert_eq!(gateway.access_line(id)["generation"], generation(&second));
}

#[test]
fn a_file_that_is_renamed_over_takes_effect_time_after_time() {
    let provider = provider();
    let gateway = Launch::new(models(&provider, &["m0"])).start();
    for round in 1..=5 {
        let name = format!("m{round}");
        gateway.replace(&models(&provider, &[&name]));
        wait_model(&gateway, &name);
    }
}

#[test]
fn a_file_that_is_taken_away_and_put_back_takes_effect() {
    let provider = provider();
    let gateway = Launch::new(models(&provider, &["one"])).start();
    std::fs::remove_file(&gateway.policy).unwrap();
    gateway.wait_log("stays");
    assert_eq!(gateway.client("").chat("one").status, 200, "the policy in force stays");
    gateway.write(&models(&provider, &["two"]));
    wait_model(&gateway, "two");
}

#[test]
fn a_config_map_of_kubernetes_takes_effect() {
    let provider = provider();
    let launch = Launch::new("");
    let folder = Folder::new();
    let whole = |names: &[&str]| {
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\naccess_log = \"off\"\n{}",
            models(&provider, names)
        )
    };
    let version = |name: &str, names: &[&str]| {
        std::fs::create_dir(folder.join(name)).unwrap();
        folder.write(&format!("{name}/faregate.toml"), &whole(names));
    };
    version("..2026_11_24_1", &["one"]);
    symlink("..2026_11_24_1", folder.join("..data")).unwrap();
    symlink("..data/faregate.toml", folder.join("faregate.toml")).unwrap();
    let version_two = whole(&["two"]);
    let policy = folder.join("faregate.toml");
    let path = folder.path().to_owned();
    let gateway = launch.start_with(folder, policy);
    assert_eq!(gateway.client("").chat("one").status, 200);
    // As the kubelet does it: a new folder, a new link, renamed over the old one, the old folder removed.
    std::fs::create_dir(path.join("..2026_11_24_2")).unwrap();
    std::fs::write(path.join("..2026_11_24_2/faregate.toml"), version_two).unwrap();
    symlink("..2026_11_24_2", path.join("..data_tmp")).unwrap();
    std::fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    std::fs::remove_dir_all(path.join("..2026_11_24_1")).unwrap();
    wait_model(&gateway, "two");
    assert_eq!(gateway.client("").chat("one").status, 404);
}

#[test]
fn a_hang_up_reads_the_file_again() {
    let provider = provider();
    let gateway = Launch::new(models(&provider, &["one"])).start();
    let before = gateway.generation();
    gateway.process().signal(libc::SIGHUP);
    gateway.wait_generation_after(before);
    assert_eq!(gateway.client("").chat("one").status, 200);
}

#[test]
fn a_wrong_file_changes_nothing_and_says_where_it_is_wrong() {
    let provider = provider();
    let gateway = Launch::new(models(&provider, &["one"])).start();
    let before = gateway.generation();
    gateway.write(&models(&provider, &["two"]).replace("targets", "tragets"));
    gateway.wait_log("refused");
    gateway.wait_log("tragets");
    wait::until_true("the report has its caret", || gateway.log().contains("^^^^^^^"));
    assert!(gateway.log().contains("targets"), "the nearest right spelling is named");
    wait::until_true("it is counted", || {
        gateway.metrics().sum("faregate_policy_reloads_refused_total", &[]) >= 1.0
    });
    assert_eq!(gateway.generation(), before);
    assert_eq!(gateway.client("").chat("one").status, 200);
    assert_eq!(gateway.client("").chat("two").status, 404);
    // Half a file, no file at all, a secret that is not there: the same.
    for wrong in [
        "[server",
        "",
        "[providers.sim]\nbase_url = \"http://127.0.0.1:9\"\napi_key = \"env:NOT_SET_ANYWHERE\"\n",
    ] {
        let refused = gateway.metrics().sum("faregate_policy_reloads_refused_total", &[]);
        gateway.write(wrong);
        wait::until_true(&format!("{wrong:?} is refused"), || {
            gateway.metrics().sum("faregate_policy_reloads_refused_total", &[]) > refused
        });
        assert_eq!(gateway.client("").chat("one").status, 200, "{wrong:?}");
    }
    gateway.write(&models(&provider, &["two"]));
    wait_model(&gateway, "two");
}

#[test]
fn what_was_counted_stays_counted() {
    let provider = provider();
    let policy = |limit: &str, more: &str| {
        let row = key::row("one", &format!("team = \"search\"\nlimits = [\"{limit}\"]"));
        format!("{}[teams.search]\n{row}{more}", gateway::sim(&provider))
    };
    let gateway = Launch::new(policy("6 requests/day", "")).start();
    let mut client = gateway.client(&key::named("one"));
    for _ in 0..3 {
        assert_eq!(client.chat("m").status, 200);
    }
    let before = gateway.generation();
    gateway.write(&policy("6 requests/day", "[teams.other]\n"));
    let before = gateway.wait_generation_after(before);
    for _ in 0..3 {
        assert_eq!(client.chat("m").status, 200);
    }
    assert_eq!(client.chat("m").status, 429);
    // A larger limit gives what it is larger by.
    gateway.write(&policy("8 requests/day", ""));
    gateway.wait_generation_after(before);
    let answered = (0..10).filter(|_| client.chat("m").status == 200).count();
    assert_eq!(answered, 2);
}

#[test]
fn a_stream_under_way_keeps_its_policy() {
    let provider = provider();
    let other = faregate_tests::provider();
    let gateway = Launch::new(models(&provider, &["one"])).start();
    let mut body = client::streamed("one");
    body["sim"] = "tokens=40; chunk=20ms".into();
    let mut events = gateway.client("").stream(&body);
    let generation = events.head.header("x-faregate-generation").unwrap().to_owned();
    events.next_data().unwrap();
    gateway.write(&models(&other, &["two"]));
    wait_model(&gateway, "two");
    let rest = events.all();
    assert_eq!(rest.len(), 40 + 1 + 1, "tokens, finish, end");
    assert_eq!(rest.last().map(String::as_str), Some("[DONE]"));
    let line = wait::until("its line", || {
        gateway.access().into_iter().find(|line| line["model"] == "one" && line["stream"] == true)
    });
    assert_eq!(line["generation"].to_string(), generation);
}

#[test]
fn a_key_that_is_taken_back_opens_nothing_any_more() {
    let provider = provider();
    let policy = |rest: &str| {
        format!("{}{}{}", gateway::sim(&provider), key::row("one", rest), key::row("two", ""))
    };
    let gateway = Launch::new(policy("")).start();
    let mut client = gateway.client(&key::named("one"));
    assert_eq!(client.chat("m").status, 200);
    for (rest, code) in [
        ("disabled = true", "disabled_api_key"),
        ("expires = 2020-01-01T00:00:00Z", "expired_api_key"),
    ] {
        gateway.write(&policy(rest));
        wait::until_true(code, || {
            let answer = client.chat("m");
            answer.status == 401 && answer.code() == code
        });
    }
    gateway.write(&policy("disabled = true").replace(&key::row("one", "disabled = true"), ""));
    wait::until_true("it is unknown", || client.chat("m").code() == "invalid_api_key");
    assert_eq!(gateway.client(&key::named("two")).chat("m").status, 200);
}

#[test]
fn a_changed_secret_reaches_the_provider() {
    let provider = provider();
    let policy =
        gateway::sim(&provider).replace("[models", "api_key = \"file:{folder}/secret\"\n\n[models");
    let gateway = Launch::new(policy).file("secret", "sk-first\n").start();
    assert_eq!(gateway.client("").chat("m").status, 200);
    gateway.folder.write("secret", "sk-second\n");
    wait::until_true("the new key is used", || {
        assert_eq!(gateway.client("").chat("m").status, 200);
        let captured = provider.take_captured();
        captured.last().unwrap().header("authorization") == Some("Bearer sk-second")
    });
}

#[test]
fn nothing_fails_while_the_policy_changes_all_the_time() {
    let provider = provider();
    let policy = |round: u64| {
        format!(
            "{}{}[models.r{round}]\ntargets = [\"sim/x\"]\n",
            gateway::sim(&provider),
            key::row("one", "")
        )
    };
    let gateway = Launch::new(policy(0)).start();
    let (done, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let ask = || {
        let mut client = gateway.client(&key::named("one"));
        let mut last = 0;
        while !done.load(Ordering::Relaxed) {
            let answer = client.chat("m");
            assert_eq!(answer.status, 200, "{answer:?}");
            let now = generation(&answer);
            assert!(now >= last, "generation {last}, then {now} on one connection");
            last = now;
            sent.fetch_add(1, Ordering::Relaxed);
        }
        last
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        for round in 1..=15 {
            let before = gateway.generation();
            if round % 3 == 0 {
                gateway.write("[providers.sim]\nbase_url = 7\n");
                let seen = || gateway.metrics().sum("faregate_policy_reloads_refused_total", &[]);
                wait::until_true("it is refused", || seen() >= (round / 3) as f64);
            }
            gateway.replace(&policy(round));
            gateway.wait_generation_after(before);
            let micros = gateway.metrics().sum("faregate_policy_reload_micros", &[]);
            assert!(micros < 1e6, "{micros}");
            wait::pass(Duration::from_millis(20));
        }
        done.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() >= 10, "clients see the new policies");
        }
    });
    assert!(sent.load(Ordering::Relaxed) > 100);
    assert_eq!(provider.counters().breached(), 0);
}
