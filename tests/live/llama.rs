//! A real model server as the provider: llama.cpp's, whose model has random weights, so that what it says has no sense, but
//! its streams, its usage, its grammars and its errors are those of a server that people run.
//!
//! It speaks chat completions, responses and messages; clients of every dialect reach each of them.

use faregate_tests::{
    Answer, Client, Gateway, Launch,
    llama::{Llama, MODEL},
    wait,
};
use serde_json::{Value, json};

use crate::dialects::speak::{Ask, Heard, Tongue, events};

/// What the server is spoken to in.
const TARGETS: [&str; 3] = ["llamacpp", "responses", "messages"];

/// Tokens of an answer; one is a character.
const TOKENS: u64 = 12;

fn start(llama: &Llama) -> Gateway {
    let base = llama.base_url();
    let mut policy = format!(
        "[providers.llamacpp]\nbase_url = \"{base}\"\n\
         [providers.responses]\nbase_url = \"{base}\"\nspeaks = [\"responses\"]\n\
         [providers.messages]\ndialect = \"anthropic\"\nbase_url = \"{base}\"\napi_key = \"env:LLAMA_KEY\"\n\
         [retries]\nattempts = 1\n[breaker]\nfailures = 10000\n"
    );
    for target in TARGETS {
        policy.push_str(&format!("[models.at-{target}]\ntargets = [\"{target}/{MODEL}\"]\n"));
    }
    Launch::new(policy).server("passthrough = \"llamacpp\"").variable("LLAMA_KEY", "any").start()
}

/// The body of a request for so many tokens, the likeliest ones.
fn body(tongue: Tongue, model: &str, ask: &Ask, tokens: u64) -> Value {
    let mut body = tongue.body(model, ask);
    match tongue {
        Tongue::Chat => body["max_completion_tokens"] = tokens.into(),
        Tongue::Responses => body["max_output_tokens"] = tokens.into(),
        Tongue::Messages => body["max_tokens"] = tokens.into(),
        Tongue::Gemini | Tongue::GeminiArray => {
            body["generationConfig"]["maxOutputTokens"] = tokens.into();
            body["generationConfig"]["temperature"] = 0.into();
        }
        Tongue::Converse => {
            body["inferenceConfig"] = json!({"maxTokens": tokens, "temperature": 0});
        }
    }
    if matches!(tongue, Tongue::Chat | Tongue::Responses | Tongue::Messages) {
        body["temperature"] = 0.into();
    }
    body
}

fn said(tongue: Tongue, said: &str, stream: bool) -> Ask {
    Ask { turns: vec![tongue.user(said, false)], stream, ..Ask::default() }
}

#[track_caller]
fn hear(
    client: &mut Client,
    tongue: Tongue,
    model: &str,
    ask: &Ask,
    body: &Value,
) -> (Answer, Heard) {
    let answer = client.post(&tongue.path(model, ask.stream), body);
    let shown = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 200, "{tongue:?} at {model}: {shown}");
    let heard = match (tongue, model, ask.stream) {
        // Its own events pass as they are, and have no numbers.
        (Tongue::Responses, "at-responses", true) => {
            let last = events(answer.text()).pop().unwrap();
            assert_eq!(last["type"], "response.completed", "{shown}");
            let body = last["response"].to_string().into_bytes();
            tongue.hear(&Answer { body, ..answer.clone() }, false)
        }
        _ => tongue.hear(&answer, ask.stream),
    };
    assert!(heard.error.is_none(), "{tongue:?} at {model}: {shown}");
    (answer, heard)
}

/// Every client at every dialect of the server, whole and streamed.
fn each(mut act: impl FnMut(Tongue, &str, bool)) {
    for tongue in Tongue::ALL {
        for target in TARGETS {
            for stream in [false, true] {
                act(tongue, &format!("at-{target}"), stream);
            }
        }
    }
}

