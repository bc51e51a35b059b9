//! What happens to an answer's body between the provider and the client.
//!
//! In: body bytes as they arrived, framing and all. Out: what to send on, in the client's framing, and what was learned
//! on the way: usage, the first content, whether the stream ended as it should. No socket, no clock.
//! State between calls: the framing of the body, and the bytes of an event that is not complete yet.
//!
//! Bytes pass in the buffer they arrived in whenever that buffer is what the client should get. An event is only passed
//! on whole, so that wherever the provider breaks off, the client can be told so in a well-formed event of its own.

use std::ops::Range;

use faregate_adapters::{
    aside::Aside,
    chat::{Delta, Finish, Usage},
    dialect::{
        AnswerTerms, ErrorBody, Form, Passage,
        openai::UsageMeter,
        responses::{self, IdFinder},
    },
    tokens,
};
use faregate_wire::{
    BodyReader, Cutter, Event, FrameCutter, Framing, WholeChunks,
    chunk::{CHUNK_HEAD_BYTES_MAX, LAST_CHUNK},
    write_chunk_head,
};

mod array;
pub(crate) mod translate;

use array::Entries;
use translate::Translator;

/// An unfinished event longer than this passes in pieces; a break inside of it can then only close the connection.
pub(crate) const HOLD_BYTES_MAX: usize = 32 * 1024;

/// How the client is told where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Downstream {
    /// As the provider's `Content-Length` says.
    Length,
    /// In chunks.
    Chunked,
    /// By closing the connection (HTTP/1.0 clients).
    Close,
    /// No body at all.
    Empty,
}

/// What a relay does with the body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The provider's framing.
    pub(crate) upstream: Framing,
    /// The client's framing.
    pub(crate) downstream: Downstream,
    /// Whether the body is a stream of server-sent events.
    pub(crate) events: bool,
    /// Whether the body is a stream that is one JSON array.
    pub(crate) array: bool,
    /// Whether usage was asked for on the client's behalf: its extra chunk is taken out again.
    pub(crate) drop_usage_chunk: bool,
    /// Whether usage is looked for.
    pub(crate) metered: bool,
    /// What the client speaks, and the provider too unless there is a translator.
    pub(crate) form: Form,
}

/// What to send on of the bytes that were pushed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// Nothing yet.
    Nothing,
    /// These bytes of the input, as they are.
    Input(Range<usize>),
    /// The bytes written to the scratch buffer.
    Scratch,
}

/// The body broke a rule or broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The provider's framing or events are malformed.
    Malformed,
    /// The provider closed before the end.
    Cut,
}

/// What was learned so far.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    /// The provider's own count, if it gave one.
    pub(crate) usage: Option<Usage>,
    /// What it says beside tokens that has a price.
    pub(crate) aside: Aside,
    /// A content token has passed.
    pub(crate) content: bool,
    /// Content tokens passed with the bytes that were pushed last.
    pub(crate) content_now: bool,
    /// `[DONE]` has passed.
    pub(crate) done: bool,
    /// The provider reported an error inside of the stream.
    pub(crate) error: bool,
    /// Events of all kinds.
    pub(crate) events: u64,
    /// Events that carried content: a floor for the tokens of an answer without usage.
    pub(crate) content_events: u64,
    /// Bytes of the texts in them, where the answer is translated.
    pub(crate) content_bytes: u64,
    /// Bytes of the body, without framing.
    pub(crate) bytes: u64,
    /// Whether the id of a response is looked for.
    pub(crate) wants_id: bool,
    /// The id of the response, since it was taken last.
    pub(crate) id: Option<Box<str>>,
}

/// One answer's body on its way.
pub(crate) struct Relay {
    plan: Plan,
    reader: BodyReader,
    cutter: Cutter,
    hold: Vec<u8>,
    meter: UsageMeter,
    learned: Learned,
    ended: bool,
    /// Why the body is broken, behind what was passed on last.
    broken: Option<Broken>,
    overlong: bool,
    surplus: bool,
    translator: Option<Box<Translator>>,
    passage: &'static dyn Passage,
    /// Where the body passes as AWS's frames instead of events: the state between two of them.
    frames: Option<FrameCutter>,
    /// Where the body passes as one JSON array: the state between two bytes.
    entries: Option<Entries>,
    /// Looks for the id of a response in a body, or in an event, that is not held back.
    finder: Option<IdFinder>,
}

