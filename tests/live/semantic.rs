//! The same question in other words: when it gets the answer that is kept, when not, whose answer it never gets, and how a cache
//! whose hits turn out wrong puts itself off.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use faregate_tests::{Answer, Client, Gateway, Launch, key, wait};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

/// Ways to put a question that say nothing, so that each wording is another request with the same question.
fn wordings(question: &str) -> Vec<String> {
    let before = [
        "",
        "Hi, ",
        "Hello! ",
        "Hey there, ",
        "Good morning. ",
        "Excuse me, ",
        "Quick question: ",
        "Okay, ",
        "Hello there! ",
        "Good evening, ",
        "Sorry to bother you. ",
        "So, ",
    ];
    let behind = ["", " Thanks!", " Thank you.", " Many thanks.", " Cheers!", " Thanks a lot."];
    let put = |before: &str, behind: &str| format!("{before}{question}{behind}");
    behind.iter().flat_map(|behind| before.iter().map(|before| put(before, behind))).collect()
}

/// A provider whose answers depend on what is asked.
struct Knowing {
    address: SocketAddr,
    vectors: Arc<AtomicUsize>,
}

/// What it says to a text; `None`: an error.
type Says = dyn Fn(&str) -> Option<String> + Send + Sync;

impl Knowing {
    /// It makes vectors that are all the same, or none.
    fn start(
        has_vectors: bool,
        says: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let vectors = Arc::new(AtomicUsize::new(0));
        let (counted, says): (_, Arc<Says>) = (Arc::clone(&vectors), Arc::new(says));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (counted, says) = (Arc::clone(&counted), Arc::clone(&says));
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
                    while let Some((head, body)) = request(&mut reader) {
                        let answer = match head.starts_with("POST /v1/embeddings ") {
                            true => {
                                counted.fetch_add(1, Ordering::SeqCst);
                                has_vectors.then(|| hostile(&body))
                            }
                            false => says(&last_text(&body)).map(|text| chat(&text)),
                        };
                        let (status, kind, body) = match &answer {
                            Some(answer) if body["stream"] == true => {
                                ("200 OK", "text/event-stream", events(answer))
                            }
                            Some(answer) => ("200 OK", "application/json", answer.to_string()),
                            None => ("500 Oops", "application/json", String::new()),
                        };
                        let length = body.len();
                        let head = format!(
                            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
                        );
                        if reader.get_mut().write_all(format!("{head}{body}").as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, vectors }
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut lengths = lines.filter(|(name, _)| *name == "content-length");
    let length = lengths.next()?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, serde_json::from_slice(&body).ok()?))
}

fn last_text(body: &Value) -> String {
    let last = body["messages"].as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
    last["content"].as_str().unwrap_or_default().to_owned()
}

fn chat(text: &str) -> Value {
    json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    })
}

/// A chat as a stream.
fn events(chat: &Value) -> String {
    let text = &chat["choices"][0]["message"]["content"];
    let piece = |delta: Value, reason: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        format!(
            "data: {}\n\n",
            json!({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})
        )
    };
    let start = piece(json!({"role": "assistant", "content": text}), Value::Null);
    format!("{start}{}data: [DONE]\n\n", piece(json!({}), json!("stop")))
}

/// Vectors that are all the same: whatever is asked looks like whatever was.
fn hostile(body: &Value) -> Value {
    let count = body["input"].as_array().map_or(1, Vec::len);
    let data: Vec<Value> = (0..count)
        .map(|index| json!({"object": "embedding", "index": index, "embedding": [0.6, 0.8]}))
        .collect();
    json!({
        "object": "list", "data": data, "model": "e",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    })
}

/// A provider that answers the same to all that is asked of passwords, and otherwise repeats what is asked.
fn knowing() -> Knowing {
    Knowing::start(true, |text| {
        let is_known = ["How do I", "How can I"]
            .iter()
            .any(|how| text.contains(&format!("{how} reset my password?")));
        Some(if is_known {
            "Open the settings and choose Reset.".to_owned()
        } else {
            format!("You asked: {text}")
        })
    })
}

fn start(upstream: &Knowing, terms: &str, rest: &str) -> Gateway {
    let policy = format!(
        "[providers.sim]\nbase_url = \"http://{}/v1\"\n[models.\"*\"]\ntargets = [\"sim/*\"]\n\
         [workloads.faq.cache.semantic]\nerror = \"20%\"\ncompare = \"1%\"\n{terms}\n{rest}",
        upstream.address
    );
    Launch::new(policy).start()
}

