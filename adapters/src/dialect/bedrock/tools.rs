//! Tools as Converse declares them, and which of them the model may call.
//!
//! Converse has no choice `none`: the tools go when the conversation has no calls in it, and stay otherwise, since it
//! refuses calls without any declaration. For a conversation with calls whose request declares nothing, the tools that
//! were called are declared again.

use faregate_wire::Json;

use super::{request::Body, turns::Conversation};
use crate::chat::{Loss, PartBody, Request, Tool, ToolChoice, ToolKind};

/// The most tools that are declared again because the conversation calls them.
const DECLARED_MAX: usize = 64;

/// Members that a schema may not have at its top.
const NOT_AT_TOP: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// Writes `toolConfig`, if there is anything to say.
pub(super) fn write(
    body: &mut Body<'_>,
    request: &Request<'_>,
    talk: &Conversation<'_>,
    loss: &mut Loss,
) {
    let must_declare = talk.has_tools();
    let mut choice = request.tool_choice.as_ref();
    if matches!(choice, Some(ToolChoice::None)) {
        if !must_declare {
            return;
        }
        loss.add("tool_choice");
        choice = None;
    }
    let tools: Vec<&Tool<'_>> =
        request.tools.iter().filter(|tool| is_sayable(tool, choice, loss)).collect();
    if tools.is_empty() && !must_declare {
        if matches!(choice, Some(ToolChoice::Any | ToolChoice::Tool(_))) {
            loss.add("tool_choice");
        }
        return;
    }
    body.json.name("toolConfig").object().name("tools").array();
    for tool in &tools {
        write_tool(body, tool, loss);
    }
    if tools.is_empty() {
        declare_called(body, talk);
        choice = None;
    }
    body.json.end();
    write_choice(body, choice);
    body.json.end();
}

fn write_choice(body: &mut Body<'_>, choice: Option<&ToolChoice<'_>>) {
    match choice {
        Some(ToolChoice::Any | ToolChoice::Allowed { required: true, .. }) => {
            body.json.name("toolChoice").object().name("any").object().end().end();
        }
        Some(ToolChoice::Tool(name)) => {
            body.json.name("toolChoice").object().name("tool").object();
            body.json.member_str("name", name).end().end();
        }
        Some(ToolChoice::Auto | ToolChoice::Allowed { .. } | ToolChoice::None) | None => {}
    }
}

fn is_sayable(tool: &Tool<'_>, choice: Option<&ToolChoice<'_>>, loss: &mut Loss) -> bool {
    let is_known = match tool.kind {
        ToolKind::Function => true,
        ToolKind::Custom => false,
        ToolKind::Other => tool.parameters.is_some_and(|json| json.get("systemTool").is_some()),
    };
    if !is_known {
        let name =
            if tool.name.is_empty() { "tools".to_owned() } else { format!("tools.{}", tool.name) };
        loss.add_named(&name);
    }
    let is_allowed = match choice {
        Some(ToolChoice::Allowed { names, .. }) => names.contains(&tool.name),
        _ => true,
    };
    is_known && is_allowed
}

fn write_tool(body: &mut Body<'_>, tool: &Tool<'_>, loss: &mut Loss) {
    match (tool.kind, tool.parameters) {
        (ToolKind::Other, Some(own)) => {
            body.json.json(own);
        }
        (_, schema) => {
            body.json.object().name("toolSpec").object().member_str("name", &tool.name);
            if let Some(text) = tool.description.as_deref().filter(|text| !text.is_empty()) {
                body.json.member_str("description", text);
            }
            body.json.name("inputSchema").object().name("json");
            write_schema(body, schema, loss);
            body.json.end();
            if let Some(strict) = tool.strict {
                body.json.member_bool("strict", strict);
            }
            body.json.end().end();
        }
    }
    if body.family.caches_tools() {
        body.cache_point(tool.cache);
    }
}

/// A schema whose top says that it is an object.
fn write_schema(body: &mut Body<'_>, schema: Option<Json<'_>>, loss: &mut Loss) {
    let Some(schema) = schema.filter(|schema| schema.is_object()) else {
        body.json.raw(br#"{"type":"object","properties":{}}"#);
        return;
    };
    let has_type = schema.get_str("type").is_some_and(|name| name == "object");
    let stays = |name: &str| !NOT_AT_TOP.contains(&name);
    if has_type && schema.members().all(|(name, _)| stays(&name)) {
        body.json.json(schema);
        return;
    }
    body.json.object().member_str("type", "object");
    for (name, value) in schema.members().filter(|(name, _)| name != "type") {
        if stays(&name) {
            body.json.member_json(&name, value);
        } else {
            loss.add_named(&format!("parameters.{name}"));
        }
    }
    body.json.end();
}

/// Declares the tools that the conversation calls.
fn declare_called(body: &mut Body<'_>, talk: &Conversation<'_>) {
    let mut declared: Vec<&str> = Vec::new();
    for part in talk.parts() {
        let name = match &part.body {
            PartBody::ToolCall { name, .. } => &**name,
            PartBody::ToolResult { name: Some(name), .. } => &**name,
            _ => continue,
        };
        if declared.len() < DECLARED_MAX && !declared.contains(&name) {
            declared.push(name);
        }
    }
    if declared.is_empty() {
        declared.push("tool");
    }
    for name in declared {
        body.json.object().name("toolSpec").object().member_str("name", name);
        body.json.name("inputSchema").object().name("json");
        body.json.raw(br#"{"type":"object","properties":{}}"#).end().end().end();
    }
}
