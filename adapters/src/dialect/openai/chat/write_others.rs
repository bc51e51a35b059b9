//! What instructions, users and tools say between two messages of the model, written.

use std::borrow::Cow;

use faregate_wire::JsonWriter;

use super::{write_messages::name, write_parts, write_request::Writing};
use crate::chat::{CacheMark, Message, Part, PartBody, Role};

/// Stands between a tool's result and a user's message where they may not follow each other.
const BETWEEN: &str = "I have read the results.";

/// One message that is not the model's, without results of tools.
struct Said<'s, 'a> {
    role: Role,
    name: Option<&'s str>,
    parts: Vec<&'s Part<'a>>,
}

/// Whether a message holds instructions.
pub(super) fn instructs(message: &Message<'_>) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

/// The texts of a message, each a paragraph.
pub(super) fn text(parts: &[Part<'_>]) -> String {
    let texts = parts.iter().filter_map(|part| match &part.body {
        PartBody::Text(text) => Some(&**text),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// Writes messages up to the model's next.
pub(super) fn write(writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>, run: &[Message<'_>]) {
    let (media, has_results) = results(writing, json, run);
    let is_templated = writing.quirks.templated;
    let wrapped: Vec<Option<Part<'_>>> = run
        .iter()
        .map(|message| (is_templated && instructs(message)).then(|| reminder(message)))
        .collect();
    let mut said: Vec<Said<'_, '_>> = Vec::new();
    if !media.is_empty() {
        said.push(Said { role: Role::User, name: None, parts: media });
    }
    for (message, wrapped) in run.iter().zip(&wrapped) {
        let next = match wrapped {
            Some(part) => Said { role: Role::User, name: None, parts: vec![part] },
            None => Said::of(message),
        };
        if next.parts.is_empty() && !message.parts.is_empty() {
            continue;
        }
        match said.last_mut() {
            Some(last) if is_templated => last.parts.extend(next.parts),
            _ => said.push(next),
        }
    }
    let mut is_between = has_results && writing.quirks.no_user_after_tool;
    for said in &said {
        if said.role == Role::User && std::mem::take(&mut is_between) {
            json.object().member_str("role", "assistant").member_str("content", BETWEEN).end();
        }
        said.write(writing, json);
    }
}

impl<'s, 'a> Said<'s, 'a> {
    fn of(message: &'s Message<'a>) -> Self {
        let is_result = |part: &&Part<'_>| matches!(part.body, PartBody::ToolResult { .. });
        Self {
            role: message.role,
            name: message.name.as_deref(),
            parts: message.parts.iter().filter(|part| !is_result(part)).collect(),
        }
    }

    fn write(&self, writing: &mut Writing<'_, '_>, json: &mut JsonWriter<'_>) {
        let role = match self.role {
            Role::System => "system",
            Role::Developer if writing.quirks.no_developer => "system",
            Role::Developer => "developer",
            Role::User | Role::Assistant => "user",
        };
        json.object().member_str("role", role);
        name(writing, json, self.name);
        json.name("content");
        write_parts::write(writing, json, &self.parts);
        json.end();
    }
}

/// Instructions as words of the user.
fn reminder(message: &Message<'_>) -> Part<'static> {
    let text = text(&message.parts);
    Part::text(format!("<system-reminder>\n{text}\n</system-reminder>"))
}

/// Writes the results of tools; gives back the media in them, and whether there were any results.
fn results<'s, 'a>(
    writing: &mut Writing<'_, '_>,
    json: &mut JsonWriter<'_>,
    run: &'s [Message<'a>],
) -> (Vec<&'s Part<'a>>, bool) {
    let (mut media, mut has_results) = (Vec::new(), false);
    for part in run.iter().flat_map(|message| &message.parts) {
        if let PartBody::ToolResult { id, content, is_error, .. } = &part.body {
            has_results = true;
            let is_media = |part: &&Part<'_>| matches!(part.body, PartBody::Media(_));
            let before = media.len();
            media.extend(content.iter().filter(is_media));
            result(writing, json, (id, content, *is_error), media.len() > before);
        }
    }
    (media, has_results)
}

/// The text of one tool's result. That the tool failed has no place of its own: its text says so.
fn result(
    writing: &mut Writing<'_, '_>,
    json: &mut JsonWriter<'_>,
    (id, content, is_error): (&str, &[Part<'_>], bool),
    has_media: bool,
) {
    let texts = content.iter().filter_map(|part| match &part.body {
        PartBody::Text(text) | PartBody::Refusal(text) => {
            Some((Cow::Borrowed(&**text), part.cache))
        }
        PartBody::Other { json, .. } => Some((String::from_utf8_lossy(json.raw()), part.cache)),
        _ => None,
    });
    let mut texts: Vec<(Cow<'_, str>, Option<CacheMark>)> = texts.collect();
    if texts.is_empty() && has_media {
        texts.push((Cow::Borrowed("The result is in the next message of the user."), None));
    }
    if is_error && !texts.iter().any(|(text, _)| text.to_ascii_lowercase().contains("error")) {
        let (first, cache) = texts.first().map_or(("", None), |(text, cache)| (text, *cache));
        let first = (Cow::Owned(format!("Error: {first}")), cache);
        texts.splice(..texts.len().min(1), [first]);
    }
    json.object().member_str("role", "tool").member_str("tool_call_id", &writing.id(id));
    json.name("content");
    let text = |(text, cache)| Part { body: PartBody::Text(text), cache };
    let parts: Vec<Part<'_>> = texts.into_iter().map(text).collect();
    write_parts::write(writing, json, &parts.iter().collect::<Vec<_>>());
    json.end();
}
