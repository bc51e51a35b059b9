//! What recurs from row to row as a whole: who pays, what was used, which scopes pay. Each written once a segment.
//!
//! In: a shared value. Out: its number in the segment, or that it has none yet. Remembered between calls: all values of the
//! segment so far, and by their address those that came last: whoever makes rows shares these parts, so that most are found
//! without a look at what they say.

use std::{hash::Hash, sync::Arc};

use hashbrown::HashMap;

/// The most values of a kind that one segment gives a number.
pub(crate) const VALUES_MAX: usize = 16_384;

/// Addresses that are remembered.
const RECENT: usize = 1024;

/// Values of one kind.
#[derive(Debug)]
pub(crate) struct Shelf<T: ?Sized> {
    values: Vec<Arc<T>>,
    numbers: HashMap<Arc<T>, u64>,
    /// By address; a value in it lives, so no other one can be at its address.
    recent: Box<[Option<(Arc<T>, u64)>]>,
}

/// What is known of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It has this number.
    Known(u64),
    /// It has just been given the next number.
    New,
    /// It has none, and there is none left.
    Full,
}

impl<T: ?Sized> Default for Shelf<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashMap::new(), recent: Box::default() }
    }
}

impl<T: ?Sized + Hash + Eq> Shelf<T> {
    /// How many have a number.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The number of a value, given to it where it has none.
    pub(crate) fn number(&mut self, value: &Arc<T>) -> Found {
        if self.recent.is_empty() {
            self.recent = (0..RECENT).map(|_| None).collect();
        }
        let slot = slot(value);
        if let Some((known, number)) = &self.recent[slot]
            && Arc::ptr_eq(known, value)
        {
            return Found::Known(*number);
        }
        if let Some(&number) = self.numbers.get(&**value) {
            self.recent[slot] = Some((Arc::clone(value), number));
            return Found::Known(number);
        }
        if !self.push(Arc::clone(value)) {
            return Found::Full;
        }
        let number = self.values.len() as u64 - 1;
        self.numbers.insert(Arc::clone(value), number);
        self.recent[slot] = Some((Arc::clone(value), number));
        Found::New
    }

    /// Gives the next number to a value that was read; `false`: there is none left.
    pub(crate) fn push(&mut self, value: Arc<T>) -> bool {
        let has_room = self.values.len() < VALUES_MAX;
        if has_room {
            self.values.push(value);
        }
        has_room
    }

    /// The value of a number.
    pub(crate) fn get(&self, number: u64) -> Option<&Arc<T>> {
        self.values.get(usize::try_from(number).ok()?)
    }

    /// Forgets all but the first `kept` values.
    pub(crate) fn truncate(&mut self, kept: usize) {
        if kept < self.values.len() {
            for value in self.values.drain(kept..) {
                self.numbers.remove(&value);
            }
            self.recent = Box::default();
        }
    }
}

fn slot<T: ?Sized>(value: &Arc<T>) -> usize {
    let address = Arc::as_ptr(value).cast::<u8>().addr();
    (address >> 4 ^ address >> 14) % RECENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_number_wherever_it_lies() {
        let mut shelf = Shelf::<str>::default();
        let (one, same, other): (Arc<str>, Arc<str>, Arc<str>) =
            ("a".into(), "a".into(), "b".into());
        assert_eq!(shelf.number(&one), Found::New);
        assert_eq!(shelf.number(&same), Found::Known(0));
        assert_eq!(shelf.number(&other), Found::New);
        assert_eq!((shelf.number(&one), shelf.number(&other)), (Found::Known(0), Found::Known(1)));
        shelf.truncate(1);
        assert_eq!((shelf.number(&one), shelf.number(&other)), (Found::Known(0), Found::New));
    }

    #[test]
    fn a_full_shelf_gives_no_number() {
        let mut shelf = Shelf::<str>::default();
        for at in 0..VALUES_MAX {
            assert_eq!(shelf.number(&at.to_string().into()), Found::New);
        }
        assert_eq!(shelf.number(&"one more".into()), Found::Full);
        assert_eq!(shelf.number(&"7".into()), Found::Known(7));
    }
}
