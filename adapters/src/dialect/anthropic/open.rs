//! The blocks of a stream that is written: the open one, and those that wait for it.

use crate::chat::Progress;

/// A block, open or waiting.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: Kind,
    /// What waits to be written: text, or fragments of arguments.
    pub(super) text: String,
    pub(super) signature: Option<String>,
    /// JSON texts.
    pub(super) citations: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Text,
    Thinking,
    Redacted,
    Call { call: u32, id: String, name: String, is_free: bool, progress: Progress },
}

impl Block {
    pub(super) const fn new(kind: Kind) -> Self {
        Self { kind, text: String::new(), signature: None, citations: Vec::new() }
    }

    /// Whether something else may follow.
    pub(super) const fn is_done(&self) -> bool {
        match &self.kind {
            Kind::Text | Kind::Thinking | Kind::Redacted => true,
            Kind::Call { is_free, progress, .. } => progress.is_whole() && !*is_free,
        }
    }

    pub(super) fn is_call(&self, wanted: u32) -> bool {
        matches!(&self.kind, Kind::Call { call, .. } if *call == wanted)
    }

    /// Whether more of the same goes into it.
    pub(super) fn takes(&self, kind: &Kind) -> bool {
        match (&self.kind, kind) {
            (Kind::Text, Kind::Text) => true,
            (Kind::Thinking, Kind::Thinking) => self.signature.is_none(),
            _ => false,
        }
    }
}
