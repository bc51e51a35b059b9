//! What an answer took, as providers spell it.

use crate::chat::Usage;

/// Finds the usage in an answer that is not a stream.
#[derive(Clone, Debug, Default)]
pub struct UsageMeter {
    found: Option<Usage>,
}

impl UsageMeter {
    /// Takes in the next bytes of the body, split anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        let _ = bytes;
    }

    /// The usage, once the body is complete.
    pub fn finish(&mut self) -> Option<Usage> {
        self.found.take()
    }
}

/// Reads a usage object.
#[must_use]
pub fn usage(object: &[u8]) -> Option<Usage> {
    let _ = object;
    None
}
