//! Counts in a file.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use super::Cost;

/// What was counted, of which commit, with what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved {
    /// The commit; marked when files differed from it.
    pub(super) commit: String,
    /// The version of valgrind.
    pub(super) valgrind: String,
    /// The cost of each operation, by its full name.
    pub(super) operations: BTreeMap<String, Cost>,
}

impl Saved {
    /// Reads counts.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or holds something else.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Writes counts.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn write(&self, file: &Path) -> Result<(), String> {
        let mut text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        text.push('\n');
        fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
    }
}
