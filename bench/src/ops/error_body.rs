//! The body of a refusal, in OpenAI's shape.

use std::hint::black_box;

use faregate_adapters::dialect::openai::{ErrorBody, write_error};
use serde::Serialize;

use super::{Group, Operation, Ready};

pub(super) const GROUP: Group = Group {
    name: "error_body",
    operations: &[
        Operation::ours("rate limit", ours),
        Operation::by("serde_json struct", "rate limit", serde_struct),
        Operation::by("sonic-rs struct", "rate limit", sonic_struct),
    ],
};

const MESSAGE: &str =
    "limit team/search 600 requests/min is used up: asked 1, left 0; try again in 92 ms";
const KIND: &str = "rate_limit_error";
const CODE: &str = "request_rate";
const ID: &str = "01939f5c-7c1e-7a3b-8f21-5d0b6f8f2a11";

/// Bytes of the body, so that all who write it have written the same.
const BYTES: usize = 222;

fn ours() -> Ready {
    let error = ErrorBody {
        status: 400,
        message: MESSAGE,
        kind: KIND,
        code: CODE,
        param: Some("model"),
        request_id: ID,
        extra: None,
    };
    Ready::new(BYTES, BYTES as u64, move || {
        let mut body = Vec::with_capacity(256);
        write_error(&mut body, black_box(&error));
        black_box(&body).len() as u64
    })
}

/// What a library would be given.
#[derive(Serialize)]
struct Outer {
    error: Inner,
}

#[derive(Serialize)]
struct Inner {
    message: &'static str,
    r#type: &'static str,
    param: Option<&'static str>,
    code: &'static str,
    request_id: &'static str,
}

const OUTER: Outer = Outer {
    error: Inner {
        message: MESSAGE,
        r#type: KIND,
        param: Some("model"),
        code: CODE,
        request_id: ID,
    },
};

fn serde_struct() -> Ready {
    Ready::new(BYTES, BYTES as u64, || {
        let mut body = Vec::with_capacity(256);
        let written = serde_json::to_writer(&mut body, black_box(&OUTER));
        written.map_or(0, |()| black_box(&body).len() as u64)
    })
}

fn sonic_struct() -> Ready {
    Ready::new(BYTES, BYTES as u64, || {
        let mut body = Vec::with_capacity(256);
        let written = sonic_rs::to_writer(&mut body, black_box(&OUTER));
        written.map_or(0, |()| black_box(&body).len() as u64)
    })
}
