//! A conversation put into the order that this dialect demands.
//!
//! In: messages in the client's order. Out: instructions at the start, and turns: the first is the user's, the user's and
//! the model's alternate, and the results of all calls of a turn stand first in the turn after it. A call without a result
//! gets one that says so; a result without a call becomes text. Texts without words are left out, and the last turn does
//! not end with blanks if it is the model's.
//!
//! Instructions in the middle stay instructions where they end what the user says; elsewhere, and where the provider has
//! no role for them, they are marked text of the user.

use std::borrow::Cow;

use crate::chat::{CacheMark, Loss, Message, Part, PartBody, Request, Role};

/// Said by the user where the model would be the first to speak.
const OPENING: &str = "(The conversation begins here.)";

/// What a call without a result gave.
pub(super) const NO_RESULT: &str = "No result: the call was not answered.";

/// A conversation in order.
pub(super) struct Plan<'r, 'a> {
    /// The instructions at the start.
    pub(super) system: Vec<Block<'r, 'a>>,
    /// The turns.
    pub(super) turns: Vec<Turn<'r, 'a>>,
}

/// One turn.
pub(super) struct Turn<'r, 'a> {
    /// Whose it is.
    pub(super) role: Role,
    /// What it says; never nothing.
    pub(super) blocks: Vec<Block<'r, 'a>>,
}

/// One block of a turn.
pub(super) enum Block<'r, 'a> {
    /// A part as it is.
    Part(&'r Part<'a>),
    /// Text made of a part.
    Text(Cow<'r, str>, Option<CacheMark>),
    /// The result of a call that has none.
    NoResult(Cow<'r, str>),
}

impl Block<'_, '_> {
    /// Whether it is a result of a tool.
    pub(super) const fn is_result(&self) -> bool {
        match self {
            Self::Part(part) => matches!(part.body, PartBody::ToolResult { .. }),
            Self::Text(..) => false,
            Self::NoResult(_) => true,
        }
    }

    /// How many cache marks are in it.
    pub(super) fn marks(&self) -> usize {
        match self {
            Self::Part(part) => marks(part),
            Self::Text(_, cache) => usize::from(cache.is_some()),
            Self::NoResult(_) => 0,
        }
    }
}

/// Puts the conversation of `request` in order. `has_system_role` says whether instructions may stand in the middle.
pub(super) fn plan<'r, 'a>(
    request: &'r Request<'a>,
    has_system_role: bool,
    loss: &mut Loss,
) -> Plan<'r, 'a> {
    let messages = &request.messages[..];
    let start = messages.iter().take_while(|message| is_system(message)).count();
    let (system, messages) = messages.split_at(start);
    let messages: Vec<&Message<'_>> =
        messages.iter().filter(|message| says_something(message)).collect();
    let has_media = |message: &Message<'_>| {
        let is_media = |part: &Part<'_>| matches!(part.body, PartBody::Media(_));
        message.role == Role::Assistant && message.parts.iter().any(is_media)
    };
    if request.messages.iter().any(has_media) {
        loss.add("messages.media");
    }
    let mut planner = Planner { turns: Vec::new(), calls: Vec::new(), has_system_role, loss };
    let mut plan = Plan { system: planner.instructions(system.iter()), turns: Vec::new() };
    let is_model = |message: &&Message<'_>| message.role == Role::Assistant;
    for group in messages.chunk_by(|one, next| is_model(one) == is_model(next)) {
        match group.first().is_some_and(is_model) {
            true => planner.model(group),
            false => planner.user(group),
        }
    }
    planner.finish();
    plan.turns = planner.turns;
    plan
}

struct Planner<'p, 'r, 'a> {
    turns: Vec<Turn<'r, 'a>>,
    /// The calls of the last turn.
    calls: Vec<Cow<'r, str>>,
    has_system_role: bool,
    loss: &'p mut Loss,
}

