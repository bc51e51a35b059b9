//! The shape of a request: how many turns, tools and images, which effort, what the last question looks like.
//!
//! In: a body in any of the dialects, already known to be one JSON object. Out: a [`Shape`], borrowed from it. Remembered:
//! nothing.
//!
//! The dialects call the same things by different names, and no name means two things, so one pass reads them all: it goes
//! into what it knows and jumps over the rest. Texts are looked at as they are written, escapes included; of the last
//! question, [`EXCERPT_BYTES`] at its start and as many at its end. What is not as expected counts for nothing.

use faregate_wire::json::{string_len, value_len};
use memchr::memmem;

mod excerpt;
mod skip;

pub use excerpt::{EXCERPT_BYTES, Excerpt};

/// What a request looks like from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shape<'b> {
    /// Bytes of the body.
    pub bytes: usize,
    /// Messages, those of the system aside.
    pub turns: u32,
    /// Results of tools among them.
    pub tool_results: u32,
    /// Tools that the model may call.
    pub tools: u32,
    /// Images.
    pub images: u32,
    /// The effort that is asked for.
    pub effort: Option<Effort>,
    /// Who the client says its user is, escapes as they are written.
    pub user: Option<&'b str>,
    /// What the client calls the conversation, escapes as they are written.
    pub session: Option<&'b str>,
    /// The last text of the user.
    pub question: Excerpt,
}

/// How much a model is asked to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as it can.
    Minimal,
    /// A little.
    Low,
    /// As usual.
    Medium,
    /// Much.
    High,
    /// As much as it can.
    XHigh,
}

impl Effort {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
        }
    }

    fn of_word(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"none" | b"disabled" => Self::None,
            b"minimal" | b"MINIMAL" => Self::Minimal,
            b"low" | b"LOW" => Self::Low,
            b"medium" | b"MEDIUM" | b"adaptive" => Self::Medium,
            b"high" | b"HIGH" => Self::High,
            b"xhigh" | b"max" => Self::XHigh,
            _ => return None,
        })
    }

    /// A bound on the tokens of thinking, as words for it are usually translated.
    fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=1023 => Self::Minimal,
            1024..=4095 => Self::Low,
            4096..=16_383 => Self::Medium,
            16_384..=32_767 => Self::High,
            _ => Self::XHigh,
        }
    }
}

impl<'b> Shape<'b> {
    /// Looks at a body.
    #[must_use]
    pub fn of(body: &'b [u8]) -> Self {
        let mut shape = Self { bytes: body.len(), ..Self::default() };
        let mut question = None;
        let mut cursor = Cursor { rest: body };
        cursor.object(&mut |cursor, name| match name {
            b"messages" | b"input" | b"contents" | b"prompt" => {
                shape.conversation(cursor, &mut question);
            }
            b"tools" | b"functions" => shape.tools(cursor),
            b"toolConfig" => cursor.object(&mut |cursor, name| match name {
                b"tools" => shape.tools(cursor),
                _ => cursor.skip(),
            }),
            b"reasoning_effort" | b"reasoning" | b"thinking" | b"output_config"
            | b"generationConfig" | b"think" => shape.effort(cursor),
            b"user" => shape.user = cursor.text(),
            b"safety_identifier" => {
                let named = cursor.text();
                shape.user = shape.user.or(named);
            }
            b"session_id" => shape.session = cursor.text(),
            b"prompt_cache_key" => {
                let named = cursor.text();
                shape.session = shape.session.or(named);
            }
            b"metadata" => shape.metadata(cursor),
            _ => cursor.skip(),
        });
        shape.question = question.map_or_else(Excerpt::default, Excerpt::of);
        shape
    }

    /// `messages`, `input`, `contents`: a text, or turns.
    fn conversation(&mut self, cursor: &mut Cursor<'b>, question: &mut Option<&'b [u8]>) {
        if let Some(text) = cursor.literal() {
            self.turns += 1;
            *question = Some(text);
            return;
        }
        let first = cursor.rest.get(1..).unwrap_or_default().trim_ascii_start().first();
        if first.is_some_and(|byte| byte.is_ascii_digit()) {
            // Ids of tokens: one text, and as many numbers as it likes.
            self.turns += 1;
            return cursor.skip();
        }
        cursor.array(&mut |cursor| self.turn(cursor, question));
    }

