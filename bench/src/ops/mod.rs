//! The operations, one group a file, one list.
//!
//! A group is one piece of the data path; its operations are the distributions of its input, done by us and by the
//! libraries that could. Each gives its answer as a number and knows which one is right, so that what is measured is known
//! to work, and a library is known to have done the same work.

mod affinity;
mod answer_cache;
mod body_patch;
mod body_rewrite;
mod body_scan;
mod bucket_take;
mod budget_hold;
mod chunk_decode;
mod chunk_whole;
mod error_body;
mod exchange;
mod head_request;
mod head_response;
mod journal_append;
mod json;
mod model_resolve;
mod nothing;
mod policy_compile;
mod policy_lookup;
mod route_rule;
mod sse_cut;
mod sse_inspect;
mod translate;
mod translate_answer;
pub mod translate_chunk;
mod translate_request_64k;
mod usage_meter;

use std::fmt;

/// Who does it when it is not a library.
pub const OURS: &str = "faregate";

/// One piece of the data path.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Its name, which is also that of its bench.
    pub name: &'static str,
    /// Its cases, each done by us first.
    pub operations: &'static [Operation],
}

/// One thing that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// What it is done to.
    pub case: &'static str,
    /// Who does it: [`OURS`], or the name of a library.
    pub by: &'static str,
    /// Makes the input and whatever else is there before the first call.
    pub set_up: fn() -> Ready,
}

/// An operation that can be called.
pub struct Ready {
    /// Bytes that a call looks at.
    pub bytes: usize,
    /// What every call answers.
    pub expected: u64,
    call: Box<dyn FnMut() -> u64>,
}

/// Every operation.
pub const GROUPS: [Group; 25] = [
    nothing::GROUP,
    head_request::GROUP,
    head_response::GROUP,
    body_scan::GROUP,
    affinity::GROUP,
    answer_cache::GROUP,
    body_patch::GROUP,
    body_rewrite::GROUP,
    chunk_whole::GROUP,
    chunk_decode::GROUP,
    sse_cut::GROUP,
    sse_inspect::GROUP,
    usage_meter::GROUP,
    translate_chunk::GROUP,
    translate_request_64k::GROUP,
    translate_answer::GROUP,
    policy_lookup::GROUP,
    model_resolve::GROUP,
    route_rule::GROUP,
    bucket_take::GROUP,
    budget_hold::GROUP,
    exchange::GROUP,
    error_body::GROUP,
    policy_compile::GROUP,
    journal_append::GROUP,
];

impl Group {
    /// The group with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        const ALL: &[Group] = &GROUPS;
        ALL.iter().find(|group| group.name == name)
    }

    /// Its operations, each with its full name.
    pub fn named(&self) -> impl Iterator<Item = (String, &'static Operation)> {
        let group = self.name;
        self.operations.iter().map(move |it| (format!("{group}/{}/{}", it.case, it.by), it))
    }
}

impl Operation {
    const fn ours(case: &'static str, set_up: fn() -> Ready) -> Self {
        Self { case, by: OURS, set_up }
    }

    const fn by(by: &'static str, case: &'static str, set_up: fn() -> Ready) -> Self {
        Self { case, by, set_up }
    }
}

impl Ready {
    fn new(bytes: usize, expected: u64, call: impl FnMut() -> u64 + 'static) -> Self {
        Self { bytes, expected, call: Box::new(call) }
    }

    /// Does it once.
    #[inline]
    pub fn call(&mut self) -> u64 {
        (self.call)()
    }

    /// Does it once, and looks at the answer.
    ///
    /// # Panics
    ///
    /// When the answer is wrong: its time would be worth nothing.
    pub fn check(&mut self, name: &str) {
        let answer = self.call();
        assert_eq!(answer, self.expected, "{name} answers something else than it should");
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, expected, .. } = self;
        f.debug_struct("Ready")
            .field("bytes", bytes)
            .field("expected", expected)
            .finish_non_exhaustive()
    }
}

/// Every operation with its full name: group, case, who does it.
pub fn all() -> impl Iterator<Item = (String, &'static Operation)> {
    const ALL: &[Group] = &GROUPS;
    ALL.iter().flat_map(Group::named)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_operation_answers_as_expected_again_and_again() {
        for (name, operation) in all() {
            let mut ready = (operation.set_up)();
            (0..3).for_each(|_| ready.check(&name));
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let mut names = HashSet::new();
        let twice: Vec<_> =
            all().map(|(name, _)| name).filter(|name| !names.insert(name.clone())).collect();
        assert_eq!(twice, [""; 0]);
    }

    #[test]
    fn what_a_library_does_is_done_by_us_first() {
        for group in GROUPS {
            for (place, operation) in group.operations.iter().enumerate() {
                let before = &group.operations[..=place];
                let ours = before.iter().any(|it| it.case == operation.case && it.by == OURS);
                assert!(ours, "{}/{}/{}", group.name, operation.case, operation.by);
            }
        }
    }

    #[test]
    fn every_group_has_its_bench() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/");
        for group in GROUPS {
            let text =
                std::fs::read_to_string(format!("{folder}{}.rs", group.name)).unwrap_or_default();
            assert!(text.contains(&format!("\"{}\"", group.name)), "no bench runs {}", group.name);
        }
    }
}
