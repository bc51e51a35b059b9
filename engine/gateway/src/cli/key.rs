//! `faregate key`.

use std::io::Read;

use faregate_policy::key;

use super::{Stop, print};

/// Bytes of a key that is read from standard input.
const KEY_BYTES_MAX: u64 = 8 * 1024;

/// Mints a key and prints it with the lines for the policy. Only the hash is ever stored.
pub(super) fn mint(name: &str, team: Option<&str>) -> Result<(), Stop> {
    let minted = key::mint(random()?);
    let team = team.map_or(String::new(), |team| format!("team = {}\n", toml_string(team)));
    print(&format!(
        "{minted}\n\n# This key is shown once. These lines go into the policy:\n\
         [[keys]]\nname = {}\nhash = \"{}\"\n{team}",
        toml_string(name),
        key::hash(minted.as_bytes()),
    ))
}

/// Prints the hash of the key on standard input.
pub(super) fn hash() -> Result<(), Stop> {
    let mut text = String::new();
    std::io::stdin().take(KEY_BYTES_MAX).read_to_string(&mut text)?;
    match text.trim() {
        "" => Err(Stop { message: "no key on standard input".to_owned(), code: 1 }),
        found => print(&format!("{}\n", key::hash(found.as_bytes()))),
    }
}

fn random() -> Result<[u8; 32], Stop> {
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn toml_string(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    faregate_wire::quote(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}