    fn turn(&mut self, cursor: &mut Cursor<'b>, question: &mut Option<&'b [u8]>) {
        if let Some(text) = cursor.literal() {
            self.turns += 1;
            *question = Some(text);
            return;
        }
        let (mut role, mut text): (Option<&[u8]>, Option<&'b [u8]>) = (None, None);
        let mut is_result = false;
        cursor.object(&mut |cursor, name| match name {
            b"role" => role = cursor.literal_or_skip(),
            b"type" => {
                let kind = cursor.literal_or_skip().unwrap_or_default();
                is_result |= kind.ends_with(b"_output");
            }
            b"content" | b"parts" => match cursor.literal() {
                Some(literal) => text = Some(literal),
                None => cursor.array(&mut |cursor| self.part(cursor, &mut text)),
            },
            _ => cursor.skip(),
        });
        if matches!(role, Some(b"system" | b"developer")) {
            return;
        }
        self.turns += 1;
        self.tool_results += u32::from(is_result || matches!(role, Some(b"tool" | b"function")));
        if matches!(role, Some(b"user") | None) && text.is_some() {
            *question = text;
        }
    }

    fn part(&mut self, cursor: &mut Cursor<'b>, text: &mut Option<&'b [u8]>) {
        let (mut is_image, mut is_result) = (false, false);
        cursor.object(&mut |cursor, name| match name {
            b"type" => {
                let kind = cursor.literal_or_skip().unwrap_or_default();
                is_image |= matches!(kind, b"image" | b"image_url" | b"input_image");
                is_result |= kind == b"tool_result";
            }
            b"text" => *text = cursor.literal_or_skip().or(*text),
            b"image" | b"image_url" | b"inlineData" | b"inline_data" => {
                is_image = true;
                cursor.skip();
            }
            b"toolResult" | b"functionResponse" => {
                is_result = true;
                cursor.skip();
            }
            _ => cursor.skip(),
        });
        self.images += u32::from(is_image);
        self.tool_results += u32::from(is_result);
    }

    /// A list of tools; Gemini's are lists of declarations within one.
    fn tools(&mut self, cursor: &mut Cursor<'b>) {
        cursor.array(&mut |cursor| {
            let before = self.tools;
            cursor.object(&mut |cursor, name| match name {
                b"functionDeclarations" | b"function_declarations" => cursor.array(&mut |cursor| {
                    self.tools += 1;
                    cursor.skip();
                }),
                _ => cursor.skip(),
            });
            if self.tools == before {
                self.tools += 1;
            }
        });
    }

    /// A word, or an object in which there is a word or a number of tokens.
    fn effort(&mut self, cursor: &mut Cursor<'b>) {
        if let Some(word) = cursor.literal() {
            self.ask(Effort::of_word(word));
            return;
        }
        match cursor.rest.first() {
            Some(b't') => self.ask(Some(Effort::Medium)),
            Some(b'f') => self.ask(Some(Effort::None)),
            _ => {}
        }
        cursor.object(&mut |cursor, name| match name {
            b"effort" | b"type" | b"thinkingLevel" | b"thinking_level" => {
                let word = cursor.literal_or_skip().unwrap_or_default();
                self.ask(Effort::of_word(word));
            }
            b"budget_tokens" | b"thinkingBudget" | b"thinking_budget" => {
                let tokens = cursor.number();
                self.ask(tokens.map(Effort::of_budget));
            }
            b"thinkingConfig" | b"thinking_config" => {
                cursor.object(&mut |cursor, name| match name {
                    b"thinkingLevel" | b"thinking_level" => {
                        let word = cursor.literal_or_skip().unwrap_or_default();
                        self.ask(Effort::of_word(word));
                    }
                    b"thinkingBudget" | b"thinking_budget" => {
                        let tokens = cursor.number();
                        self.ask(tokens.map(Effort::of_budget));
                    }
                    _ => cursor.skip(),
                });
            }
            _ => cursor.skip(),
        });
    }

    /// Of several that are asked for, the most counts.
    fn ask(&mut self, effort: Option<Effort>) {
        self.effort = self.effort.max(effort);
    }

    fn metadata(&mut self, cursor: &mut Cursor<'b>) {
        cursor.object(&mut |cursor, name| match name {
            b"user_id" => {
                let named = cursor.text();
                // Claude Code says both in one: user_…_account_…_session_….
                let session = named.and_then(|id| id.rsplit_once("_session_")).map(|(_, id)| id);
                self.user = self.user.or(named);
                self.session = self.session.or(session);
            }
            b"session_id" => {
                let named = cursor.text();
                self.session = self.session.or(named);
            }
            _ => cursor.skip(),
        });
    }
}

/// A place in a JSON text, at the start of a value. Every step leaves it behind that value, or, where the text makes no
/// sense, at its end.
struct Cursor<'b> {
    rest: &'b [u8],
}

