//! The policy that `faregate init` writes: short, commented, right as it is.

/// Its text.
pub(crate) const STARTER: &str = include_str!("starter.toml");
