//! Keys of clients, and the rows of the policy that let them in.

use sha2::{Digest, Sha256};

/// What every client key of these tests begins with: it must not appear in anything but the client's own requests.
pub const CANARY: &str = "canary-client-key-";

/// The hash of a key as a policy holds it.
pub fn hash(key: &str) -> String {
    let digits: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

/// The client key with this name.
pub fn named(name: &str) -> String {
    format!("{CANARY}{name}")
}

/// The row of the policy for [`named`]`(name)`, with `rest` in it: further lines of TOML.
pub fn row(name: &str, rest: &str) -> String {
    format!("[[keys]]\nname = \"{name}\"\nhash = \"{}\"\n{rest}\n", hash(&named(name)))
}
