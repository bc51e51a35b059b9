//! The program under test: found beside the test's own executable, built when it is absent or older than its sources.
//!
//! `cargo test` gives the path of a binary to tests of the same package only, so the path is worked out here. What counts
//! as stale is what cargo wrote down beside the binary (`faregate.d`): the sources it was made from.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// The path of `faregate`, which is up to date.
pub fn faregate() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let place = Place::of_this_test();
        if !place.is_fresh() {
            place.build();
        }
        place.binary
    })
}

/// A run of the program with these arguments, its environment free of what the caller's shell may hold.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = bare(faregate());
    command.args(arguments);
    command
}

/// The same with at most so many descriptors, which the program cannot raise.
pub fn limited(descriptors: u32, arguments: &[&str]) -> Command {
    let mut command = bare(Path::new("sh"));
    command.arg("-c").arg(format!("ulimit -n {descriptors} && exec \"$0\" \"$@\""));
    command.arg(faregate()).args(arguments);
    command
}

fn bare(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    for kept in ["PATH", "HOME", "LLVM_PROFILE_FILE", "FAREGATE_DRIVER"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

struct Place {
    target: PathBuf,
    profile: String,
    binary: PathBuf,
}

impl Place {
    /// `target/<profile>/deps/live-0123abcd` runs: the binary is `target/<profile>/faregate`.
    fn of_this_test() -> Self {
        let test = std::env::current_exe().expect("a process knows its executable");
        let folder = test.parent().and_then(Path::parent).expect("tests lie in <profile>/deps");
        let name = folder.file_name().expect("a profile has a name").to_string_lossy().into_owned();
        Self {
            target: folder.parent().expect("profiles lie in the target folder").to_owned(),
            profile: if name == "debug" { "dev".to_owned() } else { name },
            binary: folder.join("faregate"),
        }
    }

    fn is_fresh(&self) -> bool {
        let changed = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
        let Some(built) = changed(&self.binary) else { return false };
        let Ok(sources) = std::fs::read_to_string(self.binary.with_extension("d")) else {
            return false;
        };
        let older =
            |source: &str| changed(Path::new(source)).is_some_and(|at: SystemTime| at <= built);
        sources.split_whitespace().skip(1).all(older)
    }

    /// Builds with the features that the whole workspace asks for, so that nothing built before is built again.
    fn build(&self) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--workspace", "--bin", "faregate", "--profile", &self.profile])
            .arg("--target-dir")
            .arg(&self.target)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .status();
        assert!(built.is_ok_and(|status| status.success()), "the gateway cannot be built");
    }
}
