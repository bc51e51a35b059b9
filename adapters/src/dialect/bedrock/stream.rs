//! A stream of Converse, event by event.
//!
//! In: the name and the payload of each frame. Out: deltas. Remembered: the blocks that are open, at most
//! [`OPEN_BLOCKS_MAX`]; how it ended. Usage comes behind `messageStop`, so the end of the stream is `metadata`.
//! Format: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>

use faregate_wire::Json;

use super::{
    answer::{self, Ending},
    error, media, opaque,
};
use crate::{
    chat::{Delta, Media, MediaKind, Source, Start},
    dialect::{BadAnswer, StreamReader, call_id},
};

/// The most blocks that may be open at a time.
const OPEN_BLOCKS_MAX: usize = 64;

/// Reads a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Made into ids of calls where the provider gives none.
    seed: u64,
    has_started: bool,
    calls: u32,
    open: Vec<Open>,
    ending: Option<Ending>,
    has_usage: bool,
    is_over: bool,
}

/// A block that is open, other than of text or thought.
#[derive(Debug)]
struct Open {
    index: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Call {
        call: u32,
        has_arguments: bool,
    },
    Image {
        media_type: String,
    },
    /// A call of one of the provider's own tools.
    Servers,
}

impl StreamReader for Reader {
    fn event(
        &mut self,
        name: &[u8],
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), BadAnswer> {
        if self.is_over {
            return Ok(());
        }
        if let Some(kind) = name.strip_prefix(b"exception:") {
            self.is_over = true;
            sink(Delta::Error(error::exception(kind, data)));
            return Ok(());
        }
        let json = Json::new(data).filter(|json| json.is_object()).ok_or(BadAnswer)?;
        match name {
            b"messageStart" => self.start(sink),
            b"contentBlockStart" => self.block_start(json, sink)?,
            b"contentBlockDelta" => self.block_delta(json, sink)?,
            b"contentBlockStop" => self.block_stop(json.get_u64("contentBlockIndex"), sink),
            b"messageStop" => self.message_stop(json, sink),
            b"metadata" => self.metadata(json, sink),
            _ => {} // one that came later than this
        }
        Ok(())
    }

    fn close(&mut self, sink: &mut dyn FnMut(Delta<'_>)) {
        self.end(sink);
    }
}

impl Reader {
    /// A reader at the start of a stream.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    fn start(&mut self, sink: &mut dyn FnMut(Delta<'_>)) {
        if !self.has_started {
            self.has_started = true;
            sink(Delta::Start(Start::default()));
        }
    }

    fn block_start(
        &mut self,
        json: Json<'_>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), BadAnswer> {
        self.start(sink);
        let index = json.get_u64("contentBlockIndex").unwrap_or(0);
        let Some(start) = json.get("start") else { return Ok(()) };
        let kind = if let Some(tool) = start.get("toolUse") {
            if answer::is_servers(tool) { Kind::Servers } else { self.call(tool, sink) }
        } else if start.get("toolResult").is_some() {
            Kind::Servers
        } else if let Some(image) = start.get("image") {
            let format = image.get_str("format").unwrap_or_default();
            Kind::Image { media_type: media::media_type(MediaKind::Image, &format).into_owned() }
        } else {
            return Ok(());
        };
        if self.open.len() == OPEN_BLOCKS_MAX {
            return Err(BadAnswer);
        }
        self.open.push(Open { index, kind });
        Ok(())
    }

    fn call(&mut self, tool: Json<'_>, sink: &mut dyn FnMut(Delta<'_>)) -> Kind {
        let call = self.calls;
        self.calls = self.calls.saturating_add(1);
        sink(Delta::ToolStart {
            choice: 0,
            call,
            id: call_id(tool.get_str("toolUseId"), self.seed, call),
            name: tool.get_str("name").unwrap_or_default(),
            custom: false,
            signature: None,
        });
        Kind::Call { call, has_arguments: false }
    }

    fn block_delta(
        &mut self,
        json: Json<'_>,
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<(), BadAnswer> {
        self.start(sink);
        let index = json.get_u64("contentBlockIndex").unwrap_or(0);
        let Some(delta) = json.get("delta") else { return Ok(()) };
        if let Some(text) = delta.get_str("text").filter(|text| !text.is_empty()) {
            sink(Delta::Text { choice: 0, text });
        }
        if let Some(tool) = delta.get("toolUse") {
            let kind = self.open(index).ok_or(BadAnswer)?; // a call without a name
            let fragment = tool.get_str("input").unwrap_or_default();
            if let Kind::Call { call, has_arguments } = kind
                && !fragment.is_empty()
            {
                *has_arguments = true;
                sink(Delta::ToolArguments { choice: 0, call: *call, fragment });
            }
        }
        if let Some(thought) = delta.get("reasoningContent") {
            if let Some(text) = thought.get_str("text").filter(|text| !text.is_empty()) {
                sink(Delta::Reasoning { choice: 0, text });
            }
            answer::sign(thought.get_str("signature"), false, sink);
            answer::sign(thought.get_str("redactedContent").map(opaque::of_blob), true, sink);
        }
        if let Some(citation) = delta.get("citation") {
            answer::read_citation(citation, sink);
        }
        if let Some(data) = delta.at(&["image", "source", "bytes"]).and_then(Json::str) {
            let media_type = match self.open(index) {
                Some(Kind::Image { media_type }) => media_type.clone(),
                _ => "image/png".to_owned(),
            };
            let source = Source::Base64 { media_type: media_type.into(), data };
            let media = Media { kind: MediaKind::Image, source, detail: None, name: None };
            sink(Delta::Media { choice: 0, media });
        }
        Ok(())
    }

    fn open(&mut self, index: u64) -> Option<&mut Kind> {
        self.open.iter_mut().rfind(|open| open.index == index).map(|open| &mut open.kind)
    }

    /// Closes a block, or all of them.
    fn block_stop(&mut self, index: Option<u64>, sink: &mut dyn FnMut(Delta<'_>)) {
        for open in self.open.extract_if(.., |open| index.is_none_or(|index| open.index == index)) {
            if let Kind::Call { call, has_arguments: false } = open.kind {
                sink(Delta::ToolArguments { choice: 0, call, fragment: "{}".into() });
            }
        }
    }

    fn message_stop(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        if self.ending.is_some() {
            return;
        }
        self.start(sink);
        self.block_stop(None, sink);
        let reason = json.get_str("stopReason").unwrap_or_default();
        let ending = answer::ending(&reason, self.calls > 0);
        if let Ending::Finish(reason) = ending {
            let stop = json.at(&["additionalModelResponseFields", "stop_sequence"]);
            sink(Delta::Finish { choice: 0, reason, stop: stop.and_then(Json::str) });
        }
        self.ending = Some(ending);
        if self.has_usage {
            self.end(sink);
        }
    }

    fn metadata(&mut self, json: Json<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        self.start(sink);
        if let Some(usage) = json.get("usage").and_then(answer::usage) {
            self.has_usage = true;
            sink(Delta::Usage(usage));
        }
        self.end(sink);
    }

    /// Says the end, if the answer has come to one.
    fn end(&mut self, sink: &mut dyn FnMut(Delta<'_>)) {
        if self.is_over {
            return;
        }
        match self.ending {
            Some(Ending::Finish(_)) => sink(Delta::Done),
            Some(Ending::Malformed(code)) => sink(Delta::Error(answer::malformed(code))),
            None => return,
        }
        self.is_over = true;
    }
}
