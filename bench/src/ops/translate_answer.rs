//! A whole answer, read in the provider's dialect and written in the client's.

use std::hint::black_box;

use faregate_adapters::{chat::Assembler, dialect::Form, quirks::Quirks};

use super::{Group, Operation, Ready, translate};
use crate::input::answer;

const KIB: usize = 1024;

pub(super) const GROUP: Group = Group {
    name: "translate_answer",
    operations: &[
        Operation::ours("2KiB, chat to messages", || across(2 * KIB, Form::Chat, Form::Messages)),
        Operation::ours("2KiB, messages to chat", || across(2 * KIB, Form::Messages, Form::Chat)),
        Operation::ours("2KiB, gemini to chat", || across(2 * KIB, Form::Gemini, Form::Chat)),
        Operation::ours("32KiB, chat to messages", || across(32 * KIB, Form::Chat, Form::Messages)),
        Operation::ours("32KiB, messages to chat", || across(32 * KIB, Form::Messages, Form::Chat)),
    ],
};

fn across(bytes: usize, from: Form, to: Form) -> Ready {
    let chat = answer::body(bytes);
    let body = if from == Form::Chat { chat } else { translated(Form::Chat, from, &chat) };
    let told = translated(from, to, &body);
    let (before, after) = (translate::texts(&body), translate::texts(&told));
    assert!(before.len() > bytes / 2 && before == after, "all text is carried");
    Ready::new(body.len(), told.len() as u64, move || {
        translated(from, to, black_box(&body)).len() as u64
    })
}

/// An answer of one dialect in another; empty when it cannot be read.
fn translated(from: Form, to: Form, body: &[u8]) -> Vec<u8> {
    let mut assembler = Assembler::default();
    let terms = translate::read_terms(&Quirks::NONE);
    let read = from.outbound().read_answer(body, &terms, &mut |delta| assembler.push(delta));
    let mut out = Vec::with_capacity(body.len() + 512);
    if read.is_ok() {
        to.inbound().write_answer(&mut out, &assembler.finish(), &translate::ANSWER_TERMS);
    }
    out
}
