//! Recorded answers, sent as they are.
//!
//! In: the folder of recordings, the name of one, whether a stream is asked for. Out: its bytes and
//! their type. A recording is a folder with `stream.txt` or `stream.bin`, and `answer.json` for
//! requests that do not stream.

use std::path::Path;

use super::refusal::{Reason, Refusal};

/// A recording.
pub(crate) struct Recording {
    pub(crate) bytes: Vec<u8>,
    pub(crate) content_type: &'static str,
    pub(crate) is_stream: bool,
}

/// Reads the recording `name`. Names are of letters, digits, `_`, `-`, `.` and `/`.
pub(crate) fn read(dir: Option<&Path>, name: &str, stream: bool) -> Result<Recording, Refusal> {
    let missing = |why: &str| Refusal::new(Reason::Replay, format!("recording {name}: {why}"));
    let dir = dir.ok_or_else(|| missing("no --replay-dir is given"))?;
    let known = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    if name.is_empty() || name.starts_with('/') || name.contains("..") || !name.chars().all(known) {
        return Err(missing("not the name of a recording"));
    }
    let files: &[(&str, &str, bool)] = &[
        ("stream.txt", "text/event-stream; charset=utf-8", true),
        ("stream.bin", "application/vnd.amazon.eventstream", true),
        ("answer.json", "application/json", false),
    ];
    // A recording may have but one of the forms; the other is better than none.
    for wanted in [stream, !stream] {
        for (file, content_type, is_stream) in files {
            if *is_stream != wanted {
                continue;
            }
            let Ok(bytes) = std::fs::read(dir.join(name).join(file)) else { continue };
            let is_array = *is_stream && bytes.first() == Some(&b'[');
            let content_type = if is_array { "application/json" } else { content_type };
            return Ok(Recording { bytes, content_type, is_stream: *is_stream });
        }
    }
    Err(missing("there is neither stream.txt nor stream.bin nor answer.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_below_the_folder_are_read() {
        let dir = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let check = |name: &str| read(Some(&dir), name, true).map(|_| ()).unwrap_err().message;
        assert!(check("../x").contains("not the name"));
        assert!(check("/etc").contains("not the name"));
        assert!(check("src").contains("neither"));
        assert!(read(None, "src", true).is_err());
    }
}
