//! Answers, read: whole ones and the chunks of streams alike.
//!
//! In: the JSON of an answer or a chunk. Out: [`Delta`]s in their order. State: the calls of each choice, and the finish
//! of each, which is told when nothing can follow it: some providers send more behind it.

use std::borrow::Cow;

use faregate_wire::Json;

use super::{
    calls::{Calls, Of, Sink},
    error,
    likeness::Likeness,
    piece,
};
use crate::{
    chat::{Delta, Finish, Start, Usage},
    dialect::{BadAnswer, StreamReader, openai},
};

/// The most answers to one request.
const CHOICES_MAX: u32 = 128;

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    seed: u64,
    is_started: bool,
    /// Everything has been said, or an error.
    is_ended: bool,
    usage: Option<Usage>,
    choices: Vec<Choice>,
    likeness: Likeness,
}

#[derive(Debug, Default)]
struct Choice {
    calls: Calls,
    /// The finish that came, until it is told.
    finish: Option<(Finish, Option<String>)>,
    is_finished: bool,
}

/// An answer or a chunk, as it is spelled.
#[derive(Default)]
struct Chunk<'a> {
    id: Option<Json<'a>>,
    model: Option<Json<'a>>,
    created: Option<Json<'a>>,
    tier: Option<Json<'a>>,
    choices: Option<Json<'a>>,
    usage: Option<Usage>,
    is_error: bool,
}

impl<'a> Chunk<'a> {
    fn read(json: Json<'a>) -> Self {
        let mut chunk = Self::default();
        for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
            match &*name {
                "id" => chunk.id = Some(value),
                "model" => chunk.model = Some(value),
                "created" => chunk.created = Some(value),
                "service_tier" => chunk.tier = Some(value),
                "choices" => chunk.choices = Some(value),
                "usage" => chunk.usage = openai::usage(value.raw()).or(chunk.usage),
                "x_groq" if chunk.usage.is_none() => {
                    chunk.usage = value.get("usage").and_then(|usage| openai::usage(usage.raw()));
                }
                "error" => chunk.is_error = true,
                "object" => chunk.is_error |= value.str().as_deref() == Some("error"),
                _ => {}
            }
        }
        chunk
    }

    /// Whether it reports that the provider failed.
    fn fails(&self) -> bool {
        let mut choices = self.choices.into_iter().flat_map(Json::items);
        self.is_error || choices.any(|choice| piece::Choice::read(choice).is_failed())
    }

    fn start(&self) -> Start<'a> {
        let text = |json: Option<Json<'a>>| json.and_then(Json::str).unwrap_or_default();
        Start {
            id: text(self.id),
            model: text(self.model),
            created: self.created.and_then(Json::u64),
            usage: None,
            tier: self.tier.and_then(Json::str),
        }
    }
}

impl Reader {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Reads a whole answer.
    pub(super) fn answer(mut self, body: &[u8], sink: Sink<'_>) -> Result<(), BadAnswer> {
        let json = Json::new(body).filter(|json| json.is_object()).ok_or(BadAnswer)?;
        self.chunk(json, true, sink)?;
        if !self.is_ended && self.choices.is_empty() {
            return Err(BadAnswer);
        }
        self.end(sink);
        Ok(())
    }

    fn chunk(&mut self, json: Json<'_>, is_whole: bool, sink: Sink<'_>) -> Result<(), BadAnswer> {
        let chunk = Chunk::read(json);
        if let Some(usage) = chunk.usage.filter(|_| chunk.fails()) {
            self.start(&chunk, sink);
            self.usage(usage, false, sink);
        }
        if chunk.is_error {
            self.fail(json, sink);
            return Ok(());
        }
        let choices = chunk.choices.into_iter().flat_map(Json::items);
        let says_something = choices.clone().next().is_some() || chunk.usage.is_some();
        if says_something {
            self.start(&chunk, sink);
        }
        for (position, choice) in choices.enumerate() {
            self.choice(position, choice, is_whole, sink)?;
            if self.is_ended {
                return Ok(());
            }
        }
        if let Some(usage) = chunk.usage {
            self.usage(usage, is_whole, sink);
        }
        Ok(())
    }

    /// Tells a text that came in a chunk like the one before.
    fn text(&mut self, choice: u32, text: Json<'_>, sink: Sink<'_>) {
        let is_open = self.choices.get(choice as usize).is_some_and(|choice| !choice.is_finished);
        if let Some(text) = text.str().filter(|text| is_open && !text.is_empty()) {
            sink(Delta::Text { choice, text });
        }
    }

