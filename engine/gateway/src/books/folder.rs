//! Where the books are.

use std::path::{Path, PathBuf};

/// The folder of the process's data: `FAREGATE_DATA`, or where the user's programs keep theirs
/// (<https://specifications.freedesktop.org/basedir-spec/latest/>). `None` where there is no home.
pub(crate) fn default_folder() -> Option<PathBuf> {
    let given = |name: &str| std::env::var_os(name).filter(|folder| !folder.is_empty());
    let below = |name: &str, below: &str| given(name).map(|folder| Path::new(&folder).join(below));
    given("FAREGATE_DATA")
        .map(PathBuf::from)
        .or_else(|| below("XDG_DATA_HOME", "faregate"))
        .or_else(|| below("HOME", ".local/share/faregate"))
}
