//! The messages of a request, read.
//!
//! State between messages: the names of the calls so far, since a tool's result only has the call's id.

use std::{borrow::Cow, collections::HashMap};

use faregate_wire::{Json, Scanner, quote};

use super::{parts, path::Path, thoughts};
use crate::{
    chat::{CacheMark, Message, Part, PartBody, Request, Role, ToolKind},
    dialect::Invalid,
};

/// Members of earlier answers that say nothing to a model; clients send them back as they got them.
const ECHOED: &[&str] = &["annotations", "id", "index", "status", "provider_specific_fields"];

/// Reads the messages into a request.
pub(super) fn read<'a>(request: &mut Request<'a>, messages: Json<'a>) -> Result<(), Invalid> {
    let path = Path::Top("messages");
    path.array(messages)?;
    request.messages.clear();
    let mut reader = Reader { request, names: HashMap::new(), legacy: Vec::new() };
    for (index, message) in messages.items().enumerate() {
        let path = path.item(index);
        let message = Spelled::read(path, path.object(message)?)?;
        reader.message(path, index, message)?;
    }
    Ok(())
}

struct Reader<'r, 'a> {
    request: &'r mut Request<'a>,
    /// The tools that calls so far named, by the calls' ids.
    names: HashMap<Cow<'a, str>, Cow<'a, str>>,
    /// Names and ids of the calls without an id that wait for their result.
    legacy: Vec<(Cow<'a, str>, String)>,
}

/// A message as it is spelled.
#[derive(Default)]
struct Spelled<'a> {
    role: Cow<'a, str>,
    name: Option<Cow<'a, str>>,
    content: Option<Json<'a>>,
    refusal: Option<Cow<'a, str>>,
    tool_calls: Option<Json<'a>>,
    tool_call_id: Option<Cow<'a, str>>,
    function_call: Option<Json<'a>>,
    audio: Option<Json<'a>>,
    reasoning: Option<Cow<'a, str>>,
    reasoning_details: Option<Json<'a>>,
    thinking_blocks: Option<Json<'a>>,
    cache: Option<CacheMark>,
    unknown: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a> Spelled<'a> {
    fn read(path: Path<'_>, message: Json<'a>) -> Result<Self, Invalid> {
        let mut spelled = Self::default();
        let mut has_role = false;
        for (name, value) in message.members().filter(|(_, value)| !value.is_null()) {
            let path = path.member(&name);
            match &*name {
                "role" => (spelled.role, has_role) = (path.text(value)?, true),
                "name" => spelled.name = Some(path.text(value)?),
                "content" => spelled.content = Some(value),
                "refusal" => spelled.refusal = Some(path.text(value)?),
                "tool_calls" => spelled.tool_calls = Some(path.array(value)?),
                "tool_call_id" => spelled.tool_call_id = Some(path.text(value)?),
                "function_call" => spelled.function_call = Some(path.object(value)?),
                "audio" => spelled.audio = Some(path.object(value)?),
                "reasoning_content" => spelled.reasoning = Some(path.text(value)?),
                "reasoning" => spelled.reasoning = spelled.reasoning.or(value.str()),
                "reasoning_details" => spelled.reasoning_details = Some(path.array(value)?),
                "thinking_blocks" => spelled.thinking_blocks = Some(value),
                "cache_control" | "prompt_cache_breakpoint" => spelled.cache = parts::mark(value),
                echoed if ECHOED.contains(&echoed) => {}
                _ => spelled.unknown.push((name, value)),
            }
        }
        if has_role { Ok(spelled) } else { Err(path.member("role").is_not("given")) }
    }
}

