//! Which numbers have been seen, when nearly all of them come.
//!
//! In: numbers, about in order. Out: whether one is new. Remembered: runs of numbers, so that a long life costs no more than
//! its gaps.

use std::collections::BTreeMap;

/// The most runs that are kept apart. Beyond it the oldest run is forgotten, and its numbers would be new again.
const RUNS_MAX: usize = 65_536;

/// Numbers that have been seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// The last number of each run, by its first. Runs neither touch nor overlap.
    runs: BTreeMap<u64, u64>,
}

impl Numbers {
    /// Whether `number` has been seen.
    pub(crate) fn contains(&self, number: u64) -> bool {
        self.runs.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    /// Adds `number`; whether it is new.
    pub(crate) fn insert(&mut self, number: u64) -> bool {
        // Nearly always it is the one after the last.
        if let Some(mut last) = self.runs.last_entry()
            && last.get().checked_add(1) == Some(number)
        {
            last.insert(number);
            return true;
        }
        let is_new = !self.contains(number);
        if is_new {
            self.insert_run(number, number);
        }
        is_new
    }

    /// Adds the numbers from `first` to `last`.
    pub(crate) fn insert_run(&mut self, first: u64, last: u64) {
        let (mut first, mut last) = (first, last);
        let touching = self.runs.range(..=last.saturating_add(1)).rev();
        let touching: Vec<(u64, u64)> = touching
            .map(|(run, end)| (*run, *end))
            .take_while(|(_, end)| end.saturating_add(1) >= first)
            .collect();
        for (run, end) in touching {
            self.runs.remove(&run);
            (first, last) = (first.min(run), last.max(end));
        }
        self.runs.insert(first, last);
        if self.runs.len() > RUNS_MAX {
            self.runs.pop_first();
        }
    }

    /// The runs: first and last number of each.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().map(|(first, last)| (*first, *last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_are_a_set_of_numbers(numbers in proptest::collection::vec(0u64..60, 0..120)) {
            let (mut runs, mut twin) = (Numbers::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(runs.insert(number), twin.insert(number));
            }
            let all: Vec<u64> = runs.runs().flat_map(|(first, last)| first..=last).collect();
            prop_assert_eq!(all, twin.into_iter().collect::<Vec<_>>());
            let kept: Vec<_> = runs.runs().collect();
            prop_assert!(kept.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }

    #[test]
    fn the_largest_number_is_one_like_others() {
        let mut numbers = Numbers::default();
        assert!(numbers.insert(u64::MAX));
        assert!(!numbers.insert(u64::MAX));
        assert!(numbers.insert(0));
    }
}