impl Relay {
    /// A relay at the start of a body, which passes as it is or through a translator.
    pub(crate) fn new(plan: Plan, translator: Option<Box<Translator>>) -> Self {
        let passage = plan.form.passage();
        let reader = BodyReader::new(plan.upstream);
        let has_frames = plan.events && translator.is_none() && plan.form == Form::Converse;
        Self {
            frames: has_frames.then(FrameCutter::default),
            // An end of ours fits into an array whose length has not been told.
            entries: (plan.array && translator.is_none() && plan.downstream != Downstream::Length)
                .then(Entries::default),
            plan,
            // An answer without a body is at its end with its head.
            ended: reader.is_ended(),
            reader,
            cutter: Cutter::default(),
            hold: Vec::new(),
            meter: UsageMeter::of(passage.usage_member()),
            translator,
            passage,
            learned: Learned::default(),
            broken: None,
            overlong: false,
            surplus: false,
            finder: None,
        }
    }

    /// Looks for the id of the response, from now on.
    pub(crate) fn look_for_id(&mut self) {
        self.learned.wants_id = self.translator.is_none();
        self.finder =
            Some(IdFinder::of_answer()).filter(|_| self.learned.wants_id && !self.plan.events);
    }

    /// The id of the response, as soon as it is known. Told once.
    pub(crate) fn take_id(&mut self) -> Option<Box<str>> {
        self.learned.id.take()
    }

    /// Takes in body bytes as they arrived and says what to send on. `scratch` is overwritten when it is used.
    ///
    /// # Errors
    ///
    /// Why the body is broken; what was learned before stands.
    pub(crate) fn push(&mut self, input: &[u8], scratch: &mut Vec<u8>) -> Result<Forward, Broken> {
        self.learned.content_now = false;
        if self.ended {
            self.surplus |= !input.is_empty();
            return Ok(Forward::Nothing);
        }
        if self.plan.downstream == Downstream::Length && !self.plan.events {
            return self.push_plain(input);
        }
        self.push_framed(input, scratch)
    }

    /// The provider has closed its side.
    ///
    /// # Errors
    ///
    /// [`Broken::Cut`] when that was too early.
    pub(crate) fn close(&mut self, scratch: &mut Vec<u8>) -> Result<Forward, Broken> {
        scratch.clear();
        if self.ended {
            return Ok(Forward::Nothing);
        }
        let open = self.entries.as_ref().is_some_and(Entries::is_open);
        let whole_stream = !(self.plan.events || open) || self.learned.done;
        if self.plan.upstream != Framing::UntilClose {
            return Err(Broken::Cut);
        }
        if self.translator.is_some() {
            let start = self.open_chunk(scratch);
            let broken = self.translate_end(scratch).err();
            self.close_chunk(scratch, start);
            if let Some(broken) = broken {
                return self.break_off(broken, scratch);
            }
        } else if !whole_stream {
            return Err(Broken::Cut);
        }
        self.end(scratch);
        Ok(if scratch.is_empty() { Forward::Nothing } else { Forward::Scratch })
    }

    /// Ends a stream that its provider left without an end: whole when its `[DONE]` has passed. False when it has not, and
    /// an error must be told.
    pub(crate) fn conclude(&mut self, scratch: &mut Vec<u8>) -> bool {
        let whole = self.learned.done && self.hold.is_empty() && self.is_between_events();
        if whole && !self.ended {
            scratch.clear();
            self.end(scratch);
        }
        whole
    }

    /// Why the body is broken behind what was passed on last, if it is. Told once.
    pub(crate) fn take_broken(&mut self) -> Option<Broken> {
        self.broken.take()
    }

