//! Bifrost's `config.json`.

use super::{Import, tree::Node};

/// Reads the file.
pub(super) fn read(_import: &mut Import<'_>, _root: &Node) {}
