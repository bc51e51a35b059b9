//! Tools and the choice among them, read.
//!
//! Functions of a namespace become plain functions ([`namespace`](super::namespace)); what is said of the namespace itself
//! is kept as `tools.{namespace}.description`. A custom tool's `format` stands in `parameters`, as it was written. Tools
//! that the provider runs (`web_search`, `mcp`, …) are named by their type.

use std::borrow::Cow;

use faregate_wire::Json;

use super::{
    namespace::{SEPARATOR, join},
    read::keep,
};
use crate::{
    chat::{Request, Tool, ToolChoice, ToolKind},
    dialect::Invalid,
};

/// Reads a list of tools; `param` is its name.
pub(super) fn read<'a>(
    value: Json<'a>,
    param: &str,
    request: &mut Request<'a>,
) -> Result<(), Invalid> {
    if !value.is_array() {
        return Err(Invalid::type_of(param.to_owned(), "an array"));
    }
    for (index, tool) in value.items().enumerate() {
        read_tool(tool, &format!("{param}[{index}]"), None, request)?;
    }
    Ok(())
}

fn read_tool<'a>(
    tool: Json<'a>,
    param: &str,
    namespace: Option<&str>,
    request: &mut Request<'a>,
) -> Result<(), Invalid> {
    if !tool.is_object() {
        return Err(Invalid::type_of(param.to_owned(), "an object"));
    }
    let Some(kind) = tool.get_str("type") else {
        return Err(Invalid::type_of(format!("{param}.type"), "a string"));
    };
    match &*kind {
        "function" => read_function(tool, ToolKind::Function, param, namespace, request),
        "custom" => read_function(tool, ToolKind::Custom, param, namespace, request),
        "namespace" if namespace.is_none() => read_namespace(tool, param, request),
        _ => {
            request.tools.push(Tool {
                kind: ToolKind::Other,
                name: kind,
                description: None,
                parameters: Some(tool),
                strict: None,
                cache: None,
            });
            Ok(())
        }
    }
}

fn read_function<'a>(
    tool: Json<'a>,
    kind: ToolKind,
    param: &str,
    namespace: Option<&str>,
    request: &mut Request<'a>,
) -> Result<(), Invalid> {
    let mut read = Tool {
        kind,
        name: join(namespace, name_of(tool, param)?),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
    };
    for (name, value) in tool.members().filter(|(_, value)| !value.is_null()) {
        let wrong = |wanted| Invalid::type_of(format!("{param}.{name}"), wanted);
        match (&*name, kind) {
            ("type" | "name", _) => {}
            ("description", _) => {
                read.description = Some(value.str().ok_or_else(|| wrong("a string"))?);
            }
            ("parameters", ToolKind::Function) | ("format", ToolKind::Custom) => {
                let object = value.is_object().then_some(value);
                read.parameters = Some(object.ok_or_else(|| wrong("an object"))?);
            }
            ("strict", ToolKind::Function) => {
                read.strict = Some(value.bool().ok_or_else(|| wrong("a boolean"))?);
            }
            ("defer_loading" | "async", _) if value.bool() == Some(false) => {}
            _ => keep(request, format!("tools.{}.{name}", read.name), value),
        }
    }
    request.tools.push(read);
    Ok(())
}

fn read_namespace<'a>(
    tool: Json<'a>,
    param: &str,
    request: &mut Request<'a>,
) -> Result<(), Invalid> {
    let name = name_of(tool, param)?;
    if name.is_empty() || name.contains(SEPARATOR) {
        let message = format!("{param}.name must not be empty or contain {SEPARATOR}");
        return Err(Invalid { param: format!("{param}.name").into(), message });
    }
    let tools = tool.get("tools").filter(|tools| tools.is_array());
    let tools = tools.ok_or_else(|| Invalid::type_of(format!("{param}.tools"), "an array"))?;
    for (index, inner) in tools.items().enumerate() {
        read_tool(inner, &format!("{param}.tools[{index}]"), Some(&name), request)?;
    }
    for (member, value) in tool.members().filter(|(_, value)| !value.is_null()) {
        if !matches!(&*member, "type" | "name" | "tools") && value.raw() != b"\"\"" {
            keep(request, format!("tools.{name}.{member}"), value);
        }
    }
    Ok(())
}

fn name_of<'a>(tool: Json<'a>, param: &str) -> Result<Cow<'a, str>, Invalid> {
    tool.get_str("name").ok_or_else(|| Invalid::type_of(format!("{param}.name"), "a string"))
}

/// Reads `tool_choice`. A choice of what only OpenAI runs is kept as it is.
pub(super) fn read_choice<'a>(value: Json<'a>, request: &mut Request<'a>) -> Result<(), Invalid> {
    if let Some(word) = value.str() {
        request.tool_choice = Some(match &*word {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Any,
            _ => return Err(Invalid::type_of("tool_choice", "auto, none, required or an object")),
        });
        return Ok(());
    }
    if !value.is_object() {
        return Err(Invalid::type_of("tool_choice", "a string or an object"));
    }
    match value.get_str("type").as_deref() {
        Some("function" | "custom") => {
            request.tool_choice = Some(ToolChoice::Tool(chosen(value, "tool_choice")?));
        }
        Some("allowed_tools") => request.tool_choice = Some(read_allowed(value)?),
        _ => keep(request, "tool_choice", value),
    }
    Ok(())
}

fn read_allowed<'a>(value: Json<'a>) -> Result<ToolChoice<'a>, Invalid> {
    let tools = value.get("tools").filter(|tools| tools.is_array());
    let tools = tools.ok_or_else(|| Invalid::type_of("tool_choice.tools", "an array"))?;
    let name_of = |tool: Json<'a>| match tool.get_str("type").as_deref() {
        Some("function" | "custom") | None => chosen(tool, "tool_choice.tools"),
        // Named by its type, as in `tools`.
        Some(_) => Ok(tool.get_str("type").unwrap_or_default()),
    };
    Ok(ToolChoice::Allowed {
        required: value.get_str("mode").as_deref() == Some("required"),
        names: tools.items().map(name_of).collect::<Result<_, _>>()?,
    })
}

fn chosen<'a>(value: Json<'a>, param: &str) -> Result<Cow<'a, str>, Invalid> {
    Ok(join(value.get_str("namespace").as_deref(), name_of(value, param)?))
}
