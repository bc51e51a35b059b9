//! Spellings that mean the same in a dialect, brought to one.

mod openai;

use faregate_adapters::dialect::Form;
use openai::{chat, responses};
use serde_json::{Map, Value, json};

/// A request with all that may be spelled in two ways spelled in one.
pub(super) fn spelled(form: Form, mut request: Value) -> Value {
    without_null(&mut request);
    // Every target has its own name for a model.
    if let Some(body) = request.as_object_mut() {
        body.remove("model");
    }
    match form {
        Form::Chat => chat(&mut request),
        Form::Responses => responses(&mut request),
        Form::Messages => messages(&mut request),
        Form::Gemini => gemini(&mut request),
        Form::Converse => converse(&mut request),
    }
    request
}

/// A member that is null says nothing, in every dialect.
fn without_null(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

fn messages(request: &mut Value) {
    let Some(body) = request.as_object_mut() else { return };
    long(body.get_mut("system"), json!({"type": "text"}));
    // What there is anyway.
    body.retain(|name, value| name != "temperature" || value.as_f64() != Some(1.0));
    if let Some(choice) = body.get_mut("tool_choice").and_then(Value::as_object_mut) {
        choice.retain(|name, value| name != "disable_parallel_tool_use" || *value != false);
    }
    for tool in items(body.get_mut("tools")) {
        tool.retain(|name, value| match &**name {
            "type" => value != "custom",
            "strict" => *value != false,
            _ => true,
        });
    }
    for message in items(body.get_mut("messages")) {
        long(message.get_mut("content"), json!({"type": "text"}));
        for block in items(message.get_mut("content")) {
            if block["type"] == "tool_result" {
                long(block.get_mut("content"), json!({"type": "text"}));
                // A tool did not fail unless it says so.
                block.retain(|name, value| name != "is_error" || *value != false);
            }
        }
        // What is said of a document is said before it.
        let blocks = message.get_mut("content").and_then(Value::as_array_mut);
        let blocks = blocks.expect("content is a list");
        for at in (0..blocks.len()).rev() {
            let context = blocks[at].as_object_mut().and_then(|block| block.remove("context"));
            if let Some(context) = context {
                blocks.insert(at, json!({"type": "text", "text": context}));
            }
        }
        // The provider refuses blank texts.
        blocks.retain(|block| block["type"] != "text" || !text(&block["text"]).trim().is_empty());
    }
    turns(body.get_mut("messages"), "content");
    // It refuses blanks at the end of an answer that it shall go on with.
    let last =
        body.get_mut("messages").and_then(Value::as_array_mut).and_then(|list| list.last_mut());
    if let Some(last) = last.filter(|last| last["role"] == "assistant")
        && let Some(block) = last["content"].as_array_mut().and_then(|blocks| blocks.last_mut())
        && let Some(said) = block.get_mut("text")
    {
        *said = text(said).trim_end().into();
    }
}

fn gemini(request: &mut Value) {
    let Some(body) = request.as_object_mut() else { return };
    turns(body.get_mut("contents"), "parts");
    // How functions are called says nothing where there are none.
    let declares = |tool: &Map<String, Value>| tool.contains_key("functionDeclarations");
    if !items(body.get_mut("tools")).any(|tool| declares(tool))
        && let Some(config) = body.get_mut("toolConfig").and_then(Value::as_object_mut)
    {
        config.remove("functionCallingConfig");
        if config.is_empty() {
            body.remove("toolConfig");
        }
    }
    if let Some(config) = body.get_mut("generationConfig").and_then(Value::as_object_mut) {
        // What there is anyway; the number of alternatives means nothing without probabilities.
        let tells = config.get("responseLogprobs") == Some(&Value::Bool(true));
        config.retain(|name, value| match &**name {
            "candidateCount" => *value != 1,
            "responseLogprobs" => *value != false,
            "responseMimeType" => value != "text/plain",
            "thinkingConfig" => value["thinkingBudget"] != -1,
            "logprobs" => tells,
            _ => true,
        });
        if config.is_empty() {
            body.remove("generationConfig");
        }
    }
    // Both are documented names of what a function gave back.
    for content in items(body.get_mut("contents")) {
        for part in items(content.get_mut("parts")) {
            let response =
                part.get_mut("functionResponse").and_then(|said| said.get_mut("response"));
            if let Some(said) =
                response.and_then(Value::as_object_mut).filter(|said| said.len() == 1)
            {
                rename(said, "output", "result");
            }
        }
    }
}

fn converse(request: &mut Value) {
    let Some(body) = request.as_object_mut() else { return };
    // A model that counts its thoughts is told an effort as a number of tokens.
    if let Some(config) = body.get_mut("outputConfig").and_then(Value::as_object_mut) {
        config.remove("effort");
        if config.is_empty() {
            body.remove("outputConfig");
        }
    }
    points(body.get_mut("system"));
    points(body.get_mut("toolConfig").and_then(|config| config.get_mut("tools")));
    // The choice that there is anyway.
    if let Some(Value::Object(tools)) = body.get_mut("toolConfig") {
        tools.retain(|name, value| name != "toolChoice" || value.get("auto").is_none());
    }
    for message in items(body.get_mut("messages")) {
        // Other dialects have such messages, Converse has none: they are marked words of the user.
        if message["role"] == "system" {
            message.insert("role".into(), "user".into());
            for block in items(message.get_mut("content")) {
                let said =
                    format!("<system-reminder>\n{}\n</system-reminder>", text(&block["text"]));
                block.insert("text".into(), said.into());
            }
        }
        // The provider refuses blank texts.
        if let Some(Value::Array(blocks)) = message.get_mut("content") {
            blocks
                .retain(|block| block.get("text").is_none_or(|said| !text(said).trim().is_empty()));
        }
        points(message.get_mut("content"));
        if let Some(Value::Array(blocks)) = message.get_mut("content") {
            converse_blocks(blocks);
        }
        // A model reads JSON as its text.
        for block in items(message.get_mut("content")) {
            let Some(result) = block.get_mut("toolResult") else { continue };
            for said in items(result.get_mut("content")) {
                if let Some(json) = said.remove("json") {
                    said.insert("text".into(), json.to_string().into());
                } else if let Some(text) = said.get_mut("text")
                    && let Ok(json @ Value::Object(_)) = serde_json::from_str(self::text(text))
                {
                    *text = json.to_string().into();
                }
            }
        }
    }
    turns(body.get_mut("messages"), "content");
}

fn converse_blocks(blocks: &mut Vec<Value>) {
    for at in (0..blocks.len()).rev() {
        // Words for a guardrail are words.
        if let Some(text) = blocks[at].pointer("/guardContent/text/text").cloned() {
            blocks[at] = json!({"text": text, "guardContent": {}});
        }
        // What is said of a document is said before it; its text is told by its bytes.
        let Some(document) = blocks[at].get_mut("document").and_then(Value::as_object_mut) else {
            continue;
        };
        let context = document.remove("context");
        if let Some(citations) = document.remove("citations") {
            document.insert("document.citations".into(), citations);
        }
        let text = document["source"]["text"].as_str().map(str::to_owned);
        if let Some(text) = text {
            let mut bytes = String::new();
            faregate_adapters::base64::encode(&mut bytes, text.as_bytes());
            document["source"] = json!({"bytes": bytes});
        }
        if let Some(context) = context {
            blocks.insert(at, json!({"text": context}));
        }
    }
}

/// A cache point as a member of what it stands behind; five minutes are what is kept anyway.
fn points(list: Option<&mut Value>) {
    let Some(Value::Array(list)) = list else { return };
    let mut at = 1;
    while at < list.len() {
        let Some(mut point) = list[at].get("cachePoint").cloned() else {
            at += 1;
            continue;
        };
        if let Some(point) = point.as_object_mut() {
            point.retain(|name, value| name != "ttl" || value != "5m");
        }
        list.remove(at);
        list[at - 1]["cachePoint"] = point;
    }
}

/// Messages of one role that follow each other are one; one that says nothing is none.
fn turns(list: Option<&mut Value>, content: &str) {
    let Some(Value::Array(list)) = list else { return };
    list.retain(|message| message[content].as_array().is_none_or(|parts| !parts.is_empty()));
    let mut at = 1;
    while at < list.len() {
        if list[at - 1]["role"] != list[at]["role"] {
            at += 1;
            continue;
        }
        let mut next = list.remove(at);
        if let (Some(parts), Some(more)) =
            (list[at - 1][content].as_array_mut(), next[content].as_array_mut())
        {
            parts.append(more);
        }
    }
}

/// A content that is one text, as a list.
fn long(content: Option<&mut Value>, mut part: Value) {
    if let Some(content) = content.filter(|content| content.is_string()) {
        part["text"] = content.take();
        *content = json!([part]);
    }
}

fn rename(body: &mut Map<String, Value>, old: &str, new: &str) {
    if let Some(value) = body.remove(old) {
        body.entry(new).or_insert(value);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The objects of a list.
fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let items = list.and_then(Value::as_array_mut).into_iter().flatten();
    items.filter_map(Value::as_object_mut)
}