impl<'a> Reader<'_, 'a> {
    fn message(
        &mut self,
        path: Path<'_>,
        index: usize,
        mut spelled: Spelled<'a>,
    ) -> Result<(), Invalid> {
        for (name, value) in std::mem::take(&mut spelled.unknown) {
            super::request::rest(self.request, Cow::Owned(format!("messages.{name}")), value);
        }
        let cache = spelled.cache;
        let mut message = Message { name: spelled.name.clone(), ..Message::default() };
        match &*spelled.role {
            "user" => {}
            "system" => message.role = Role::System,
            "developer" => message.role = Role::Developer,
            "assistant" => {
                message.role = Role::Assistant;
                message.parts = self.assistant(path, index, spelled)?;
                return self.push(message, cache);
            }
            "tool" | "function" => {
                message.name = None;
                message.parts.push(Part::new(self.result(path, index, spelled)?));
                return self.push(message, cache);
            }
            _ => {
                let known = "system, developer, user, assistant, tool or function";
                return Err(path.member("role").is_not(known));
            }
        }
        let content = spelled.content.ok_or_else(|| path.member("content").is_not("given"))?;
        parts::read(path.member("content"), content, &mut message.parts)?;
        self.push(message, cache)
    }

    fn push(&mut self, mut message: Message<'a>, cache: Option<CacheMark>) -> Result<(), Invalid> {
        if let Some(last) = message.parts.last_mut() {
            last.cache = cache.or(last.cache);
        }
        self.request.messages.push(message);
        Ok(())
    }

    fn assistant(
        &mut self,
        path: Path<'_>,
        index: usize,
        spelled: Spelled<'a>,
    ) -> Result<Vec<Part<'a>>, Invalid> {
        let thoughts =
            thoughts::read(spelled.reasoning, spelled.reasoning_details, spelled.thinking_blocks);
        let mut read: Vec<_> =
            thoughts.into_iter().map(PartBody::Reasoning).map(Part::new).collect();
        if let Some(content) = spelled.content {
            parts::read(path.member("content"), content, &mut read)?;
        }
        if let Some(refusal) = spelled.refusal.filter(|refusal| !refusal.is_empty()) {
            read.push(Part::new(PartBody::Refusal(refusal)));
        }
        if let Some(json) = spelled.audio {
            read.push(Part::new(PartBody::Other { kind: "audio".into(), json }));
        }
        for (number, call) in spelled.tool_calls.into_iter().flat_map(Json::items).enumerate() {
            let path = path.member("tool_calls");
            read.push(Part::new(self.call(path.item(number), call)?));
        }
        if let Some(call) = spelled.function_call {
            let path = path.member("function_call");
            let name = path.required_text(call, "name")?;
            let id = format!("call_function_{index}");
            self.legacy.push((name.clone(), id.clone()));
            read.push(Part::new(PartBody::ToolCall {
                id: Cow::Owned(id),
                name,
                arguments: arguments(path, call.get("arguments"))?,
                kind: ToolKind::Function,
                signature: None,
            }));
        }
        thoughts::sign_calls(&mut read);
        Ok(read)
    }

    fn call(&mut self, path: Path<'_>, call: Json<'a>) -> Result<PartBody<'a>, Invalid> {
        let id = path.required_text(path.object(call)?, "id")?;
        let signature =
            call.at(&["extra_content", "google", "thought_signature"]).and_then(Json::str);
        let custom = call.get("custom").filter(|_| call.get("function").is_none());
        let (name, arguments, kind) = match custom {
            Some(custom) => {
                let path = path.member("custom");
                let input = custom.get_str("input").unwrap_or_default();
                (path.required_text(custom, "name")?, input, ToolKind::Custom)
            }
            None => {
                let function = path.required(call, "function")?;
                let path = path.member("function");
                let arguments = arguments(path, function.get("arguments"))?;
                (path.required_text(function, "name")?, arguments, ToolKind::Function)
            }
        };
        self.names.insert(id.clone(), name.clone());
        Ok(PartBody::ToolCall { id, name, arguments, kind, signature })
    }

    fn result(
        &mut self,
        path: Path<'_>,
        index: usize,
        spelled: Spelled<'a>,
    ) -> Result<PartBody<'a>, Invalid> {
        let mut content = Vec::new();
        if let Some(spelled) = spelled.content {
            parts::read(path.member("content"), spelled, &mut content)?;
        }
        let (id, name) = match (spelled.tool_call_id, &*spelled.role) {
            (Some(id), _) => {
                let name = self.names.get(&id).cloned().or(spelled.name);
                (id, name)
            }
            (None, "function") => {
                let name = spelled.name.ok_or_else(|| path.member("name").is_not("given"))?;
                (Cow::Owned(self.legacy_id(&name, index)), Some(name))
            }
            (None, _) => return Err(path.member("tool_call_id").is_not("given")),
        };
        Ok(PartBody::ToolResult { id, name, content, is_error: false })
    }

    /// The id that was made for the call that a legacy result answers.
    fn legacy_id(&mut self, name: &str, index: usize) -> String {
        match self.legacy.iter().position(|(called, _)| called == name) {
            Some(at) => self.legacy.remove(at).1,
            None => format!("call_function_{index}"),
        }
    }
}

/// Arguments as the text of an object. What is none is put into one, as `input`: a model may have written it.
fn arguments<'a>(path: Path<'_>, spelled: Option<Json<'a>>) -> Result<Cow<'a, str>, Invalid> {
    let Some(spelled) = spelled else { return Ok(Cow::Borrowed("{}")) };
    if spelled.is_object() {
        return Ok(String::from_utf8_lossy(spelled.raw()));
    }
    let text = path.member("arguments").text(spelled)?;
    if text.trim().is_empty() {
        return Ok(Cow::Borrowed("{}"));
    }
    if Scanner::new(&[]).finish(text.as_bytes()).is_ok() {
        return Ok(text);
    }
    let mut wrapped = b"{\"input\":".to_vec();
    quote(&mut wrapped, &text);
    wrapped.push(b'}');
    Ok(Cow::Owned(String::from_utf8_lossy(&wrapped).into_owned()))
}
