//! Optional programs: the SDKs' interpreters, nginx, openssl, a model server.
//!
//! A test that needs one which is not there says so and returns. `FAREGATE_TEST_REQUIRE` lists, by commas, those that must
//! be there: then the test fails instead.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A Python that has `module`, in the folder that `tests/sdk/setup.sh` fills. It is required as `name`.
pub fn python(name: &str, module: &str) -> Option<Command> {
    let python = std::env::var_os("FAREGATE_TEST_PYTHON")
        .map_or_else(|| sdk_folder().join("venv/bin/python"), PathBuf::from);
    let ready = runs(Command::new(&python).args(["-c", &format!("import {module}")]));
    needed(name, ready, &format!("no Python with the module {module}"))
        .then(|| Command::new(python))
}

/// A Node.js beside which `package` is installed, and the folder of the modules. It is required as `name`.
pub fn node(name: &str, package: &str) -> Option<(Command, PathBuf)> {
    let modules = node_modules();
    let own = modules.join(".bin/node");
    let node = match std::env::var_os("FAREGATE_TEST_NODE") {
        Some(node) => PathBuf::from(node),
        None if own.exists() => own,
        None => PathBuf::from("node"),
    };
    let ready = modules.join(package).is_dir() && runs(Command::new(&node).arg("--version"));
    needed(name, ready, &format!("no Node.js with the package {package}"))
        .then(|| (Command::new(node), modules))
}

/// A program that comes as a package of npm's. It is required under its own name.
pub fn npm(name: &str) -> Option<Command> {
    let modules = node_modules();
    let program = modules.join(".bin").join(name);
    let ready = program.exists();
    let path = std::env::var("PATH").unwrap_or_default();
    needed(name, ready, &format!("npm's program {name} is not installed")).then(|| {
        let mut command = Command::new(program);
        command.env("PATH", format!("{}:{path}", modules.join(".bin").display()));
        command
    })
}

/// llama.cpp's server, which `tests/llama/setup.sh` builds. It is required as `llama`.
pub fn llama() -> Option<Command> {
    let program = std::env::var_os("FAREGATE_TEST_LLAMA")
        .map_or_else(|| target_folder().join("llama/llama-server"), PathBuf::from);
    needed("llama", program.exists(), "llama.cpp's server is not built")
        .then(|| Command::new(program))
}

/// Redis' server. It is required as `redis`.
pub fn redis() -> Option<Command> {
    let found = ["/usr/local/bin", "/usr/bin"]
        .iter()
        .map(|folder| Path::new(folder).join("redis-server"))
        .find(|path| path.exists());
    let ready = needed("redis", found.is_some(), "the program redis-server is not installed");
    found.filter(|_| ready).map(Command::new)
}

fn node_modules() -> PathBuf {
    std::env::var_os("FAREGATE_TEST_NODE_MODULES")
        .map_or_else(|| sdk_folder().join("node/node_modules"), PathBuf::from)
}

/// A program on the search path.
pub fn on_path(name: &str) -> Option<Command> {
    let found = ["/usr/sbin", "/usr/local/bin", "/usr/bin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists());
    let ready = needed(name, found.is_some(), &format!("the program {name} is not installed"));
    found.filter(|_| ready).map(Command::new)
}

/// A script of `tests/sdk`.
pub fn sdk_script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk").join(name)
}

/// Runs it; its output is shown when it fails.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the program can be started");
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// `target/sdk` of the workspace.
fn sdk_folder() -> PathBuf {
    target_folder().join("sdk")
}

fn target_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a process knows its executable");
    test.ancestors().nth(3).expect("tests lie in target/<profile>/deps").to_owned()
}

fn runs(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Says on the real standard error, which the runner does not hide, when the program is not there.
fn needed(name: &str, ready: bool, because: &str) -> bool {
    if ready {
        return true;
    }
    let required = std::env::var("FAREGATE_TEST_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|listed| listed.trim() == name), "{name}: {because}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("skipped: {test} because {because}; .ci/run installs it\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    false
}
