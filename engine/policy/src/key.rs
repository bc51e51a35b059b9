//! Client keys: how they are minted, recognised and hashed.

use sha2::{Digest, Sha256};

/// SHA-256 of a client key: all that a policy holds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

/// SHA-256 of a key as the client sends it.
#[must_use]
pub fn hash(key: &[u8]) -> KeyHash {
    KeyHash(Sha256::digest(key).into())
}