type OfMember<'f, 'b> = &'f mut dyn FnMut(&mut Cursor<'b>, &'b [u8]);

impl<'b> Cursor<'b> {
    /// Calls with each member's name, at its value; jumps over anything that is no object.
    fn object(&mut self, each: OfMember<'_, 'b>) {
        if !self.open(b'{') {
            return self.skip();
        }
        while self.rest.first() == Some(&b'"') {
            let Some(name) = self.literal() else { return self.give_up() };
            self.blank();
            if self.rest.first() != Some(&b':') {
                return self.give_up();
            }
            self.rest = &self.rest[1..];
            self.blank();
            let before = self.rest.len();
            each(self, name);
            if self.rest.len() == before || !self.next(b'}') {
                return;
            }
        }
        self.close(b'}');
    }

    /// Calls at each item; jumps over anything that is no array.
    fn array(&mut self, each: &mut dyn FnMut(&mut Self)) {
        if !self.open(b'[') {
            return self.skip();
        }
        while !matches!(self.rest.first(), None | Some(b']')) {
            let before = self.rest.len();
            each(self);
            if self.rest.len() == before || !self.next(b']') {
                return;
            }
        }
        self.close(b']');
    }

    /// A string as it is written, without its quotes; stays where it is at anything else.
    fn literal(&mut self) -> Option<&'b [u8]> {
        let len = string_len(self.rest)?;
        let literal = &self.rest[1..len - 1];
        self.rest = &self.rest[len..];
        Some(literal)
    }

    fn literal_or_skip(&mut self) -> Option<&'b [u8]> {
        let literal = self.literal();
        if literal.is_none() {
            self.skip();
        }
        literal
    }

    /// A string that says something.
    fn text(&mut self) -> Option<&'b str> {
        let literal = self.literal_or_skip()?;
        std::str::from_utf8(literal).ok().filter(|text| !text.is_empty())
    }

    fn number(&mut self) -> Option<u64> {
        let value = self.rest;
        self.skip();
        let len = value.len() - self.rest.len();
        std::str::from_utf8(&value[..len]).ok()?.parse().ok()
    }

    fn skip(&mut self) {
        let len = match self.rest.first() {
            Some(b'{' | b'[') => skip::container_len(self.rest),
            _ => value_len(self.rest),
        };
        match len {
            Some(len) => self.rest = &self.rest[len..],
            None => self.give_up(),
        }
    }

    fn open(&mut self, bracket: u8) -> bool {
        self.blank();
        let is_open = self.rest.first() == Some(&bracket);
        if is_open {
            self.rest = &self.rest[1..];
            self.blank();
        }
        is_open
    }

    /// Goes to the next of several; false behind the last, and at the end of the text.
    fn next(&mut self, closing: u8) -> bool {
        self.blank();
        match self.rest.first() {
            Some(b',') => {
                self.rest = &self.rest[1..];
                self.blank();
                true
            }
            Some(byte) if *byte == closing => {
                self.rest = &self.rest[1..];
                false
            }
            _ => {
                self.give_up();
                false
            }
        }
    }

    fn close(&mut self, bracket: u8) {
        match self.rest.first() {
            Some(byte) if *byte == bracket => self.rest = &self.rest[1..],
            _ => self.give_up(),
        }
    }

    fn blank(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn give_up(&mut self) {
        self.rest = &[];
    }
}

/// Occurrences of a code fence.
fn fences(text: &[u8]) -> usize {
    memmem::find_iter(text, b"```").count()
}

#[cfg(test)]
mod tests;
