//! Children under callgrind.
//!
//! In: an operation's name. Out: its [`Cost`]. The child has no environment, since its size moves the stack and with it
//! what is counted.

use std::{io::ErrorKind, process::Command};

use super::{Cost, child::Told};

/// The function that is counted, as callgrind knows it.
pub(super) const COUNTED: &str = "*counted_turns*";

/// What callgrind puts in front of the count.
const COLLECTED: &str = "Collected :";

/// The version of valgrind.
///
/// # Errors
///
/// How to install it, when it is not there.
pub(super) fn version() -> Result<String, String> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err("valgrind is not installed: apt-get install valgrind".to_owned())
        }
        Err(error) => Err(format!("valgrind: {error}")),
    }
}

/// Counts one operation.
///
/// # Errors
///
/// When the child fails or says something that cannot be read.
pub(super) fn count(name: &str) -> Result<Cost, String> {
    let itself = std::env::current_exe().map_err(|error| format!("own program: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(itself)
        .args(["count", "--child", name])
        .env_clear()
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{name}: {}\n{errors}", output.status));
    }
    let told: Told = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{name}: what the child said: {error}"))?;
    match collected(&errors) {
        Some(instructions) if instructions > 0 => Ok(per_turn(instructions, &told)),
        _ => Err(format!("{name}: callgrind did not see {COUNTED}; was the program stripped?")),
    }
}

/// The count in what callgrind says at its end.
fn collected(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once(COLLECTED)?;
    rest.split_whitespace().next()?.parse().ok()
}

fn per_turn(instructions: u64, told: &Told) -> Cost {
    let each = |sum: u64| sum as f64 / told.turns as f64;
    Cost {
        instructions: each(instructions),
        allocations: each(told.blocks),
        allocated_bytes: each(told.bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_among_what_callgrind_says() {
        let text =
            "==7== Events    : Ir\n==7== Collected : 4200\n==7== \n==7== I   refs:      4,200\n";
        assert_eq!(collected(text), Some(4200));
        assert_eq!(collected("==7== nothing"), None);
    }

    #[test]
    fn a_cost_is_that_of_one_turn() {
        let told = Told { turns: 100, blocks: 250, bytes: 6400 };
        let cost = per_turn(4200, &told);
        assert_eq!(cost, Cost { instructions: 42.0, allocations: 2.5, allocated_bytes: 64.0 });
    }
}
