//! Frames do not depend on where the input was split.

use crate::frames::{BadFrame, FrameCutter};

/// What a client makes of a stream: the name and the data of each frame, and how it ended.
pub type Read = (Vec<(Vec<u8>, Vec<u8>)>, Result<usize, BadFrame>);

/// Asserts that a stream that arrives in pieces of these sizes, over and over, is read like one that arrives whole, and
/// that the raw bytes of the frames are the stream.
///
/// # Panics
///
/// When it is not.
pub fn does_not_depend_on_pieces(wire: &[u8], sizes: &[u8]) {
    let whole = in_pieces(wire, std::iter::once(wire.len()));
    let sizes = sizes.iter().cycle().map(|size| usize::from(*size).max(1));
    let pieces = in_pieces(wire, sizes);
    assert_eq!(pieces, whole, "{}", wire.escape_ascii());
}

/// Reads `wire` in pieces of these sizes. The end is told as the bytes that belong to no frame yet.
///
/// # Panics
///
/// When the raw bytes of the frames are not the stream.
pub fn in_pieces(wire: &[u8], mut sizes: impl Iterator<Item = usize>) -> Read {
    let mut cutter = FrameCutter::default();
    let (mut start, mut end) = (0, 0);
    let mut frames = Vec::new();
    loop {
        match cutter.cut(&wire[start..end]) {
            Err(error) => return (frames, Err(error)),
            Ok(Some(frame)) => {
                assert_eq!(frame.raw, &wire[start..start + frame.raw.len()]);
                assert!(cutter.at_frame_start());
                start += frame.raw.len();
                frames.push((frame.event().into_owned(), frame.data().into_owned()));
            }
            Ok(None) => {
                assert_eq!(cutter.at_frame_start(), start == end);
                if end == wire.len() {
                    return (frames, Ok(end - start));
                }
                end = wire.len().min(end + sizes.next().unwrap_or(1));
            }
        }
    }
}
