//! When two questions are one, and how sure that is.
//!
//! In: texts, vectors, whether two answers were the same, the present, chance. Out: whether an answer that is kept may be given to
//! a question in other words. Between calls a [`Store`] remembers entries, what has been seen of each, and how often hits were
//! wrong. There is no I/O and no clock; answers themselves are kept by somebody else, under a name.
//!
//! Three things must agree before an answer is given. *Partitions* are exact: who asks, what workload, what model, all that
//! shapes an answer and all of the conversation but its last question. *Guards* are exact too: a question is brought into a
//! plain form by rules that are known to keep its meaning ([`Profile`]), and two questions are compared only where that form is
//! the same, word for word. *Thresholds* are learned: for each entry, from what a model really answered to questions that
//! were as similar, so that the chance of a wrong answer stays below a bound ([`learn`]). Vectors can only take hits away.
#![forbid(unsafe_code)]
#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test fails by panicking"))]

pub mod judge;
pub mod language;
pub mod learn;
pub mod opposite;
pub mod profile;
pub mod store;
pub mod text;
pub mod vector;
pub mod watch;

pub use judge::Verdict;
pub use profile::{Profile, Unfit};
pub use store::{Decision, Entry, Partition, Settings, Store};
pub use vector::Vector;
pub use watch::{Standing, Watch};
