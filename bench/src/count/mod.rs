//! What each operation costs in instructions and allocations: figures that do not depend on how busy the machine is.
//!
//! In: the operations of [`faregate_bench::ops`]. Out: a table, and a file to compare a later commit with. Each operation
//! runs in a child of its own under callgrind, which counts between entry and exit of one function only; set-up, a first
//! call and the check of the answer lie outside of it.
//! Format of what callgrind says: <https://valgrind.org/docs/manual/cl-manual.html>

mod callgrind;
mod child;
mod saved;
mod table;

use std::{path::PathBuf, process::Command};

use faregate_bench::ops;
use saved::Saved;
use serde::{Deserialize, Serialize};

use crate::print;

/// What to count, and what to compare it with.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Count only the operations whose name contains this.
    #[arg(long, value_name = "WORD", default_value = "")]
    only: String,
    /// Write the counts to a file.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Compare with the counts in a file, and fail where one is higher than the tolerance allows.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// How many times as many instructions as before an operation may take.
    #[arg(long, value_name = "RATIO", default_value_t = 1.05)]
    tolerance: f64,
    /// Run one operation and say what was allocated: what a child is told.
    #[arg(long, hide = true, value_name = "NAME")]
    child: Option<String>,
}

/// What one call costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Cost {
    /// Instructions, the loop around the call included.
    instructions: f64,
    /// Blocks asked of the allocator.
    allocations: f64,
    /// Bytes of them.
    allocated_bytes: f64,
}

/// Counts. False when something costs more than it may.
///
/// # Errors
///
/// When valgrind is not there, a child fails, or a file cannot be read or written.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    if let Some(name) = &options.child {
        return child::run(name).map(|()| true);
    }
    let before = options.against.as_deref().map(Saved::read).transpose()?;
    let valgrind = callgrind::version()?;
    let mut costs = Vec::new();
    for (name, _) in ops::all().filter(|(name, _)| name.contains(&options.only)) {
        print::note(&format!("counting {name}"));
        costs.push((name.clone(), callgrind::count(&name)?));
    }
    if costs.is_empty() {
        return Err(format!("no operation has {:?} in its name", options.only));
    }
    let saved = Saved { commit: commit(), valgrind, operations: costs.into_iter().collect() };
    print::result(&table::costs(&saved));
    if let Some(file) = &options.save {
        saved.write(file)?;
    }
    let Some(before) = before else { return Ok(true) };
    let comparison = table::Comparison::of(&before, &saved, options.tolerance);
    print::result(&comparison.text);
    Ok(comparison.dearer == 0)
}

/// The commit that is measured; marked when files differ from it.
fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).trim().to_owned()
}