#[test]
fn a_real_server_answers_every_client_and_its_usage_is_counted() {
    let Some(llama) = Llama::start(&[]) else { return };
    let gateway = start(&llama);
    let mut client = gateway.client("");
    let asked = json!({"model": MODEL, "max_tokens": TOKENS, "temperature": 0,
        "messages": [{"role": "user", "content": "hi there"}]});
    let direct = llama.client().post("/v1/chat/completions", &asked).json();
    let wanted = direct["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let prompt = direct["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(wanted.chars().count() as u64, TOKENS, "{direct}");
    each(|tongue, model, stream| {
        let ask = said(tongue, "hi there", stream);
        let (answer, heard) =
            hear(&mut client, tongue, model, &ask, &body(tongue, model, &ask, TOKENS));
        let cell = format!("{tongue:?} at {model}, streamed: {stream}");
        assert_eq!(heard.text, wanted, "{cell}");
        // Its responses are completed, whatever ended them.
        let words = match model {
            "at-responses" => ["stop", "completed", "end_turn", "STOP"],
            _ => ["length", "max_output_tokens", "max_tokens", "MAX_TOKENS"],
        };
        assert!(words.contains(&&*heard.finish), "{cell}: {heard:?}");
        assert_eq!((heard.input, heard.output), (prompt, TOKENS), "{cell}: {heard:?}");
        let line = gateway.access_line(answer.header("x-faregate-request-id").unwrap());
        assert_eq!(line["usage"], "provider", "{line}");
        let tokens = |name: &str| line[name].as_u64().unwrap();
        // The server has read the same prompt before.
        assert!(tokens("cache_read_tokens") > 0, "{cell}: {line}");
        let sum = tokens("input_tokens") + tokens("cache_read_tokens");
        assert_eq!((sum, tokens("output_tokens")), (prompt, TOKENS), "{cell}: {line}");
    });
}

/// The server holds the model to the shape by a grammar, or random letters would never make JSON.
#[test]
fn its_grammar_holds_answers_to_the_shape_that_is_asked_for() {
    let Some(llama) = Llama::start(&[]) else { return };
    let gateway = start(&llama);
    let mut client = gateway.client("");
    each(|tongue, model, stream| {
        if model != "at-llamacpp" {
            return; // its other dialects ignore shapes
        }
        let ask = Ask { shaped: true, ..said(tongue, "where?", stream) };
        let (plain, bound) = (r#""type":"string""#, r#""type":"string","enum":["Paris","Rome"]"#);
        let escaped = |text: &str| text.replace('"', "\\\"");
        let body = body(tongue, model, &ask, 200).to_string().replace(plain, bound);
        let body = body.replace(&escaped(plain), &escaped(bound));
        let body = serde_json::from_str(&body).unwrap();
        let (_, heard) = hear(&mut client, tongue, model, &ask, &body);
        let shaped: Value = serde_json::from_str(&heard.text).unwrap();
        let is_city = ["Paris", "Rome"].iter().any(|city| shaped["city"] == *city);
        assert!(is_city, "{tongue:?}, streamed: {stream}: {heard:?}");
    });
}

/// The beginning of a call is made the likeliest token; all that follows is held by the grammar of the tool's schema.
#[test]
fn its_grammar_makes_calls_of_the_tools_that_are_offered() {
    let Some(llama) = Llama::caller() else { return };
    let gateway = start(&llama);
    let mut client = gateway.client("");
    each(|tongue, model, stream| {
        let ask = Ask { tools: true, ..said(tongue, "call one", stream) };
        let mut body = body(tongue, model, &ask, 300);
        match tongue {
            Tongue::Chat | Tongue::Responses => body["tool_choice"] = "required".into(),
            Tongue::Messages => body["tool_choice"] = json!({"type": "any"}),
            Tongue::Gemini | Tongue::GeminiArray => {
                body["toolConfig"] = json!({"functionCallingConfig": {"mode": "ANY"}});
            }
            Tongue::Converse => body["toolConfig"]["toolChoice"] = json!({"any": {}}),
        }
        let (plain, bound) = (r#""type":"string""#, r#""type":"string","enum":["Paris","Rome"]"#);
        let body = serde_json::from_str(&body.to_string().replace(plain, bound)).unwrap();
        let (_, heard) = hear(&mut client, tongue, model, &ask, &body);
        let cell = format!("{tongue:?} at {model}, streamed: {stream}: {heard:?}");
        let (_, name, arguments) = heard.calls.first().unwrap_or_else(|| panic!("{cell}"));
        let place = match name.as_str() {
            "get_weather" => &arguments["city"],
            "find" => &arguments["q"],
            _ => panic!("{cell}"),
        };
        assert!(["Paris", "Rome"].iter().any(|city| place == city), "{cell}");
    });
}

#[test]
fn tools_their_calls_and_their_results_become_part_of_its_prompt() {
    let Some(llama) = Llama::start(&[]) else { return };
    let gateway = start(&llama);
    let mut client = gateway.client("");
    for tongue in Tongue::ALL {
        let mut read = |ask: &Ask| {
            let body = body(tongue, "at-llamacpp", ask, 2);
            hear(&mut client, tongue, "at-llamacpp", ask, &body).1.input
        };
        let plain = said(tongue, "where?", false);
        let alone = read(&plain);
        let tools = Ask { tools: true, ..plain };
        let with_tools = read(&tools);
        // The server writes them out: their names, and their schemas.
        assert!(with_tools > alone + 200, "{tongue:?}: {alone}, {with_tools}");
        let mut answered = tools;
        answered.turns.extend(called(tongue));
        let with_results = read(&answered);
        assert!(with_results > with_tools + 40, "{tongue:?}: {with_tools}, {with_results}");
    }
}

/// A turn that calls a tool, and its result.
fn called(tongue: Tongue) -> Vec<Value> {
    let call =
        |kind: &str| json!({"type": kind, "id": "call_1", "name": "find", "input": {"q": "x"}});
    let turn = match tongue {
        Tongue::Chat => {
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": "call_1",
            "type": "function", "function": {"name": "find", "arguments": "{\"q\":\"x\"}"}}]})
        }
        Tongue::Responses => json!({"type": "function_call", "call_id": "call_1", "name": "find",
            "arguments": "{\"q\":\"x\"}"}),
        Tongue::Messages => json!({"role": "assistant", "content": [call("tool_use")]}),
        Tongue::Gemini | Tongue::GeminiArray => json!({"role": "model", "parts": [
            {"functionCall": {"id": "call_1", "name": "find", "args": {"q": "x"}}}]}),
        Tongue::Converse => json!({"role": "assistant", "content": [
            {"toolUse": {"toolUseId": "call_1", "name": "find", "input": {"q": "x"}}}]}),
    };
    let heard = Heard {
        calls: vec![("call_1".into(), "find".into(), json!({"q": "x"}))],
        ..Heard::default()
    };
    let mut turns = vec![turn];
    turns.extend(tongue.results(&heard, &["a needle in the hay"]));
    turns
}

