//! Rivals: read from `rivals.toml`, started, observed, stopped.
//!
//! In: the file, the provider's port. Out: a running process that answers. A rival is stopped when
//! dropped.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::machine;

/// The key that requests bring.
pub(crate) const KEY: &str = "sk-bench-3f1c9a7e5b2d4860a1c3e5f7092b4d6f";

/// Time a rival may take until it answers, and until it ends.
const START_MAX: Duration = Duration::from_secs(10);
const STOP_MAX: Duration = Duration::from_secs(5);

/// Time a started rival is left alone before its memory is looked at.
const SETTLE: Duration = Duration::from_millis(300);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RivalFile {
    rivals: Vec<Rival>,
}

/// One entry of `rivals.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rival {
    pub(crate) name: String,
    pub(crate) about: String,
    program: String,
    pub(crate) install: String,
    version: Vec<String>,
    config: String,
    start: Vec<String>,
    #[serde(default)]
    pub(crate) base: bool,
    /// It is measured only when it is asked for by name.
    #[serde(default)]
    pub(crate) optional: bool,
}

/// A rival that serves.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Time from its start to its first answer.
    pub(crate) ready: Duration,
}

/// The rivals of the file, in its order.
///
/// # Errors
///
/// When the file cannot be read, or has no base or more than one.
pub(crate) fn read(folder: &Path) -> Result<Vec<Rival>, String> {
    let path = folder.join("rivals.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file: RivalFile = toml::from_str(&text).map_err(|error| error.to_string())?;
    match file.rivals.iter().filter(|rival| rival.base).count() {
        1 => Ok(file.rivals),
        count => Err(format!("rivals.toml: {count} rivals are the base, one must be")),
    }
}

impl Rival {
    /// Where the program is, if it is installed.
    pub(crate) fn program(&self, root: &Path) -> Option<PathBuf> {
        if self.program.contains('/') {
            return Some(root.join(&self.program)).filter(|path| path.is_file());
        }
        let path = std::env::var_os("PATH")?;
        let mut places = std::env::split_paths(&path).collect::<Vec<_>>();
        places.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
        places.into_iter().map(|place| place.join(&self.program)).find(|path| path.is_file())
    }

    /// The first line of what it says about its version.
    pub(crate) fn version(&self, root: &Path) -> String {
        let Some(program) = self.program(root) else { return String::new() };
        let arguments: Vec<&str> = self.version.iter().map(String::as_str).collect();
        let said = machine::output(&program.to_string_lossy(), &arguments);
        said.lines().next().unwrap_or_default().trim().to_owned()
    }

    /// Starts it on `core` and waits until it answers. The calling thread runs on `home` again when
    /// this returns.
    pub(crate) fn start(
        &self,
        root: &Path,
        upstream_port: u16,
        core: usize,
        home: usize,
    ) -> Result<Running, String> {
        let fail = |error: &dyn std::fmt::Display| format!("{}: {error}", self.name);
        let program = self.program(root).ok_or_else(|| fail(&"not installed"))?;
        let folder = root.join("bench/out/run").join(&self.name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| fail(&error))?;
        let port = free_port().map_err(|error| fail(&error))?;
        let admin_port = free_port().map_err(|error| fail(&error))?;
        let places = Places { root, folder: &folder, port, admin_port, upstream_port };
        let template = fs::read_to_string(root.join("bench/rivals").join(&self.config));
        let config = places.fill(&template.map_err(|error| fail(&error))?, &self.config);
        fs::write(folder.join(&self.config), config).map_err(|error| fail(&error))?;
        let log = fs::File::create(folder.join("output.log")).map_err(|error| fail(&error))?;
        let arguments = self.start.iter().map(|argument| places.fill(argument, &self.config));
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(|error| fail(&error))?).stderr(log);
        machine::pin(core)?;
        let begin = Instant::now();
        let child = command.spawn();
        machine::pin(home)?;
        let child = child.map_err(|error| fail(&error))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut running = Running { child, address, ready: Duration::ZERO };
        running.wait(begin).map_err(|error| {
            format!("{}: {error}; see {}", self.name, folder.join("output.log").display())
        })?;
        std::thread::sleep(SETTLE);
        Ok(running)
    }
}

impl Running {
    /// The process; its children belong to it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait(&mut self, begin: Instant) -> Result<(), String> {
        while begin.elapsed() < START_MAX {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("ended with {status}"));
            }
            if answers(self.address) {
                self.ready = begin.elapsed();
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(format!("no answer within {START_MAX:?}"))
    }

    fn stop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        let begin = Instant::now();
        while begin.elapsed() < STOP_MAX {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What stands between braces.
struct Places<'a> {
    root: &'a Path,
    folder: &'a Path,
    port: u16,
    admin_port: u16,
    upstream_port: u16,
}

impl Places<'_> {
    fn fill(&self, text: &str, config: &str) -> String {
        let hash: String = Sha256::digest(KEY).iter().map(|byte| format!("{byte:02x}")).collect();
        let values = [
            ("{config}", self.folder.join(config).display().to_string()),
            ("{dir}", self.folder.display().to_string()),
            ("{root}", self.root.display().to_string()),
            ("{port}", self.port.to_string()),
            ("{admin_port}", self.admin_port.to_string()),
            ("{upstream_port}", self.upstream_port.to_string()),
            ("{key}", KEY.to_owned()),
            ("{key_sha256}", hash),
        ];
        values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// A port that is free now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether a request for the list of models succeeds.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let request = format!(
            "GET /v1/models HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {KEY}\r\n\
             Connection: close\r\n\r\n"
        );
        socket.write_all(request.as_bytes())?;
        let mut start = [0; 12];
        socket.read_exact(&mut start)?;
        Ok(&start == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_in() {
        let (root, folder) = (Path::new("/r"), Path::new("/r/out"));
        let places = Places { root, folder, port: 1, admin_port: 2, upstream_port: 3 };
        let filled = places.fill("{config} {dir} {port} {admin_port} {upstream_port} {x}", "c");
        assert_eq!(filled, "/r/out/c /r/out 1 2 3 {x}");
        assert_eq!(places.fill("{key_sha256}", "c").len(), 64);
    }

    #[test]
    fn the_file_of_rivals_is_sound() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        for rival in read(folder).expect("the file is in the repository") {
            assert!(folder.join("rivals").join(&rival.config).is_file(), "{}", rival.name);
        }
    }
}
