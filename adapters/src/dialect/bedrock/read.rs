//! A request of Converse as clients send it.
//!
//! In: the body, and what the path says. Out: a request. Cache points become marks of what stands before them; words that
//! a guardrail shall look at are words; names of tools are looked up for their results.

use std::borrow::Cow;

use faregate_wire::Json;

use super::{answer::read_media, extra, media::KINDS, opaque, request::TEXT_FORMAT};
use crate::{
    chat::{
        CacheMark, Effort, Format, Message, Part, PartBody, Reasoning, ReasoningPart, Request,
        Role, Tier, Tool, ToolChoice, ToolKind,
    },
    dialect::{Call, Invalid},
};

/// Reads a request.
pub(super) fn read<'a>(body: &'a [u8], call: &Call<'a>) -> Result<Request<'a>, Invalid> {
    let json = Json::new(body)
        .filter(|json| json.is_object())
        .ok_or_else(|| Invalid::type_of("body", "an object"))?;
    let mut request = Request {
        model: call.model.unwrap_or_default().into(),
        stream: call.stream == Some(true),
        include_usage: true,
        ..Request::default()
    };
    for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
        read_member(&mut request, name, value)?;
    }
    // Instructions come first, wherever the member stands.
    request.messages.sort_by_key(|message| message.role != Role::Developer);
    for message in &mut request.messages {
        if message.role == Role::Developer {
            message.role = Role::System;
        }
    }
    name_results(&mut request);
    Ok(request)
}

fn read_member<'a>(
    request: &mut Request<'a>,
    name: Cow<'a, str>,
    value: Json<'a>,
) -> Result<(), Invalid> {
    match &*name {
        "messages" => {
            for (at, message) in array(value, "messages")?.enumerate() {
                request.messages.push(read_message(message, at)?);
                note(request, message.get("content"));
            }
        }
        "system" => {
            let parts = read_blocks(value, "system")?;
            note(request, Some(value));
            // For the moment of another role than system messages between the others.
            request.messages.push(Message { role: Role::Developer, name: None, parts });
        }
        "inferenceConfig" => read_inference(request, value)?,
        "toolConfig" => read_tools(request, value)?,
        "outputConfig" => read_output(request, value),
        extra::MEMBER => read_extra(request, name, value),
        "requestMetadata" => request.metadata = Some(value),
        "serviceTier" => match value.get_str("type").as_deref() {
            Some("default") => request.tier = Some(Tier::Standard),
            Some("flex") => request.tier = Some(Tier::Flex),
            Some("priority") => request.tier = Some(Tier::Priority),
            Some("reserved") => request.tier = Some(Tier::Scale),
            _ => request.rest.push((name, value)),
        },
        _ => request.rest.push((name, value)),
    }
    Ok(())
}

fn array<'a>(
    value: Json<'a>,
    param: &str,
) -> Result<impl Iterator<Item = Json<'a>> + use<'a>, Invalid> {
    match value.is_array() {
        true => Ok(value.items()),
        false => Err(Invalid::type_of(param.to_owned(), "an array")),
    }
}

fn read_message(message: Json<'_>, at: usize) -> Result<Message<'_>, Invalid> {
    let role = match message.get_str("role").as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => {
            let param = format!("messages[{at}].role");
            return Err(Invalid::type_of(param, "user, assistant or system"));
        }
    };
    let param = format!("messages[{at}].content");
    let Some(content) = message.get("content") else {
        return Err(Invalid::type_of(param, "an array"));
    };
    Ok(Message { role, name: None, parts: read_blocks(content, &param)? })
}

fn read_blocks<'a>(content: Json<'a>, param: &str) -> Result<Vec<Part<'a>>, Invalid> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    for (at, block) in array(content, param)?.enumerate() {
        if let Some(point) = block.get("cachePoint") {
            if let Some(part) = parts.last_mut() {
                part.cache = Some(read_mark(point));
            }
            continue;
        }
        // What is said of a document is said before it.
        let context = block.at(&["document", "context"]).and_then(Json::str);
        parts.extend(context.filter(|text| !text.trim().is_empty()).map(Part::text));
        parts.push(Part::new(read_block(block, &format!("{param}[{at}]"))?));
    }
    Ok(parts)
}

/// Keeps what blocks say beside their words, each kind once: that documents shall be cited, what an earlier answer cited,
/// and that a guardrail shall look at these words alone.
fn note<'a>(request: &mut Request<'a>, content: Option<Json<'a>>) {
    for block in content.map(Json::items).into_iter().flatten() {
        let cited = block.at(&["document", "citations"]);
        let cited = cited.filter(|citations| citations.get_bool("enabled") == Some(true));
        let sources = block.at(&["citationsContent", "citations"]);
        let sources = sources.filter(|sources| sources.items().next().is_some());
        let notes = [
            ("document.citations", cited),
            ("citationsContent", sources),
            ("guardContent", block.at(&["guardContent", "text"])),
        ];
        for (name, value) in notes {
            if let Some(value) = value
                && !request.rest.iter().any(|(known, _)| known == name)
            {
                request.rest.push((name.into(), value));
            }
        }
    }
}

