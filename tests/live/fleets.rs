//! Places that come and go: a file that lists them, a name that has them as addresses.

use faregate_tests::{Gateway, Launch, Provider, provider};

fn list(places: &[&Provider]) -> String {
    places.iter().map(|place| place.base_url() + "\n").collect()
}

/// A gateway whose provider's places stand in the file `fleet`.
fn start(places: &[&Provider]) -> Gateway {
    Launch::new(
        "[providers.fleet]\nreplicas = \"file:{folder}/fleet\"\n[models.m]\ntargets = [\"fleet/m\"]\n",
    )
    .file("fleet", &list(places))
    .start()
}

fn ask(gateway: &Gateway, times: usize) {
    let mut client = gateway.client("");
    for _ in 0..times {
        assert_eq!(client.chat("m").status, 200);
    }
}

#[test]
fn a_place_that_is_added_to_the_file_warms_up_and_one_that_is_taken_out_gets_no_more() {
    let (old, new) = (provider(), provider());
    let gateway = start(&[&old]);
    ask(&gateway, 20);
    assert_eq!(old.counters().requests(), 20);
    let before = gateway.generation();
    gateway.folder.write("fleet", &list(&[&old, &new]));
    gateway.wait_generation_after(before);
    ask(&gateway, 200);
    // A tenth of its half at first; the test takes much less than the 30 s until it has all of it.
    let share = new.counters().requests();
    assert!((1..=60).contains(&share), "{share} of 200");
    let (before, asked) = (gateway.generation(), old.counters().requests());
    gateway.folder.write("fleet", &format!("# drained\n{}", list(&[&new])));
    gateway.wait_generation_after(before);
    ask(&gateway, 20);
    assert_eq!(old.counters().requests(), asked, "it is drained");
    assert_eq!(new.counters().requests(), share + 20);
}

#[test]
fn what_is_under_way_at_a_place_that_is_taken_out_comes_to_its_end() {
    let (old, new) = (provider(), provider());
    let gateway = start(&[&old]);
    let mut body = faregate_tests::client::streamed("m");
    body["sim"] = "tokens=20; chunk=50ms".into();
    let mut events = gateway.client("").stream(&body);
    assert!(events.next_data().is_some());
    let before = gateway.generation();
    gateway.folder.write("fleet", &list(&[&new]));
    gateway.wait_generation_after(before);
    assert_eq!(events.all().last().map(String::as_str), Some("[DONE]"));
}

#[test]
fn a_file_that_names_no_place_changes_nothing() {
    let old = provider();
    let gateway = start(&[&old]);
    for (wrong, said) in
        [("# none\n", "it names no place"), ("ftp://x\n", "line 1: `ftp` is no scheme")]
    {
        gateway.folder.write("fleet", wrong);
        gateway.wait_log(said);
        ask(&gateway, 5);
    }
    assert_eq!(old.counters().requests(), 10);
}

#[test]
fn every_address_of_a_name_is_a_place() {
    let place = provider();
    let url = place.base_url().replace("127.0.0.1", "localhost");
    let gateway = Launch::new(format!(
        "[providers.fleet]\nbase_url = \"{url}\"\nreplicas = \"dns\"\n[models.m]\ntargets = [\"fleet/m\"]\n"
    ))
    .start();
    ask(&gateway, 30);
    assert_eq!(place.counters().requests(), 30);
    let host = place.take_captured()[0].header("host").map(str::to_owned);
    assert!(
        host.is_some_and(|host| host.starts_with("localhost:")),
        "the name is what is asked for"
    );
    // A name that is not there is no mistake of the policy: it may come yet.
    let gateway = Launch::new(
        "[providers.fleet]\nbase_url = \"http://does-not-exist.invalid:80/v1\"\nreplicas = \"dns\"\n\
         [models.m]\ntargets = [\"fleet/m\"]\n[retries]\nattempts = 1\n",
    )
    .start();
    let code = gateway.client("").chat("m").code();
    assert!(matches!(code.as_str(), "upstream_name_failed" | "upstream_connect_timeout"), "{code}");
}
