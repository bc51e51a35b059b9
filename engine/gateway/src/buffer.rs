//! Receive buffers of one core, used again and again.
//!
//! Every request needs two of [`LANDING_BYTES`]; allocators keep blocks of that size in slower places than small ones. A
//! long prompt needs one of its own size, and fresh memory of that size costs a page fault for every 4 KiB. What waits
//! here is bounded, so a burst does not keep its memory.

use std::cell::RefCell;

/// Room for the head and body of a small request, or the whole of a small answer.
pub(crate) const LANDING_BYTES: usize = 4 * 1024;

/// Small buffers that wait to be used again: 1 MiB of them a core.
const SPARE_MAX: usize = 256;

/// Sizes of large buffers that are kept.
const LARGE_BYTES: std::ops::RangeInclusive<usize> = 32 * 1024..=2 * 1024 * 1024;

/// Large buffers that wait to be used again: at most 8 MiB of them a core.
const LARGE_SPARE_MAX: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static LARGE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer of [`LANDING_BYTES`].
pub(crate) fn landing() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(LANDING_BYTES))
}

/// An empty buffer with room for `bytes`, or for as much as is given at once.
pub(crate) fn large(bytes: usize) -> Vec<u8> {
    let wanted = bytes.clamp(*LARGE_BYTES.start(), *LARGE_BYTES.end());
    let kept = LARGE.with_borrow_mut(|large| {
        let fits = large.iter().position(|buffer| buffer.capacity() >= wanted)?;
        Some(large.swap_remove(fits))
    });
    kept.unwrap_or_else(|| Vec::with_capacity(wanted))
}

/// Takes a buffer back, if it is one of ours and there is room.
pub(crate) fn give_back(mut buffer: Vec<u8>) {
    let (place, max) = match buffer.capacity() {
        LANDING_BYTES => (&SPARE, SPARE_MAX),
        bytes if LARGE_BYTES.contains(&bytes) => (&LARGE, LARGE_SPARE_MAX),
        _ => return,
    };
    place.with_borrow_mut(|spare| {
        if spare.len() < max {
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
    fn a_large_buffer_is_used_for_what_fits_into_it() {
        give_back(Vec::with_capacity(1 << 20));
        assert!(large(2 << 20).capacity() >= 2 << 20);
        assert_eq!(large(100 << 10).capacity(), 1 << 20);
        assert!(large(1 << 30).capacity() < 1 << 30, "no client gets so much by asking");
    }

    #[test]
    fn a_bounded_number_is_kept() {
        for _ in 0..SPARE_MAX + 10 {
            give_back(Vec::with_capacity(LANDING_BYTES));
        }
        assert_eq!(SPARE.with_borrow(Vec::len), SPARE_MAX);
    }
}
