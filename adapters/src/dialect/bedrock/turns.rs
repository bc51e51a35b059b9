//! A conversation as Converse takes it: the user's and the model's turns, one after the other.
//!
//! In: messages in the client's order. Out: instructions that stand before everything, and [`Turn`]s. Consecutive messages
//! of one role, which Converse refuses, become one; results of tools come first in theirs; instructions in the middle
//! become words of the user; what is blank is left out, and a message with nothing else in it too.

use std::borrow::Cow;

use faregate_wire::Json;

use super::media;
use crate::chat::{Loss, Message, Part, PartBody, ReasoningPart, Request, Role};

/// What the user is made to say where a conversation must begin with the user and does not.
const OPENING: &str = ".";

/// Blocks of Converse's own that pass as they are.
pub(super) const OWN_BLOCKS: [&str; 6] = [
    "guardContent",
    "citationsContent",
    "searchResult",
    "toolAddition",
    "toolRemoval",
    "cachePoint",
];

/// A conversation, sorted.
#[derive(Debug, Default)]
pub(super) struct Conversation<'r> {
    /// The parts of instructions that stand before everything.
    pub(super) system: Vec<&'r Part<'r>>,
    /// The turns; the first is the user's.
    pub(super) turns: Vec<Turn<'r>>,
}

/// What one side says in a row.
#[derive(Debug)]
pub(super) struct Turn<'r> {
    /// Whether it is the user's.
    pub(super) is_user: bool,
    /// Results of tools, which come first.
    pub(super) results: Vec<Block<'r>>,
    /// Everything else.
    pub(super) blocks: Vec<Block<'r>>,
}

/// A block of a turn.
#[derive(Clone, Debug)]
pub(super) enum Block<'r> {
    /// A part as the client sent it.
    Part(&'r Part<'r>),
    /// Text of ours.
    Text(Cow<'r, str>),
}

impl<'r> Conversation<'r> {
    /// Sorts the messages of a request.
    pub(super) fn of(request: &'r Request<'_>, loss: &mut Loss) -> Self {
        let mut sorted = Self::default();
        for message in &request.messages {
            sorted.take(message, loss);
        }
        if sorted.turns.is_empty() {
            // Instructions alone: the user says them.
            let said = std::mem::take(&mut sorted.system);
            said.into_iter().for_each(|part| sorted.push(true, Block::Part(part)));
        }
        if sorted.turns.first().is_some_and(|turn| !turn.is_user) {
            let blocks = vec![Block::Text(OPENING.into())];
            sorted.turns.insert(0, Turn { is_user: true, results: Vec::new(), blocks });
        }
        sorted.turns.iter_mut().for_each(Turn::add_demanded_text);
        sorted.trim_end();
        sorted
    }

    /// Whether a tool is called or answers in any of the turns.
    pub(super) fn has_tools(&self) -> bool {
        self.parts().any(|part| {
            matches!(part.body, PartBody::ToolCall { .. } | PartBody::ToolResult { .. })
        })
    }

    /// The parts of all turns.
    pub(super) fn parts(&self) -> impl Iterator<Item = &'r Part<'r>> {
        let blocks = self.turns.iter().flat_map(|turn| turn.results.iter().chain(&turn.blocks));
        blocks.filter_map(|block| match block {
            Block::Part(part) => Some(*part),
            Block::Text(_) => None,
        })
    }

    fn take(&mut self, message: &'r Message<'_>, loss: &mut Loss) {
        if message.name.is_some() {
            loss.add("name");
        }
        let is_system = matches!(message.role, Role::System | Role::Developer);
        let sayable = message.parts.iter().filter(|part| is_sayable(part, message.role, loss));
        for part in sayable {
            if !is_system {
                self.push(message.role == Role::User, Block::Part(part));
            } else if self.turns.is_empty() {
                self.system.push(part);
            } else if let PartBody::Text(text) = &part.body {
                let text = format!("<system-reminder>\n{text}\n</system-reminder>");
                self.push(true, Block::Text(text.into()));
            }
        }
    }

