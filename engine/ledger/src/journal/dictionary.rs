//! Texts, processes, and parts of rows that come again and again in a segment, each written once.
//!
//! A text is written out where it stands for the first time and gets the next number; later it is that number. Remembered
//! between calls: all texts and processes of the segment so far. Writer and reader build the same dictionary from the same
//! records, so that a segment can be read from its start without anything else.

use std::{hash::Hash, sync::Arc};

use hashbrown::HashMap;

use super::{
    bytes::{Malformed, Reader, put, put_bytes},
    shelf::{Found, Shelf},
};
use crate::row::{Payer, RowId, Work};

/// The most texts that one segment gives a number.
const TEXTS_MAX: usize = 65_536;

/// The most processes that one segment gives a number.
const PROCESSES_MAX: usize = 64;

/// A text, a process or a part that follows and gets no number.
const LITERAL: u64 = 1;
/// One that follows and gets the next number.
const NEW: u64 = 2;
/// The first of those that have one.
const KNOWN: u64 = 3;

/// The texts, processes and parts of rows of a segment.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u64>,
    processes: Vec<(u64, u64)>,
    /// Who pays.
    pub(crate) payers: Shelf<Payer>,
    /// What was used.
    pub(crate) works: Shelf<Work>,
    /// Which scopes pay.
    pub(crate) scopes: Shelf<[Arc<str>]>,
}

/// Which parts of rows are meant.
pub(crate) type Part<T> = fn(&mut Dictionary) -> &mut Shelf<T>;

/// A state to return to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    texts: usize,
    processes: usize,
    payers: usize,
    works: usize,
    scopes: usize,
}

impl Dictionary {
    /// The present state, for [`forget_since`](Self::forget_since).
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            texts: self.texts.len(),
            processes: self.processes.len(),
            payers: self.payers.len(),
            works: self.works.len(),
            scopes: self.scopes.len(),
        }
    }

    /// Goes back to `mark`: what was written since has not reached the disk.
    pub(crate) fn forget_since(&mut self, mark: Mark) {
        for text in self.texts.drain(mark.texts..) {
            self.numbers.remove(&text);
        }
        self.processes.truncate(mark.processes);
        self.payers.truncate(mark.payers);
        self.works.truncate(mark.works);
        self.scopes.truncate(mark.scopes);
    }

    /// Writes a text that is likely to come again.
    #[inline]
    pub(crate) fn put_text(&mut self, out: &mut Vec<u8>, text: &str) {
        if text.is_empty() {
            out.push(0);
        } else if let Some(number) = self.numbers.get(text) {
            put(out, KNOWN + number);
        } else if self.texts.len() < TEXTS_MAX {
            put(out, NEW);
            put_bytes(out, text.as_bytes());
            let text: Arc<str> = text.into();
            self.numbers.insert(Arc::clone(&text), self.texts.len() as u64);
            self.texts.push(text);
        } else {
            put_literal(out, text);
        }
    }

    /// Writes a part of a row by its number; one that has none is written out by `write`.
    #[inline]
    pub(crate) fn put_part<T: ?Sized + Hash + Eq>(
        &mut self,
        part: Part<T>,
        out: &mut Vec<u8>,
        value: &Arc<T>,
        write: impl FnOnce(&mut Self, &mut Vec<u8>),
    ) {
        match part(self).number(value) {
            Found::Known(number) => put(out, KNOWN + number),
            found => {
                put(out, if found == Found::New { NEW } else { LITERAL });
                write(self, out);
            }
        }
    }

    /// Reads a part of a row; one that is written out by `read`.
    pub(crate) fn part<T: ?Sized + Hash + Eq>(
        &mut self,
        part: Part<T>,
        reader: &mut Reader<'_>,
        what: &'static str,
        read: impl FnOnce(&mut Self, &mut Reader<'_>) -> Result<Arc<T>, Malformed>,
    ) -> Result<Arc<T>, Malformed> {
        match reader.number(what)? {
            0 => Err(Malformed(what)),
            LITERAL => read(self, reader),
            NEW => {
                let value = read(self, reader)?;
                let is_kept = part(self).push(Arc::clone(&value));
                if is_kept { Ok(value) } else { Err(Malformed(what)) }
            }
            number => part(self).get(number - KNOWN).cloned().ok_or(Malformed(what)),
        }
    }

    /// Writes the name of a row.
    pub(crate) fn put_id(&mut self, out: &mut Vec<u8>, id: RowId) {
        let process = (id.node, id.boot);
        if let Some(number) = self.processes.iter().position(|known| *known == process) {
            put(out, KNOWN + number as u64);
        } else {
            let is_kept = self.processes.len() < PROCESSES_MAX;
            put(out, if is_kept { NEW } else { LITERAL });
            out.extend_from_slice(&id.node.to_le_bytes());
            out.extend_from_slice(&id.boot.to_le_bytes());
            if is_kept {
                self.processes.push(process);
            }
        }
        put(out, id.number);
    }

    /// Reads a text.
    pub(crate) fn text(
        &mut self,
        reader: &mut Reader<'_>,
        what: &'static str,
    ) -> Result<Arc<str>, Malformed> {
        match reader.number(what)? {
            0 => Ok(Arc::default()),
            LITERAL => Ok(written_out(reader, what)?.into()),
            NEW if self.texts.len() < TEXTS_MAX => {
                let text: Arc<str> = written_out(reader, what)?.into();
                self.texts.push(Arc::clone(&text));
                Ok(text)
            }
            NEW => Err(Malformed(what)),
            number => {
                let at = usize::try_from(number - KNOWN).map_err(|_| Malformed(what))?;
                self.texts.get(at).cloned().ok_or(Malformed(what))
            }
        }
    }

    /// Reads the name of a row.
    pub(crate) fn id(&mut self, reader: &mut Reader<'_>) -> Result<RowId, Malformed> {
        const WHAT: &str = "the name of a row";
        let mark = reader.number(WHAT)?;
        let (node, boot) = match mark {
            0 => return Err(Malformed(WHAT)),
            LITERAL | NEW => {
                let node = u64::from_le_bytes(reader.array(WHAT)?);
                let boot = u64::from_le_bytes(reader.array(WHAT)?);
                if mark == NEW && self.processes.len() < PROCESSES_MAX {
                    self.processes.push((node, boot));
                } else if mark == NEW {
                    return Err(Malformed(WHAT));
                }
                (node, boot)
            }
            number => {
                let at = usize::try_from(number - KNOWN).map_err(|_| Malformed(WHAT))?;
                *self.processes.get(at).ok_or(Malformed(WHAT))?
            }
        };
        Ok(RowId { node, boot, number: reader.number(WHAT)? })
    }
}

/// Writes a text that is not likely to come again.
pub(crate) fn put_literal(out: &mut Vec<u8>, text: &str) {
    if text.is_empty() {
        out.push(0);
    } else {
        put(out, LITERAL);
        put_bytes(out, text.as_bytes());
    }
}

fn written_out<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<&'a str, Malformed> {
    std::str::from_utf8(reader.bytes(what)?).map_err(|_| Malformed(what))
}
