//! What must hold for any bytes: the checks that unit tests and fuzz targets share.
//!
//! In: bytes of any kind. Out: nothing; a broken promise panics and names it. Each parser is held
//! against itself, fed in other pieces, and against a twin that is written down as plainly as
//! possible.

use crate::{
    BadChunk, BodyReader, ChunkReader, Framing, HeadError, HeadLimits, Method, RequestHead,
    ResponseHead, Slots, Version, WholeChunks, parse_request, parse_response,
};

/// Prefixes longer than this are only tried near the end of the bytes.
const PREFIXES_MAX: usize = 1024;

/// Checks that a request head is read the same from every prefix, and that what was accepted has
/// one reading.
///
/// # Panics
///
/// When it has not.
pub fn request(bytes: &[u8]) {
    let limits = HeadLimits::default();
    same_for_every_prefix(bytes, |part| {
        let mut slots = Slots::new();
        match parse_request(part, &mut slots, &limits) {
            Ok(None) => Outcome::Incomplete,
            Err(error) => Outcome::Refused(error),
            Ok(Some(head)) => Outcome::Whole(format!("{head:?}")),
        }
    });
    let mut slots = Slots::new();
    if let Ok(Some(head)) = parse_request(bytes, &mut slots, &limits) {
        accepted_request(bytes, &head);
    }
}

/// Checks the same for the head of a response.
///
/// # Panics
///
/// When it does not hold.
pub fn response(bytes: &[u8]) {
    for method in [Method::Post, Method::Head] {
        let limits = HeadLimits::default();
        same_for_every_prefix(bytes, |part| {
            let mut slots = Slots::new();
            match parse_response(part, &mut slots, &limits, method) {
                Ok(None) => Outcome::Incomplete,
                Err(error) => Outcome::Refused(error),
                Ok(Some(head)) => Outcome::Whole(format!("{head:?}")),
            }
        });
        let mut slots = Slots::new();
        if let Ok(Some(head)) = parse_response(bytes, &mut slots, &limits, method) {
            accepted_response(bytes, &head, method);
        }
    }
}

/// Checks that a chunked body is read the same in all pieces, and as the plain twin reads it.
///
/// # Panics
///
/// When it is not.
pub fn chunks(bytes: &[u8]) {
    let whole = read_chunks(bytes, |rest| rest);
    assert_eq!(read_chunks(bytes, |_| 1), whole, "byte by byte");
    let mut random =
        bytes.iter().fold(1u32, |sum, b| sum.wrapping_mul(31).wrapping_add(u32::from(*b)));
    let in_pieces = read_chunks(bytes, |_| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + (random >> 24) as usize % 23
    });
    assert_eq!(in_pieces, whole, "in random pieces");

    let twin = plain_chunks(bytes);
    match &whole.end {
        ChunksEnd::Ended => {
            assert_eq!(twin, Some((whole.data.clone(), whole.consumed)), "the plain twin")
        }
        ChunksEnd::Bad(
            BadChunk::ExtensionsTooLong | BadChunk::TooMuchFraming | BadChunk::TrailersTooLong,
        ) => {}
        ChunksEnd::Bad(_) | ChunksEnd::Open { .. } => assert_eq!(twin, None, "the plain twin"),
    }
    if let Some(runs) = WholeChunks::all(bytes) {
        assert_eq!(runs.collect::<Vec<_>>().concat(), whole.data, "whole chunks");
        assert_eq!(whole.consumed, bytes.len(), "whole chunks leave nothing");
        assert_eq!(whole.end, ChunksEnd::Open { at_start: true }, "whole chunks end between two");
    }
}

/// Starts of names that never pass a hop.
const HOP_BY_HOP: [&str; 9] = [
    "connection\0",
    "content-length\0",
    "http2-settings\0",
    "keep-alive\0",
    "proxy-",
    "te\0",
    "trailer\0",
    "transfer-encoding\0",
    "upgrade\0",
];

/// Starts of names that never reach a provider.
const OF_THE_CLIENT: [&str; 10] = [
    "api-key\0",
    "authorization\0",
    "expect\0",
    "forwarded\0",
    "host\0",
    "via\0",
    "x-api-key\0",
    "x-forwarded-",
    "x-goog-api-key\0",
    "x-real-ip\0",
];

