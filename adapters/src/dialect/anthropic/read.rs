//! A request as a client of this dialect sends it, read into the canonical chat.
//!
//! In: one well-formed JSON object. Out: views of it. Members of the dialect that the canonical chat has no place for, and
//! members that nobody knows, go to `rest` as they were written.

use std::{borrow::Cow, collections::BTreeMap};

use faregate_wire::{Json, json::Kind};

use super::blocks::{Blocks, Place, cache_mark};
use crate::{
    chat::{
        Effort, Format, Message, PartBody, Reasoning, Request, Role, Tier, Tool, ToolChoice,
        ToolKind,
    },
    dialect::{Call, Invalid},
};

/// Members of a tool that have a place in the canonical chat.
const TOOL_MEMBERS: [&str; 6] =
    ["type", "name", "description", "input_schema", "strict", "cache_control"];

/// Reads a request.
pub(super) fn read_request<'a>(body: &'a [u8], call: &Call<'a>) -> Result<Request<'a>, Invalid> {
    let body = Json::new(body).filter(|body| body.is_object());
    let body = body.ok_or_else(|| Invalid::type_of("body", "an object"))?;
    let mut reader = Reader::default();
    for (name, value) in body.members().filter(|(_, value)| !value.is_null()) {
        reader.member(name, value)?;
    }
    reader.conversation()?;
    let mut request = reader.request;
    request.rest.append(&mut reader.blocks.notes);
    request.include_usage = true;
    if let Some(model) = call.model {
        request.model = Cow::Borrowed(model);
    }
    request.stream = call.stream.unwrap_or(request.stream);
    name_results(&mut request);
    Ok(request)
}

#[derive(Default)]
struct Reader<'a> {
    request: Request<'a>,
    blocks: Blocks<'a>,
    system: Option<Json<'a>>,
    messages: Option<Json<'a>>,
}

impl<'a> Reader<'a> {
    fn member(&mut self, name: Cow<'a, str>, value: Json<'a>) -> Result<(), Invalid> {
        let request = &mut self.request;
        match &*name {
            "model" => request.model = string("model", value)?,
            "stream" => request.stream = boolean("stream", value)?,
            "max_tokens" => request.output_max = Some(count("max_tokens", value)?),
            "temperature" => request.sampling.temperature = Some(number("temperature", value)?),
            "top_p" => request.sampling.top_p = Some(number("top_p", value)?),
            "top_k" => request.sampling.top_k = Some(number("top_k", value)?),
            "stop_sequences" => request.stop = strings("stop_sequences", value)?,
            "system" => self.system = Some(value),
            "messages" => self.messages = Some(value),
            "tools" => self.tools(value)?,
            "tool_choice" => self.tool_choice(value)?,
            "thinking" => self.thinking(value)?,
            "output_config" => self.output_config(value)?,
            "output_format" => request.format = Some(format("output_format", value)?),
            "metadata" => self.metadata(value)?,
            "service_tier" => self.service_tier(value),
            _ => request.rest.push((name, value)),
        }
        Ok(())
    }

    fn conversation(&mut self) -> Result<(), Invalid> {
        if let Some(system) = self.system {
            let parts = self.blocks.content(Place::system(), system)?;
            self.request.messages.push(Message { role: Role::System, name: None, parts });
        }
        let Some(messages) = self.messages else { return Ok(()) };
        if !messages.is_array() {
            return Err(Invalid::type_of("messages", "an array"));
        }
        self.blocks.messages = Some(messages);
        for (index, message) in messages.items().enumerate() {
            self.message(index, message)?;
        }
        Ok(())
    }

