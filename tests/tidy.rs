//! The rules of the repository that no compiler checks: floors, absences, sizes, documents that say what the code says.
//!
//! `UPDATE=1` writes the generated documents anew instead of comparing them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "tidy/dialects.rs"]
mod dialects;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/features.rs"]
mod features;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/routing.rs"]
mod routing;
#[path = "tidy/text.rs"]
mod text;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use faregate_tests::root;

/// Folders that hold nothing of ours.
const NOT_OURS: [&str; 5] = ["target", ".git", "node_modules", "corpus", "artifacts"];

/// Every text file of the repository, by its path from the root.
fn files() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // What the bench leaves behind is no part of the repository: .gitignore names it.
            let is_left = from_root(&path) == "bench/out";
            if NOT_OURS.contains(&name.as_str()) || is_left || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.insert(from_root(&path), text);
            }
        }
    }
    assert!(found.len() > 50, "the repository was not found at {}", root().display());
    found
}

/// The Rust files below a folder.
fn rust_files(below: &str) -> Vec<(String, String)> {
    let is_rust = |path: &str| path.starts_with(below) && path.ends_with(".rs");
    files().into_iter().filter(|(path, _)| is_rust(path)).collect()
}

fn from_root(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/")
}

fn read(path: &str) -> String {
    let path: PathBuf = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails with every finding, one a line.
fn none(found: Vec<String>, rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}