/// Whether `name` starts with one of `starts`, where NUL stands for its end.
fn is_listed(name: &[u8], starts: &[&str]) -> bool {
    let name = [&name.to_ascii_lowercase()[..], b"\0"].concat();
    starts.iter().any(|start| name.starts_with(start.as_bytes()))
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Incomplete,
    Refused(HeadError),
    Whole(String),
}

fn same_for_every_prefix(bytes: &[u8], read: impl Fn(&[u8]) -> Outcome) {
    let whole = read(bytes);
    let first = bytes.len().saturating_sub(PREFIXES_MAX);
    let decided =
        (first..bytes.len()).map(|len| read(&bytes[..len])).find(|o| *o != Outcome::Incomplete);
    if let Some(decided) = decided {
        assert_eq!(decided, whole, "a prefix was read in another way");
    }
}

fn accepted_request(bytes: &[u8], head: &RequestHead<'_, '_>) {
    let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
    let (line, fields) = plain_fields(&bytes[start..head.len]);
    let version = if head.version == Version::Http11 { "HTTP/1.1" } else { "HTTP/1.0" };
    let line = std::str::from_utf8(line).expect("a request line is ascii");
    let parts: Vec<&str> = line.split(' ').collect();
    assert_eq!(parts.len(), 3, "one space between the parts");
    assert_eq!((parts[0], parts[2]), (head.method.as_str(), version));
    assert!(head.path.starts_with('/'), "a path is absolute");
    assert!(!parts[1].contains('#'), "a target has no fragment");
    assert_eq!(head.framing, plain_framing(&fields).unwrap_or(Framing::None), "the plain twin");
    let hosts: Vec<_> =
        fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"host")).collect();
    assert!(hosts.len() == 1 || (hosts.is_empty() && head.version == Version::Http10), "one host");
    assert!(!head.host.iter().any(|b| b"/#@?\\ \t".contains(b)), "a host is a host");
    for (name, value) in head.forwardable() {
        assert!(fields.contains(&(name, value)), "only what was sent goes on");
        assert!(!is_listed(name, &HOP_BY_HOP), "a hop-by-hop field goes on");
        assert!(!is_listed(name, &OF_THE_CLIENT), "a field between the client and us goes on");
        assert!(!name.contains(&b'_'), "a name that may be taken for another goes on");
    }
    if let Some(credential) = head.bearer() {
        assert!(!credential.is_empty(), "a credential is something");
    }
}

fn accepted_response(bytes: &[u8], head: &ResponseHead<'_, '_>, method: Method) {
    let (line, fields) = plain_fields(&bytes[..head.len]);
    assert!(line.starts_with(b"HTTP/1."), "a status line");
    assert_eq!(line[9..12], *head.status.to_string().as_bytes(), "the status");
    let has_body = method != Method::Head && !matches!(head.status, 100..=199 | 204 | 304);
    let framing = if has_body {
        plain_framing(&fields).unwrap_or(Framing::UntilClose)
    } else {
        Framing::None
    };
    assert_eq!(head.framing, framing, "the plain twin");
    assert!(
        !(head.keep_alive && head.framing == Framing::UntilClose),
        "a closed connection is not kept"
    );
    for (name, value) in head.forwardable() {
        assert!(fields.contains(&(name, value)), "only what was sent goes on");
        assert!(!is_listed(name, &HOP_BY_HOP), "a hop-by-hop field goes on");
    }
}

type Field<'a> = (&'a [u8], &'a [u8]);

/// Start line and fields of an accepted head, which must be CRLF lines of token, colon and value.
fn plain_fields(head: &[u8]) -> (&[u8], Vec<Field<'_>>) {
    let text = head.strip_suffix(b"\r\n\r\n").expect("a head ends with a blank line");
    let mut lines =
        text.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line_ends = head.iter().filter(|b| **b == b'\n').count();
    assert_eq!(line_ends, head.windows(2).filter(|two| two == b"\r\n").count(), "a bare LF");
    assert_eq!(line_ends, head.iter().filter(|b| **b == b'\r').count(), "a bare CR");
    assert!(!head.contains(&0), "a NUL");
    let start = lines.next().expect("a head has a start line");
    let fields = lines.map(|line| {
        let colon = line.iter().position(|b| *b == b':').expect("a field has a colon");
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        assert!(!name.is_empty() && name.iter().all(|b| crate::head::is_token_byte(*b)), "a name");
        assert!(value.iter().all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f)), "a value");
        (name, value.trim_ascii())
    });
    (start, fields.collect())
}

