//! Changes the gateway's policy again and again, on a thread of its own.
//!
//! In: what to do and how often. Out: how often it was done, and whether it failed.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;

use super::scenario::Reload;

/// Reloads until stopped.
#[derive(Debug)]
pub(crate) struct Reloader {
    stop: Sender<()>,
    thread: JoinHandle<io::Result<u64>>,
}

impl Reloader {
    /// Begins; the first change comes after one interval.
    pub(crate) fn start(reload: Reload) -> io::Result<Reloader> {
        let (stop, stopped) = channel();
        let run = move || repeat(&reload, &stopped);
        let thread = std::thread::Builder::new().name("reload".into()).spawn(run)?;
        Ok(Reloader { stop, thread })
    }

    /// Ends, and says how many changes were made.
    pub(crate) fn stop(self) -> io::Result<u64> {
        drop(self.stop);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the reload thread panicked")))
    }
}

fn repeat(reload: &Reload, stopped: &Receiver<()>) -> io::Result<u64> {
    let mut count = 0;
    while stopped.recv_timeout(reload.every) == Err(RecvTimeoutError::Timeout) {
        if let Some(path) = &reload.touch {
            rewrite(path)?;
        }
        if let [program, arguments @ ..] = reload.command.as_slice() {
            let status = Command::new(program).args(arguments).stdout(Stdio::null()).status()?;
            if !status.success() {
                return Err(io::Error::other(format!("{program} ended with {status}")));
            }
        }
        count += 1;
    }
    Ok(count)
}

/// Puts a new file with the same text in the place of the old one.
fn rewrite(path: &Path) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    fs::write(&new, fs::read(path)?)?;
    fs::rename(&new, path)
}
