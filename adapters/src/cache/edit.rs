//! Marks in a request that passes: its bytes stay as they are, and marks are put between them.

use std::ops::Range;

use faregate_wire::{Json, Patch, Peek};
use memchr::memmem;

use super::{TURNS_MAX, Wish};
use crate::dialect::{Form, bedrock};

/// Kinds of blocks that may have a mark, in Anthropic's dialect.
const MARKABLE: &[&str] =
    &["text", "image", "document", "search_result", "tool_use", "tool_result"];

/// Puts marks into `body`, a request in the dialect `form`, and tells whether any was put in.
///
/// `peek` is where a member can be added. Edits of `patch` that are there already must not lie in the prompt.
pub fn edit(form: Form, body: &[u8], peek: &Peek, wish: &Wish<'_>, patch: &mut Patch) -> bool {
    match form {
        Form::Messages if wish.marks_messages() && !has(body, "cache_control") => {
            Marker::new(body, wish, patch).messages()
        }
        Form::Converse if !has(body, "cachePoint") => Marker::new(body, wish, patch).converse(),
        Form::Chat | Form::Responses if wish.has_key() && !has(body, "prompt_cache_key") => {
            key(form, body, peek, wish, patch)
        }
        Form::Messages | Form::Converse | Form::Chat | Form::Responses | Form::Gemini => false,
    }
}

/// Whether a member of this name may be anywhere. Within a string its quotes would be escaped.
fn has(body: &[u8], name: &str) -> bool {
    memmem::find(body, format!("\"{name}\"").as_bytes()).is_some()
}

fn key(form: Form, body: &[u8], peek: &Peek, wish: &Wish<'_>, patch: &mut Patch) -> bool {
    if peek.is_empty_object() {
        return false;
    }
    let Some(key) = key_of(form, body, wish) else { return false };
    patch.insert(peek.insert_at(), format!(",\"prompt_cache_key\":\"{key}\"").into_bytes());
    true
}

fn key_of(form: Form, body: &[u8], wish: &Wish<'_>) -> Option<String> {
    if !wish.session.is_empty() {
        return wish.key(std::iter::empty());
    }
    let names = ["messages", "input", "instructions", "previous_response_id", "conversation"];
    let [messages, input, instructions, previous, conversation] = Json::new(body)?.pick(names);
    let talk = if form == Form::Chat { messages? } else { input? };
    if previous.is_some() || conversation.is_some() {
        return None; // the beginning is not here
    }
    let mut is_user = false;
    let first = talk.items().take_while(|message| {
        let is_behind = is_user;
        is_user |= message.get_str("role").as_deref() == Some("user");
        !is_behind
    });
    let text = Some(talk).filter(|talk| talk.is_string());
    let parts = instructions.into_iter().chain(text).chain(first);
    wish.key(parts.map(Json::raw))
}

/// Puts marks into one body.
struct Marker<'b, 'w> {
    body: &'b [u8],
    wish: &'w Wish<'w>,
    patch: &'w mut Patch,
    bytes_min: usize,
    /// Bytes of the prompt so far.
    bytes: usize,
    has_marked: bool,
}

impl<'b, 'w> Marker<'b, 'w> {
    fn new(body: &'b [u8], wish: &'w Wish<'w>, patch: &'w mut Patch) -> Self {
        let bytes_min = usize::try_from(wish.bytes_min()).unwrap_or(usize::MAX);
        Self { body, wish, patch, bytes_min, bytes: 0, has_marked: false }
    }

    fn messages(mut self) -> bool {
        let Some(request) = Json::new(self.body) else { return false };
        let [tools, system, messages] = request.pick(["tools", "system", "messages"]);
        if let Some(tools) = tools {
            self.bytes += tools.raw().len();
            // A tool that is loaded later is in no prefix.
            let kept = |tool: &Json<'_>| tool.get_bool("defer_loading") != Some(true);
            let last = tools.items().filter(kept).last();
            self.member(last);
        }
        if let Some(system) = system {
            self.bytes += system.raw().len();
            self.content(system);
        }
        let Some(messages) = messages else { return self.has_marked };
        for (message, end) in turns(messages, self.bytes).into_iter().flatten() {
            self.bytes = end;
            if let Some(content) = message.get("content") {
                self.content(content);
            }
        }
        self.has_marked
    }

