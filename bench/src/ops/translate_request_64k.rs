//! A request of 64 KiB, read in the client's dialect and written in the provider's.
//!
//! About a hundred messages. Text is decoded where it has escapes and quoted anew; what has none is copied once.

use std::hint::black_box;

use faregate_adapters::dialect::Form;

use super::{Group, Operation, Ready, translate};
use crate::input::{
    Style,
    chat::{self, KIB, Place},
};

pub(super) const GROUP: Group = Group {
    name: "translate_request_64k",
    operations: &[
        Operation::ours("chat to messages", || across(Style::Plain, Form::Chat, Form::Messages)),
        Operation::ours("chat to messages, dense text", || {
            across(Style::Dense, Form::Chat, Form::Messages)
        }),
        Operation::ours("messages to chat", || across(Style::Plain, Form::Messages, Form::Chat)),
        Operation::ours("chat to gemini", || across(Style::Plain, Form::Chat, Form::Gemini)),
        Operation::ours("chat to responses", || across(Style::Plain, Form::Chat, Form::Responses)),
        Operation::ours("chat to converse", || across(Style::Plain, Form::Chat, Form::Converse)),
    ],
};

fn across(style: Style, from: Form, to: Form) -> Ready {
    let chat = chat::body_of(style, 64 * KIB, Place::First);
    let body = if from == Form::Chat { chat } else { translate::request(Form::Chat, from, &chat) };
    let sent = translate::request(from, to, &body);
    let (before, after) = (translate::texts(&body), translate::texts(&sent));
    assert!(before.len() > 48 * KIB && is_same(&before, &after), "all text is carried");
    Ready::new(body.len(), sent.len() as u64, move || {
        translate::request(from, to, black_box(&body)).len() as u64
    })
}

/// Whether two bodies say the same: instructions may stand elsewhere.
fn is_same(before: &str, after: &str) -> bool {
    let counts = |text: &str| {
        let mut counts = [0_u32; 256];
        text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
        counts
    };
    counts(before) == counts(after)
}
