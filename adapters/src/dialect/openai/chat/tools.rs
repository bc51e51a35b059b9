//! Tools and the choice among them, read.

use std::borrow::Cow;

use faregate_wire::Json;

use super::{parts, path::Path};
use crate::{
    chat::{Tool, ToolChoice, ToolKind},
    dialect::Invalid,
};

/// Reads `tools`.
pub(super) fn tools<'a>(path: Path<'_>, tools: Json<'a>) -> Result<Vec<Tool<'a>>, Invalid> {
    let items = path.array(tools)?.items().enumerate();
    items.map(|(index, tool)| self::tool(path.item(index), tool)).collect()
}

/// Reads the legacy `functions`.
pub(super) fn functions<'a>(path: Path<'_>, tools: Json<'a>) -> Result<Vec<Tool<'a>>, Invalid> {
    let items = path.array(tools)?.items().enumerate();
    items.map(|(index, tool)| function(path.item(index), tool)).collect()
}

fn tool<'a>(path: Path<'_>, tool: Json<'a>) -> Result<Tool<'a>, Invalid> {
    let kind = path.object(tool)?.get_str("type").unwrap_or(Cow::Borrowed("function"));
    let mut read = match &*kind {
        "function" => function(path.member("function"), path.required(tool, "function")?)?,
        "custom" => custom(path.member("custom"), path.required(tool, "custom")?)?,
        _ => Tool {
            kind: ToolKind::Other,
            name: kind,
            description: None,
            parameters: Some(tool),
            strict: None,
            cache: None,
        },
    };
    read.cache = parts::cache_mark(tool).or(read.cache);
    Ok(read)
}

fn function<'a>(path: Path<'_>, function: Json<'a>) -> Result<Tool<'a>, Invalid> {
    let parameters = function.get("parameters");
    Ok(Tool {
        kind: ToolKind::Function,
        name: path.required_text(path.object(function)?, "name")?,
        description: function.get_str("description"),
        parameters: parameters.map(|json| path.member("parameters").object(json)).transpose()?,
        strict: function.get_bool("strict"),
        cache: parts::cache_mark(function),
    })
}

fn custom<'a>(path: Path<'_>, custom: Json<'a>) -> Result<Tool<'a>, Invalid> {
    Ok(Tool {
        kind: ToolKind::Custom,
        name: path.required_text(path.object(custom)?, "name")?,
        description: custom.get_str("description"),
        parameters: custom.get("format"),
        strict: None,
        cache: None,
    })
}

/// Reads `tool_choice` or the legacy `function_call`; other dialects' spellings that many send are understood too.
pub(super) fn choice<'a>(path: Path<'_>, choice: Json<'a>) -> Result<ToolChoice<'a>, Invalid> {
    let kind = match choice.str() {
        Some(kind) => kind,
        None => path.object(choice)?.get_str("type").unwrap_or(Cow::Borrowed("function")),
    };
    match &*kind {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" | "any" => Ok(ToolChoice::Any),
        "function" | "custom" | "tool" if choice.is_object() => {
            let named = choice.get(&kind).unwrap_or(choice);
            Ok(ToolChoice::Tool(path.required_text(named, "name")?))
        }
        "allowed_tools" if choice.is_object() => allowed(path, choice),
        _ => Err(path.is_not("auto, none, required or a tool")),
    }
}

fn allowed<'a>(path: Path<'_>, choice: Json<'a>) -> Result<ToolChoice<'a>, Invalid> {
    let allowed = choice.get("allowed_tools").unwrap_or(choice);
    let path = path.member("allowed_tools");
    let tools = path.required(allowed, "tools")?;
    let name = |tool: Json<'a>| {
        let named = tool.get("function").or_else(|| tool.get("custom")).unwrap_or(tool);
        path.required_text(named, "name")
    };
    Ok(ToolChoice::Allowed {
        required: allowed.get_str("mode").as_deref() == Some("required"),
        names: path.member("tools").array(tools)?.items().map(name).collect::<Result<_, _>>()?,
    })
}
