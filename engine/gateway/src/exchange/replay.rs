//! An answer that is given again, and one that is kept.
//!
//! In: what was found; or what was sent to a client. Out: the same bytes in the client's framing, under a head with its own
//! request id; a row in the books that costs nothing and says what was saved. A stream is given as a stream, without the
//! pauses that it had.

use std::{rc::Rc, sync::Arc};

use faregate_adapters::{
    chat::UsageSource,
    dialect::Form,
    repeat::{self, Shape},
    surface::Family,
};
use faregate_policy::{Nanos, cache::table::Entry};
use faregate_price::NanoUsd;
use faregate_wire::{
    BodyReader, Framing,
    chunk::{CHUNK_HEAD_BYTES_MAX, LAST_CHUNK},
    write_chunk_head,
};

use super::{
    Hints, Walk,
    look_up::{Found, How, Keeping, kept_fields, note_kept},
};
use crate::{
    attempt::Answer,
    cache::Kept,
    connection::{Connection, Next},
    forward::{self, COST_FIELD, Capture, OwnFields},
    record::{self, Ending},
    relay::{self, Downstream, Plan},
    reply,
    worker::Core,
};

/// Bytes that are sent at once: a client that takes them is not a slow one.
const STEP_BYTES: usize = 64 * 1024;

impl Walk {
    /// How the client's answer is cut.
    pub(super) fn shape(&self) -> Shape {
        match (self.streams, self.form()) {
            (false, _) => Shape::Whole,
            (true, Form::Converse) => Shape::Frames,
            (true, _) if self.wants_array() => Shape::Array,
            (true, _) => Shape::Events,
        }
    }

    /// Answers with what was found. The request is settled, at no cost, before the client can know that its answer is over.
    pub(super) async fn replay(&mut self, connection: &mut Connection, found: Found) -> Next {
        let core = Rc::clone(&connection.core);
        let Found { entry, how } = found;
        let kept = &entry.value;
        let age = core.now().nanos().saturating_sub(entry.made.0) / 1_000_000_000;
        self.settle_unanswered(&core, None);
        if let Some(receipt) = &mut self.receipt {
            receipt.saved_by_cache = NanoUsd(kept.cost);
        }
        core.metrics.cache.saved.add(kept.cost);
        self.note = Some(how.name());
        self.found = Some(Arc::clone(&entry));
        let downstream = match (kept.shape, self.http11) {
            (Shape::Whole, _) => Downstream::Length,
            (_, true) => Downstream::Chunked,
            (_, false) => Downstream::Close,
        };
        let close = !self.keep_alive || core.is_draining() || downstream == Downstream::Close;
        let mut head = self.replayed_head(kept, downstream, close, age);
        if kept.shape == Shape::Events && self.hints.as_deref().is_some_and(Hints::wants_cost) {
            relay::write_event(&mut head, b": faregate-cost-nanousd=0\n\n", downstream, false);
        }
        connection.answered = true;
        let sent = self.send_again(connection, head, &kept.body, downstream).await;
        self.times.first_content = Some(core.now());
        let (status, code) = if sent { (kept.status, "") } else { (499, "client_gone") };
        let (usage, source) = (None, UsageSource::Absent);
        let bytes = kept.body.len() as u64;
        let ending = Ending { status, code, usage, source, bytes, delivered: false };
        record::record(&core, self, &ending);
        match (sent, close) {
            (false, _) => Next::Close,
            (true, true) => Next::Finish,
            (true, false) => {
                connection.client.consume(0);
                Next::Continue
            }
        }
    }

    fn replayed_head(&self, kept: &Kept, downstream: Downstream, close: bool, age: u64) -> Vec<u8> {
        let mut head = Vec::with_capacity(kept.fields.len() + 512);
        reply::write_status(&mut head, kept.status);
        head.extend_from_slice(&kept.fields);
        match downstream {
            Downstream::Length => {
                reply::write_number_field(&mut head, b"content-length", kept.body.len() as u64);
            }
            Downstream::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Downstream::Close | Downstream::Empty => {}
        }
        if self.family == Family::Anthropic {
            reply::write_field(&mut head, b"request-id", self.id.as_bytes());
        }
        reply::write_number_field(&mut head, b"age", age);
        let how = match self.likeness() {
            Some((similarity, name)) => {
                let similarity = format!("{similarity:.4}");
                reply::write_field(
                    &mut head,
                    b"x-faregate-cache-similarity",
                    similarity.as_bytes(),
                );
                reply::write_field(&mut head, b"x-faregate-cache-match", name.as_bytes());
                How::Semantic
            }
            None => How::Hit,
        };
        reply::write_field(&mut head, b"x-faregate-cache", how.name().as_bytes());
        reply::write_number_field(&mut head, COST_FIELD, 0);
        forward::write_own_fields(
            &mut head,
            &OwnFields {
                id: &self.id,
                has_request_id: false,
                route: &kept.target,
                reason: &format!("cache; {}, {age} s old", self.note.unwrap_or_default()),
                generation: self.live.generation,
                events: kept.shape == Shape::Events,
                close,
                lost: None,
                count: None,
                is_marked: false,
                is_http10: !self.http11,
            },
        );
        head
    }

