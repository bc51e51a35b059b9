//! Whole files: what is right, what is wrong, what a reload keeps.

mod answers;
mod cache;
mod diagnostics;
mod example;
mod fuzz;
mod prices;
mod route;
mod rules;

use crate::{policy::Policy, problem::Problems};

/// Reads a policy for two cores.
fn read(text: &str) -> Result<Policy, Problems> {
    Policy::compile(text, "p.toml", 2, None)
}

/// Reads a policy that is right.
fn right(text: &str) -> Policy {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems of a policy, line and reason of each.
fn reasons(text: &str) -> Vec<String> {
    let Err(problems) = read(text) else { return Vec::new() };
    problems.0.iter().map(|problem| format!("{}: {}", problem.line, problem.reason)).collect()
}

/// The warnings of a policy that is right.
fn warnings(text: &str) -> Vec<String> {
    right(text).warnings.iter().map(|problem| problem.reason.clone()).collect()
}
