//! The webhook: each share of a budget is told once a window, signed, also when nobody listens at first.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
};

use faregate_adapters::auth::sigv4::hmac_sha256_hex;
use faregate_tests::{Gateway, Launch, folder::Folder, key, provider, wait, wire::find};
use serde_json::Value;

use super::asking;

const SECRET: &str = "correct-horse";

/// Takes one POST, answers it, and gives back its signature, its id and its body, which it has checked.
fn take(listener: &TcpListener, status: &str) -> (String, Value) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(wait::LONG)).unwrap();
    let (mut received, mut piece) = (Vec::new(), [0; 4096]);
    let (head, body) = loop {
        let n = stream.read(&mut piece).unwrap();
        assert!(n > 0, "cut off: {}", String::from_utf8_lossy(&received));
        received.extend_from_slice(&piece[..n]);
        let Some(end) = find(&received, b"\r\n\r\n") else { continue };
        let head = String::from_utf8(received[..end].to_vec()).unwrap();
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim_start_matches(": ").to_owned()
        };
        let length: usize = field("content-length").parse().unwrap();
        if received.len() < end + 4 + length {
            continue;
        }
        let body = String::from_utf8(received[end + 4..].to_vec()).unwrap();
        let code = hmac_sha256_hex(SECRET.as_bytes(), &body);
        assert_eq!(field("x-faregate-signature"), format!("sha256={code}"));
        assert!(head.starts_with("POST /hooks/faregate?a=b HTTP/1.1"), "{head}");
        break (field("x-faregate-delivery"), serde_json::from_str(&body).unwrap());
    };
    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).unwrap();
    let id = body_id(&body);
    assert_eq!(head, id);
    (id, body)
}

fn body_id(body: &Value) -> String {
    body["id"].as_str().unwrap().to_owned()
}

fn ask(gateway: &Gateway) -> u16 {
    gateway.client(&key::named("one")).post("/v1/chat/completions", &asking(8)).status
}

#[test]
fn each_share_of_a_budget_is_told_once_also_over_a_restart() {
    let provider = provider();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let prices =
        "[prices.\"sim/*\"]\ninput = \"$0/M\"\noutput = \"$0/M\"\nrequest = \"$1/request\"\n";
    let row = key::row("one", "limits = [{ limit = \"$4/day\", warn_at = [\"50%\", \"100%\"] }]");
    let policy = format!(
        "{}{prices}[budgets.webhook]\nurl = \"http://{port}/hooks/faregate?a=b\"\nsecret = \"env:HOOK\"\n{row}",
        faregate_tests::gateway::sim(&provider)
    );
    let folder = Folder::new();
    let launch = Launch::new(policy).variable("HOOK", SECRET);
    let launch = launch.variable("FAREGATE_DATA", &folder.path().display().to_string());
    let mut first = launch.clone().start();
    assert_eq!([ask(&first), ask(&first)], [200, 200]);
    first.wait_log("it is tried again");
    let listener = TcpListener::bind::<SocketAddr>(port).unwrap();
    let (id, refused) = take(&listener, "503");
    let (again, told) = take(&listener, "204");
    assert_eq!((&id, &refused), (&again, &told), "the same again");
    assert_eq!((&told["scope"], &told["share_percent"]), (&"key/one".into(), &50.into()));
    let budget = &told["budget"];
    assert_eq!((&budget["limit"], &budget["spent"]), (&"$4/day".into(), &2_000_000_000_u64.into()));
    first.wait_log("the webhook was told");
    assert!(first.stop().success());
    assert!(!first.everything_written().contains(SECRET));

    let second = launch.start();
    assert_eq!(ask(&second), 200);
    second.wait_log("has reached a share");
    assert_eq!([ask(&second), ask(&second)], [200, 429]);
    let (next, told) = take(&listener, "200");
    assert_eq!(told["share_percent"], 100, "half of it was told before the restart: {told}");
    assert_ne!(next, id);
}
