//! Idle connections to a provider that the provider closes: the next request, a POST too, gets another one and no error.

use std::thread;

use faregate_tests::{
    Act, Client, Driver, Launch, Settings, Upstream, client, provider_with, upstream, wait,
};

use crate::{CHAT, before, once, post};

#[test]
fn a_connection_closed_between_requests_is_replaced_without_an_error() {
    for driver in Driver::ALL {
        for end in [Act::Close, Act::Reset] {
            // Closed right behind each answer, without a word: the next request may find it open or closed.
            let upstream =
                Upstream::start(move |_| vec![Act::Send(upstream::json("{}")), end.clone()]);
            let gateway = before(&upstream, driver);
            let mut wire = gateway.connect();
            for case in 0..300 {
                wire.send(post(case, CHAT));
                let answer = wire.answer();
                assert_eq!((answer.status, answer.text()), (200, "{}"), "request {case}");
            }
            let seen = upstream.take();
            assert_eq!(seen.len(), 300, "each request is performed once");
        }
    }
}

#[test]
fn a_provider_that_drops_its_idle_connections_is_asked_again() {
    for driver in Driver::ALL {
        let provider = provider_with(Settings { capture: 4, ..Settings::default() });
        let gateway = Launch::new(once(&provider.base_url())).on(driver).start();
        let mut clients: Vec<Client> = (0..16).map(|_| gateway.client("")).collect();
        for round in 0..20 {
            thread::scope(|scope| {
                for client in &mut clients {
                    scope.spawn(move || {
                        assert_eq!(client.chat("m").status, 200, "round {round}");
                    });
                }
            });
            provider.close_idle();
        }
        assert_eq!(provider.counters().answered(), 16 * 20);
    }
}

#[test]
fn a_request_that_a_provider_may_have_begun_is_not_sent_a_third_time() {
    for driver in Driver::ALL {
        // The first answer makes the connection a used one; then each request is read and the connection dropped.
        let upstream = Upstream::start(|request| match request.case() {
            0 => vec![Act::Send(upstream::json("{}"))],
            _ => vec![Act::Close],
        });
        let gateway = before(&upstream, driver);
        let mut wire = gateway.connect();
        wire.send(post(0, CHAT));
        assert_eq!(wire.answer().status, 200);
        wire.send(post(1, CHAT));
        let answer = wire.answer();
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_reset"));
        let seen = upstream.take();
        assert_eq!(seen.len(), 3, "once on the used connection, once on a fresh one");
        assert_eq!(seen[2].place, 0, "the second time on a fresh connection");
    }
}

#[test]
fn a_connection_that_says_it_ends_is_not_used_again() {
    for driver in Driver::ALL {
        let provider = provider_with(Settings { requests_max: Some(3), ..Settings::default() });
        let gateway =
            Launch::new(once(&provider.base_url())).on(driver).server("cores = 1").start();
        let mut one = gateway.client("");
        for _ in 0..30 {
            assert_eq!(one.chat("m").status, 200);
        }
        assert_eq!(provider.counters().accepted(), 10);
    }
}

#[test]
fn idle_connections_are_used_again_and_let_go_in_time() {
    for driver in Driver::ALL {
        let provider = provider_with(Settings::default());
        let gateway = Launch::new(once(&provider.base_url()))
            .on(driver)
            .server("cores = 1\n[server.deadlines]\nupstream_idle = \"500ms\"")
            .start();
        let mut one = gateway.client("");
        for _ in 0..50 {
            assert_eq!(one.chat("m").status, 200);
            let events = gateway.client("").stream(&client::streamed("m")).all();
            assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
        }
        assert!(provider.counters().accepted() <= 2, "{}", provider.counters().accepted());
        wait::until_true("the idle ones are closed", || provider.counters().open() == 0);
    }
}