    fn message(&mut self, index: usize, message: Json<'a>) -> Result<(), Invalid> {
        let place = Place::message(index);
        let (mut role, mut parts) = (None, None);
        for (name, value) in message.members() {
            match &*name {
                "role" => role = value.str(),
                "content" => parts = Some(self.blocks.content(place, value)?),
                _ if value.is_null() => {}
                _ => self.blocks.note(format!("messages.{name}").into(), value),
            }
        }
        let role = match role.as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            _ => return Err(place.invalid("role", "`user`, `assistant` or `system`")),
        };
        let parts = parts.ok_or_else(|| place.invalid("content", "a string or an array"))?;
        self.request.messages.push(Message { role, name: None, parts });
        Ok(())
    }

    fn tools(&mut self, tools: Json<'a>) -> Result<(), Invalid> {
        if !tools.is_array() {
            return Err(Invalid::type_of("tools", "an array"));
        }
        for (index, tool) in tools.items().enumerate() {
            let read = read_tool(index, tool)?;
            if read.kind == ToolKind::Function {
                self.note_tool_members(tools, tool);
            }
            self.request.tools.push(read);
        }
        Ok(())
    }

    fn note_tool_members(&mut self, tools: Json<'a>, tool: Json<'a>) {
        for (name, value) in tool.members() {
            if !TOOL_MEMBERS.contains(&&*name) && !value.is_null() {
                self.blocks.note(format!("tools.{name}").into(), tools);
            }
        }
    }

    fn tool_choice(&mut self, choice: Json<'a>) -> Result<(), Invalid> {
        let kind = choice.get_str("type");
        self.request.tool_choice = Some(match kind.as_deref() {
            Some("auto") => ToolChoice::Auto,
            Some("any") => ToolChoice::Any,
            Some("none") => ToolChoice::None,
            Some("tool") => {
                let name = choice.get_str("name");
                let name = name.ok_or_else(|| Invalid::type_of("tool_choice.name", "a string"))?;
                ToolChoice::Tool(name)
            }
            _ => {
                let wanted = "`auto`, `any`, `tool` or `none`";
                return Err(Invalid::type_of("tool_choice.type", wanted));
            }
        });
        if let Some(disable) = choice.get("disable_parallel_tool_use") {
            let disable = boolean("tool_choice.disable_parallel_tool_use", disable)?;
            self.request.parallel_tools = Some(!disable);
        }
        Ok(())
    }

    fn thinking(&mut self, thinking: Json<'a>) -> Result<(), Invalid> {
        match read_thinking(thinking)? {
            Some(reasoning) => {
                let effort = self.request.reasoning.effort;
                self.request.reasoning = Reasoning { effort, ..reasoning };
            }
            None => self.request.rest.push((Cow::Borrowed("thinking"), thinking)),
        }
        Ok(())
    }

    fn output_config(&mut self, config: Json<'a>) -> Result<(), Invalid> {
        if !config.is_object() {
            return Err(Invalid::type_of("output_config", "an object"));
        }
        let mut has_more = false;
        for (name, value) in config.members().filter(|(_, value)| !value.is_null()) {
            match &*name {
                "effort" => {
                    let effort = value.str().and_then(|name| Effort::of(&name));
                    let wanted = "`low`, `medium`, `high`, `xhigh` or `max`";
                    let effort =
                        effort.ok_or_else(|| Invalid::type_of("output_config.effort", wanted))?;
                    self.request.reasoning.effort = Some(effort);
                }
                "format" => {
                    self.request.format = Some(format("output_config.format", value)?);
                }
                _ => has_more = true,
            }
        }
        if has_more {
            self.request.rest.push((Cow::Borrowed("output_config"), config));
        }
        Ok(())
    }

    fn metadata(&mut self, metadata: Json<'a>) -> Result<(), Invalid> {
        if !metadata.is_object() {
            return Err(Invalid::type_of("metadata", "an object"));
        }
        let mut has_more = false;
        for (name, value) in metadata.members().filter(|(_, value)| !value.is_null()) {
            match &*name {
                "user_id" => self.request.end_user = Some(string("metadata.user_id", value)?),
                _ => has_more = true,
            }
        }
        if has_more {
            self.request.rest.push((Cow::Borrowed("metadata"), metadata));
        }
        Ok(())
    }

    fn service_tier(&mut self, tier: Json<'a>) {
        match tier.str().as_deref() {
            Some("auto") => self.request.tier = Some(Tier::Auto),
            Some("standard_only") => self.request.tier = Some(Tier::Standard),
            _ => self.request.rest.push((Cow::Borrowed("service_tier"), tier)),
        }
    }
}