    /// Whether nothing of the answer may reach the client yet: it is translated as a whole, and has not ended.
    pub(crate) fn is_held(&self) -> bool {
        !self.ended && self.translator.as_ref().is_some_and(|translator| !translator.is_stream())
    }

    /// Whether bytes have come behind the end of the body: their sender is out of step, and its connection of no more use.
    pub(crate) fn has_surplus(&self) -> bool {
        self.surplus
    }

    /// Whether the body has come to its end.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether the client is between two events, so that one of ours may be put in.
    pub(crate) fn is_between_events(&self) -> bool {
        match &self.translator {
            Some(translator) => translator.is_stream(),
            None => (self.plan.events || self.is_array()) && !self.overlong,
        }
    }

    /// Whether the client gets one JSON array, to which an entry can be added.
    fn is_array(&self) -> bool {
        self.entries.as_ref().is_some_and(Entries::is_array)
    }

    /// Appends the event that ends a stream with an error, in the client's way.
    pub(crate) fn write_failure(&mut self, error: &ErrorBody<'_>, out: &mut Vec<u8>) {
        match &mut self.translator {
            Some(translator) => translator.fail(error, out),
            None if self.plan.form == Form::Responses && self.learned.events > 0 => {
                responses::write_break(out, error, self.learned.events);
            }
            None => {
                let terms = AnswerTerms {
                    model: "",
                    include_usage: false,
                    request_id: error.request_id,
                    created: 0,
                    input_estimate: None,
                    json_array: self.is_array(),
                };
                let start = out.len();
                self.plan.form.inbound().stream_writer(&terms).fail(error, out);
                if self.entries.as_ref().is_some_and(Entries::has_entries) {
                    out.splice(start..=start, *b",\r\n"); // the array has begun already
                }
            }
        }
    }

    /// Appends the events that end a stream as if its bound of tokens had been reached. `named`: the model, the request's id and
    /// the second, for a stream that passes as it is.
    pub(crate) fn end_at_length(&mut self, named: (&str, &str, u64), out: &mut Vec<u8>) {
        let output =
            tokens::estimated_output(self.learned.content_events, self.learned.content_bytes);
        match &mut self.translator {
            Some(translator) => translator.end_at_length(output, out),
            None => {
                let (model, request_id, created) = named;
                let terms = AnswerTerms {
                    model,
                    include_usage: false,
                    request_id,
                    created,
                    input_estimate: None,
                    json_array: false,
                };
                let mut writer = self.plan.form.inbound().stream_writer(&terms);
                writer.write(&Delta::Finish { choice: 0, reason: Finish::Length, stop: None }, out);
                writer.write(&Delta::Done, out);
            }
        }
    }

    /// Appends what shows that a silent stream is alive.
    pub(crate) fn write_keep_alive(&mut self, out: &mut Vec<u8>) {
        match &mut self.translator {
            Some(translator) => translator.keep_alive(out),
            None => out.extend_from_slice(self.passage.keep_alive()),
        }
    }

    /// What the next turn will need of this answer, where it was translated.
    pub(crate) fn take_carried(&mut self) -> Option<crate::carry::Carried> {
        self.translator.as_mut().map(|translator| translator.take_carried())
    }

    fn translate_end(&mut self, scratch: &mut Vec<u8>) -> Result<(), Broken> {
        match &mut self.translator {
            Some(translator) => translator.end(scratch, &mut self.learned),
            None => Ok(()),
        }
    }

    /// What was planned.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How the client is told where the body ends.
    pub(crate) fn downstream(&self) -> Downstream {
        self.plan.downstream
    }

    /// What was learned so far.
    pub(crate) fn learned(&self) -> &Learned {
        &self.learned
    }

    /// What was learned in the end; usage of a plain answer is known only now.
    pub(crate) fn learn_all(&mut self) -> &Learned {
        if self.learned.usage.is_none() {
            self.learned.usage = self.meter.finish();
        }
        &self.learned
    }

    /// The same, for good.
    pub(crate) fn finish(mut self) -> Learned {
        self.learn_all();
        self.learned
    }