    fn push(&mut self, is_user: bool, block: Block<'r>) {
        if self.turns.last().is_none_or(|turn| turn.is_user != is_user) {
            self.turns.push(Turn { is_user, results: Vec::new(), blocks: Vec::new() });
        }
        let Some(turn) = self.turns.last_mut() else { return };
        match block {
            Block::Part(Part { body: PartBody::ToolResult { .. }, .. }) => turn.results.push(block),
            Block::Part(_) | Block::Text(_) => turn.blocks.push(block),
        }
    }

    /// An answer that the model shall go on with may not end with blanks.
    fn trim_end(&mut self) {
        let Some(last) = self.turns.last_mut().filter(|turn| !turn.is_user) else { return };
        if let Some(block) = last.blocks.last_mut()
            && let Block::Part(Part { body: PartBody::Text(text), cache: None }) = block
        {
            *block = Block::Text(text.trim_end().into());
        }
    }
}

impl Turn<'_> {
    /// A document needs a text beside it.
    fn add_demanded_text(&mut self) {
        let is_document = |block: &Block<'_>| match block {
            Block::Part(Part { body: PartBody::Media(media), .. }) => {
                media::noun(media.kind) == "document"
            }
            Block::Part(_) | Block::Text(_) => false,
        };
        let is_text = |block: &Block<'_>| {
            matches!(block, Block::Text(_) | Block::Part(Part { body: PartBody::Text(_), .. }))
        };
        if self.blocks.iter().any(is_document) && !self.blocks.iter().any(is_text) {
            self.blocks.insert(0, Block::Text(OPENING.into()));
        }
    }
}

/// Whether a part can be said in a message of this role; notes what is lost when it cannot.
fn is_sayable(part: &Part<'_>, role: Role, loss: &mut Loss) -> bool {
    let is_system = matches!(role, Role::System | Role::Developer);
    match &part.body {
        PartBody::Text(text) | PartBody::Refusal(text) => !text.trim().is_empty(),
        PartBody::Media(media) => {
            let sayable = role == Role::User && media::format(media).is_some();
            if !sayable {
                loss.add(media::noun(media.kind));
            }
            sayable
        }
        // A thought that nobody signed is not taken back: leaving it out is what providers demand.
        PartBody::Reasoning(ReasoningPart { signature, .. }) => {
            role == Role::Assistant && signature.is_some()
        }
        PartBody::ToolCall { .. } => role == Role::Assistant,
        PartBody::ToolResult { content, .. } => {
            lost_in_result(content, loss);
            role == Role::User
        }
        PartBody::Other { kind, json } => {
            let own = is_own_block(kind, *json) && (!is_system || kind == "guardContent");
            if !own {
                loss.add_named(kind);
            }
            own
        }
    }
}

/// Whether a block of another part's spelling is one of Converse's.
pub(super) fn is_own_block(kind: &str, json: Json<'_>) -> bool {
    OWN_BLOCKS.contains(&kind) && json.get(kind).is_some()
}

/// Whether a part can stand in a tool's result.
pub(super) fn is_sayable_in_result(part: &Part<'_>) -> bool {
    match &part.body {
        PartBody::Text(text) | PartBody::Refusal(text) => !text.trim().is_empty(),
        PartBody::Media(media) => {
            media::noun(media.kind) != "audio" && media::format(media).is_some()
        }
        PartBody::Other { kind, json } => {
            matches!(&**kind, "json" | "searchResult") && json.get(kind).is_some()
        }
        PartBody::Reasoning(_) | PartBody::ToolCall { .. } | PartBody::ToolResult { .. } => false,
    }
}

fn lost_in_result(content: &[Part<'_>], loss: &mut Loss) {
    for part in content.iter().filter(|part| !is_sayable_in_result(part)) {
        match &part.body {
            PartBody::Text(_) | PartBody::Refusal(_) => {} // blank
            PartBody::Media(media) => loss.add(media::noun(media.kind)),
            PartBody::Other { kind, .. } => loss.add_named(kind),
            PartBody::Reasoning(_) | PartBody::ToolCall { .. } | PartBody::ToolResult { .. } => {
                loss.add("content");
            }
        }
    }
}
