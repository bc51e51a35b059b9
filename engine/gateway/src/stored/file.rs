//! Stored responses over restarts: a file of lines, written by a thread of its own.
//!
//! In: what is kept and forgotten, from any core, through a bounded queue. Out: a line of JSON each, appended; at the next
//! start, the same again. When a file holds as many lines as there are places it becomes the older one of two, and the one
//! before that is gone. Ids are hashed: who reads the file learns who asked whom and when, and no id that a provider takes.
//!
//! A line is written a moment after its answer, so a crash can lose the last ones; they are then unknown, as
//! `server.unknown_responses` has it. A line that is cut is passed over. When the queue is full, or the disk, lines are
//! dropped and counted: responses are known as long as the process lives, as without a file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_queue::ArrayQueue;
use faregate_wire::{Json, quote};

use super::{Id, Maker, RESPONSES_MAX, Stored};

/// Lines that may wait for the writer.
const WAITING_MAX: usize = 4096;

/// How long the writer sleeps between looks at the queue.
const WRITER_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a line: names have at most a few hundred.
const LINE_BYTES_MAX: u64 = 16 * 1024;

/// One line to be.
pub(super) enum Note {
    Kept(Id, Arc<Maker>),
    Forgotten(Id),
}

/// The way to the writer.
pub(super) struct Notes {
    waiting: ArrayQueue<Note>,
    dropped: AtomicU64,
    stop: AtomicBool,
}

