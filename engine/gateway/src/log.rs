//! The access log: one JSON line a request, formatted on the core, written by a thread of its own; and the operators'
//! log beside it.
//!
//! In: lines. Out: a file, standard output or standard error. A core collects lines in a block and hands full or old
//! blocks over through a bounded queue; when the writer falls behind, blocks are dropped and counted, never waited for.

use std::{
    cell::RefCell,
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_queue::ArrayQueue;

/// A block is handed over when it holds this much.
const BLOCK_BYTES: usize = 32 * 1024;

/// What most lines are shorter than.
const LINE_BYTES: usize = 2 * 1024;

/// Blocks that may wait for the writer; about 8 MiB.
const BLOCKS_MAX: usize = 256;

/// How long the writer sleeps between looks at the queue.
const WRITER_PAUSE: Duration = Duration::from_millis(100);

/// Lets operators' messages of `level` and above go to standard error, unless they go somewhere already.
///
/// `FAREGATE_LOG` (`error`, `warn`, `info`, `debug`, `trace`, `off`) wins over `level`.
pub(crate) fn init(level: &str) {
    let wanted = std::env::var("FAREGATE_LOG").unwrap_or_else(|_| level.to_owned());
    let filter = wanted.parse().unwrap_or(tracing_subscriber::filter::LevelFilter::INFO);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(filter)
        .with_target(false)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_writer(io::stderr)
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Where lines go; shared by all cores.
#[derive(Debug)]
pub(crate) struct Sink {
    full: ArrayQueue<Vec<u8>>,
    spare: ArrayQueue<Vec<u8>>,
    dropped: AtomicU64,
    stop: AtomicBool,
}

impl Sink {
    /// An empty queue.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            full: ArrayQueue::new(BLOCKS_MAX),
            spare: ArrayQueue::new(16),
            dropped: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Blocks that were dropped because the writer fell behind.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Starts the thread that writes to `target`.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or no thread can be started.
    pub(crate) fn start(self: &Arc<Self>, target: &Target) -> io::Result<JoinHandle<()>> {
        let out = target.open()?;
        let sink = Arc::clone(self);
        thread::Builder::new().name("access-log".to_owned()).spawn(move || sink.write_all(out))
    }

    /// Lets the writer finish what was handed over and end.
    pub(crate) fn stop(&self, writer: JoinHandle<()>) {
        self.stop.store(true, Ordering::Release);
        writer.thread().unpark();
        let _ = writer.join();
    }

    fn write_all(&self, mut out: Box<dyn Write + Send>) {
        loop {
            let stopping = self.stop.load(Ordering::Acquire);
            let mut wrote = false;
            while let Some(mut block) = self.full.pop() {
                if out.write_all(&block).is_err() {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
                block.clear();
                let _ = self.spare.push(block);
                wrote = true;
            }
            if wrote {
                let _ = out.flush();
            }
            if stopping {
                return;
            }
            thread::park_timeout(WRITER_PAUSE);
        }
    }
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to a file.
    File(std::path::PathBuf),
}

impl Target {
    fn open(&self) -> io::Result<Box<dyn Write + Send>> {
        Ok(match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::Stderr => Box::new(io::stderr()),
            Self::File(path) => Box::new(append(path)?),
        })
    }
}

fn append(path: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|e| io::Error::new(e.kind(), format!("access log {}: {e}", path.display())))
}

/// A core's block of lines.
#[derive(Debug)]
pub(crate) struct Lines {
    sink: Option<Arc<Sink>>,
    block: RefCell<Vec<u8>>,
}

impl Lines {
    /// Lines for `sink`; without one they are not even formatted.
    pub(crate) fn new(sink: Option<Arc<Sink>>) -> Self {
        Self { sink, block: RefCell::new(Vec::new()) }
    }

    /// Lets `format` append one line, newline included.
    pub(crate) fn add(&self, format: impl FnOnce(&mut Vec<u8>)) {
        if self.sink.is_none() {
            return;
        }
        let mut block = self.block.borrow_mut();
        if block.capacity() == 0 {
            block.reserve(BLOCK_BYTES + LINE_BYTES);
        }
        format(&mut block);
        if block.len() >= BLOCK_BYTES {
            self.hand_over(&mut block);
        }
    }

    /// Hands over what has been collected.
    pub(crate) fn flush(&self) {
        let mut block = self.block.borrow_mut();
        if !block.is_empty() {
            self.hand_over(&mut block);
        }
    }

    fn hand_over(&self, block: &mut Vec<u8>) {
        let Some(sink) = &self.sink else { return };
        let next = sink.spare.pop().unwrap_or_default();
        let full = std::mem::replace(block, next);
        if sink.full.push(full).is_err() {
            sink.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Appends `prefix`, which ends with the opening quote, then the value, escaped, and the closing quote.
#[inline(always)]
pub(crate) fn text(out: &mut Vec<u8>, prefix: &str, value: &str) {
    out.extend_from_slice(prefix.as_bytes());
    if value.bytes().any(must_escape) {
        escape(out, value);
    } else {
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'"');
}

#[cold]
fn escape(out: &mut Vec<u8>, value: &str) {
    let mut rest = value.as_bytes();
    while let Some(at) = rest.iter().position(|byte| must_escape(*byte)) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => {
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Appends `prefix`, which ends with the opening quote, then a value that is known to need no escapes, and the closing
/// quote.
#[inline(always)]
pub(crate) fn plain(out: &mut Vec<u8>, prefix: &str, value: &str) {
    debug_assert!(!value.bytes().any(must_escape), "known to need no escapes");
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

fn must_escape(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f)
}

/// Appends `prefix` and the number. The prefix is a literal, which the compiler knows how to copy.
#[inline(always)]
pub(crate) fn number(out: &mut Vec<u8>, prefix: &str, value: u64) {
    out.extend_from_slice(prefix.as_bytes());
    write_number(out, value);
}

/// Appends `value` in decimal.
pub(crate) fn write_number(out: &mut Vec<u8>, value: u64) {
    match value {
        0..10 => out.push(b'0' + (value % 10) as u8),
        10..100 => out.extend_from_slice(&PAIRS[(value % 100) as usize]),
        100..1000 => {
            let [tens, ones] = PAIRS[(value % 100) as usize];
            out.extend_from_slice(&[b'0' + (value / 100 % 10) as u8, tens, ones]);
        }
        _ => write_long(out, value),
    }
}

fn write_long(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    while value >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(value % 100) as usize]);
        value /= 100;
    }
    if value > 0 {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
    }
    out.extend_from_slice(&digits[at..]);
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n as usize] = [b'0' + n / 10, b'0' + n % 10];
        n += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are() {
        for value in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 12_345, 1_000_000, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn a_value_cannot_leave_its_quotes() {
        let mut out = Vec::new();
        text(&mut out, "{\"a\":\"", "x\",\"b\":\"\\\n\u{7f}\u{e9}");
        out.push(b'}');
        let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(parsed["a"], "x\",\"b\":\"\\\n\u{7f}\u{e9}");
        assert_eq!(parsed.as_object().unwrap().len(), 1);
    }
}
