//! Providers on clouds: credentials come from where a machine has them, sign each request, and are renewed in time.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use faregate_adapters::auth::{
    Seconds, Secret,
    sigv4::{self, Credentials, Scope, Unsigned},
};
use faregate_tests::{
    Launch,
    upstream::{Act, Request, Upstream, json},
    wait,
};
use serde_json::json as value;

const SAID: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":1,"totalTokens":4}}"#;
const GENERATED: &str = r#"{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"hi"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":1,"totalTokenCount":4},"modelVersion":"g"}"#;

fn provider(answer: &'static str) -> Upstream {
    Upstream::start(move |_| vec![Act::Send(json(answer))])
}

/// A policy with one model at one provider of this dialect, which listens at the root of `upstream`.
fn policy(dialect: &str, upstream: &Upstream, model: &str) -> String {
    format!(
        "[providers.cloud]\ndialect = \"{dialect}\"\nregion = \"us-east-1\"\nbase_url = \"http://{}\"\n\
         [models.m]\ntargets = [\"cloud/{model}\"]\n",
        upstream.address
    )
}

fn ask() -> serde_json::Value {
    value!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
}

/// Seconds since 1970 of `20261125T041530Z`.
fn seconds(date: &str) -> u64 {
    let number = |at: std::ops::Range<usize>| date[at].parse::<u64>().unwrap();
    let (year, month, day) = (number(0..4), number(4..6), number(6..8));
    let by = |year: u64, number| year.is_multiple_of(number);
    let is_leap = |year| by(year, 4) && (!by(year, 100) || by(year, 400));
    let years: u64 = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum();
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: u64 = lengths.iter().take(usize::try_from(month).unwrap() - 1).sum();
    (years + months + day - 1) * 86_400
        + number(9..11) * 3600
        + number(11..13) * 60
        + number(13..15)
}

/// Signs again what arrived, with the secret that the key id stands for: the signatures must be the same.
fn check_signed(request: &Request, key: &str, token: Option<&str>) {
    let one = |name: &str| {
        let fields = request.fields(name);
        assert_eq!(fields.len(), 1, "{name}: {}", request.head);
        fields[0].to_owned()
    };
    let authorization = one("authorization");
    let names = authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
    let added = ["x-amz-date", "x-amz-security-token"];
    let signed: Vec<&str> = names.split(';').filter(|name| !added.contains(name)).collect();
    assert!(signed.contains(&"host"), "{authorization}");
    let headers: Vec<(&str, String)> = signed.iter().map(|name| (*name, one(name))).collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut line = request.head.split(' ');
    let (method, target) = (line.next().unwrap(), line.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body_hash = sigv4::sha256_hex(&request.body);
    let unsigned = Unsigned { method, path, query, headers: &headers, body_hash: &body_hash };
    let credentials = Credentials {
        access_key: key.to_owned(),
        secret_key: Secret::new(format!("secret of {key}")),
        session_token: token.map(Secret::new),
        expires: None,
    };
    let now = Seconds(seconds(&one("x-amz-date")));
    let scope = Scope { region: "us-east-1", service: "bedrock" };
    assert_eq!(sigv4::sign(&unsigned, &credentials, scope, now).authorization, authorization);
    assert_eq!(request.fields("x-amz-security-token"), token.into_iter().collect::<Vec<_>>());
}

/// What a service of credentials answers: the key, with a token, for so many seconds.
fn credentials(key: &str, for_seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let basic = Seconds(now + for_seconds).basic();
    let part = |at: std::ops::Range<usize>| &basic[at];
    let expires = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4),
        part(4..6),
        part(6..8),
        part(9..11),
        part(11..13),
        part(13..15)
    );
    value!({"Code": "Success", "AccessKeyId": key, "SecretAccessKey": format!("secret of {key}"),
        "Token": format!("token of {key}"), "Expiration": expires})
    .to_string()
}

#[test]
fn keys_of_the_environment_sign_each_request() {
    let upstream = provider(SAID);
    let gateway = Launch::new(policy("bedrock", &upstream, "anthropic.claude-v1:0"))
        .variable("AWS_ACCESS_KEY_ID", "AKID")
        .variable("AWS_SECRET_ACCESS_KEY", "secret of AKID")
        .start();
    let answer = gateway.client("").post("/v1/chat/completions", &ask());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "hi");
    let request = upstream.next();
    assert!(
        request.head.starts_with("POST /model/anthropic.claude-v1%3A0/converse "),
        "{}",
        request.head
    );
    check_signed(&request, "AKID", None);
    assert!(!gateway.everything_written().contains("secret of AKID"));
}

/// The path has the model's colon encoded once, the signature twice, and the query of Anthropic's clients goes nowhere.
#[test]
fn claude_in_invoke_model_is_signed_for_clients_of_both_dialects() {
    let upstream = provider(
        r#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}"#,
    );
    let gateway = Launch::new(policy("bedrock-anthropic", &upstream, "anthropic.claude-v1:0"))
        .variable("AWS_ACCESS_KEY_ID", "AKID")
        .variable("AWS_SECRET_ACCESS_KEY", "secret of AKID")
        .start();
    let mut asked = ask();
    asked["max_tokens"] = 9.into();
    for path in ["/v1/messages?beta=true", "/v1/chat/completions"] {
        let answer = gateway.client("").with("anthropic-version", "2023-06-01").post(path, &asked);
        assert_eq!(answer.status, 200, "{answer:?}");
        let request = upstream.next();
        assert!(
            request.head.starts_with("POST /model/anthropic.claude-v1%3A0/invoke HTTP/1.1"),
            "{}",
            request.head
        );
        assert!(request.fields("anthropic-version").is_empty(), "{}", request.head);
        check_signed(&request, "AKID", None);
    }
}

