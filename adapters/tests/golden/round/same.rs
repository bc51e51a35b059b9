//! Spellings that mean the same in a dialect, brought to one.

use faregate_adapters::dialect::Form;
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

fn chat(request: &mut Value) {
    let Some(body) = request.as_object_mut() else { return };
    // The older name of the bound, and of the end user.
    rename(body, "max_tokens", "max_completion_tokens");
    rename(body, "safety_identifier", "user");
    // One answer is what there is anyway.
    body.retain(|name, value| name != "n" || *value != 1);
    // A stop that is one text.
    if let Some(stop @ Value::String(_)) = body.get_mut("stop") {
        *stop = json!([*stop]);
    }
    // How a stream is told is the client's and the gateway's affair.
    body.remove("stream_options");
    // Functions, as tools were called first.
    if let Some(Value::Array(functions)) = body.remove("functions") {
        let tool = |function| json!({"type": "function", "function": function});
        body.insert("tools".into(), functions.into_iter().map(tool).collect());
    }
    match body.remove("function_call") {
        Some(Value::Object(name)) => {
            body.insert("tool_choice".into(), json!({"type": "function", "function": name}));
        }
        Some(word) => _ = body.insert("tool_choice".into(), word),
        None => {}
    }
    let mut called = Vec::new();
    for (index, message) in items(request.get_mut("messages")).enumerate() {
        chat_message(index, message, &mut called);
    }
}

fn chat_message(index: usize, message: &mut Map<String, Value>, called: &mut Vec<(Value, String)>) {
    // What an answer says about itself says nothing to a model.
    for echoed in ["annotations", "id", "index", "status", "provider_specific_fields"] {
        message.remove(echoed);
    }
    if let Some(call) = message.remove("function_call") {
        let id = format!("call_function_{index}");
        called.push((call["name"].clone(), id.clone()));
        message
            .insert("tool_calls".into(), json!([{"id": id, "type": "function", "function": call}]));
    }
    if message["role"] == "function" {
        let name = message.remove("name").unwrap_or_default();
        let at = called.iter().position(|(called, _)| *called == name);
        let id = at.map(|at| called.remove(at).1);
        message.insert("role".into(), "tool".into());
        message.insert("tool_call_id".into(), id.into());
    }
    // A list that is one text; a refusal that stands in the list.
    let Some(Value::Array(parts)) = message.get_mut("content") else { return };
    let is_refusal = |part: &Value| part["type"] == "refusal";
    let refusals: Vec<Value> = parts.extract_if(.., |part| is_refusal(part)).collect();
    let plain = match &parts[..] {
        [only] if only.as_object().is_some_and(|only| only.len() == 2) => only.get("text").cloned(),
        _ => None,
    };
    let is_empty = parts.is_empty();
    if is_empty && !refusals.is_empty() {
        message.remove("content");
    } else if let Some(text) = plain {
        message.insert("content".into(), text);
    }
    if let [refusal] = &refusals[..] {
        message.insert("refusal".into(), refusal["refusal"].clone());
    }
}

fn responses(request: &mut Value) {
    let Some(body) = request.as_object_mut() else { return };
    // An input that is one text is what the user says.
    if let Some(input @ Value::String(_)) = body.get_mut("input") {
        *input = json!([{"type": "message", "role": "user", "content": *input}]);
    }
    // Functions of a namespace have its name before theirs; what is said of the namespace is said of none of them.
    let mut tools = Vec::new();
    let mut of_namespaces = Map::new();
    for tool in items(body.get_mut("tools")) {
        if tool["type"] != "namespace" {
            tools.push(Value::Object(tool.clone()));
            continue;
        }
        for (name, value) in
            tool.iter().filter(|(name, _)| !["type", "name", "tools"].contains(&&***name))
        {
            of_namespaces.insert(format!("tools.{}.{name}", text(&tool["name"])), value.clone());
        }
        let namespace = tool["name"].clone();
        for function in items(tool.get_mut("tools")) {
            function.insert("namespace".into(), namespace.clone());
            joined(function);
            tools.push(Value::Object(function.clone()));
        }
    }
    if !tools.is_empty() {
        body.insert("tools".into(), tools.into());
    }
    body.append(&mut of_namespaces);
    for item in items(body.get_mut("input")) {
        response_item(item);
    }
}

fn response_item(item: &mut Map<String, Value>) {
    if item.contains_key("role") {
        item.insert("type".into(), "message".into());
    }
    let kind = text(item.get("type").unwrap_or(&Value::Null)).to_owned();
    // Ids and states are the provider's own account of what it keeps; thoughts alone are known by theirs.
    item.remove("status");
    if kind != "reasoning" && kind != "item_reference" {
        item.remove("id");
    }
    match &*kind {
        "message" => {
            let said = if item["role"] == "assistant" { "output_text" } else { "input_text" };
            long(item.get_mut("content"), json!({"type": said}));
            for part in items(item.get_mut("content")) {
                part.retain(|name, _| !["annotations", "logprobs"].contains(&&**name));
            }
        }
        "function_call" => {
            joined(item);
            // No arguments are none.
            if let Some(arguments) = item.get_mut("arguments").filter(|text| **text == "") {
                *arguments = "{}".into();
            }
        }
        // A result is known by its call; Codex repeats the names.
        "function_call_output" | "custom_tool_call_output" => {
            item.remove("name");
            item.remove("namespace");
        }
        _ => {}
    }
}

/// The name that a function of a namespace has elsewhere, as it is fitted to the provider's rule.
fn joined(function: &mut Map<String, Value>) {
    let Some(namespace) = function.remove("namespace") else { return };
    let mut request = faregate_adapters::chat::Request::default();
    request.tools.push(faregate_adapters::chat::Tool {
        kind: faregate_adapters::chat::ToolKind::Function,
        name: format!("{}::{}", text(&namespace), text(&function["name"])).into(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
    });
    faregate_adapters::chat::Names::fit(&mut request, &Form::Responses.outbound().name_rule());
    function.insert("name".into(), (*request.tools[0].name).into());
}

fn messages(request: &mut Value) {
    let Some(body) = request.as_object_mut() else { return };
    long(body.get_mut("system"), json!({"type": "text"}));
    for message in items(body.get_mut("messages")) {
        long(message.get_mut("content"), json!({"type": "text"}));
        for block in items(message.get_mut("content")) {
            if block["type"] == "tool_result" {
                long(block.get_mut("content"), json!({"type": "text"}));
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
}

fn converse(request: &mut Value) {
    let Some(body) = request.as_object_mut() else { return };
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
