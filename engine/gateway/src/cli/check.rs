//! `faregate check` and `faregate explain`.

use std::{fmt::Write, path::Path};

use faregate_policy::{
    reference::{self, Row},
    summary::Summary,
};

use super::{Stop, print};
use crate::{
    catalogue,
    serve::{self, Source},
};

/// Reads the policy and says what it found.
pub(super) fn run(file: &Path) -> Result<(), Stop> {
    let source = Source::File(file.to_owned());
    let (mut policy, _) = serve::load(&source, serve::cores_available()).map_err(Stop::policy)?;
    // What a policy names may be elsewhere, as with certificates; what is here is looked at.
    if policy.server.price_catalogue.as_ref().is_some_and(|path| path.exists()) {
        catalogue::attach(&mut policy).map_err(Stop::policy)?;
    }
    let mut text = String::new();
    for warning in &policy.warnings {
        let _ = writeln!(text, "{warning}");
    }
    let _ = write!(text, "{}: good\n{}\n", file.display(), Summary(&policy));
    print(&text)
}

/// Explains the keys of the policy file whose path is `key` or holds it; without one, lists all.
pub(super) fn explain(key: Option<&str>) -> Result<(), Stop> {
    let wanted = key.unwrap_or_default();
    let mut text = String::new();
    let exact = reference::rows().any(|row| row.path == wanted);
    for row in reference::rows() {
        let shown = if exact { row.path == wanted } else { row.path.contains(wanted) };
        if shown {
            write_row(&mut text, &row, key.is_some());
        }
    }
    if text.is_empty() {
        let message =
            format!("no key of the policy is called {wanted}; `faregate explain` lists all");
        return Err(Stop { message, code: 1 });
    }
    print(&text)
}

fn write_row(text: &mut String, row: &Row, whole: bool) {
    if !whole {
        let _ = writeln!(text, "{:<44} {}", row.path, row.help);
        return;
    }
    let default = if row.default.is_empty() { "none" } else { row.default };
    let _ = writeln!(
        text,
        "{}\n  {}\n  takes    {}\n  default  {default}\n  example  {}\n",
        row.path, row.help, row.unit, row.example
    );
}
