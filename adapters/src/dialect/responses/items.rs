//! Items of the input, read into messages.
//!
//! What the model said in one turn (thoughts, texts, calls) becomes one message, and so do results of tools that stand
//! together. Ids and states of items are not kept, since only the provider that gave them could know them; thoughts keep
//! theirs. Other members that have no place are kept as `input.{member}`.

use std::{borrow::Cow, collections::BTreeMap};

use faregate_wire::Json;

use super::{
    namespace::join,
    parts::{self, Place},
    read::keep,
    tools,
};
use crate::{
    chat::{Message, Part, PartBody, ReasoningPart, Request, Role, ToolKind},
    dialect::Invalid,
};

/// Reads `input`.
pub(super) fn read<'a>(input: Json<'a>, request: &mut Request<'a>) -> Result<(), Invalid> {
    if let Some(text) = input.str() {
        request.messages.push(message(Role::User, vec![Part::text(text)]));
        return Ok(());
    }
    if !input.is_array() {
        return Err(Invalid::type_of("input", "a string or an array"));
    }
    let mut reader = Reader { request, names: BTreeMap::new() };
    for (index, item) in input.items().enumerate() {
        reader.item(item, Place::item(index))?;
    }
    Ok(())
}

struct Reader<'r, 'a> {
    request: &'r mut Request<'a>,
    /// The tools called so far, by the ids of the calls.
    names: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

/// The members of an item, found in one pass.
#[derive(Default)]
struct Item<'a> {
    kind: Option<Json<'a>>,
    role: Option<Json<'a>>,
    content: Option<Json<'a>>,
    id: Option<Json<'a>>,
    call_id: Option<Json<'a>>,
    name: Option<Json<'a>>,
    namespace: Option<Json<'a>>,
    /// `arguments`, `input` or `output`.
    payload: Option<Json<'a>>,
    summary: Option<Json<'a>>,
    encrypted: Option<Json<'a>>,
    more: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a> Item<'a> {
    fn of(json: Json<'a>) -> Self {
        let mut item = Self::default();
        for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
            let place = match &*name {
                "type" => &mut item.kind,
                "role" => &mut item.role,
                "content" => &mut item.content,
                "id" => &mut item.id,
                "call_id" => &mut item.call_id,
                "name" => &mut item.name,
                "namespace" => &mut item.namespace,
                "arguments" | "input" | "output" => &mut item.payload,
                "summary" => &mut item.summary,
                "encrypted_content" => &mut item.encrypted,
                "status" => continue,
                _ => {
                    item.more.push((name, value));
                    continue;
                }
            };
            *place = Some(value);
        }
        item
    }
}

