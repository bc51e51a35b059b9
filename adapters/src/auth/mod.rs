//! Credentials of providers' clouds and what is made of them, with the time passed in.
//!
//! In: keys, files' texts and answers of token services. Out: headers, bodies and expiry times. Nothing here reads a
//! file, asks the clock or opens a connection, and no secret is shown by `Debug`.

pub mod aws;
pub mod google;
pub mod sigv4;
mod time;

pub use time::Seconds;

/// Text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
