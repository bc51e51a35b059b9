//! The blocks of a stream that is written: the open one, and those that wait for it.

use faregate_wire::JsonWriter;

use crate::chat::Progress;

/// The bytes that a block or a piece of it takes up while it waits, what it says aside.
const PIECE_BYTES: usize = 64;

/// A block that waits.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) pieces: Vec<Piece>,
    /// Nothing more goes into it.
    pub(super) is_sealed: bool,
}

/// A piece of a block.
#[derive(Debug)]
pub(super) enum Piece {
    /// What the block is made of: text, a thought, arguments.
    Text(String),
    /// Another member of a delta: its name, and its value as JSON.
    Other(&'static str, Vec<u8>),
}

#[derive(Debug)]
pub(super) enum Kind {
    Text,
    Thought,
    Redacted,
    Image { format: &'static str },
    Call { call: u32, id: String, name: String, progress: Progress },
}

impl Block {
    pub(super) const fn new(kind: Kind) -> Self {
        Self { kind, pieces: Vec::new(), is_sealed: false }
    }

    /// Adds to its text; the bytes that this takes up.
    pub(super) fn add_text(&mut self, text: &str) -> usize {
        if let Some(Piece::Text(last)) = self.pieces.last_mut() {
            last.push_str(text);
            return text.len();
        }
        self.pieces.push(Piece::Text(text.to_owned()));
        text.len() + PIECE_BYTES
    }

    /// Adds another member; the bytes that this takes up.
    pub(super) fn add_other(
        &mut self,
        name: &'static str,
        write: impl FnOnce(&mut JsonWriter<'_>),
    ) -> usize {
        let mut value = Vec::new();
        write(&mut JsonWriter::new(&mut value));
        let bytes = value.len() + PIECE_BYTES;
        self.pieces.push(Piece::Other(name, value));
        bytes
    }

    /// The bytes that it takes up without its pieces.
    pub(super) const fn bytes(&self) -> usize {
        match &self.kind {
            Kind::Call { id, name, .. } => id.len() + name.len() + PIECE_BYTES,
            Kind::Text | Kind::Thought | Kind::Redacted | Kind::Image { .. } => PIECE_BYTES,
        }
    }
}

impl Kind {
    /// Whether something else may follow.
    pub(super) const fn is_done(&self) -> bool {
        match self {
            Self::Text | Self::Thought | Self::Redacted | Self::Image { .. } => true,
            Self::Call { progress, .. } => progress.is_whole(),
        }
    }

    pub(super) fn is_call(&self, wanted: u32) -> bool {
        matches!(self, Self::Call { call, .. } if *call == wanted)
    }

    /// Whether more of the same goes into it.
    pub(super) const fn takes(&self, more: &Self) -> bool {
        matches!((self, more), (Self::Text, Self::Text) | (Self::Thought, Self::Thought))
    }

    /// Whether its beginning is an event of its own.
    pub(super) const fn is_announced(&self) -> bool {
        matches!(self, Self::Image { .. } | Self::Call { .. })
    }

    /// More of a call's arguments.
    pub(super) fn feed(&mut self, fragment: &str) {
        if let Self::Call { progress, .. } = self {
            progress.feed(fragment);
        }
    }

    /// Writes the member of a delta that holds its text.
    pub(super) fn write_text(&self, json: &mut JsonWriter<'_>, text: &str) {
        match self {
            Self::Call { .. } => {
                json.name("toolUse").object().member_str("input", text).end();
            }
            Self::Thought => {
                json.name("reasoningContent").object().member_str("text", text).end();
            }
            Self::Text | Self::Redacted | Self::Image { .. } => {
                json.member_str("text", text);
            }
        }
    }

    pub(super) fn write_start(&self, json: &mut JsonWriter<'_>) {
        match self {
            Self::Image { format } => {
                json.name("image").object().member_str("format", format).end();
            }
            Self::Call { id, name, .. } => {
                json.name("toolUse").object();
                json.member_str("toolUseId", id).member_str("name", name).end();
            }
            Self::Text | Self::Thought | Self::Redacted => {}
        }
    }
}