impl<'a> Reader<'_, 'a> {
    fn item(&mut self, json: Json<'a>, place: Place) -> Result<(), Invalid> {
        if !json.is_object() {
            return Err(place.wrong("", "an object"));
        }
        let mut item = Item::of(json);
        let kind = match item.kind {
            Some(kind) => kind.str().ok_or_else(|| place.wrong("type", "a string"))?,
            None if item.role.is_some() => Cow::Borrowed("message"),
            None => Cow::Borrowed("item_reference"),
        };
        let more = std::mem::take(&mut item.more);
        match &*kind {
            "message" => self.message(&item, place)?,
            "function_call" => self.call(&item, ToolKind::Function, place)?,
            "custom_tool_call" => self.call(&item, ToolKind::Custom, place)?,
            "function_call_output" | "custom_tool_call_output" => self.result(&item, place)?,
            "reasoning" => self.reasoning(&item, place)?,
            // Tools of a conversation that stand in its input, as Codex puts them there.
            "additional_tools" => {
                let tools = json.get("tools").ok_or_else(|| place.wrong("tools", "an array"))?;
                return tools::read(tools, &place.param("tools"), self.request);
            }
            _ => {
                let role = if is_users(&kind) { Role::User } else { Role::Assistant };
                let part = Part::new(PartBody::Other { kind, json });
                self.request.messages.push(message(role, vec![part]));
                return Ok(());
            }
        }
        for (name, value) in more {
            keep(self.request, format!("input.{name}"), value);
        }
        Ok(())
    }

    fn message(&mut self, item: &Item<'a>, place: Place) -> Result<(), Invalid> {
        let role = match item.role.and_then(Json::str).as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            Some("developer") => Role::Developer,
            _ => return Err(place.wrong("role", "user, assistant, system or developer")),
        };
        let content = item.content.ok_or_else(|| place.wrong("content", "a string or an array"))?;
        let parts = parts::read(content, place, "content")?;
        match self.request.messages.last_mut() {
            // Thoughts stand before the text that they led to, in the same message.
            Some(last) if role == Role::Assistant && ends_with_thought(last) => {
                last.parts.extend(parts);
            }
            _ => self.request.messages.push(message(role, parts)),
        }
        Ok(())
    }

    fn call(&mut self, item: &Item<'a>, kind: ToolKind, place: Place) -> Result<(), Invalid> {
        let member = if kind == ToolKind::Custom { "input" } else { "arguments" };
        let name = place.text(item.name, "name")?;
        let namespace = item.namespace.and_then(Json::str);
        let name = join(namespace.as_deref(), name);
        let id = place.text(item.call_id, "call_id")?;
        let mut arguments = place.text(item.payload, member)?;
        if kind == ToolKind::Function && arguments.trim().is_empty() {
            arguments = Cow::Borrowed("{}");
        }
        self.names.insert(id.clone(), name.clone());
        self.said(PartBody::ToolCall { id, name, arguments, kind, signature: None });
        Ok(())
    }

    fn result(&mut self, item: &Item<'a>, place: Place) -> Result<(), Invalid> {
        let id = place.text(item.call_id, "call_id")?;
        let output = item.payload.ok_or_else(|| place.wrong("output", "a string or an array"))?;
        let name = match self.names.get(&id) {
            Some(name) => Some(name.clone()),
            None => item
                .name
                .and_then(Json::str)
                .map(|name| join(item.namespace.and_then(Json::str).as_deref(), name)),
        };
        let content = parts::read(output, place, "output")?;
        let part = Part::new(PartBody::ToolResult { id, name, content, is_error: false });
        match self.request.messages.last_mut() {
            Some(last) if is_results(last) => last.parts.push(part),
            _ => self.request.messages.push(message(Role::User, vec![part])),
        }
        Ok(())
    }

    /// A summary that has a part, be it empty, is a thought that is not encrypted alone: so our own answers mark a
    /// signature whose thought is not shown.
    fn reasoning(&mut self, item: &Item<'a>, place: Place) -> Result<(), Invalid> {
        let signature = match item.encrypted {
            Some(encrypted) => Some(place.text(Some(encrypted), "encrypted_content")?),
            None => None,
        };
        let (summary, has_summary) = texts(item.summary, place, "summary")?;
        let (content, has_content) = texts(item.content, place, "content")?;
        if let Some(second) = item.content.filter(|_| !summary.is_empty() && !content.is_empty()) {
            keep(self.request, "input.content", second);
        }
        let text = if summary.is_empty() { content } else { summary };
        let redacted = signature.is_some() && !has_summary && !has_content;
        let id = item.id.and_then(Json::str);
        self.said(PartBody::Reasoning(ReasoningPart { text, signature, redacted, id }));
        Ok(())
    }

    /// Adds to what the model said in this turn.
    fn said(&mut self, body: PartBody<'a>) {
        let part = Part::new(body);
        match self.request.messages.last_mut() {
            Some(last) if last.role == Role::Assistant && !is_other(last) => last.parts.push(part),
            _ => self.request.messages.push(message(Role::Assistant, vec![part])),
        }
    }
}

fn message<'a>(role: Role, parts: Vec<Part<'a>>) -> Message<'a> {
    Message { role, name: None, parts }
}

/// Whether an item that only OpenAI knows comes from the client's side.
fn is_users(kind: &str) -> bool {
    kind.ends_with("_output") || matches!(kind, "mcp_approval_response" | "compaction_trigger")
}

fn is_other(message: &Message<'_>) -> bool {
    matches!(message.parts.last(), Some(Part { body: PartBody::Other { .. }, .. }))
}

fn ends_with_thought(message: &Message<'_>) -> bool {
    message.role == Role::Assistant
        && matches!(message.parts.last(), Some(Part { body: PartBody::Reasoning(_), .. }))
}

fn is_results(message: &Message<'_>) -> bool {
    message.role == Role::User
        && message.parts.iter().all(|part| matches!(part.body, PartBody::ToolResult { .. }))
}

/// The texts of a list of parts, with a blank line between them, and whether there were any.
fn texts<'a>(
    list: Option<Json<'a>>,
    place: Place,
    member: &'static str,
) -> Result<(Cow<'a, str>, bool), Invalid> {
    let Some(list) = list else { return Ok((Cow::Borrowed(""), false)) };
    if !list.is_array() {
        return Err(place.wrong(member, "an array"));
    }
    let mut all: Option<Cow<'a, str>> = None;
    for part in list.items() {
        let text = part.get_str("text").ok_or_else(|| place.wrong(member, "a list of texts"))?;
        all = Some(match all {
            Some(before) => Cow::Owned([&before, "\n\n", &text].concat()),
            None => text,
        });
    }
    let is_some = all.is_some();
    Ok((all.unwrap_or_default(), is_some))
}