impl<'r, 'a> Planner<'_, 'r, 'a> {
    fn model(&mut self, group: &[&'r Message<'a>]) {
        let mut blocks = Vec::new();
        for part in group.iter().flat_map(|message| &message.parts) {
            match &part.body {
                PartBody::ToolCall { id, .. } => self.calls.push(Cow::Borrowed(&**id)),
                PartBody::Other { kind, json } if kind == "tool_use" => {
                    self.calls.extend(json.get_str("id"));
                }
                PartBody::ToolResult { id, content, .. } => {
                    orphan(&mut blocks, id, content);
                    continue;
                }
                PartBody::Media(_) => continue,
                PartBody::Reasoning(thought) if thought.signature.is_none() => continue,
                PartBody::Text(_)
                | PartBody::Reasoning(_)
                | PartBody::Refusal(_)
                | PartBody::Other { .. } => {}
            }
            if is_said(part) {
                blocks.push(Block::Part(part));
            }
        }
        if self.turns.is_empty() && !blocks.is_empty() {
            self.push(Role::User, vec![Block::Text(Cow::Borrowed(OPENING), None)]);
        }
        self.push(Role::Assistant, blocks);
    }

    fn user(&mut self, group: &[&'r Message<'a>]) {
        let mut results = vec![None; self.calls.len()];
        let mut blocks = Vec::new();
        let trailing = group.iter().rev().take_while(|message| is_system(message)).count();
        let (group, instructions) = group.split_at(group.len() - trailing);
        for message in group {
            for part in &message.parts {
                self.user_part(message.role, part, &mut results, &mut blocks);
            }
        }
        let mut all = self.results(results);
        all.append(&mut blocks);
        let ends_with_system = self.has_system_role
            && (!all.is_empty() || self.turns.last().is_some_and(|turn| turn.role == Role::User));
        if ends_with_system {
            self.push(Role::User, all);
            let instructions = self.instructions(instructions.iter().copied());
            self.push(Role::System, instructions);
        } else {
            all.extend(instructions.iter().flat_map(|m| &m.parts).filter_map(reminder));
            self.push(Role::User, all);
        }
    }

    fn user_part(
        &mut self,
        role: Role,
        part: &'r Part<'a>,
        results: &mut [Option<&'r Part<'a>>],
        blocks: &mut Vec<Block<'r, 'a>>,
    ) {
        match &part.body {
            _ if role != Role::User => blocks.extend(reminder(part)),
            PartBody::ToolResult { id, content, .. } => {
                let mut calls = self.calls.iter().zip(results);
                match calls.find(|(call, result)| *call == id && result.is_none()) {
                    Some((_, result)) => *result = Some(part),
                    None => orphan(blocks, id, content),
                }
            }
            PartBody::ToolCall { .. } => self.loss.add("messages.tool_calls"),
            PartBody::Reasoning(_) => {}
            PartBody::Text(_)
            | PartBody::Media(_)
            | PartBody::Refusal(_)
            | PartBody::Other { .. } => {
                if is_said(part) {
                    blocks.push(Block::Part(part));
                }
            }
        }
    }

    /// The results of the last turn's calls, in their order.
    fn results(&mut self, results: Vec<Option<&'r Part<'a>>>) -> Vec<Block<'r, 'a>> {
        let calls = std::mem::take(&mut self.calls);
        let result = |(call, result): (Cow<'r, str>, Option<&'r Part<'a>>)| {
            result.map_or(Block::NoResult(call), Block::Part)
        };
        calls.into_iter().zip(results).map(result).collect()
    }

    fn finish(&mut self) {
        if !self.calls.is_empty() {
            let results = self.results(vec![None; self.calls.len()]);
            self.push(Role::User, results);
        }
        if self.turns.is_empty() {
            self.push(Role::User, vec![Block::Text(Cow::Borrowed(OPENING), None)]);
        }
        if let Some(turn) = self.turns.last_mut().filter(|turn| turn.role == Role::Assistant)
            && let Some(Block::Part(part)) = turn.blocks.last()
            && let PartBody::Text(text) | PartBody::Refusal(text) = &part.body
        {
            let trimmed = Block::Text(Cow::Borrowed(text.trim_end()), part.cache);
            turn.blocks.pop();
            turn.blocks.push(trimmed);
        }
    }

    fn push(&mut self, role: Role, mut blocks: Vec<Block<'r, 'a>>) {
        if blocks.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(last) if last.role == role => last.blocks.append(&mut blocks),
            _ => self.turns.push(Turn { role, blocks }),
        }
    }

    /// Instructions are texts.
    fn instructions(
        &mut self,
        messages: impl Iterator<Item = &'r Message<'a>>,
    ) -> Vec<Block<'r, 'a>> {
        let mut blocks = Vec::new();
        for part in messages.flat_map(|message| &message.parts).filter(|part| is_said(part)) {
            match &part.body {
                PartBody::Text(_) | PartBody::Refusal(_) | PartBody::Other { .. } => {
                    blocks.push(Block::Part(part));
                }
                PartBody::Media(_)
                | PartBody::Reasoning(_)
                | PartBody::ToolCall { .. }
                | PartBody::ToolResult { .. } => self.loss.add("system.content"),
            }
        }
        blocks
    }
}

fn is_system(message: &Message<'_>) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

/// Whether anything is left of a message of the model's; the user's are all looked at.
fn says_something(message: &Message<'_>) -> bool {
    let is_kept = |part: &Part<'_>| match &part.body {
        PartBody::Reasoning(thought) => thought.signature.is_some(),
        PartBody::Media(_) => false,
        PartBody::Text(_)
        | PartBody::ToolCall { .. }
        | PartBody::ToolResult { .. }
        | PartBody::Refusal(_)
        | PartBody::Other { .. } => is_said(part),
    };
    message.role != Role::Assistant || message.parts.iter().any(is_kept)
}

/// Texts without words are refused.
pub(super) fn is_said(part: &Part<'_>) -> bool {
    match &part.body {
        PartBody::Text(text) | PartBody::Refusal(text) => !text.trim().is_empty(),
        PartBody::Media(_)
        | PartBody::Reasoning(_)
        | PartBody::ToolCall { .. }
        | PartBody::ToolResult { .. }
        | PartBody::Other { .. } => true,
    }
}

fn marks(part: &Part<'_>) -> usize {
    let own = usize::from(part.cache.is_some());
    match &part.body {
        PartBody::Reasoning(_) => 0,
        PartBody::ToolResult { content, .. } => {
            own + content.iter().filter(|part| is_said(part)).map(marks).sum::<usize>()
        }
        PartBody::Text(_)
        | PartBody::Media(_)
        | PartBody::ToolCall { .. }
        | PartBody::Refusal(_)
        | PartBody::Other { .. } => own,
    }
}

/// An instruction as text of the user.
fn reminder<'r, 'a>(part: &'r Part<'a>) -> Option<Block<'r, 'a>> {
    let PartBody::Text(text) = &part.body else { return None };
    let text = Some(text).filter(|text| !text.trim().is_empty())?;
    let text = format!("<system-reminder>\n{text}\n</system-reminder>");
    Some(Block::Text(Cow::Owned(text), part.cache))
}

/// A result whose call is not there, as text, with what it holds behind it.
fn orphan<'r, 'a>(blocks: &mut Vec<Block<'r, 'a>>, id: &str, content: &'r [Part<'a>]) {
    let head = format!("[Result of the tool call {id}, which is not part of this conversation]");
    blocks.push(Block::Text(Cow::Owned(head), None));
    blocks.extend(content.iter().filter(|part| is_said(part)).map(Block::Part));
}
