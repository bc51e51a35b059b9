//! Tools and the choice among them, written.

use faregate_wire::{Json, JsonWriter};

use crate::chat::{Loss, Request, Tool, ToolChoice, ToolKind};

/// Tools that the provider runs, by type. Dated and preview names of them begin with one of these and `_preview` or `_2`.
const HOSTED: [&str; 11] = [
    "web_search",
    "file_search",
    "computer",
    "computer_use",
    "code_interpreter",
    "image_generation",
    "mcp",
    "local_shell",
    "shell",
    "apply_patch",
    "tool_search",
];

/// Appends `tools` and what belongs to them.
pub(super) fn write(json: &mut JsonWriter<'_>, request: &Request<'_>, loss: &mut Loss) {
    let can_say = |tool: &&Tool<'_>| tool.kind != ToolKind::Other || is_own(tool);
    for tool in request.tools.iter().filter(|tool| !can_say(tool)) {
        loss.add_named(&format!("tools.{}", tool.name));
    }
    let mut tools = request.tools.iter().filter(can_say).peekable();
    if tools.peek().is_none() {
        return;
    }
    json.name("tools").array();
    for tool in tools {
        write_tool(json, tool, request);
    }
    json.end();
    if let Some(choice) = &request.tool_choice {
        write_choice(json.name("tool_choice"), choice, request);
    }
    if let Some(parallel) = request.parallel_tools {
        json.member_bool("parallel_tool_calls", parallel);
    }
}

/// Whether a tool that the provider runs is one of this dialect, by its type: other dialects name theirs alike.
fn is_own(tool: &Tool<'_>) -> bool {
    let kind = tool.parameters.and_then(|tool| tool.get_str("type"));
    is_hosted(kind.as_deref().unwrap_or(&tool.name))
}

fn is_hosted(kind: &str) -> bool {
    // Anthropic's dated tools (`web_search_20260209`) have eight digits, OpenAI's (`web_search_2025_08_26`) dashes between.
    HOSTED.iter().any(|known| match kind.strip_prefix(known) {
        Some("" | "_preview") => true,
        Some(date) => date.len() == 11 && date.starts_with("_2") && date.as_bytes()[5] == b'_',
        None => false,
    })
}

fn write_tool(json: &mut JsonWriter<'_>, tool: &Tool<'_>, request: &Request<'_>) {
    if let (ToolKind::Other, Some(raw)) = (tool.kind, tool.parameters) {
        json.json(raw);
        return;
    }
    json.object();
    let is_custom = tool.kind == ToolKind::Custom;
    json.member_str("type", if is_custom { "custom" } else { "function" });
    json.member_str("name", &tool.name);
    if let Some(description) = &tool.description {
        json.member_str("description", description);
    }
    if is_custom {
        if let Some(format) = tool.parameters {
            write_grammar(json.name("format"), format);
        }
    } else {
        write_parameters(json.name("parameters"), tool.parameters);
        json.member_bool("strict", tool.strict.unwrap_or(false));
    }
    for (name, value) in &request.rest {
        let of_tools = name.strip_prefix("tools.");
        let of_this = of_tools.and_then(|name| name.strip_prefix(&*tool.name)?.strip_prefix('.'));
        if let Some(member) = of_this {
            json.member_json(member, *value);
        }
    }
    json.end();
}

/// A custom tool's format, also in the spelling of chat completions, where the grammar stands one level deeper.
fn write_grammar(json: &mut JsonWriter<'_>, format: Json<'_>) {
    let Some(grammar) = format.get("grammar") else {
        json.json(format);
        return;
    };
    json.object().member_str("type", "grammar");
    for (name, value) in grammar.members() {
        json.member_json(&name, value);
    }
    json.end();
}

/// A schema of arguments has the type `object`, and says of which properties, be there none.
fn write_parameters(json: &mut JsonWriter<'_>, schema: Option<Json<'_>>) {
    let has = |name| schema.is_some_and(|schema| schema.get(name).is_some());
    match schema {
        Some(schema) if has("type") && has("properties") => {
            json.json(schema);
            return;
        }
        _ => json.object(),
    };
    if !has("type") {
        json.member_str("type", "object");
    }
    for (name, value) in schema.into_iter().flat_map(Json::members) {
        json.member_json(&name, value);
    }
    if !has("properties") {
        json.name("properties").object().end();
    }
    json.end();
}

fn write_choice(json: &mut JsonWriter<'_>, choice: &ToolChoice<'_>, request: &Request<'_>) {
    match choice {
        ToolChoice::Auto => json.str("auto"),
        ToolChoice::None => json.str("none"),
        ToolChoice::Any => json.str("required"),
        ToolChoice::Tool(name) => write_chosen(json, name, request),
        ToolChoice::Allowed { required, names } => {
            json.object().member_str("type", "allowed_tools");
            json.member_str("mode", if *required { "required" } else { "auto" });
            json.name("tools").array();
            for name in names {
                write_chosen(json, name, request);
            }
            json.end().end()
        }
    };
}

fn write_chosen<'j, 'b>(
    json: &'j mut JsonWriter<'b>,
    name: &str,
    request: &Request<'_>,
) -> &'j mut JsonWriter<'b> {
    let tool = request.tools.iter().find(|tool| tool.name == name);
    let kind = match tool.map_or(ToolKind::Function, |tool| tool.kind) {
        ToolKind::Other => return json.object().member_str("type", name).end(),
        ToolKind::Custom => "custom",
        ToolKind::Function => "function",
    };
    json.object().member_str("type", kind).member_str("name", name).end()
}