fn ask(gateway: &Gateway, key: &str, text: &str) -> Answer {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    let answer = gateway.client(key).with("x-faregate-workload", "faq").post(CHAT, &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

fn did(answer: &Answer) -> &str {
    answer.header("x-faregate-cache").unwrap_or("nothing")
}

/// Asks in one wording after the other until one is answered by the meaning.
fn hit(gateway: &Gateway, key: &str, question: &str) -> Option<Answer> {
    wordings(question).iter().map(|text| ask(gateway, key, text)).find(|a| did(a) == "semantic")
}

const QUESTION: &str = "How do I reset my password?";

#[test]
fn other_words_get_the_answer_once_it_is_known_to_be_right() {
    let upstream = knowing();
    let gateway = start(&upstream, "", "");
    let first = ask(&gateway, "", "How can I reset my password?");
    let answer = hit(&gateway, "", QUESTION).expect("the answer was right each time");
    assert_eq!(answer.body, first.body);
    let similarity: f64 = answer.header("x-faregate-cache-similarity").unwrap().parse().unwrap();
    assert!((0.6..=1.0).contains(&similarity), "{similarity}");
    assert_eq!(answer.header("x-faregate-cache-match").unwrap().len(), 16);
    assert!(answer.header("age").is_some());
    assert_eq!(answer.header("x-faregate-cost-nanousd"), Some("0"));
    let line = gateway.access_line(answer.header("x-faregate-request-id").unwrap());
    assert_eq!(line["answer_cache"], "semantic");
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("faregate_semantic_hits_total", &[]), 1.0);
    assert!(metrics.sum("faregate_semantic_explored_total", &[]) >= 4.0, "it learned first");
    assert!(metrics.sum("faregate_semantic_entries", &[]) >= 1.0);
    // What is left of the wordings gets it too, most of the time.
    let again = wordings(QUESTION)
        .iter()
        .filter(|text| did(&ask(&gateway, "", text)) == "semantic")
        .count();
    assert!(again > 5, "{again}");
}

#[test]
fn vectors_cost_what_they_cost_and_a_hit_saves_what_its_answer_cost() {
    let upstream = knowing();
    let rest = format!(
        "[prices.\"sim/*\"]\ninput = \"$1/M\"\noutput = \"$2/M\"\n{}",
        key::row("one", "limits = [\"$100/day\"]")
    );
    let gateway = start(&upstream, "embeddings = \"sim/e\"", &rest);
    let answer = hit(&gateway, &key::named("one"), QUESTION).unwrap();
    let id = answer.header("x-faregate-request-id").unwrap();
    let line = gateway.access_line(id);
    assert_eq!((&line["cost_nanousd"], &line["saved_nanousd"]), (&json!(0), &json!(20_000)));
    let vectors = gateway.access_line(&format!("{id}-vectors"));
    assert_eq!(vectors["cost_nanousd"], 7_000, "{vectors}");
    let all = gateway.access();
    let cost: u64 = all.iter().filter_map(|line| line["cost_nanousd"].as_u64()).sum();
    let total = wait::until("the books have all of it", || {
        let arguments = ["spend", "--by", "key", "--format", "json", "--ledger"];
        let mut command = faregate_tests::binary::command(&arguments);
        let output = command.arg(gateway.folder.join("data")).output().unwrap();
        let total = serde_json::from_slice::<Value>(&output.stdout).ok()?["total"].clone();
        (total["requests"] == all.len()).then_some(total)
    });
    assert_eq!(total["cost_nano_usd"], json!(cost), "{total}");
    assert_eq!(total["saved_by_cache_nano_usd"], 20_000, "{total}");
    assert_eq!(total["cache_hits"], 1, "{total}");
}

#[test]
fn a_stream_is_given_as_a_stream() {
    let upstream = knowing();
    let gateway = start(&upstream, "", "");
    let send = |text: &str| {
        let messages = json!([{"role": "user", "content": text}]);
        let body = json!({"model": "m", "stream": true, "messages": messages});
        gateway.client("").with("x-faregate-workload", "faq").post(CHAT, &body)
    };
    let first = send("How can I reset my password?");
    let words = wordings(QUESTION);
    let again = words.iter().map(|text| send(text)).find(|answer| did(answer) == "semantic");
    let again = again.expect("the answer was right each time");
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("content-type"), Some("text/event-stream"));
    assert!(again.text().contains("choose Reset") && again.text().ends_with("data: [DONE]\n\n"));
    // A plain answer is another one.
    assert_ne!(did(&ask(&gateway, "", &format!("Hi there, {QUESTION}"))), "semantic");
}

#[test]
fn what_only_looks_the_same_never_gets_it_even_from_a_model_whose_vectors_are_all_the_same() {
    let upstream = knowing();
    let gateway = start(&upstream, "embeddings = \"sim/e\"", "");
    assert!(hit(&gateway, "", QUESTION).is_some());
    let vectors = upstream.vectors.load(Ordering::SeqCst);
    assert!(vectors > 4, "{vectors}");
    for other in [
        "How do I not reset my password?",
        "How do I reset your password?",
        "How do I reset my username?",
        "How do I reset my password in 3 days?",
        "How did I reset my password?",
        "Why do I reset my password?",
        "How do I reset my password for Anna?",
        "How do I reset my Password?",
        "Do I reset my password?",
    ] {
        for text in wordings(other).iter().take(8) {
            // Among themselves they are the same in other words.
            let answer = ask(&gateway, "", text);
            assert!(!answer.text().contains("choose Reset"), "{text}");
        }
    }
    let metrics = gateway.metrics();
    let asked = metrics.sum("faregate_requests_total", &["gen_ai_operation_name=\"embeddings\""]);
    assert!(asked > 4.0, "vectors are requests of their own: {asked}");
}

