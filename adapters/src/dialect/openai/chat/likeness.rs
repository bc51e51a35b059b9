//! Chunks that are like the one before but for their text.
//!
//! Most chunks of a stream differ in one string alone, and in OpenAI's padding (`obfuscation`). What stood around the
//! text of a chunk that said nothing else is kept: a chunk with the same bytes around a string says that string, and need
//! not be read. State: the last such chunk without its text, at most [`KEPT_BYTES_MAX`].

use faregate_wire::Json;
use memchr::memchr2;

use super::piece;

/// The most bytes that are kept of a chunk.
const KEPT_BYTES_MAX: usize = 4096;

/// How many chunks are kept in a row without one that is like it; some streams change elsewhere too (usage).
const MISSES_MAX: u8 = 8;

/// Stands before padding, which is the last member.
const PADDING: &[u8] = b",\"obfuscation\":\"";

/// What stood around a text.
#[derive(Debug, Default)]
pub(super) struct Likeness {
    before: Vec<u8>,
    /// Up to the padding, if there is any.
    after: Vec<u8>,
    is_padded: bool,
    choice: u32,
    misses: u8,
}

impl Likeness {
    /// The choice and the text of a chunk that is like the one that was kept.
    pub(super) fn text<'d>(&mut self, data: &'d [u8]) -> Option<(u32, Json<'d>)> {
        if self.before.is_empty() {
            return None;
        }
        let rest = data.strip_prefix(&self.before[..])?;
        let (literal, after) = rest.split_at_checked(string_len(rest)?)?;
        let after = after.strip_prefix(&self.after[..])?;
        let is_end = match self.is_padded {
            true => memchr2(b'"', b'\\', after).is_some_and(|at| after.get(at..) == Some(b"\"}")),
            false => after.is_empty(),
        };
        let text = Json::new(literal).filter(|_| is_end)?;
        self.misses = 0;
        Some((self.choice, text))
    }

    /// Keeps what stands around the text of a chunk that said nothing but that.
    pub(super) fn keep(&mut self, data: &[u8], chunk: Json<'_>) {
        if self.misses == MISSES_MAX || data.len() > KEPT_BYTES_MAX {
            return;
        }
        self.misses += 1;
        self.before.clear();
        let Some((choice, literal)) = text_of(chunk) else { return };
        let start = literal.as_ptr().addr().wrapping_sub(data.as_ptr().addr());
        let (Some(before), Some(after)) = (data.get(..start), data.get(start + literal.len()..))
        else {
            return;
        };
        let padding = memchr::memmem::rfind(after, PADDING).map(|at| at + PADDING.len());
        self.before.extend_from_slice(before);
        self.after.clear();
        self.after.extend_from_slice(after.get(..padding.unwrap_or(after.len())).unwrap_or(after));
        self.is_padded = padding.is_some();
        self.choice = choice;
    }
}

/// The only choice of a chunk, and its text as it is spelled.
fn text_of(chunk: Json<'_>) -> Option<(u32, &[u8])> {
    let mut choices = chunk.get("choices")?.items();
    let choice = piece::Choice::read(choices.next()?);
    Some((choice.index.unwrap_or(0), choice.literal()?)).filter(|_| choices.next().is_none())
}

/// Bytes of the string that `text` begins with, quotes included.
fn string_len(text: &[u8]) -> Option<usize> {
    let mut at = text.starts_with(b"\"").then_some(1)?;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}