    fn push_plain(&mut self, input: &[u8]) -> Result<Forward, Broken> {
        let piece = self.reader.next(input).map_err(|_| Broken::Malformed)?;
        let is_whole = piece.end && self.learned.bytes == 0;
        self.learned.bytes += piece.data.len() as u64;
        find_id(&mut self.finder, &mut self.learned, piece.data);
        match (self.plan.metered, is_whole) {
            (true, true) => {
                self.learned.usage = UsageMeter::whole_of(self.passage.usage_member(), piece.data);
                self.learned.aside = Aside::of(piece.data);
            }
            (true, false) => self.meter.feed(piece.data),
            (false, _) => {}
        }
        self.ended = piece.end;
        self.surplus = piece.consumed < input.len();
        Ok(Forward::Input(0..piece.consumed))
    }

    fn push_framed(&mut self, input: &[u8], scratch: &mut Vec<u8>) -> Result<Forward, Broken> {
        scratch.clear();
        if self.passes_as_it_is(input)? {
            return Ok(Forward::Input(0..input.len()));
        }
        let start = self.open_chunk(scratch);
        let taken = self.take_pieces(input, scratch);
        self.close_chunk(scratch, start);
        if let Err(broken) = taken {
            return self.break_off(broken, scratch);
        }
        if self.ended {
            self.end(scratch);
        }
        Ok(if scratch.is_empty() { Forward::Nothing } else { Forward::Scratch })
    }

    /// Appends what the pieces of the body become, to the end of the input or of the body.
    fn take_pieces(&mut self, input: &[u8], scratch: &mut Vec<u8>) -> Result<(), Broken> {
        let mut rest = input;
        while !rest.is_empty() && !self.ended {
            let piece = self.reader.next(rest).map_err(|_| Broken::Malformed)?;
            let (data, consumed, end) = (piece.data, piece.consumed, piece.end);
            if consumed == 0 && !end {
                break;
            }
            match &mut self.translator {
                Some(translator) => {
                    self.learned.bytes += data.len() as u64;
                    translator.push(data, scratch, &mut self.learned)?;
                }
                None => self.take(data, scratch),
            }
            rest = &rest[consumed..];
            self.ended = end;
        }
        self.surplus = !rest.is_empty();
        let open = self.entries.as_ref().is_some_and(Entries::is_open);
        if self.ended && (open || !self.hold.is_empty()) {
            return Err(Broken::Cut); // the end came in the middle of an event, or of an array
        }
        if self.ended { self.translate_end(scratch) } else { Ok(()) }
    }

    /// The body is broken: what came before goes to the client first, and then it is told.
    fn break_off(&mut self, broken: Broken, scratch: &[u8]) -> Result<Forward, Broken> {
        self.ended = false; // the client's stream has no end yet
        if scratch.is_empty() {
            return Err(broken);
        }
        self.broken = Some(broken);
        Ok(Forward::Scratch)
    }

    /// Whether `input` is exactly what the client should get: whole chunks of whole events, none to be taken out.
    ///
    /// When it is, everything has been learned from it; when it is not, nothing has been touched.
    fn passes_as_it_is(&mut self, input: &[u8]) -> Result<bool, Broken> {
        if self.plan.downstream != Downstream::Chunked || !self.hold.is_empty() || self.overlong {
            return Ok(false);
        }
        if self.translator.is_some() || self.frames.is_some() || self.entries.is_some() {
            return Ok(false);
        }
        let BodyReader::Chunked(reader) = &self.reader else { return Ok(false) };
        if !reader.at_chunk_start() || !self.cutter.at_event_start() {
            return Ok(false);
        }
        let Some(last) = WholeChunks::all(input) else { return Ok(false) };
        if !self.plan.events {
            for data in last {
                self.learned.bytes += data.len() as u64;
                find_id(&mut self.finder, &mut self.learned, data);
                if self.plan.metered {
                    self.meter.feed(data);
                }
            }
            return Ok(true);
        }
        self.whole_events(input)
    }

