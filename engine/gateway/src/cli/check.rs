//! `faregate check` and `faregate explain`.

use std::path::Path;

use faregate_policy::reference;

use super::{Stop, print};
use crate::serve::{self, Source};

/// Reads the policy and says what it found.
pub(super) fn run(file: &Path) -> Result<(), Stop> {
    let source = Source::File(file.to_owned());
    let (policy, _) = serve::load(&source, serve::cores_available()).map_err(Stop::policy)?;
    let mut text = String::new();
    for warning in &policy.warnings {
        text.push_str(&format!("{warning}\n"));
    }
    text.push_str(&format!("{}: good\n{}\n", file.display(), policy.describe()));
    print(&text)
}

/// Explains one key of the policy file, or lists all.
pub(super) fn explain(key: Option<&str>) -> Result<(), Stop> {
    match key {
        None => print(&reference::list()),
        Some(key) => match reference::explain(key) {
            Ok(text) => print(&text),
            Err(nearest) => Err(Stop { message: nearest, code: 1 }),
        },
    }
}