    /// Marks the last block of a content, or the text that it is.
    fn content(&mut self, content: Json<'_>) {
        if content.is_string() {
            if self.is_long_enough() && content.raw().len() > 2 {
                let span = self.span(content);
                let end = format!(",\"cache_control\":{}}}]", self.control());
                self.patch.insert(span.start, &b"[{\"type\":\"text\",\"text\":"[..]);
                self.patch.insert(span.end, end.into_bytes());
                self.has_marked = true;
            }
            return;
        }
        let last = content.items().filter(|block| is_markable(*block)).last();
        self.member(last);
    }

    /// Marks an object by a member.
    fn member(&mut self, object: Option<Json<'_>>) {
        let Some(object) = object.filter(|object| object.is_object()) else { return };
        if self.is_long_enough() && object.members().next().is_some() {
            let mark = format!(",\"cache_control\":{}", self.control());
            let end = self.span(object).end - 1;
            self.patch.insert(end, mark.into_bytes());
            self.has_marked = true;
        }
    }

    fn control(&self) -> &'static str {
        match self.wish.is_long {
            true => "{\"type\":\"ephemeral\",\"ttl\":\"1h\"}",
            false => "{\"type\":\"ephemeral\"}",
        }
    }

    fn converse(mut self) -> bool {
        let knows = bedrock::known_to_cache(self.wish.model);
        let Some(request) = Json::new(self.body).filter(|_| knows.messages) else { return false };
        let [tools, system, messages] = request.pick(["toolConfig", "system", "messages"]);
        if let Some(tools) = tools.and_then(|config| config.get("tools")) {
            self.bytes += tools.raw().len();
            if knows.tools {
                self.point(tools, knows);
            }
        }
        if let Some(system) = system {
            self.bytes += system.raw().len();
            self.point(system, knows);
        }
        let Some(messages) = messages else { return self.has_marked };
        for (message, end) in turns(messages, self.bytes).into_iter().flatten() {
            self.bytes = end;
            if let Some(content) = message.get("content") {
                self.point(content, knows);
            }
        }
        self.has_marked
    }

    /// Adds a cache point to a list.
    fn point(&mut self, list: Json<'_>, knows: bedrock::Caches) {
        let Some(last) = list.items().last().filter(|_| self.is_long_enough()) else { return };
        let point = match self.wish.is_long && knows.tools {
            true => &b",{\"cachePoint\":{\"type\":\"default\",\"ttl\":\"1h\"}}"[..],
            false => &b",{\"cachePoint\":{\"type\":\"default\"}}"[..],
        };
        self.patch.insert(self.span(last).end, point);
        self.has_marked = true;
    }

    fn is_long_enough(&self) -> bool {
        self.bytes >= self.bytes_min
    }

    fn span(&self, part: Json<'_>) -> Range<usize> {
        let start = part.raw().as_ptr().addr() - self.body.as_ptr().addr();
        start..start + part.raw().len()
    }
}

/// The last turns of the user, each with the bytes of the prompt to its end. Of messages of the user in a row the last one
/// ends the turn.
fn turns(messages: Json<'_>, mut bytes: usize) -> [Option<(Json<'_>, usize)>; TURNS_MAX] {
    let mut turns = [None; TURNS_MAX];
    let mut goes_on = false;
    for message in messages.items() {
        bytes += message.raw().len();
        let is_user = message.get_str("role").as_deref() == Some("user");
        if is_user && !goes_on {
            turns.rotate_left(1);
        }
        if is_user {
            turns[TURNS_MAX - 1] = Some((message, bytes));
        }
        goes_on = is_user;
    }
    turns
}

fn is_markable(block: Json<'_>) -> bool {
    let [kind, text] = block.pick(["type", "text"]);
    let kind = kind.and_then(Json::str);
    match kind.as_deref() {
        Some("text") => text.is_some_and(|text| text.raw().len() > 2),
        Some(kind) => MARKABLE.contains(&kind),
        None => false,
    }
}
