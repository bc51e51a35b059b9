//! Buffers between uses.
//!
//! In: empty buffers. Out: the same again. A connection holds one only while something waits in it;
//! large ones are kept apart, since making one anew costs a page fault for every 4 KiB.

/// Room in a buffer that is small.
const SMALL_BYTES_MAX: usize = 64 << 10;

/// Room in a buffer that is worth keeping.
const LARGE_BYTES_MAX: usize = 4 << 20;

/// Buffers kept of either kind.
const SMALL_MAX: usize = 256;
const LARGE_MAX: usize = 16;

/// The spare buffers of a thread.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

impl Pool {
    /// An empty buffer, used before if there is one.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.small.pop().unwrap_or_default()
    }

    /// Takes back a buffer that is empty.
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        let (kept, most) = match buffer.capacity() {
            0 => return,
            bytes if bytes <= SMALL_BYTES_MAX => (&mut self.small, SMALL_MAX),
            bytes if bytes <= LARGE_BYTES_MAX => (&mut self.large, LARGE_MAX),
            _ => return,
        };
        if kept.len() < most {
            kept.push(buffer);
        }
    }

    /// Sees to it that `buffer` has room for `bytes` in all.
    pub(crate) fn grow(&mut self, buffer: &mut Vec<u8>, bytes: usize) {
        if bytes <= buffer.capacity() {
            return;
        }
        let large = if bytes > SMALL_BYTES_MAX { self.large.pop() } else { None };
        if let Some(mut large) = large {
            large.extend_from_slice(buffer);
            self.give(std::mem::replace(buffer, large));
        }
        buffer.reserve(bytes - buffer.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_buffer_is_used_again_and_keeps_what_was_in_the_small_one() {
        let mut pool = Pool::default();
        let mut buffer = b"front".to_vec();
        pool.grow(&mut buffer, 1 << 20);
        let place = buffer.as_ptr();
        pool.give(buffer);
        let mut buffer = b"front".to_vec();
        pool.grow(&mut buffer, 1 << 20);
        assert_eq!((buffer.as_slice(), buffer.as_ptr()), (b"front".as_slice(), place));
        assert!(pool.take().capacity() > 0, "the small one is spare");
    }
}