#[test]
fn nothing_but_the_question_may_differ() {
    let upstream = knowing();
    let gateway = start(&upstream, "", "");
    assert!(hit(&gateway, "", QUESTION).is_some());
    let message = |role: &str, text: &str| json!({"role": role, "content": text});
    let own = json!([message("user", QUESTION)]);
    for other in [
        json!({"model": "other", "messages": own}),
        json!({"model": "m", "temperature": 0.5, "messages": own}),
        json!({"model": "m", "max_tokens": 10, "messages": own}),
        json!({"model": "m", "messages": [message("system", "s"), message("user", QUESTION)]}),
        json!({"model": "m", "messages": [
            message("user", "a"), message("assistant", "b"), message("user", QUESTION),
        ]}),
        json!({"model": "m", "messages": own, "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
        ]}),
    ] {
        let mut client = gateway.client("").with("x-faregate-workload", "faq");
        assert_ne!(did(&client.post(CHAT, &other)), "semantic", "{other}");
    }
    let mut elsewhere = gateway.client("").with("x-faregate-workload", "else");
    let body = json!({"model": "m", "messages": own});
    assert_eq!(did(&elsewhere.post(CHAT, &body)), "nothing", "no other workload has a cache");
}

#[test]
fn no_tenant_gets_another_tenants_answer_in_any_wording() {
    let upstream = knowing();
    let row = |name: &str, team: &str| key::row(name, &format!("team = \"{team}\""));
    let keys = format!(
        "[teams.a]\n[teams.b]\n{}{}{}",
        row("a1", "a"),
        row("b1", "b"),
        key::row("lone", "")
    );
    let gateway = start(&upstream, "", &keys);
    assert!(hit(&gateway, &key::named("a1"), QUESTION).is_some());
    for name in ["b1", "lone"] {
        let entries = gateway.metrics().sum("faregate_semantic_explored_total", &[]);
        let answer = ask(&gateway, &key::named(name), QUESTION);
        assert!(!matches!(did(&answer), "semantic" | "hit"), "{name}");
        let after = gateway.metrics().sum("faregate_semantic_explored_total", &[]);
        assert_eq!(entries, after, "{name} has nothing to compare with");
    }
}

#[test]
fn a_cache_whose_hits_turn_out_wrong_puts_itself_off() {
    let changes = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&changes);
    let upstream = Knowing::start(true, move |text| {
        let n = theirs.load(Ordering::SeqCst);
        Some(format!("The limit is {} users.", if n == 0 { 5 } else { n + text.len() }))
    });
    let gateway = start(&upstream, "", "");
    let questions =
        ["teams", "rooms", "keys", "seats", "boards", "files", "groups", "lists", "flows"]
            .map(|of| format!("What is the limit of {of}?"));
    for question in &questions {
        assert!(hit(&gateway, "", question).is_some(), "{question}");
    }
    changes.store(7, Ordering::SeqCst);
    let off = || gateway.metrics().sum("faregate_semantic_off", &[]) > 0.0;
    for text in
        questions.iter().flat_map(|text| [format!("{text} Please."), format!("Kindly: {text}")])
    {
        let client = gateway.client("").with("x-faregate-workload", "faq");
        let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
        let answer = client.with("cache-control", "no-cache").post(CHAT, &body);
        assert_ne!(did(&answer), "semantic", "it was told not to");
    }
    wait::until_true("it is off", off);
    gateway.wait_log("has put itself off");
    let mut admin = Client::new(gateway.admin, "");
    let standing = admin.get("/cache/semantic").json();
    assert_eq!(standing["workloads"][0]["workload"], "faq");
    assert_eq!(standing["workloads"][0]["off"], true, "{standing}");
    for text in wordings(&questions[0]) {
        assert_ne!(did(&ask(&gateway, "", &text)), "semantic", "it stays off");
    }
    assert_eq!(admin.send("DELETE", "/cache/semantic?workload=faq", None).status, 200);
    wait::until_true("it is on again", || !off());
}

#[test]
fn without_vectors_it_is_a_miss() {
    let upstream = Knowing::start(false, |_| Some("fine".to_owned()));
    let gateway = start(&upstream, "embeddings = \"sim/e\"\npatience = \"500ms\"", "");
    for text in wordings(QUESTION).iter().take(4) {
        assert_ne!(did(&ask(&gateway, "", text)), "semantic");
        let is_known = || gateway.metrics().sum("faregate_semantic_entries", &[]) >= 1.0;
        wait::until_true("the first question is remembered", is_known);
    }
    assert!(gateway.metrics().sum("faregate_semantic_vectors_missing_total", &[]) >= 3.0);
}
