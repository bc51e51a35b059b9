//! Receive buffers of one core, used again and again.
//!
//! Every request needs two of [`LANDING_BYTES`]; allocators keep blocks of that size in slower places than small ones. At
//! most [`SPARE_MAX`] wait here, so a burst of connections does not keep its memory.

use std::cell::RefCell;

/// Room for the head and body of a small request, or the whole of a small answer.
pub(crate) const LANDING_BYTES: usize = 4 * 1024;

/// Buffers that wait to be used again: 1 MiB of them a core.
const SPARE_MAX: usize = 256;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer of [`LANDING_BYTES`].
pub(crate) fn landing() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(LANDING_BYTES))
}

/// Takes a buffer back, if it is one of ours and there is room.
pub(crate) fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() != LANDING_BYTES {
        return;
    }
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARE_MAX {
            buffer.clear();
            spare.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_and_a_foreign_one_does_not() {
        let mut buffer = landing();
        buffer.extend_from_slice(b"secret");
        give_back(buffer);
        give_back(Vec::with_capacity(LANDING_BYTES + 1));
        let again = landing();
        assert!(again.is_empty());
        assert_eq!(again.capacity(), LANDING_BYTES);
        assert!(SPARE.with_borrow(Vec::is_empty));
    }

    #[test]
    fn a_bounded_number_is_kept() {
        for _ in 0..SPARE_MAX + 10 {
            give_back(Vec::with_capacity(LANDING_BYTES));
        }
        assert_eq!(SPARE.with_borrow(Vec::len), SPARE_MAX);
    }
}