fn read_mark(point: Json<'_>) -> CacheMark {
    let minutes = match point.get_str("ttl").as_deref() {
        Some("5m") => Some(5),
        Some("1h") => Some(60),
        _ => None,
    };
    CacheMark { minutes }
}

fn read_block<'a>(block: Json<'a>, param: &str) -> Result<PartBody<'a>, Invalid> {
    let Some((kind, value)) = block.members().find(|(_, value)| !value.is_null()) else {
        return Err(Invalid::type_of(param.to_owned(), "an object with a member"));
    };
    let missing = |name: &str| Invalid::type_of(format!("{param}.{kind}.{name}"), "a string");
    let string = |name: &str| value.get_str(name).ok_or_else(|| missing(name));
    if let Some((media_kind, _)) = KINDS.into_iter().find(|(_, name)| *name == kind) {
        let wrong =
            || Invalid::type_of(format!("{param}.{kind}.source"), "bytes, text or s3Location");
        return read_media(media_kind, value).map(PartBody::Media).ok_or_else(wrong);
    }
    Ok(match &*kind {
        "text" => PartBody::Text(
            value.str().ok_or_else(|| Invalid::type_of(format!("{param}.text"), "a string"))?,
        ),
        "toolUse" if value.get("type").is_none() => PartBody::ToolCall {
            id: string("toolUseId")?,
            name: string("name")?,
            arguments: text_of(value.get("input").filter(|input| input.is_object())),
            kind: ToolKind::Function,
            signature: None,
        },
        "toolResult" => PartBody::ToolResult {
            id: string("toolUseId")?,
            name: None,
            content: match value.get("content") {
                Some(content) => read_result(content, &format!("{param}.toolResult.content"))?,
                None => Vec::new(),
            },
            is_error: value.get_str("status").is_some_and(|status| status == "error"),
        },
        "reasoningContent" => PartBody::Reasoning(read_thought(value)),
        "guardContent" if value.at(&["text", "text"]).is_some() => {
            let text = value.at(&["text", "text"]).and_then(Json::str);
            PartBody::Text(text.unwrap_or_default())
        }
        "citationsContent" => {
            let said = value.get("content").map(Json::items).into_iter().flatten();
            let texts: Vec<_> = said.filter_map(|text| text.get_str("text")).collect();
            PartBody::Text(texts.concat().into())
        }
        _ => PartBody::Other { kind, json: block },
    })
}

/// Content of a result: as elsewhere, and JSON, which is text to everybody else.
fn read_result<'a>(content: Json<'a>, param: &str) -> Result<Vec<Part<'a>>, Invalid> {
    let mut parts = Vec::new();
    for (at, block) in array(content, param)?.enumerate() {
        parts.push(Part::new(match block.get("json") {
            Some(json) => PartBody::Text(text_of(Some(json))),
            None => read_block(block, &format!("{param}[{at}]"))?,
        }));
    }
    Ok(parts)
}

fn text_of(json: Option<Json<'_>>) -> Cow<'_, str> {
    json.map_or("{}".into(), |json| String::from_utf8_lossy(json.raw()))
}

fn read_thought(value: Json<'_>) -> ReasoningPart<'_> {
    if let Some(hidden) = value.get_str("redactedContent") {
        let signature = Some(opaque::of_blob(hidden));
        return ReasoningPart { signature, redacted: true, ..ReasoningPart::default() };
    }
    let shown = value.get("reasoningText");
    let text = shown.and_then(|shown| shown.get_str("text")).unwrap_or_default();
    let signature = shown.and_then(|shown| shown.get_str("signature"));
    ReasoningPart { text, signature, ..ReasoningPart::default() }
}

fn read_inference<'a>(request: &mut Request<'a>, value: Json<'a>) -> Result<(), Invalid> {
    for (name, value) in value.members().filter(|(_, value)| !value.is_null()) {
        let param = format!("inferenceConfig.{name}");
        match &*name {
            "maxTokens" => {
                let most = value.u64().ok_or_else(|| Invalid::type_of(param, "a whole number"))?;
                request.output_max = Some(most);
            }
            "temperature" | "topP" => {
                value.f64().ok_or_else(|| Invalid::type_of(param, "a number"))?;
                let sampling = &mut request.sampling;
                let place =
                    if name == "topP" { &mut sampling.top_p } else { &mut sampling.temperature };
                *place = Some(value);
            }
            "stopSequences" => {
                for stop in array(value, &param)? {
                    let wrong = || Invalid::type_of(param.clone(), "an array of strings");
                    request.stop.push(stop.str().ok_or_else(wrong)?);
                }
            }
            _ => request.rest.push((param.into(), value)),
        }
    }
    Ok(())
}

fn read_tools<'a>(request: &mut Request<'a>, value: Json<'a>) -> Result<(), Invalid> {
    let tools =
        value.get("tools").ok_or_else(|| Invalid::type_of("toolConfig.tools", "an array"))?;
    for (at, tool) in array(tools, "toolConfig.tools")?.enumerate() {
        if let Some(point) = tool.get("cachePoint") {
            if let Some(tool) = request.tools.last_mut() {
                tool.cache = Some(read_mark(point));
            }
            continue;
        }
        request.tools.push(read_tool(tool, at)?);
    }
    let Some(choice) = value.get("toolChoice") else { return Ok(()) };
    request.tool_choice = if choice.get("any").is_some() {
        Some(ToolChoice::Any)
    } else if let Some(tool) = choice.get("tool") {
        let wrong = || Invalid::type_of("toolConfig.toolChoice.tool.name", "a string");
        Some(ToolChoice::Tool(tool.get_str("name").ok_or_else(wrong)?))
    } else {
        Some(ToolChoice::Auto)
    };
    Ok(())
}

