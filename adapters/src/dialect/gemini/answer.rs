//! A provider's answer, read: whole or chunk by chunk, in the same form.
//!
//! In: `GenerateContentResponse` objects. Out: deltas. Remembered between chunks: how each candidate stands, the usage told
//! last, and which sources were cited. A stream has no last event, and a `finishReason` may stand on chunks that others
//! follow; so the ends of the candidates are told when the provider closes the stream.

use std::borrow::Cow;

use faregate_wire::Json;

use super::{
    contents::kind_of,
    error,
    finish::{Meaning, meaning},
    member::{compact, list, member},
    partial::PartialArgs,
    sources, usage,
};
use crate::{
    chat::{Delta, Error, ErrorKind, Finish, Media, Source, Start, Usage},
    dialect::{BadAnswer, ReadTerms, StreamReader},
};

/// The most candidates.
const CANDIDATES_MAX: usize = 128;

type Sink<'s> = &'s mut dyn FnMut(Delta<'_>);

/// Reads one answer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    seed: u64,
    /// How many ids were made.
    minted: u64,
    has_started: bool,
    has_failed: bool,
    /// The prompt was blocked, and why.
    blocked: Option<String>,
    candidates: Vec<Candidate>,
    usage: Option<Usage>,
    cited: sources::Cited,
}

/// How a candidate stands.
#[derive(Debug, Default)]
struct Candidate {
    calls: u32,
    has_content: bool,
    end: Option<Meaning>,
    /// The call whose arguments are coming, and a signature that came behind its beginning.
    partial: Option<(PartialArgs, Option<String>)>,
}

/// Reads an answer that has come as a whole.
pub(super) fn read(body: &[u8], terms: &ReadTerms<'_>, sink: Sink<'_>) -> Result<(), BadAnswer> {
    let json = Json::new(body).filter(|json| json.is_object()).ok_or(BadAnswer)?;
    let known = ["candidates", "promptFeedback", "usageMetadata", "error", "responseId"];
    if !known.iter().any(|name| member(json, name).is_some()) {
        return Err(BadAnswer);
    }
    let mut reader = Reader::new(terms);
    reader.chunk(json, sink)?;
    if reader.candidates.is_empty() && reader.blocked.is_none() {
        reader.fail(failure("NO_CANDIDATES", None, false), sink);
    }
    for candidate in &mut reader.candidates {
        candidate.end.get_or_insert(Meaning::Ended(Finish::Stop));
    }
    reader.end(sink);
    Ok(())
}

impl Reader {
    pub(super) fn new(terms: &ReadTerms<'_>) -> Self {
        Self { seed: terms.seed, ..Self::default() }
    }

    fn chunk(&mut self, json: Json<'_>, sink: Sink<'_>) -> Result<(), BadAnswer> {
        if self.has_failed {
            return Ok(());
        }
        if let Some(error) = member(json, "error") {
            self.fail(error::read_object(0, error), sink);
            return Ok(());
        }
        let counts = member(json, "usageMetadata");
        self.start(json, counts, sink);
        self.count(counts, sink);
        let feedback = member(json, "promptFeedback");
        if let Some(reason) = feedback.and_then(|feedback| member(feedback, "blockReason")?.str()) {
            let message =
                feedback.and_then(|feedback| member(feedback, "blockReasonMessage")?.str());
            self.blocked = Some(message.unwrap_or(reason).into_owned());
        }
        for json in member(json, "candidates").into_iter().flat_map(list) {
            self.candidate(json, sink)?;
        }
        Ok(())
    }

    fn start(&mut self, json: Json<'_>, counts: Option<Json<'_>>, sink: Sink<'_>) {
        if std::mem::replace(&mut self.has_started, true) {
            return;
        }
        let text = |name: &str| member(json, name).and_then(Json::str);
        sink(Delta::Start(Start {
            id: text("responseId").unwrap_or_default(),
            model: text("modelVersion").unwrap_or_default(),
            created: None,
            usage: None,
            tier: counts.and_then(|counts| member(counts, "serviceTier")?.str()),
        }));
    }

    fn count(&mut self, counts: Option<Json<'_>>, sink: Sink<'_>) {
        let Some(report) = counts.and_then(usage::report) else { return };
        let usage = Some(report.over(self.usage));
        if usage != self.usage {
            self.usage = usage;
            usage.map(Delta::Usage).into_iter().for_each(sink);
        }
    }

