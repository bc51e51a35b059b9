//! Marks in a request that is translated: in the gateway's own terms, before it is written.

use super::{TURNS_MAX, Wish};
use crate::{
    chat::{CacheMark, Message, Part, PartBody, Request, Role, Source, ToolKind},
    dialect::{Form, bedrock},
};

/// Minutes of a long mark.
const LONG_MINUTES: u32 = 60;

/// Puts marks into a request for a provider that speaks `target`, and tells whether any was put in.
pub fn mark(target: Form, request: &mut Request<'_>, wish: &Wish<'_>) -> bool {
    match target {
        Form::Messages if wish.marks_messages() => marks(request, wish, true),
        Form::Converse => {
            let knows = bedrock::known_to_cache(wish.model);
            knows.messages && marks(request, wish, knows.tools)
        }
        Form::Chat | Form::Responses if wish.has_key() && request.cache_key.is_none() => {
            request.cache_key = wish.key(beginning(&request.messages).into_iter()).map(Into::into);
            request.cache_key.is_some()
        }
        Form::Messages | Form::Chat | Form::Responses | Form::Gemini => false,
    }
}

fn marks(request: &mut Request<'_>, wish: &Wish<'_>, in_tools: bool) -> bool {
    if is_marked(request) {
        return false;
    }
    let bytes_min = usize::try_from(wish.bytes_min()).unwrap_or(usize::MAX);
    let mark = Some(CacheMark { minutes: wish.is_long.then_some(LONG_MINUTES) });
    let mut has_marked = false;
    let mut bytes: usize = request.tools.iter().map(|tool| tool_len(tool.parameters, tool)).sum();
    let last = request.tools.iter_mut().rev().find(|tool| tool.kind != ToolKind::Other);
    if let Some(tool) = last.filter(|_| in_tools && bytes >= bytes_min) {
        tool.cache = mark;
        has_marked = true;
    }
    let leading = |message: &Message<'_>| matches!(message.role, Role::System | Role::Developer);
    let first = request.messages.iter().position(|message| !leading(message));
    let first = first.unwrap_or(request.messages.len());
    let (system, talk) = request.messages.split_at_mut(first);
    bytes += system.iter().map(message_len).sum::<usize>();
    if bytes >= bytes_min {
        let parts = system.iter_mut().flat_map(|message| &mut message.parts);
        has_marked |= mark_last(parts.rev(), mark);
    }
    for (index, end) in turns(talk, bytes).into_iter().flatten() {
        if end >= bytes_min {
            has_marked |= mark_last(talk[index].parts.iter_mut().rev(), mark);
        }
    }
    has_marked
}

/// Whether the client has marked anything.
fn is_marked(request: &Request<'_>) -> bool {
    let inner = |part: &Part<'_>| match &part.body {
        PartBody::ToolResult { content, .. } => content.iter().any(|part| part.cache.is_some()),
        _ => false,
    };
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    request.tools.iter().any(|tool| tool.cache.is_some())
        || parts.any(|part| part.cache.is_some() || inner(part))
        || request.rest.iter().any(|(name, _)| name == "cache_control")
}

fn mark_last<'p, 'a: 'p>(
    mut parts: impl Iterator<Item = &'p mut Part<'a>>,
    mark: Option<CacheMark>,
) -> bool {
    let last = parts.find(|part| match &part.body {
        PartBody::Text(text) => !text.trim().is_empty(),
        PartBody::Media(_) | PartBody::ToolCall { .. } | PartBody::ToolResult { .. } => true,
        PartBody::Reasoning(_) | PartBody::Refusal(_) | PartBody::Other { .. } => false,
    });
    last.is_some_and(|part| {
        part.cache = mark;
        true
    })
}

/// The messages that end the last turns of the user, each with the bytes of the prompt to its end.
fn turns(talk: &[Message<'_>], mut bytes: usize) -> [Option<(usize, usize)>; TURNS_MAX] {
    let mut turns = [None; TURNS_MAX];
    let mut goes_on = false;
    for (index, message) in talk.iter().enumerate() {
        bytes += message_len(message);
        let is_user = message.role == Role::User;
        if is_user && !goes_on {
            turns.rotate_left(1);
        }
        if is_user {
            turns[TURNS_MAX - 1] = Some((index, bytes));
        }
        goes_on = is_user;
    }
    turns
}

fn message_len(message: &Message<'_>) -> usize {
    message.parts.iter().map(part_len).sum()
}

fn part_len(part: &Part<'_>) -> usize {
    match &part.body {
        PartBody::Text(text) | PartBody::Refusal(text) => text.len(),
        PartBody::Media(media) => source(&media.source).len(),
        PartBody::Reasoning(thought) => thought.text.len(),
        PartBody::ToolCall { arguments, .. } => arguments.len(),
        PartBody::ToolResult { content, .. } => content.iter().map(part_len).sum(),
        PartBody::Other { json, .. } => json.raw().len(),
    }
}

fn tool_len(parameters: Option<faregate_wire::Json<'_>>, tool: &crate::chat::Tool<'_>) -> usize {
    let described = tool.description.as_ref().map_or(0, |text| text.len());
    tool.name.len() + described + parameters.map_or(0, |schema| schema.raw().len())
}

fn source<'s>(source: &'s Source<'_>) -> &'s str {
    match source {
        Source::Base64 { data, .. } => data,
        Source::Url(text) | Source::File(text) | Source::Text(text) => text,
    }
}

/// What a conversation says up to the end of the user's first message.
fn beginning<'r>(messages: &'r [Message<'_>]) -> Vec<&'r [u8]> {
    let first = messages.iter().position(|message| message.role == Role::User);
    let messages = &messages[..first.map_or(0, |first| first + 1)];
    let parts = messages.iter().flat_map(|message| &message.parts);
    let bytes = parts.filter_map(|part| match &part.body {
        PartBody::Text(text) => Some(text.as_bytes()),
        PartBody::Media(media) => Some(source(&media.source).as_bytes()),
        PartBody::Other { json, .. } => Some(json.raw()),
        _ => None,
    });
    bytes.collect()
}