    fn whole_events(&mut self, input: &[u8]) -> Result<bool, Broken> {
        let Some(ranges) = WholeChunks::all(input) else { return Ok(false) };
        let wants_id = self.learned.wants_id;
        let mut seen = Learned { usage: self.learned.usage, wants_id, ..Learned::default() };
        let mut cutter = Cutter::default();
        for data in ranges {
            let mut pending = data;
            while !pending.is_empty() {
                let Ok(Some(event)) = cutter.cut(pending) else { return Ok(false) };
                if !note(&mut seen, self.passage, &event, self.plan.drop_usage_chunk) {
                    return Ok(false);
                }
                pending = &pending[event.raw.len()..];
            }
            if !cutter.at_event_start() {
                return Ok(false);
            }
            seen.bytes += data.len() as u64;
        }
        self.cutter = cutter;
        self.learned.absorb(seen);
        Ok(true)
    }

    fn take(&mut self, data: &[u8], scratch: &mut Vec<u8>) {
        self.learned.bytes += data.len() as u64;
        find_id(&mut self.finder, &mut self.learned, data);
        if !self.plan.events {
            if self.plan.metered {
                self.meter.feed(data);
            }
            match self.entries.is_some() {
                true => self.take_entries(data, scratch),
                false => scratch.extend_from_slice(data),
            }
            return;
        }
        if self.overlong {
            self.meter.feed(data);
            scratch.extend_from_slice(data);
        } else if self.hold.is_empty() {
            let used = self.take_events(data, scratch);
            self.hold.extend_from_slice(&data[used..]);
        } else {
            let mut held = std::mem::take(&mut self.hold);
            held.extend_from_slice(data);
            let used = self.take_events(&held, scratch);
            held.drain(..used);
            self.hold = held;
        }
        if self.hold.len() > HOLD_BYTES_MAX {
            self.stop_holding(scratch);
        }
        if self.hold.is_empty() {
            self.hold = Vec::new();
        }
    }

    /// Passes the whole entries of an array on; one that is longer than [`HOLD_BYTES_MAX`] passes in pieces.
    fn take_entries(&mut self, data: &[u8], scratch: &mut Vec<u8>) {
        let Some(entries) = &mut self.entries else { return };
        let (safe, rest) = match entries.take(data) {
            Some(at) => data.split_at(at),
            None => (&[][..], data),
        };
        self.learned.done = entries.is_whole();
        if !safe.is_empty() {
            scratch.append(&mut self.hold);
            scratch.extend_from_slice(safe);
            self.overlong = false;
        }
        match self.overlong {
            true => scratch.extend_from_slice(rest),
            false => self.hold.extend_from_slice(rest),
        }
        if self.hold.len() > HOLD_BYTES_MAX {
            self.overlong = true;
            scratch.append(&mut self.hold);
        }
        if self.hold.is_empty() {
            self.hold = Vec::new();
        }
    }

    fn take_events(&mut self, pending: &[u8], scratch: &mut Vec<u8>) -> usize {
        let mut used = 0;
        if let Some(frames) = &mut self.frames {
            while let Ok(Some(frame)) = frames.cut(&pending[used..]) {
                inspect(&mut self.learned, self.passage, &frame.event(), &frame.data());
                used += frame.raw.len();
            }
            scratch.extend_from_slice(&pending[..used]);
            return used;
        }
        while let Ok(Some(event)) = self.cutter.cut(&pending[used..]) {
            if note(&mut self.learned, self.passage, &event, self.plan.drop_usage_chunk) {
                scratch.extend_from_slice(event.raw);
            }
            used += event.raw.len();
        }
        used
    }

    /// From an overlong event on, the stream passes as bytes and usage is found by search alone.
    fn stop_holding(&mut self, scratch: &mut Vec<u8>) {
        self.overlong = true;
        self.finder = self.learned.wants_id.then(IdFinder::of_event);
        find_id(&mut self.finder, &mut self.learned, &self.hold);
        self.meter.feed(&self.hold);
        scratch.append(&mut self.hold);
    }