fn read_tool(tool: Json<'_>, at: usize) -> Result<Tool<'_>, Invalid> {
    let Some(spec) = tool.get("toolSpec") else {
        return Ok(Tool {
            kind: ToolKind::Other,
            name: tool.at(&["systemTool", "name"]).and_then(Json::str).unwrap_or_default(),
            description: None,
            parameters: Some(tool),
            strict: None,
            cache: None,
        });
    };
    let wrong = || Invalid::type_of(format!("toolConfig.tools[{at}].toolSpec.name"), "a string");
    Ok(Tool {
        kind: ToolKind::Function,
        name: spec.get_str("name").ok_or_else(wrong)?,
        description: spec.get_str("description"),
        parameters: spec.at(&["inputSchema", "json"]),
        strict: spec.get_bool("strict"),
        cache: None,
    })
}

fn read_output<'a>(request: &mut Request<'a>, value: Json<'a>) {
    for (name, value) in value.members().filter(|(_, value)| !value.is_null()) {
        match (&*name, value.str().as_deref().and_then(Effort::of)) {
            ("effort", Some(effort)) => request.reasoning.effort = Some(effort),
            ("textFormat", _)
                if value
                    .at(&["structure", "jsonSchema", "schema"])
                    .is_some_and(Json::is_object) =>
            {
                request.format = value.at(&["structure", "jsonSchema"]).and_then(read_schema);
            }
            ("textFormat", _) => request.rest.push((TEXT_FORMAT.into(), value)),
            _ => request.rest.push((format!("outputConfig.{name}").into(), value)),
        }
    }
}

/// A schema that was made one before ([`prepare`](super::prepare)).
fn read_schema(json: Json<'_>) -> Option<Format<'_>> {
    Some(Format::JsonSchema {
        name: json.get_str("name"),
        description: json.get_str("description"),
        schema: json.get("schema")?,
        strict: None,
    })
}

/// Reads what is left to the family of the model. The whole object is kept when it has a member that is not known.
fn read_extra<'a>(request: &mut Request<'a>, name: Cow<'a, str>, value: Json<'a>) {
    let mut is_known = value.is_object();
    for (name, value) in value.members() {
        match &*name {
            "top_k" => request.sampling.top_k = Some(value),
            "thinking" => is_known &= read_thinking(&mut request.reasoning, value),
            "reasoning_effort" => {
                request.reasoning.effort = value.str().as_deref().and_then(Effort::of);
                is_known &= request.reasoning.effort.is_some();
            }
            "tool_choice" if value.get("disable_parallel_tool_use").is_some() => {
                request.parallel_tools =
                    value.get_bool("disable_parallel_tool_use").map(|is_off| !is_off);
            }
            _ => is_known = false,
        }
    }
    if !is_known {
        request.rest.push((name, value));
    }
}

fn read_thinking(reasoning: &mut Reasoning, value: Json<'_>) -> bool {
    match value.get_str("type").as_deref() {
        Some("enabled") => {
            reasoning.enabled = Some(true);
            reasoning.budget = value.get_u64("budget_tokens");
        }
        Some("adaptive") => reasoning.enabled = Some(true),
        Some("disabled") => reasoning.enabled = Some(false),
        _ => return false,
    }
    true
}

/// Gives results the names of the tools that were called.
fn name_results(request: &mut Request<'_>) {
    let mut calls: Vec<(String, String)> = Vec::new();
    for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
        match &mut part.body {
            PartBody::ToolCall { id, name, .. } => calls.push((id.to_string(), name.to_string())),
            PartBody::ToolResult { id, name, .. } => {
                let call = calls.iter().rev().find(|(called, _)| called == id);
                *name = call.map(|(_, name)| Cow::Owned(name.clone()));
            }
            _ => {}
        }
    }
}