/// Reads `thinking`; `None` when it is of a type that has no place in the canonical chat.
pub(super) fn read_thinking(thinking: Json<'_>) -> Result<Option<Reasoning>, Invalid> {
    let mut reasoning = Reasoning::default();
    let kind = thinking.get_str("type");
    match kind.as_deref() {
        Some("adaptive") => reasoning.enabled = Some(true),
        Some("disabled") => reasoning.enabled = Some(false),
        Some("enabled") => {
            let budget = thinking.get_u64("budget_tokens");
            let wanted = "a whole number";
            let budget =
                budget.ok_or_else(|| Invalid::type_of("thinking.budget_tokens", wanted))?;
            reasoning.enabled = Some(true);
            reasoning.budget = Some(budget);
        }
        Some(_) => return Ok(None),
        None => return Err(Invalid::type_of("thinking.type", "a string")),
    }
    reasoning.shown = match thinking.get_str("display").as_deref() {
        Some("summarized") => Some(true),
        Some("omitted") => Some(false),
        Some(_) => return Ok(None),
        None => None,
    };
    Ok(Some(reasoning))
}

fn read_tool<'a>(index: usize, tool: Json<'a>) -> Result<Tool<'a>, Invalid> {
    let invalid =
        |member: &str, wanted| Invalid::type_of(format!("tools[{index}].{member}"), wanted);
    let kind = tool.get_str("type");
    let name = tool.get_str("name");
    let cache = tool.get("cache_control").map(cache_mark);
    if kind.as_deref().is_some_and(|kind| kind != "custom") {
        return Ok(Tool {
            kind: ToolKind::Other,
            name: name.unwrap_or_default(),
            description: None,
            parameters: Some(tool),
            strict: None,
            cache,
        });
    }
    let schema = tool.get("input_schema").filter(|schema| schema.is_object());
    Ok(Tool {
        kind: ToolKind::Function,
        name: name.ok_or_else(|| invalid("name", "a string"))?,
        description: tool.get_str("description"),
        parameters: Some(schema.ok_or_else(|| invalid("input_schema", "an object"))?),
        strict: tool.get_bool("strict"),
        cache,
    })
}

fn format<'a>(param: &'static str, format: Json<'a>) -> Result<Format<'a>, Invalid> {
    let is_schema = format.get_str("type").is_some_and(|kind| kind == "json_schema");
    let schema = format.get("schema").filter(|schema| is_schema && schema.is_object());
    let wanted = "an object of type `json_schema` with a schema";
    Ok(Format::JsonSchema {
        name: format.get_str("name"),
        description: None,
        schema: schema.ok_or_else(|| Invalid::type_of(param, wanted))?,
        strict: Some(true),
    })
}

/// Results of tools learn their tool's name from the call.
fn name_results(request: &mut Request<'_>) {
    let mut names = BTreeMap::new();
    for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
        match &mut part.body {
            PartBody::ToolCall { id, name, .. } => {
                names.insert(id.clone(), name.clone());
            }
            PartBody::ToolResult { id, name, .. } => *name = names.get(&**id).cloned(),
            PartBody::Text(_)
            | PartBody::Media(_)
            | PartBody::Reasoning(_)
            | PartBody::Refusal(_)
            | PartBody::Other { .. } => {}
        }
    }
}

fn string<'a>(param: &'static str, value: Json<'a>) -> Result<Cow<'a, str>, Invalid> {
    value.str().ok_or_else(|| Invalid::type_of(param, "a string"))
}

fn strings<'a>(param: &'static str, value: Json<'a>) -> Result<Vec<Cow<'a, str>>, Invalid> {
    let wanted = || Invalid::type_of(param, "an array of strings");
    if !value.is_array() {
        return Err(wanted());
    }
    value.items().map(|item| item.str().ok_or_else(wanted)).collect()
}

fn boolean(param: &'static str, value: Json<'_>) -> Result<bool, Invalid> {
    value.bool().ok_or_else(|| Invalid::type_of(param, "a boolean"))
}

fn count(param: &'static str, value: Json<'_>) -> Result<u64, Invalid> {
    value.u64().ok_or_else(|| Invalid::type_of(param, "a whole number"))
}

fn number<'a>(param: &'static str, value: Json<'a>) -> Result<Json<'a>, Invalid> {
    match value.kind() {
        Kind::Number => Ok(value),
        Kind::Null | Kind::Bool | Kind::String | Kind::Array | Kind::Object => {
            Err(Invalid::type_of(param, "a number"))
        }
    }
}
