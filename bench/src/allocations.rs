//! The system's allocator, with a count of what each thread asks of it. The only `unsafe` of this crate.
//!
//! A count is a thread's own, so that counting costs no shared line while the load generator runs in this program.
#![expect(
    unsafe_code,
    reason = "an allocator is an unsafe trait; each call goes to the system's with its arguments"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What a thread has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Blocks, those that were moved to grow or shrink counted again.
    pub(crate) blocks: u64,
    /// Bytes of them.
    pub(crate) bytes: u64,
}

thread_local! {
    static ASKED: Cell<Asked> = const { Cell::new(Asked { blocks: 0, bytes: 0 }) };
}

/// What this thread has asked for since it began.
pub(crate) fn asked() -> Asked {
    ASKED.get()
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every method passes its arguments on to the system's allocator and gives back what that gave; the count is a
// thread-local without a destructor and without an initialiser that runs, so it allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller upholds what the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above; `block` came from the system's allocator, since every block does.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

fn count(bytes: usize) {
    let Asked { blocks, bytes: before } = ASKED.get();
    ASKED.set(Asked { blocks: blocks + 1, bytes: before + bytes as u64 });
}

#[cfg(test)]
mod tests {
    use faregate_adapters::dialect::Form;
    use faregate_bench::ops::translate_chunk;

    use super::*;

    /// What it takes to translate a stream of so many events.
    fn of_a_stream(from: Form, to: Form, events: usize) -> Asked {
        let before = asked();
        let _bytes = translate_chunk::stream(from, to, events);
        let after = asked();
        Asked { blocks: after.blocks - before.blocks, bytes: after.bytes - before.bytes }
    }

    #[test]
    fn no_event_of_a_translated_stream_takes_more_memory_than_the_one_before() {
        // The Responses API repeats the text at the end of a stream: its writer keeps it.
        let clients = [Form::Chat, Form::Messages, Form::Gemini, Form::Converse];
        for from in [Form::Chat, Form::Messages, Form::Gemini] {
            for to in clients.into_iter().filter(|to| *to != from) {
                let _bytes = translate_chunk::stream(from, to, 1);
                let [short, longer, long] =
                    [10, 11, 10_010].map(|events| of_a_stream(from, to, events));
                let name = format!("{} to {}", from.name(), to.name());
                let each = longer.blocks - short.blocks;
                assert_eq!(long.blocks - short.blocks, 10_000 * each, "blocks of {name}");
                let each = longer.bytes - short.bytes;
                assert_eq!(long.bytes - short.bytes, 10_000 * each, "bytes of {name}");
            }
        }
    }

    #[test]
    fn a_block_is_counted_with_its_bytes_and_counted_again_when_it_grows() {
        let before = asked();
        let mut block: Vec<u8> = Vec::with_capacity(100);
        let one = asked();
        assert_eq!((one.blocks - before.blocks, one.bytes - before.bytes), (1, 100));
        block.reserve_exact(300);
        let two = asked();
        assert_eq!((two.blocks - one.blocks, two.bytes - one.bytes), (1, 300));
    }
}
