//! `faregate init`.

use std::{fs::OpenOptions, io::Write, path::Path};

use faregate_policy::Policy;

use super::{Stop, print};

/// Writes the starter policy; an existing file is left alone unless `force` is given.
pub(super) fn run(file: &Path, force: bool) -> Result<(), Stop> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut out = options.open(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            format!("{} exists already; name another file, or say --force", file.display())
        }
        _ => format!("{}: {error}", file.display()),
    })?;
    out.write_all(Policy::starter().as_bytes())?;
    print(&format!(
        "wrote {0}\nnext: set the keys it names, then `faregate check {0}` and `faregate serve -c {0}`\n",
        file.display()
    ))
}
