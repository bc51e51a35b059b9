//! Tools and the choice among them, written.

use faregate_wire::JsonWriter;

use super::{write_messages::cache_mark, write_request::Writing};
use crate::chat::{Tool, ToolChoice, ToolKind};

/// A function without parameters; some providers demand that this is said.
const NO_PARAMETERS: &[u8] = br#"{"type":"object","properties":{}}"#;

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`.
pub(super) fn write(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>) {
    let request = writing.request;
    let can_allow = !writing.quirks.refuses("allowed_tools");
    let is_offered = |tool: &Tool<'_>| match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) if !can_allow => names.contains(&tool.name),
        _ => true,
    };
    let mut count = 0;
    for tool in request.tools.iter().filter(|tool| is_offered(tool)) {
        if tool.kind == ToolKind::Other && !writing.quirks.takes(&tool.name) {
            writing.loss.add_named(&format!("tools.{}", tool.name));
            continue;
        }
        if tool.kind == ToolKind::Custom && writing.quirks.refuses("custom") {
            writing.loss.add("tools.custom");
            continue;
        }
        if count == 0 {
            json.name("tools").array();
        }
        count += 1;
        self::tool(writing, json, tool);
    }
    if count == 0 {
        return;
    }
    json.end();
    if let Some(choice) = &request.tool_choice
        && !(*choice == ToolChoice::Auto && writing.quirks.refuses("tool_choice"))
        && writing.may("tool_choice")
    {
        self::choice(writing, json, choice, can_allow);
    }
    if let Some(parallel) = request.parallel_tools
        && !(parallel && writing.quirks.refuses("parallel_tool_calls"))
        && writing.may("parallel_tool_calls")
    {
        json.member_bool("parallel_tool_calls", parallel);
    }
}

fn tool(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>, tool: &Tool<'_>) {
    let kind = match tool.kind {
        ToolKind::Other => {
            if let Some(whole) = tool.parameters {
                json.json(whole);
            }
            return;
        }
        ToolKind::Function => "function",
        ToolKind::Custom => "custom",
    };
    json.object().member_str("type", kind).name(kind).object().member_str("name", &tool.name);
    if let Some(description) = &tool.description {
        json.member_str("description", description);
    }
    match (tool.kind, tool.parameters) {
        (ToolKind::Custom, Some(format)) => self::format(json, format),
        (ToolKind::Custom, None) => {}
        (_, Some(schema)) => {
            json.member_json("parameters", schema);
        }
        (_, None) => {
            json.name("parameters").raw(NO_PARAMETERS);
        }
    }
    if let Some(strict) = writing.strict(tool.strict, tool.parameters) {
        json.member_bool("strict", strict);
    }
    json.end();
    if writing.quirks.takes("cache_control") {
        cache_mark(writing, json, tool.cache);
    }
    json.end();
}

/// The form of a custom tool's input. Responses spells a grammar flat.
fn format(json: &mut JsonWriter<'_>, format: faregate_wire::Json<'_>) {
    if format.get("syntax").is_none() {
        json.member_json("format", format);
        return;
    }
    json.name("format").object().member_str("type", "grammar").name("grammar").object();
    for (name, value) in format.members().filter(|(name, _)| name != "type") {
        json.member_json(&name, value);
    }
    json.end().end();
}

fn choice(
    writing: &Writing<'_, '_>,
    json: &mut JsonWriter<'_>,
    choice: &ToolChoice<'_>,
    can_allow: bool,
) {
    json.name("tool_choice");
    match choice {
        ToolChoice::Auto => json.str("auto"),
        ToolChoice::None => json.str("none"),
        ToolChoice::Any => json.str("required"),
        ToolChoice::Tool(name) => named(writing, json, name),
        ToolChoice::Allowed { required, .. } if !can_allow => {
            json.str(if *required { "required" } else { "auto" })
        }
        ToolChoice::Allowed { required, names } => {
            json.object().member_str("type", "allowed_tools").name("allowed_tools").object();
            json.member_str("mode", if *required { "required" } else { "auto" });
            json.name("tools").array();
            for name in names {
                named(writing, json, name);
            }
            json.end().end().end()
        }
    };
}

fn named<'j, 'b>(
    writing: &Writing<'_, '_>,
    json: &'j mut JsonWriter<'b>,
    name: &str,
) -> &'j mut JsonWriter<'b> {
    let is_custom = |tool: &Tool<'_>| tool.kind == ToolKind::Custom && tool.name == name;
    let kind = if writing.request.tools.iter().any(is_custom) { "custom" } else { "function" };
    json.object().member_str("type", kind).name(kind).object().member_str("name", name);
    json.end().end()
}