#[test]
fn a_client_that_leaves_sets_it_free() {
    let Some(llama) = Llama::start(&["--ctx-size", "200000"]) else { return };
    let gateway = start(&llama);
    for tongue in [Tongue::Chat, Tongue::Messages, Tongue::Gemini] {
        let ask = said(tongue, "never stop", true);
        let body = body(tongue, "at-llamacpp", &ask, 90_000).to_string();
        let path = tongue.path("at-llamacpp", true);
        let mut wire = gateway.connect();
        wire.send(gateway.client("").request("POST", &path, Some(body.as_bytes())));
        assert_eq!(wire.head().status, 200);
        for _ in 0..5 {
            assert!(wire.try_chunk().unwrap().is_some());
        }
        assert_eq!(llama.busy(), 1, "{tongue:?}");
        drop(wire);
        wait::until_true("the server is free", || llama.busy() == 0);
    }
    wait::until_true("three answers were called off", || {
        llama.log().matches("cancel task").count() >= 3
    });
}

#[test]
fn its_errors_are_told_in_the_clients_form() {
    let Some(llama) = Llama::start(&[]) else { return };
    let gateway = start(&llama);
    let mut client = gateway.client("");
    each(|tongue, model, stream| {
        let ask = said(tongue, &"too long ".repeat(2000), stream);
        let answer = client.post(&tongue.path(model, stream), &body(tongue, model, &ask, TOKENS));
        let cell = format!("{tongue:?} at {model}, streamed: {stream}: {}", answer.text());
        assert_eq!(answer.status, 400, "{cell}");
        let error = answer.json();
        let message = match tongue {
            Tongue::Converse => &error["message"],
            _ => &error["error"]["message"],
        };
        assert!(message.as_str().unwrap().contains("exceeds the available context size"), "{cell}");
    });
}

