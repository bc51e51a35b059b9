//! Events do not depend on where the input was split.
