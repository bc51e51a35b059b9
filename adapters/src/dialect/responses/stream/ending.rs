//! What ends parts, items and the stream, and how events are written.

use faregate_wire::{JsonWriter, quote};

use super::{Call, Phase, Writer};
use crate::{
    chat::{ErrorKind, Finish, Start},
    dialect::responses::{
        error,
        output::{Body, Ending, Fault, Item, Status, ending_of, list, write_summary},
    },
};

impl Writer {
    pub(super) fn close_part(&mut self, out: &mut Vec<u8>) {
        let Some((index, content_index, part)) = self.open_part() else { return };
        let is_refusal = part.is_refusal;
        let kind = match is_refusal {
            true => "response.refusal.done",
            false => "response.output_text.done",
        };
        self.event(out, kind, |json, items| {
            place(json, &items[index], index).member_u64("content_index", content_index as u64);
            let Body::Message(parts) = &items[index].body else { return };
            let part = &parts[content_index];
            json.member_str(if is_refusal { "refusal" } else { "text" }, &part.text);
            if !is_refusal {
                list(json.name("logprobs"), &part.logprobs);
            }
        });
        self.part_event("response.content_part.done", index, out);
    }

    /// Tells of the last part of a message.
    pub(super) fn part_event(&mut self, kind: &str, index: usize, out: &mut Vec<u8>) {
        self.event(out, kind, |json, items| {
            let Body::Message(parts) = &items[index].body else { return };
            let Some(part) = parts.last() else { return };
            place(json, &items[index], index).member_u64("content_index", parts.len() as u64 - 1);
            part.write(json.name("part"));
        });
    }

    pub(super) fn close_prose(&mut self, status: Status, out: &mut Vec<u8>) {
        let Some(index) = self.prose else { return };
        match &self.items[index].body {
            Body::Message(_) => self.close_part(out),
            Body::Reasoning { has_summary: true, .. } => self.close_summary(index, out),
            _ => {}
        }
        self.prose = None;
        self.item_done(index, status, out);
    }

    fn close_summary(&mut self, index: usize, out: &mut Vec<u8>) {
        fn text(items: &[Item], index: usize) -> &str {
            match &items[index].body {
                Body::Reasoning { text, .. } => text,
                _ => "",
            }
        }
        self.event(out, "response.reasoning_summary_text.done", |json, items| {
            place(json, &items[index], index).member_u64("summary_index", 0);
            json.member_str("text", text(items, index));
        });
        self.event(out, "response.reasoning_summary_part.done", |json, items| {
            place(json, &items[index], index).member_u64("summary_index", 0);
            write_summary(json.name("part"), text(items, index));
        });
    }

    pub(super) fn close_call(&mut self, index: usize, status: Status, out: &mut Vec<u8>) {
        let Body::Call { custom, arguments, .. } = &mut self.items[index].body else { return };
        let (kind, member) = match custom {
            true => ("response.custom_tool_call_input.done", "input"),
            false => ("response.function_call_arguments.done", "arguments"),
        };
        if !*custom && arguments.is_empty() {
            arguments.push_str("{}");
        }
        self.event(out, kind, |json, items| {
            let Body::Call { arguments, .. } = &items[index].body else { return };
            place(json, &items[index], index).member_str(member, arguments);
        });
        self.item_done(index, status, out);
    }

    pub(super) fn item_done(&mut self, index: usize, status: Status, out: &mut Vec<u8>) {
        self.items[index].status = status;
        self.event(out, "response.output_item.done", |json, items| {
            json.member_u64("output_index", index as u64);
            items[index].write(json.name("item"));
        });
    }