/// What the fields of an accepted head say about its body.
fn plain_framing(fields: &[Field<'_>]) -> Option<Framing> {
    let all = |wanted: &[u8]| {
        fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(wanted))
            .map(|(_, v)| *v)
            .collect::<Vec<_>>()
    };
    let (codings, lengths) = (all(b"transfer-encoding"), all(b"content-length"));
    if let [coding, rest @ ..] = &codings[..] {
        assert!(rest.is_empty() && lengths.is_empty(), "two framings");
        assert!(coding.eq_ignore_ascii_case(b"chunked"), "another coding");
        return Some(Framing::Chunked);
    }
    let length: u64 =
        std::str::from_utf8(lengths.first()?).ok()?.parse().expect("a length is a number");
    Some(if length == 0 { Framing::None } else { Framing::Length(length) })
}

#[derive(Debug, PartialEq)]
struct Chunks {
    data: Vec<u8>,
    consumed: usize,
    end: ChunksEnd,
}

#[derive(Debug, PartialEq)]
enum ChunksEnd {
    Ended,
    Open { at_start: bool },
    Bad(BadChunk),
}

/// Reads a body as a caller does that receives `piece(rest)` bytes at once.
fn read_chunks(bytes: &[u8], mut piece: impl FnMut(usize) -> usize) -> Chunks {
    let mut reader = BodyReader::Chunked(ChunkReader::new());
    let (mut data, mut consumed) = (Vec::new(), 0);
    while consumed < bytes.len() && !reader.is_ended() {
        let size = piece(bytes.len() - consumed).min(bytes.len() - consumed);
        let mut input = &bytes[consumed..consumed + size];
        while !input.is_empty() {
            match reader.next(input) {
                Err(bad) => {
                    assert_eq!(reader.next(input), Err(bad), "a bad body stays bad");
                    return Chunks { data, consumed: 0, end: ChunksEnd::Bad(bad) };
                }
                Ok(read) => {
                    assert!(read.consumed > 0, "a reader gets on");
                    assert_eq!(read.end, reader.is_ended());
                    data.extend_from_slice(read.data);
                    consumed += read.consumed;
                    input = &input[read.consumed..];
                    if read.end {
                        break;
                    }
                }
            }
        }
    }
    let end = match &reader {
        BodyReader::Chunked(chunks) if !chunks.is_ended() => {
            ChunksEnd::Open { at_start: chunks.at_chunk_start() }
        }
        _ => ChunksEnd::Ended,
    };
    Chunks { data, consumed, end }
}

/// The data of a complete chunked body and the length of both, if `bytes` start with one. Knows no
/// limits.
fn plain_chunks(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut data = Vec::new();
    let mut rest = bytes;
    loop {
        let (line, after) = plain_line(rest)?;
        let digits = line.split(|b| *b == b';').next()?;
        if digits.is_empty() || digits.len() > 16 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        rest = after;
        if size == 0 {
            break;
        }
        let (run, after) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        data.extend_from_slice(run);
        rest = after.strip_prefix(b"\r\n")?;
    }
    loop {
        let (line, after) = plain_line(rest)?;
        rest = after;
        if line.is_empty() {
            return Some((data, bytes.len() - rest.len()));
        }
        let name = &line[..line.iter().position(|b| *b == b':')?];
        if name.is_empty() || !name.iter().all(|b| crate::head::is_token_byte(*b)) {
            return None;
        }
    }
}

/// The first line, if it ends with CRLF and holds no control byte but HTAB.
fn plain_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let line = &bytes[..end];
    let is_text = line.iter().all(|b| *b == b'\t' || (*b >= b' ' && *b != 0x7f));
    is_text.then_some((line, &bytes[end + 2..]))
}
