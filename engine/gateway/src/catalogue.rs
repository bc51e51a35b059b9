//! The catalogue of prices that a policy names, read from its file.

use std::path::Path;

use faregate_policy::Policy;
use faregate_price::{Catalogue, catalogue::CATALOGUE_BYTES_MAX};

/// Gives a policy the catalogue that it names, if it names one.
///
/// # Errors
///
/// The file cannot be read, is no catalogue, or lacks what a price of the policy is like.
pub(crate) fn attach(policy: &mut Policy) -> Result<(), String> {
    let Some(path) = policy.server.price_catalogue.clone() else { return Ok(()) };
    let catalogue = read(&path).map_err(|error| format!("server.price_catalogue: {error}"))?;
    policy.use_catalogue(catalogue)
}

/// Reads a catalogue.
///
/// # Errors
///
/// The file cannot be read, or is no catalogue.
pub(crate) fn read(path: &Path) -> Result<Catalogue, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let length = std::fs::metadata(path).map_err(|error| named(&error))?.len();
    if usize::try_from(length).map_or(true, |length| length > CATALOGUE_BYTES_MAX) {
        return Err(named(&"it is longer than 16 MiB"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
    Catalogue::read(text).map_err(|error| named(&error))
}
