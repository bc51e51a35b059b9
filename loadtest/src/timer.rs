//! Deadlines of the connections of one event loop.
//!
//! In: a token and when to wake it. Out: the tokens whose time has come. A token that is set again
//! leaves its older entry behind; whoever is woken compares its own deadline and ignores the rest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::Nanos;

/// Deadlines that lie closer than this to the present are due with it: one wake-up for all of them.
const SLACK_NANOS: u64 = 30_000;

/// A heap of deadlines.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Nanos, u64)>>,
}

impl Timers {
    /// Wakes `token` at `when`.
    pub(crate) fn set(&mut self, when: Nanos, token: u64) {
        self.heap.push(Reverse((when, token)));
    }

    /// Takes one entry that is due at `now`.
    pub(crate) fn due(&mut self, now: Nanos) -> Option<(Nanos, u64)> {
        let &Reverse((when, _)) = self.heap.peek()?;
        if when.0 > now.0 + SLACK_NANOS {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// When the next entry is due.
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse((when, _))| *when)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_order_of_time_and_not_before_it() {
        let mut timers = Timers::default();
        timers.set(Nanos(3_000_000), 3);
        timers.set(Nanos(1_000_000), 1);
        timers.set(Nanos(2_000_000), 2);
        assert_eq!(timers.next(), Some(Nanos(1_000_000)));
        assert_eq!(timers.due(Nanos(500_000)), None);
        assert_eq!(timers.due(Nanos(2_500_000)), Some((Nanos(1_000_000), 1)));
        assert_eq!(timers.due(Nanos(2_500_000)), Some((Nanos(2_000_000), 2)));
        assert_eq!(timers.due(Nanos(2_500_000)), None);
    }
}