    fn candidate(&mut self, json: Json<'_>, sink: Sink<'_>) -> Result<(), BadAnswer> {
        if self.has_failed {
            return Ok(());
        }
        let choice = member(json, "index").and_then(Json::u64).unwrap_or(0);
        let at = usize::try_from(choice).ok().filter(|at| *at < CANDIDATES_MAX).ok_or(BadAnswer)?;
        let choice = u32::try_from(choice).map_err(|_| BadAnswer)?;
        if self.candidates.len() <= at {
            self.candidates.resize_with(at + 1, Candidate::default);
        }
        let parts = member(json, "content").and_then(|content| member(content, "parts"));
        for part in parts.into_iter().flat_map(list) {
            let candidate = self.candidates.get_mut(at).ok_or(BadAnswer)?;
            candidate.part(choice, part, (self.seed, &mut self.minted), sink)?;
        }
        if let Some(probabilities) = member(json, "logprobsResult") {
            let items = sources::logprobs(probabilities);
            if let Some(told) = Json::new(&items).and_then(|items| Delta::logprobs(choice, items)) {
                sink(told);
            }
        }
        self.cited.read(choice, json, sink);
        let reason = member(json, "finishReason").and_then(Json::str).unwrap_or_default();
        match meaning(&reason) {
            Meaning::Open => {}
            Meaning::Failed(by_request) => {
                let message = member(json, "finishMessage").and_then(Json::str);
                self.fail(failure(&reason, message, by_request), sink);
            }
            end @ (Meaning::Ended(_) | Meaning::Unclear) => {
                if let Some(candidate) = self.candidates.get_mut(at) {
                    candidate.end = Some(end);
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: Error<'_>, sink: Sink<'_>) {
        self.has_failed = true;
        sink(Delta::Error(error));
    }

    /// Tells how the answer ended, if all of it has come.
    fn end(&mut self, sink: Sink<'_>) {
        if self.has_failed {
            return;
        }
        if self.candidates.is_empty() {
            let Some(text) = self.blocked.take().filter(|_| self.has_started) else { return };
            sink(Delta::Refusal { choice: 0, text: text.into() });
            sink(Delta::Finish { choice: 0, reason: Finish::Refusal, stop: None });
            sink(Delta::Done);
            return;
        }
        if self.candidates.iter().any(|candidate| candidate.end.is_none()) {
            return;
        }
        let is_empty = |c: &Candidate| c.end == Some(Meaning::Unclear) && !c.has_content;
        if self.candidates.iter().any(is_empty) {
            self.fail(failure("OTHER", None, false), sink);
            return;
        }
        for (choice, candidate) in (0..).zip(&mut self.candidates) {
            candidate.close_partial(choice, sink);
            let reason = match candidate.end {
                Some(Meaning::Ended(Finish::Stop) | Meaning::Unclear) if candidate.calls > 0 => {
                    Finish::ToolCalls
                }
                Some(Meaning::Ended(finish)) => finish,
                _ => Finish::Stop,
            };
            sink(Delta::Finish { choice, reason, stop: None });
        }
        sink(Delta::Done);
    }
}

impl StreamReader for Reader {
    fn event(
        &mut self,
        _name: &[u8],
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), BadAnswer> {
        if data.trim_ascii().is_empty() {
            return Ok(());
        }
        // A list of one is how an error comes where the provider takes the stream for a list.
        let json = Json::new(data).and_then(|json| list(json).next());
        self.chunk(json.filter(|json| json.is_object()).ok_or(BadAnswer)?, sink)
    }

    fn close(&mut self, sink: &mut dyn FnMut(Delta<'_>)) {
        self.end(sink);
    }
}

impl Candidate {
    fn part(
        &mut self,
        choice: u32,
        json: Json<'_>,
        ids: (u64, &mut u64),
        sink: Sink<'_>,
    ) -> Result<(), BadAnswer> {
        let sign = member(json, "thoughtSignature").and_then(Json::str);
        let sign = sign.filter(|sign| !sign.is_empty());
        if let Some(call) = member(json, "functionCall") {
            return self.call(choice, call, sign, ids, sink);
        }
        self.close_partial(choice, sink);
        if let Some(text) = member(json, "text").and_then(Json::str) {
            let is_thought = member(json, "thought").and_then(Json::bool) == Some(true);
            self.has_content |= !text.is_empty() && !is_thought;
            match (text.is_empty(), is_thought) {
                (true, _) => {}
                (false, true) => sink(Delta::Reasoning { choice, text }),
                (false, false) => sink(Delta::Text { choice, text }),
            }
        } else if let Some(media) = media(json) {
            self.has_content = true;
            sink(Delta::Media { choice, media });
        } else if let Some(text) = sources::code(json) {
            self.has_content = true;
            sink(Delta::Text { choice, text: text.into() });
        }
        if let Some(signature) = sign {
            sink(Delta::Signature { choice, signature, redacted: false });
        }
        Ok(())
    }

    fn call(
        &mut self,
        choice: u32,
        json: Json<'_>,
        sign: Option<Cow<'_, str>>,
        (seed, minted): (u64, &mut u64),
        sink: Sink<'_>,
    ) -> Result<(), BadAnswer> {
        let goes_on = member(json, "willContinue").and_then(Json::bool) == Some(true);
        let pieces = member(json, "partialArgs");
        let name = member(json, "name").and_then(Json::str).filter(|name| !name.is_empty());
        if let Some(name) = name {
            self.close_partial(choice, sink);
            let id = member(json, "id").and_then(Json::str).filter(|id| !id.is_empty());
            let id = id.unwrap_or_else(|| {
                *minted += 1;
                Cow::Owned(format!("call_{seed:016x}_{}", *minted - 1))
            });
            self.has_content = true;
            let (call, custom) = (self.calls, false);
            self.calls += 1;
            sink(Delta::ToolStart { choice, call, id, name, custom, signature: sign });
            if goes_on || pieces.is_some() {
                self.partial = Some((PartialArgs::default(), None));
            } else {
                let arguments = member(json, "args").filter(|args| args.is_object());
                let fragment = arguments.map_or(Cow::Borrowed("{}"), compact);
                sink(Delta::ToolArguments { choice, call, fragment });
            }
        } else if let Some(sign) = sign {
            let Some((_, late)) = &mut self.partial else { return Err(BadAnswer) };
            *late = Some(sign.into_owned());
        }
        if let Some(pieces) = pieces {
            let Some((partial, _)) = &mut self.partial else { return Err(BadAnswer) };
            let mut text = Vec::new();
            list(pieces).try_for_each(|piece| partial.push(piece, &mut text))?;
            self.tell_arguments(choice, &text, sink);
        }
        if !goes_on {
            self.close_partial(choice, sink);
        }
        Ok(())
    }

    /// Ends the call whose arguments were coming.
    fn close_partial(&mut self, choice: u32, sink: Sink<'_>) {
        let Some((mut partial, sign)) = self.partial.take() else { return };
        let mut text = Vec::new();
        partial.finish(&mut text);
        self.tell_arguments(choice, &text, sink);
        if let Some(sign) = sign {
            sink(Delta::Signature { choice, signature: sign.into(), redacted: false });
        }
    }

    fn tell_arguments(&self, choice: u32, text: &[u8], sink: Sink<'_>) {
        if !text.is_empty() {
            let call = self.calls.saturating_sub(1);
            sink(Delta::ToolArguments { choice, call, fragment: String::from_utf8_lossy(text) });
        }
    }
}

fn media(json: Json<'_>) -> Option<Media<'_>> {
    let text = |json, name: &str| member(json, name).and_then(Json::str);
    let (json, is_inline) = match member(json, "inlineData") {
        Some(inline) => (inline, true),
        None => (member(json, "fileData")?, false),
    };
    let media_type = text(json, "mimeType").unwrap_or_default();
    let kind = kind_of(&media_type);
    let source = match is_inline {
        true => Source::Base64 { media_type, data: text(json, "data")? },
        false => Source::Url(text(json, "fileUri")?),
    };
    Some(Media { kind, source, detail: None, name: text(json, "displayName") })
}

/// What an answer says that ended for such a reason.
fn failure<'a>(reason: &str, message: Option<Cow<'a, str>>, by_request: bool) -> Error<'a> {
    let kind = if by_request { ErrorKind::InvalidRequest } else { ErrorKind::Api };
    let message = message.filter(|message| !message.is_empty());
    let message =
        message.unwrap_or_else(|| format!("the model ended without an answer: {reason}").into());
    Error { kind, message, code: Some(reason.to_owned().into()), param: None, retry_after: None }
}

#[cfg(test)]
pub(super) use tests::streams;

#[cfg(test)]
mod tests;