    /// Leaves room for a chunk's head.
    fn open_chunk(&self, scratch: &mut Vec<u8>) -> usize {
        if self.plan.downstream == Downstream::Chunked {
            scratch.extend_from_slice(&[0; CHUNK_HEAD_BYTES_MAX]);
        }
        scratch.len()
    }

    /// Writes the chunk's head right before the data from `start` on, and its end behind it.
    fn close_chunk(&self, scratch: &mut Vec<u8>, start: usize) {
        if self.plan.downstream != Downstream::Chunked {
            return;
        }
        let len = scratch.len() - start;
        if len == 0 {
            scratch.clear();
            return;
        }
        let mut head = [0; CHUNK_HEAD_BYTES_MAX];
        let n = write_chunk_head(&mut head, len);
        scratch[start - n..start].copy_from_slice(&head[..n]);
        scratch.drain(..start - n);
        scratch.extend_from_slice(b"\r\n");
    }

    fn end(&mut self, scratch: &mut Vec<u8>) {
        self.ended = true;
        if self.plan.downstream == Downstream::Chunked {
            scratch.extend_from_slice(LAST_CHUNK);
        }
    }
}

impl Learned {
    fn absorb(&mut self, seen: Self) {
        self.usage = seen.usage.or(self.usage.take());
        self.aside = seen.aside.over(self.aside);
        self.content |= seen.content;
        self.content_now |= seen.content_now;
        self.done |= seen.done;
        self.error |= seen.error;
        self.events += seen.events;
        self.content_events += seen.content_events;
        self.content_bytes += seen.content_bytes;
        self.bytes += seen.bytes;
        self.wants_id = seen.wants_id;
        self.id = seen.id.or(self.id.take());
    }
}

/// Looks for the id of the response in what comes next.
fn find_id(finder: &mut Option<IdFinder>, learned: &mut Learned, data: &[u8]) {
    let Some(looking) = finder else { return };
    looking.feed(data);
    if looking.is_done() {
        learned.id = looking.take().or(learned.id.take());
        learned.wants_id = false;
        *finder = None;
    }
}

/// Learns from one event; false when the client should not get it.
fn note(
    learned: &mut Learned,
    passage: &dyn Passage,
    event: &Event<'_>,
    drop_usage_chunk: bool,
) -> bool {
    let Some(data) = event.data() else { return true };
    let is_extra = inspect(learned, passage, event.event().unwrap_or_default(), data);
    !(drop_usage_chunk && is_extra)
}

/// Learns from an event of this name; whether it is there for usage alone.
fn inspect(learned: &mut Learned, passage: &dyn Passage, name: &[u8], data: &[u8]) -> bool {
    let seen = passage.inspect(name, data);
    learned.events += 1;
    learned.done |= seen.done;
    learned.error |= seen.error;
    if seen.content {
        learned.content = true;
        learned.content_now = true;
        learned.content_events += 1;
    }
    if learned.wants_id
        && let Some(id) = IdFinder::in_event(data)
    {
        (learned.id, learned.wants_id) = (Some(id), false);
    }
    if let Some(report) = seen.usage {
        learned.usage = Some(report.over(learned.usage));
        learned.aside = Aside::of(data).over(learned.aside);
    }
    seen.extra_chunk
}

/// Writes an event of our own for the client, in its framing.
pub(crate) fn write_event(out: &mut Vec<u8>, event: &[u8], downstream: Downstream, last: bool) {
    if downstream == Downstream::Chunked {
        let mut head = [0; CHUNK_HEAD_BYTES_MAX];
        let n = write_chunk_head(&mut head, event.len());
        out.extend_from_slice(&head[..n]);
        out.extend_from_slice(event);
        out.extend_from_slice(b"\r\n");
        if last {
            out.extend_from_slice(LAST_CHUNK);
        }
    } else {
        out.extend_from_slice(event);
    }
}

#[cfg(test)]
mod id_tests;
#[cfg(test)]
mod tests;
