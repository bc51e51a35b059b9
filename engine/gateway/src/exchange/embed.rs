//! Vectors of texts, asked of a model of the policy: a request of its own beside the one that needs them.
//!
//! In: a model's name, texts. Out: their vectors; nothing where there are none in time. It has the caller's budgets and permissions,
//! a row in the books and a line in the log of its own, under the same request id. The core waits for it as for any provider.

use std::rc::Rc;

use faregate_adapters::{
    chat::{Usage, UsageSource},
    dialect::{Form, openai},
    embed::{self, EmbedAnswer},
};
use faregate_policy::{Nanos, exchange::Settlement};
use faregate_semantic::Vector;
use faregate_wire::{BodyReader, JsonWriter};

use super::{
    Walk,
    obtain::Obtained,
    read::{Body, Stop},
};
use crate::{
    attempt::{self, Answer, Event},
    buffer::LANDING_BYTES,
    clock::Instant,
    connection::Connection,
    record::{self, Ending},
    worker::Core,
};

/// Bytes of an answer with vectors.
const ANSWER_BYTES_MAX: usize = 2 << 20;

impl Walk {
    /// Asks `model` for a vector of each text.
    ///
    /// # Errors
    ///
    /// The client has gone.
    pub(super) async fn embed(
        &self,
        connection: &mut Connection,
        model: &str,
        texts: &[&str],
        end: Instant,
    ) -> Result<Option<Vec<Vector>>, Stop> {
        let core = Rc::clone(&connection.core);
        let Some(body) = Body::made(written(model, texts), openai::FIELDS) else {
            return Ok(None);
        };
        let mut walk = Box::new(self.beside(&core, model));
        walk.body_bytes = body.bytes().len() as u64;
        if walk.resolve(&body, &core).and_then(|()| walk.draw(&core)).is_err() {
            tracing::debug!(model, "no vectors: the caller may not ask for them now");
            walk.settle_unanswered(&core, None);
            return Ok(None);
        }
        let obtained = match Box::pin(walk.obtain(connection, &body, end)).await {
            Ok(obtained) => obtained,
            Err(stop) => {
                walk.settle_unanswered(&core, None);
                return match stop {
                    Stop::ClientGone => Err(Stop::ClientGone),
                    _ => {
                        core.metrics.cache.vectorless.add(1);
                        Ok(None)
                    }
                };
            }
        };
        let vectors = walk.take_vectors(connection, obtained, texts.len(), end).await;
        if vectors.is_none() {
            core.metrics.cache.vectorless.add(1);
        }
        Ok(vectors)
    }

    /// Reads the answer, settles what it cost, and keeps its connection.
    async fn take_vectors(
        &mut self,
        connection: &mut Connection,
        obtained: Obtained,
        count: usize,
        end: Instant,
    ) -> Option<Vec<Vector>> {
        let core = Rc::clone(&connection.core);
        let Obtained { mut answer, target, replica, crossing } = obtained;
        let status = answer.info.status;
        let body = whole(&core, connection, &mut answer, end).await;
        let is_read = body.is_some();
        let delivered = (200..300).contains(&status);
        let form = crossing.map_or(Form::Chat, |crossing| crossing.target);
        let body = body.unwrap_or_default();
        let read = match form {
            Form::Gemini => embed::gemini::read_answer(&body),
            _ => embed::openai::read_answer(&body),
        };
        let read = read.ok().filter(|_| delivered && is_read);
        let tokens = read.as_ref().and_then(|read| read.input_tokens);
        let usage = tokens.map(|input| Usage { input, ..Usage::default() });
        let source = if usage.is_some() { UsageSource::Provider } else { UsageSource::Absent };
        let settlement =
            Settlement { usage, usage_source: source, delivered, ..Settlement::default() };
        self.receipt = Some(self.exchange.settle(settlement, Nanos(core.now().nanos())));
        let bytes = body.len() as u64;
        let code = if delivered { "" } else { "upstream_status" };
        let ending = Ending { status, code, usage: usage.as_ref(), source, bytes, delivered };
        record::record(&core, self, &ending);
        if is_read && answer.info.keep_alive && !answer.early {
            let upstream = &self.live.targets[target].upstreams[replica];
            core.pool.put(upstream.id, answer.stream, core.now());
        }
        vectors(&read?, count)
    }
}

/// The request's body.
fn written(model: &str, texts: &[&str]) -> Vec<u8> {
    let mut body = Vec::with_capacity(256);
    let mut json = JsonWriter::new(&mut body);
    json.object().member_str("model", model).name("input").array();
    texts.iter().for_each(|text| {
        json.str(text);
    });
    json.end().member_str("encoding_format", "float").end();
    body
}

/// The body of an answer, if it is whole in time.
async fn whole(
    core: &Core,
    connection: &mut Connection,
    answer: &mut Answer,
    end: Instant,
) -> Option<Vec<u8>> {
    let mut reader = BodyReader::new(answer.info.framing);
    let mut body = Vec::new();
    let mut buf = answer.buf.split_off(answer.info.len);
    connection.client.slot.arm(end);
    loop {
        let mut used = 0;
        while !reader.is_ended() {
            let piece = reader.next(&buf[used..]).ok()?;
            body.extend_from_slice(piece.data);
            used += piece.consumed;
            if piece.consumed == 0 && !piece.end {
                break;
            }
        }
        if reader.is_ended() {
            // What comes behind an answer nobody asked for.
            return (used == buf.len()).then_some(body);
        }
        if body.len() > ANSWER_BYTES_MAX || core.now() >= end {
            return None;
        }
        buf.drain(..used);
        buf.reserve(LANDING_BYTES);
        answer.stream.begin(buf);
        let client = &mut connection.client;
        let stream = &mut answer.stream;
        let event = std::future::poll_fn(|cx| attempt::poll_answer(client, stream, cx)).await;
        buf = match event {
            Event::Received((Ok(n), buf)) if n > 0 => buf,
            _ => return None,
        };
    }
}

fn vectors(answer: &EmbedAnswer<'_>, count: usize) -> Option<Vec<Vector>> {
    let vectors: Option<Vec<Vector>> = answer.vectors.iter().map(vector).collect();
    vectors.filter(|vectors| vectors.len() == count)
}

#[expect(clippy::cast_possible_truncation, reason = "a part of a vector needs no more digits")]
fn vector(spelled: &embed::Vector<'_>) -> Option<Vector> {
    match spelled {
        embed::Vector::Numbers(numbers) => {
            let numbers: Option<Vec<f32>> =
                numbers.items().map(|number| number.f64().map(|number| number as f32)).collect();
            Vector::of(&numbers?)
        }
        embed::Vector::Base64(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_read_as_they_are_asked_for() {
        let body = written("a/b", &["one \"text\"", "two"]);
        let expected =
            r#"{"model":"a/b","input":["one \"text\"","two"],"encoding_format":"float"}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
        let answer = br#"{"object":"list","data":[{"index":1,"embedding":[0.6,-8e-1]},{"index":0,"embedding":[1,0]}],"usage":{"prompt_tokens":7}}"#;
        let read = embed::openai::read_answer(answer).unwrap();
        let found = vectors(&read, 2).unwrap();
        assert_eq!(found[0], Vector::of(&[1.0, 0.0]).unwrap());
        assert_eq!(found[1], Vector::of(&[0.6, -0.8]).unwrap());
        assert!(vectors(&read, 3).is_none(), "one for each text, or none");
    }
}
