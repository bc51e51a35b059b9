//! The hot pieces of Faregate, each defined once as an [`ops::Operation`]: its input, the call, the answer that is expected.
//!
//! The benches under `bench/benches` time them, `bench count` counts their instructions and allocations, a test runs each
//! of them once. Beside a piece of ours stand libraries that could do its work, with the same input and the same answer.

pub mod input;
pub mod ops;