#[test]
fn keys_of_a_container_are_renewed_before_they_expire() {
    let upstream = provider(SAID);
    let asked = AtomicUsize::new(0);
    let service = Upstream::start(move |request| {
        assert_eq!(request.fields("authorization"), ["let me in"]);
        let n = asked.fetch_add(1, Ordering::SeqCst);
        vec![Act::Send(json(&credentials(&format!("ASIA{n}"), if n == 0 { 4 } else { 3600 })))]
    });
    let url = format!("http://{}/credentials", service.address);
    let gateway = Launch::new(policy("bedrock", &upstream, "m"))
        .variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)
        .variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let me in")
        .start();
    let mut client = gateway.client("");
    let mut with = || {
        let answer = client.post("/v1/chat/completions", &ask());
        assert_eq!(answer.status, 200, "{answer:?}");
        let request = upstream.next();
        let is_second = request.fields("authorization")[0].contains("ASIA1/");
        let key = if is_second { "ASIA1" } else { "ASIA0" };
        check_signed(&request, key, Some(&format!("token of {key}")));
        is_second
    };
    assert!(!with());
    wait::until_true("the second credentials are used", with);
}

#[test]
fn keys_of_the_machine_are_had_by_its_two_steps() {
    let upstream = provider(SAID);
    let service = Upstream::start(|request| {
        let path = request.head.split(' ').nth(1).unwrap_or_default();
        let is_put = request.head.starts_with("PUT ");
        let body = match path {
            "/latest/api/token" if is_put => "session".to_owned(),
            _ if request.fields("x-aws-ec2-metadata-token") != ["session"] => "no".to_owned(),
            "/latest/meta-data/iam/security-credentials/" => "role".to_owned(),
            "/latest/meta-data/iam/security-credentials/role" => credentials("ASIA0", 3600),
            _ => "nothing".to_owned(),
        };
        vec![Act::Send(json(&body))]
    });
    let gateway = Launch::new(policy("bedrock", &upstream, "m"))
        .variable("AWS_EC2_METADATA_SERVICE_ENDPOINT", &format!("http://{}", service.address))
        .start();
    let answer = gateway.client("").post("/v1/chat/completions", &ask());
    assert_eq!(answer.status, 200, "{answer:?}");
    check_signed(&upstream.next(), "ASIA0", Some("token of ASIA0"));
}

#[test]
fn a_token_of_googles_machine_is_the_bearer_and_is_renewed() {
    let upstream = provider(GENERATED);
    let asked = AtomicUsize::new(0);
    let service = Upstream::start(move |request| {
        assert_eq!(request.fields("metadata-flavor"), ["Google"]);
        let n = asked.fetch_add(1, Ordering::SeqCst);
        let seconds = if n == 0 { 4 } else { 3600 };
        let token = value!({"access_token": format!("ya{n}"), "expires_in": seconds, "token_type": "Bearer"});
        vec![Act::Send(json(&token.to_string()))]
    });
    let gateway = Launch::new(policy("vertex", &upstream, "gemini-3-pro"))
        .variable("GCE_METADATA_HOST", &service.address.to_string())
        .variable("CLOUDSDK_CONFIG", "/nowhere")
        .start();
    let mut client = gateway.client("");
    let mut bearer = || {
        let answer = client.post("/v1/chat/completions", &ask());
        assert_eq!(answer.status, 200, "{answer:?}");
        let request = upstream.next();
        assert!(request.head.starts_with("POST /models/gemini-3-pro:generateContent "));
        request.fields("authorization").concat()
    };
    assert_eq!(bearer(), "Bearer ya0");
    wait::until_true("the second token is used", || bearer() == "Bearer ya1");
}

#[test]
fn without_credentials_the_client_is_told_and_another_target_may_answer() {
    let (upstream, other) =
        (provider(SAID), provider(r#"{"choices":[],"object":"chat.completion"}"#));
    let policy = policy("bedrock", &upstream, "m")
        + &format!(
            "[providers.other]\nbase_url = \"{}\"\n[models.n]\ntargets = [\"cloud/m\", \"other/m\"]\n",
            other.base_url()
        );
    let gateway = Launch::new(policy).variable("AWS_EC2_METADATA_DISABLED", "true").start();
    let mut client = gateway.client("");
    let refused = client.post("/v1/chat/completions", &ask());
    assert_eq!(refused.status, 503, "{refused:?}");
    let error = &refused.json()["error"];
    assert_eq!(error["code"], "credentials_missing");
    assert!(error["message"].as_str().unwrap().contains("cloud"), "{error}");
    let mut either = ask();
    either["model"] = "n".into();
    let answer = client.post("/v1/chat/completions", &either);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(upstream.take().is_empty(), "nothing goes out unsigned");
}
