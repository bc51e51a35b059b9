//! Chat Completions and Responses.

use faregate_adapters::{
    chat::{Names, Request, Tool, ToolKind},
    dialect::Form,
};
use serde_json::{Map, Value, json};

use super::{items, long, rename, text};

pub(super) fn chat(request: &mut Value) {
    let Some(body) = request.as_object_mut() else { return };
    // The older name of the bound, and of the end user.
    rename(body, "max_tokens", "max_completion_tokens");
    rename(body, "safety_identifier", "user");
    // One answer is what there is anyway.
    body.retain(|name, value| name != "n" || *value != 1);
    // The forms of an answer and of a thought that there are anyway; the spellings of OpenRouter, DeepSeek and others,
    // which are said as an effort, as near as it comes, where a provider does not know them.
    body.retain(|name, value| name != "response_format" || value["type"] != "text");
    body.remove("thinking");
    body.remove("reasoning");
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

pub(super) fn responses(request: &mut Value) {
    let Some(body) = request.as_object_mut() else { return };
    // An input that is one text is what the user says.
    if let Some(input @ Value::String(_)) = body.get_mut("input") {
        *input = json!([{"type": "message", "role": "user", "content": *input}]);
    }
    // Instructions are the first message.
    if let Some(said) = body.remove("instructions")
        && let Some(Value::Array(input)) = body.get_mut("input")
    {
        input.insert(0, json!({"type": "message", "role": "system", "content": said}));
    }
    // What there is anyway, or what any answer satisfies.
    body.retain(|name, value| match &**name {
        "truncation" => value != "disabled",
        "background" => *value != false,
        "stream_options" => value["include_obfuscation"] != false,
        _ => true,
    });
    if let Some(text) = body.get_mut("text").and_then(Value::as_object_mut) {
        text.retain(|name, value| name != "format" || value["type"] != "text");
        if text.is_empty() {
            body.remove("text");
        }
    }
    // Thoughts that can be sent back are asked for wherever there are some.
    if let Some(Value::Array(wanted)) = body.get_mut("include") {
        wanted.retain(|name| name != "reasoning.encrypted_content");
        if wanted.is_empty() {
            body.remove("include");
        }
    }
    // The older name of the end user.
    match (body.remove("user"), body.get("safety_identifier")) {
        (Some(user), None) => _ = body.insert("safety_identifier".into(), user),
        (Some(user), Some(known)) if user != *known => _ = body.insert("user".into(), user),
        _ => {}
    }
    for tool in items(body.get_mut("tools")) {
        tool.retain(|name, value| name != "defer_loading" || *value != false);
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
    // A message that says nothing is none.
    if let Some(Value::Array(list)) = body.get_mut("input") {
        list.retain(|item| {
            item.get("content").is_none_or(|said| *said != json!([])) || item["type"] == "reasoning"
        });
    }
    // Marks of the cache are hints; models from before them are not sent any, unless the client speaks of them at the top.
    let says_cache = body.contains_key("prompt_cache_options");
    for item in items(body.get_mut("input")) {
        for content in ["content", "output"] {
            for part in items(item.get_mut(content)).filter(|_| !says_cache) {
                part.remove("prompt_cache_breakpoint");
            }
        }
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
        // A result is known by its call; Codex repeats the names. One text is as good as a list of it.
        "function_call_output" | "custom_tool_call_output" => {
            item.remove("name");
            item.remove("namespace");
            let plain = match item.get("output").and_then(Value::as_array).map(|list| &list[..]) {
                Some([only]) if only.as_object().is_some_and(|only| only.len() == 2) => {
                    only.get("text")
                }
                _ => None,
            };
            if let Some(text) = plain.cloned() {
                item.insert("output".into(), text);
            }
        }
        // Pieces of a thought are one, and so are the thought and its summary where there is one of them.
        "reasoning" => {
            let mut texts = |name: &str| {
                let pieces = item.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten();
                let pieces: Vec<&str> = pieces.map(|piece| text(&piece["text"])).collect();
                Some(pieces.join("\n\n")).filter(|text| !text.is_empty())
            };
            match (texts("summary"), texts("content")) {
                (Some(summary), None) | (None, Some(summary)) => {
                    item.insert(
                        "summary".into(),
                        json!([{"type": "summary_text", "text": summary}]),
                    );
                    item.remove("content");
                }
                (Some(summary), Some(_)) => {
                    item.insert(
                        "summary".into(),
                        json!([{"type": "summary_text", "text": summary}]),
                    );
                }
                (None, None) => {}
            }
        }
        _ => {}
    }
}

/// The name that a function of a namespace has elsewhere, as it is fitted to the provider's rule.
fn joined(function: &mut Map<String, Value>) {
    let Some(namespace) = function.remove("namespace") else { return };
    let mut request = Request::default();
    request.tools.push(Tool {
        kind: ToolKind::Function,
        name: format!("{}::{}", text(&namespace), text(&function["name"])).into(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
    });
    Names::fit(&mut request, &Form::Responses.outbound().name_rule());
    function.insert("name".into(), (*request.tools[0].name).into());
}