impl Notes {
    /// Has a line written, if there is room.
    pub(super) fn write(&self, note: Note) {
        if self.waiting.push(note).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The writer, to be ended.
pub(crate) struct Writing {
    notes: Arc<Notes>,
    thread: JoinHandle<()>,
}

impl Writing {
    /// Writes what waits, and ends.
    pub(crate) fn stop(self) {
        self.notes.stop.store(true, Ordering::Release);
        if self.thread.join().is_err() {
            tracing::error!("the writer of stored responses has failed");
        }
    }
}

/// Reads the file at `path` and the one before it into `stored`, and has further responses written there. The file is made
/// when there is one.
///
/// # Errors
///
/// When it cannot be read, or no thread be started.
pub(super) fn open(stored: &mut Stored, path: &Path) -> io::Result<Writing> {
    read(stored, &older(path))?;
    let lines = read(stored, path)?;
    let notes = Arc::new(Notes {
        waiting: ArrayQueue::new(WAITING_MAX),
        dropped: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let mut writer = Writer { path: path.to_owned(), file: None, lines, failed: false, told: 0 };
    let own = Arc::clone(&notes);
    let thread = thread::Builder::new().name("responses".to_owned()).spawn(move || {
        let mut block = Vec::new();
        loop {
            let stops = own.stop.load(Ordering::Acquire);
            writer.take(&own, &mut block);
            if stops {
                return;
            }
            thread::sleep(WRITER_PAUSE);
        }
    })?;
    stored.notes = Some(Arc::clone(&notes));
    Ok(Writing { notes, thread })
}

fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".old");
    name.into()
}

/// Applies the lines of a file; how many there are.
fn read(stored: &Stored, path: &Path) -> io::Result<usize> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let (mut lines, mut bad) = (0, 0_usize);
    let (mut reader, mut line) = (BufReader::with_capacity(256 * 1024, file), Vec::new());
    loop {
        line.clear();
        if (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        lines += 1;
        match parse(&line) {
            Some((id, Some(maker))) => stored.place(id, Arc::new(maker)),
            Some((id, None)) => stored.clear(id),
            None => bad += 1,
        }
    }
    if bad > 0 {
        tracing::warn!(file = %path.display(), lines = bad, "lines of stored responses cannot be read");
    }
    Ok(lines)
}

/// A line; without a maker where the response was deleted.
fn parse(line: &[u8]) -> Option<(Id, Option<Maker>)> {
    let json = Json::new(line.strip_suffix(b"\n")?)?;
    let text = |name: &str| Some(Box::<str>::from(&*json.get(name)?.str()?));
    let id = Id::from_hex(&text("id")?)?;
    if json.get("owner").is_none() {
        return Some((id, None));
    }
    let maker = Maker {
        owner: text("owner")?,
        provider: text("provider")?,
        target: text("target")?,
        place: text("place")?,
    };
    Some((id, Some(maker)))
}

fn write_line(out: &mut Vec<u8>, note: &Note) {
    let (id, maker) = match note {
        Note::Kept(id, maker) => (id, Some(maker)),
        Note::Forgotten(id) => (id, None),
    };
    out.extend_from_slice(b"{\"id\":");
    quote(out, &id.hex());
    let Some(maker) = maker else {
        out.extend_from_slice(b"}\n");
        return;
    };
    for (name, text) in [
        ("owner", &maker.owner),
        ("provider", &maker.provider),
        ("target", &maker.target),
        ("place", &maker.place),
    ] {
        out.push(b',');
        quote(out, name);
        out.push(b':');
        quote(out, text);
    }
    out.extend_from_slice(b"}\n");
}

struct Writer {
    path: PathBuf,
    file: Option<File>,
    lines: usize,
    failed: bool,
    told: u64,
}

impl Writer {
    /// Writes all that waits.
    fn take(&mut self, notes: &Notes, block: &mut Vec<u8>) {
        block.clear();
        let mut lines = 0;
        while let Some(note) = notes.waiting.pop() {
            write_line(block, &note);
            lines += 1;
        }
        let dropped = notes.dropped.load(Ordering::Relaxed);
        if dropped > self.told {
            tracing::warn!(dropped, "stored responses came faster than they could be written down");
            self.told = dropped;
        }
        if lines == 0 {
            return;
        }
        match self.append(block, lines) {
            Ok(()) => self.failed = false,
            Err(error) => {
                self.file = None;
                if !self.failed {
                    let file = self.path.display();
                    tracing::warn!(%file, %error, "stored responses will be unknown after a restart");
                }
                self.failed = true;
            }
        }
    }

    fn append(&mut self, block: &[u8], lines: usize) -> io::Result<()> {
        if self.lines >= RESPONSES_MAX {
            fs::rename(&self.path, older(&self.path))?;
            (self.file, self.lines) = (None, 0);
        }
        let file = match &mut self.file {
            Some(file) => file,
            empty => empty.insert(append_to(&self.path)?),
        };
        file.write_all(block)?;
        self.lines += lines;
        Ok(())
    }
}

/// Opens the file, which ends with a whole line afterwards.
fn append_to(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    let mut file = options.create(true).append(true).read(true).mode(0o600).open(path)?;
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{super::Found, *};

    fn maker(owner: &str) -> Arc<Maker> {
        Arc::new(Maker {
            owner: owner.into(),
            provider: "p\"q".into(),
            target: "p/m".into(),
            place: "https://h:443/v1".into(),
        })
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("faregate-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        folder
    }

    fn opened(path: &Path) -> (Stored, Writing) {
        let mut stored = Stored::new();
        let writing = open(&mut stored, path).unwrap();
        (stored, writing)
    }

    #[test]
    fn what_was_kept_is_known_again_and_what_was_deleted_is_not() {
        let path = folder("kept").join("below/responses");
        let (stored, writing) = opened(&path);
        assert!(!path.exists(), "nothing to write yet");
        stored.keep("resp_A", maker("a"));
        stored.keep("resp_B", maker("b"));
        stored.keep("resp_C", maker("b"));
        stored.forget("resp_C");
        writing.stop();
        assert!(!fs::read_to_string(&path).unwrap().contains("resp_"));
        let (stored, writing) = opened(&path);
        assert_eq!(stored.find("resp_a", "a"), Found::Own(maker("a")));
        assert_eq!(stored.find("resp_B", "a"), Found::Another);
        assert_eq!(stored.find("resp_C", "b"), Found::Unknown);
        writing.stop();
        drop(fs::remove_dir_all(path.parent().unwrap().parent().unwrap()));
    }

    #[test]
    fn a_cut_line_costs_nothing_but_itself() {
        let path = folder("cut").join("responses");
        let (stored, writing) = opened(&path);
        ["one", "two"].into_iter().for_each(|id| stored.keep(id, maker("a")));
        writing.stop();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let (stored, writing) = opened(&path);
        assert_eq!(stored.find("two", "a"), Found::Unknown);
        stored.keep("three", maker("a"));
        writing.stop();
        let (stored, writing) = opened(&path);
        for (id, is_known) in [("one", true), ("two", false), ("three", true)] {
            assert_eq!(stored.find(id, "a") != Found::Unknown, is_known, "{id}");
        }
        writing.stop();
        drop(fs::remove_dir_all(path.parent().unwrap()));
    }

    #[test]
    fn the_oldest_file_goes_and_the_one_before_stays() {
        let path = folder("turned").join("responses");
        let (stored, writing) = opened(&path);
        stored.keep("first", maker("a"));
        writing.stop();
        let mut writer =
            Writer { path: path.clone(), file: None, lines: RESPONSES_MAX, failed: false, told: 0 };
        let mut line = Vec::new();
        write_line(&mut line, &Note::Kept(Id::of("second"), maker("a")));
        writer.append(&line, 1).unwrap();
        assert_eq!(writer.lines, 1);
        let (stored, writing) = opened(&path);
        for id in ["first", "second"] {
            assert_eq!(stored.find(id, "a"), Found::Own(maker("a")), "{id}");
        }
        writing.stop();
        drop(fs::remove_dir_all(path.parent().unwrap()));
    }

    #[test]
    fn a_file_that_cannot_be_written_costs_no_response() {
        let folder = folder("denied");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a-file/responses");
        fs::write(folder.join("a-file"), "no folder").unwrap();
        let mut stored = Stored::new();
        match open(&mut stored, &path) {
            Ok(writing) => {
                stored.keep("x", maker("a"));
                writing.stop();
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotADirectory),
        }
        stored.keep("y", maker("a"));
        assert_eq!(stored.find("y", "a"), Found::Own(maker("a")));
        drop(fs::remove_dir_all(&folder));
    }
}