    /// Sends head and body; whether the client took all of it.
    async fn send_again(
        &self,
        connection: &mut Connection,
        mut head: Vec<u8>,
        body: &[u8],
        downstream: Downstream,
    ) -> bool {
        let stall = self.live.policy.server.deadlines.stall;
        let is_chunked = downstream == Downstream::Chunked;
        let mut steps = body.chunks(STEP_BYTES).peekable();
        loop {
            let step = steps.next().unwrap_or_default();
            let mut end = &b""[..];
            if is_chunked {
                let mut size = [0; CHUNK_HEAD_BYTES_MAX];
                if !step.is_empty() {
                    let n = write_chunk_head(&mut size, step.len());
                    head.extend_from_slice(&size[..n]);
                }
                end = match (step.is_empty(), steps.peek().is_none()) {
                    (true, _) => LAST_CHUNK,
                    (false, true) => b"\r\n0\r\n\r\n",
                    (false, false) => b"\r\n",
                };
            }
            connection.arm(stall);
            let parts = [&head[..], step, end];
            let parts: Vec<&[u8]> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            if !parts.is_empty() && connection.client.send(&parts).await.is_err() {
                return false;
            }
            head.clear();
            if steps.peek().is_none() {
                return true;
            }
        }
    }

    /// What takes the bytes of an answer that may be kept. Its head is noted.
    pub(super) fn capture(&mut self, answer: &Answer) -> Option<Box<Capture>> {
        if answer.info.status != 200 {
            self.keeping = None; // who waits need not wait for this client to take it
        }
        let keeping = self.keeping.as_mut()?;
        keeping.fields = kept_fields(&answer.out);
        Some(Box::new(Capture::new(keeping.answer_bytes)))
    }

    /// Keeps an answer that its client has got, and gives it to those who wait for it. `sent`: its body as it was sent;
    /// nothing where it did not come to its end. `is_carried`: the next turn needs what only this client's key gets.
    pub(super) fn keep(
        &mut self,
        core: &Core,
        keeping: Keeping,
        (status, sent): (u16, Option<Box<Capture>>),
        (plan, is_carried): (&Plan, bool),
    ) {
        // Of those who wait, one goes instead.
        let Some(sent) = sent.filter(|_| status == 200).map(|capture| capture.finish()) else {
            return;
        };
        let shape = self.shape();
        let body = match plan.downstream {
            Downstream::Chunked => unchunked(&sent),
            Downstream::Length | Downstream::Close => Some(sent),
            Downstream::Empty => None,
        };
        let body = body.filter(|body| {
            (keeping.is_private || !is_carried) && repeat::is_whole(self.surface, shape, body)
        });
        let Some(mut body) = body else {
            note_kept(core, false);
            if let Some(lead) = keeping.lead {
                lead.free();
            }
            return;
        };
        body.shrink_to_fit();
        let target = self.exchange.target();
        let provider = target.map(|target| &self.live.policy.providers[target.provider].name);
        let cost = self.receipt.as_ref().map_or(0, |receipt| {
            receipt.cost.map_or(0, |cost| cost.0.saturating_sub(receipt.wasted.0))
        });
        let caller = self.exchange.caller();
        let kept = Kept {
            team: caller.and_then(|caller| caller.team.as_deref()).unwrap_or_default().into(),
            key: caller.map_or("", |caller| &caller.key).into(),
            workload: keeping.workload,
            status,
            fields: keeping.fields,
            body,
            shape,
            cost,
            target: target.map(|target| target.name.as_ref().into()).unwrap_or_default(),
            made_by: (
                provider.map(|name| name.as_ref().into()).unwrap_or_default(),
                self.exchange.upstream_model().into(),
            ),
        };
        let now = core.now();
        let (bytes, until) = (kept.bytes(), now.after(keeping.ttl));
        let (now, until) = (Nanos(now.nanos()), Nanos(until.nanos()));
        let entry = Arc::new(Entry::new(keeping.key, kept, bytes, now, until));
        let is_kept = keeping.cache.keep(&entry, keeping.epoch, now);
        note_kept(core, is_kept);
        if is_kept {
            self.tell_meaning(core, keeping.key, &entry);
            self.note = Some("stored");
        }
        if let Some(lead) = keeping.lead {
            lead.land(entry);
        }
    }
}

/// The body in chunks that were sent; `None` where they are not whole.
fn unchunked(sent: &[u8]) -> Option<Vec<u8>> {
    let mut reader = BodyReader::new(Framing::Chunked);
    let mut body = Vec::with_capacity(sent.len());
    let mut rest = sent;
    while !reader.is_ended() && !rest.is_empty() {
        let piece = reader.next(rest).ok()?;
        body.extend_from_slice(piece.data);
        rest = &rest[piece.consumed..];
    }
    (reader.is_ended() && rest.is_empty()).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::unchunked;

    #[test]
    fn chunks_become_what_is_in_them_when_they_are_whole() {
        assert_eq!(unchunked(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").as_deref(), Some(&b"abcde"[..]));
        assert_eq!(unchunked(b"0\r\n\r\n").as_deref(), Some(&b""[..]));
        for broken in [&b"3\r\nabc\r\n"[..], b"", b"3\r\nab", b"0\r\n\r\nx"] {
            assert_eq!(unchunked(broken), None, "{broken:?}");
        }
    }
}