    /// Closes what is open. What began last is what a limit has cut.
    pub(super) fn finish(&mut self, finish: Option<Finish>, out: &mut Vec<u8>) {
        self.finish = finish;
        self.advance(true, out);
        let (status, _) = ending_of(finish, &self.items);
        let is_prose_last = self.prose.is_some_and(|index| index + 1 == self.items.len());
        if let Some(Call { index, .. }) = self.call.take() {
            let status = if is_prose_last { Status::Completed } else { status };
            self.close_call(index, status, out);
        }
        self.close_prose(status, out);
        self.phase = Phase::Finished;
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        self.start(&Start::default(), out);
        if self.phase == Phase::Open {
            self.finish(None, out);
        }
        let (status, reason) = ending_of(self.finish, &self.items);
        let kind = match status {
            Status::Incomplete => "response.incomplete",
            _ => "response.completed",
        };
        let usage = Some(self.usage.unwrap_or_default());
        self.response(kind, &Ending { status, reason, usage, error: None }, out);
        self.phase = Phase::Ended;
    }

    /// Ends with an error, which has one more code in the response: one that clients know.
    pub(super) fn end_failed(&mut self, kind: ErrorKind, fault: &Fault<'_>, out: &mut Vec<u8>) {
        self.start(&Start::default(), out);
        for item in self.items.iter_mut().filter(|item| item.status == Status::InProgress) {
            item.status = Status::Incomplete;
        }
        // The SDKs raise for a member `error`; the documents have its members one level up.
        self.event(out, "error", |json, _| {
            json.member_str("code", fault.code).member_str("message", fault.message);
            match fault.param {
                Some(param) => json.member_str("param", param),
                None => json.name("param").null(),
            };
            json.name("error").object();
            fault.write(json);
            json.end();
        });
        let ending = Ending {
            status: Status::Failed,
            reason: None,
            usage: self.usage,
            error: Some(Fault { code: error::code_for(kind, Some(fault.code)), ..*fault }),
        };
        self.response("response.failed", &ending, out);
        self.phase = Phase::Ended;
    }

    /// An event that holds the response: with its items once it ends.
    pub(super) fn response(&mut self, kind: &str, ending: &Ending<'_>, out: &mut Vec<u8>) {
        let envelope = std::mem::take(&mut self.envelope);
        self.event(out, kind, |json, items| {
            envelope.write(json.name("response"), items, ending);
        });
        self.envelope = envelope;
    }

    pub(super) fn event(
        &mut self,
        out: &mut Vec<u8>,
        kind: &str,
        members: impl FnOnce(&mut JsonWriter<'_>, &[Item]),
    ) {
        head(out, kind);
        let mut json = JsonWriter::new(out);
        json.object().member_str("type", kind).member_u64("sequence_number", self.sequence);
        members(&mut json, &self.items);
        json.end();
        out.extend_from_slice(b"\n\n");
        self.sequence += 1;
    }

    /// A piece of text, a thought or arguments: most events are one, so nothing is built for it.
    pub(super) fn piece(
        &mut self,
        out: &mut Vec<u8>,
        kind: &str,
        index: usize,
        inner: Option<(&str, usize)>,
        text: &str,
    ) {
        head(out, kind);
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"sequence_number\":");
        number(out, self.sequence);
        out.extend_from_slice(b",\"item_id\":");
        quote(out, &self.items[index].id);
        out.extend_from_slice(b",\"output_index\":");
        number(out, index as u64);
        if let Some((name, inner)) = inner {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            number(out, inner as u64);
        }
        out.extend_from_slice(b",\"delta\":");
        quote(out, text);
        if kind == "response.output_text.delta" {
            out.extend_from_slice(b",\"logprobs\":[]");
        }
        out.extend_from_slice(b"}\n\n");
        self.sequence += 1;
    }
}

fn head(out: &mut Vec<u8>, kind: &str) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
}

pub(super) fn place<'j, 'b>(
    json: &'j mut JsonWriter<'b>,
    item: &Item,
    index: usize,
) -> &'j mut JsonWriter<'b> {
    json.member_str("item_id", &item.id).member_u64("output_index", index as u64)
}

fn number(out: &mut Vec<u8>, number: u64) {
    JsonWriter::new(out).u64(number);
}
