//! What the gateway answers by itself on the data port: health, the root, the list of models.

use std::borrow::Cow;

use faregate_adapters::{
    dialect::{anthropic, gemini, openai},
    surface::{Family, Surface},
};
use faregate_wire::{Framing, Method, RequestHead};

use crate::{
    answer::Answer,
    connection::{Connection, Next},
    exchange::{self, RequestId, Walk},
    worker::Core,
};

/// An answer that is known when the head is.
#[derive(Debug)]
pub(crate) struct Local {
    status: u16,
    content_type: &'static str,
    fields: &'static [u8],
    body: Cow<'static, [u8]>,
    head_only: bool,
    close: bool,
    head_len: usize,
    framing: Framing,
}

const READY: &str = "{\"status\":\"ready\"}\n";
const ALIVE: &str = "{\"status\":\"alive\"}\n";
const DRAINING: &str = "{\"status\":\"draining\"}\n";
const ROOT: &str = "{\"service\":\"faregate\",\"openai\":\"/v1\",\"health\":\"/health\"}\n";

/// The local answer to this head, if there is one.
pub(crate) fn route(head: &RequestHead<'_, '_>, core: &Core) -> Option<Local> {
    if !matches!(head.method, Method::Get | Method::Head) {
        return None;
    }
    let (status, body) = match head.path {
        "/" => (200, ROOT),
        "/health/liveliness" | "/health/liveness" => (200, ALIVE),
        "/health" | "/health/readiness" if core.is_draining() => (503, DRAINING),
        "/health" | "/health/readiness" => (200, READY),
        _ => return None,
    };
    let body = Cow::Borrowed(body.as_bytes());
    Some(Local { status, body, ..Local::of(head, core) })
}

impl Local {
    /// An answer to this head, without a body yet.
    fn of(head: &RequestHead<'_, '_>, core: &Core) -> Self {
        Self {
            status: 200,
            content_type: "application/json",
            fields: b"",
            body: Cow::Borrowed(b""),
            head_only: head.method == Method::Head,
            close: !head.keep_alive || core.is_draining(),
            head_len: head.len,
            framing: head.framing,
        }
    }

    /// An answer for one caller alone: nobody may store it.
    pub(crate) fn private(head: &RequestHead<'_, '_>, core: &Core, body: Vec<u8>) -> Self {
        let fields = b"cache-control: no-store\r\n";
        Self { fields, body: Cow::Owned(body), ..Self::of(head, core) }
    }
}

/// Sends it.
pub(crate) async fn serve(connection: &mut Connection, local: Local) -> Next {
    let mut rest = exchange::Rest::of(connection, local.head_len, local.framing, local.close);
    let mut out = Vec::with_capacity(256);
    Answer {
        status: local.status,
        content_type: local.content_type,
        fields: local.fields,
        body: &local.body,
        close: rest.closes(),
        head_only: local.head_only,
    }
    .write(&mut out);
    rest.answer(connection, &out).await
}

/// The models that the caller may use, as the API that was called lists them: all of them, or one. `None` when the one
/// is not among them.
pub(crate) fn models(walk: &Walk) -> Option<Vec<u8>> {
    let caller = walk.exchange.caller();
    let offered = || walk.live.policy.models.offered(caller);
    let mut body = Vec::with_capacity(1024);
    if walk.surface == Surface::Models {
        match walk.family {
            Family::Anthropic => {
                anthropic::write_models(&mut body, offered().map(|(id, _)| anthropic_model(id)))
            }
            Family::Gemini => gemini::write_models(&mut body, offered().map(|(id, _)| id)),
            Family::OpenAi | Family::Bedrock | Family::Ollama => {
                openai::write_models(&mut body, offered(), 0);
            }
        }
        return Some(body);
    }
    let wanted = walk.path.strip_prefix("/models/")?;
    let (id, owner) = offered().find(|(id, _)| *id == wanted)?;
    match walk.family {
        Family::Anthropic => anthropic::write_model(&mut body, &anthropic_model(id)),
        Family::Gemini => gemini::write_model(&mut body, id),
        Family::OpenAi | Family::Bedrock | Family::Ollama => {
            openai::write_model(&mut body, id, owner, 0);
        }
    }
    Some(body)
}

fn anthropic_model(id: &str) -> anthropic::Model<'_> {
    anthropic::Model { id, display_name: id, created: 0 }
}

/// Appends a whole answer in JSON.
pub(crate) fn write_json_answer(
    out: &mut Vec<u8>,
    body: &[u8],
    id: &RequestId,
    close: bool,
    head_only: bool,
) {
    write_answer(out, body, id, None, [close, head_only]);
}

/// Appends a number of tokens, and says how it was come by.
pub(crate) fn write_count(out: &mut Vec<u8>, body: &[u8], id: &RequestId, how: &str, close: bool) {
    write_answer(out, body, id, Some(how), [close, false]);
}

fn write_answer(
    out: &mut Vec<u8>,
    body: &[u8],
    id: &RequestId,
    count: Option<&str>,
    [close, head_only]: [bool; 2],
) {
    let mut fields = Vec::with_capacity(96);
    crate::reply::write_field(&mut fields, b"x-request-id", id.as_bytes());
    crate::reply::write_number_field(&mut fields, crate::forward::COST_FIELD, 0);
    if let Some(how) = count {
        crate::reply::write_field(&mut fields, b"x-faregate-count", how.as_bytes());
    }
    Answer {
        status: 200,
        content_type: "application/json",
        fields: &fields,
        body,
        close,
        head_only,
    }
    .write(out);
}