    fn start(&mut self, chunk: &Chunk<'_>, sink: Sink<'_>) {
        if !std::mem::replace(&mut self.is_started, true) {
            sink(Delta::Start(chunk.start()));
        }
    }

    fn choice(
        &mut self,
        position: usize,
        json: Json<'_>,
        is_whole: bool,
        sink: Sink<'_>,
    ) -> Result<(), BadAnswer> {
        let spelled = piece::Choice::read(json);
        let index = spelled.index.or_else(|| u32::try_from(position).ok());
        let index = index.filter(|index| *index < CHOICES_MAX).ok_or(BadAnswer)?;
        let place = index as usize;
        if self.choices.len() <= place {
            self.choices.resize_with(place + 1, Choice::default);
        }
        let Some(choice) = self.choices.get_mut(place) else { return Err(BadAnswer) };
        if choice.is_finished {
            return Ok(());
        }
        let of = Of { choice: index, seed: self.seed };
        spelled.contents(of, &mut choice.calls, is_whole, sink)?;
        if spelled.is_failed() {
            self.fail(spelled.error.unwrap_or(json), sink);
        } else if let Some(finish) = spelled.finish() {
            choice.finish = Some((finish, spelled.stop.map(Cow::into_owned)));
        }
        Ok(())
    }

    fn usage(&mut self, usage: Usage, is_whole: bool, sink: Sink<'_>) {
        if self.usage == Some(usage) || (self.usage.is_some() && usage.total() == 0) {
            return;
        }
        self.usage = Some(usage);
        let is_last = |choice: &Choice| choice.finish.is_some() || choice.is_finished;
        if is_whole || self.choices.iter().all(is_last) {
            self.finish(is_whole, sink);
        }
        sink(Delta::Usage(usage));
    }

    /// Tells the finishes that have come, and one of its own for a choice that has none if `all`.
    fn finish(&mut self, all: bool, sink: Sink<'_>) {
        for (index, choice) in (0..).zip(&mut self.choices) {
            let finish = choice.finish.take().or_else(|| all.then_some((Finish::Stop, None)));
            let Some((reason, stop)) = finish.filter(|_| !choice.is_finished) else { continue };
            choice.is_finished = true;
            choice.calls.finish(Of { choice: index, seed: self.seed }, sink);
            let reason = match reason {
                Finish::Stop if !choice.calls.is_empty() => Finish::ToolCalls,
                Finish::ToolCalls if choice.calls.is_empty() => Finish::Stop,
                reason => reason,
            };
            sink(Delta::Finish { choice: index, reason, stop: stop.map(Cow::Owned) });
        }
    }

    fn end(&mut self, sink: Sink<'_>) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        self.start(&Chunk::default(), sink);
        if self.choices.is_empty() {
            self.choices.push(Choice::default());
        }
        self.finish(true, sink);
        sink(Delta::Done);
    }

    fn fail(&mut self, json: Json<'_>, sink: Sink<'_>) {
        self.is_ended = true;
        sink(Delta::Error(error::read_in_stream(json)));
    }
}

impl StreamReader for Reader {
    fn event(&mut self, name: &[u8], data: &[u8], sink: Sink<'_>) -> Result<(), BadAnswer> {
        let data = data.trim_ascii();
        if self.is_ended || data.is_empty() {
            return Ok(());
        }
        if data == b"[DONE]" {
            self.end(sink);
            return Ok(());
        }
        if name != b"error"
            && let Some((choice, text)) = self.likeness.text(data)
        {
            self.text(choice, text, sink);
            return Ok(());
        }
        let json = Json::new(data);
        if name == b"error" {
            self.is_ended = true;
            let told = json.map(error::read_in_stream);
            sink(Delta::Error(told.unwrap_or_else(|| error::read(0, data))));
            return Ok(());
        }
        let json = json.filter(|json| json.is_object()).ok_or(BadAnswer)?;
        let (mut count, mut is_text) = (0, false);
        let mut counting = |delta: Delta<'_>| {
            is_text = matches!(delta, Delta::Text { .. });
            count += 1;
            sink(delta);
        };
        let has_finish = |choice: &Choice| choice.finish.is_some() || choice.is_finished;
        self.chunk(json, false, &mut counting)?;
        if count == 1 && is_text && !self.choices.iter().any(has_finish) {
            self.likeness.keep(data, json);
        }
        Ok(())
    }

    fn close(&mut self, sink: Sink<'_>) {
        let is_last = |choice: &Choice| choice.finish.is_some() || choice.is_finished;
        if !self.choices.is_empty() && self.choices.iter().all(is_last) {
            self.end(sink);
        }
    }
}