#[test]
fn what_only_it_has_passes() {
    let Some(llama) = Llama::start(&[]) else { return };
    let gateway = start(&llama);
    let mut client = gateway.client("");
    let text = json!({"content": "hi there"});
    for path in ["/tokenize", "/detokenize"] {
        let sent = if path == "/tokenize" { text.clone() } else { json!({"tokens": [331, 332]}) };
        let answer = client.post(path, &sent);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.json(), llama.client().post(path, &sent).json(), "{path}");
    }
    // Its own members pass through to it, and its own members of the answer back.
    let asked = json!({"model": "at-llamacpp", "max_tokens": 5, "temperature": 0, "cache_prompt": false,
        "messages": [{"role": "user", "content": "hi there"}], "logit_bias": [["Z", 100]]});
    let answer = client.post("/v1/chat/completions", &asked).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "ZZZZZ", "{answer}");
    assert_eq!(answer["timings"]["predicted_n"], 5, "{answer}");
    let counted =
        json!({"model": "at-messages", "messages": [{"role": "user", "content": "hi there"}]});
    let answer = client.post("/v1/messages/count_tokens", &counted);
    assert_eq!(answer.json(), json!({"input_tokens": 27}));
}

#[test]
fn its_vectors_reach_clients_of_both_dialects() {
    let Some(llama) = Llama::start(&["--embeddings", "--pooling", "mean"]) else { return };
    let gateway = start(&llama);
    let mut client = gateway.client("");
    let of = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect()
    };
    let asked = json!({"model": "at-llamacpp", "input": ["hi", "there"]});
    let answer = client.post("/v1/embeddings", &asked);
    assert_eq!(answer.status, 200, "{answer:?}");
    let line = gateway.access_line(answer.header("x-faregate-request-id").unwrap());
    let answer = answer.json();
    assert_eq!(line["input_tokens"], answer["usage"]["prompt_tokens"], "{line}");
    let vectors: Vec<Vec<f64>> =
        answer["data"].as_array().unwrap().iter().map(|data| of(&data["embedding"])).collect();
    assert_eq!(vectors.iter().map(Vec::len).collect::<Vec<_>>(), [64, 64]);
    assert_ne!(vectors[0], vectors[1]);
    let asked = json!({"requests": [
        {"model": "models/at-llamacpp", "content": {"parts": [{"text": "hi"}]}},
        {"model": "models/at-llamacpp", "content": {"parts": [{"text": "there"}]}}]});
    let answer = client.post("/v1beta/models/at-llamacpp:batchEmbedContents", &asked);
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    for (index, vector) in vectors.iter().enumerate() {
        let other = of(&answer["embeddings"][index]["values"]);
        let close = other.iter().zip(vector).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(close && other.len() == 64, "{answer}");
    }
}
