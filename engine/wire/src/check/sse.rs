//! Events do not depend on where the input was split.

use crate::sse::{Cutter, TooLong};

/// What a client makes of a stream: the payload and the name of each event that has any, and how it ended.
pub type Read = (Vec<(Option<Vec<u8>>, Option<Vec<u8>>)>, Result<usize, TooLong>);

/// Asserts that a stream that arrives in pieces of these sizes, over and over, is read like one that arrives whole, and
/// that the raw bytes of the events are the stream.
///
/// # Panics
///
/// When it is not.
pub fn does_not_depend_on_pieces(wire: &[u8], sizes: &[u8]) {
    let whole = in_pieces(wire, std::iter::once(wire.len()));
    let sizes = sizes.iter().map(|size| usize::from(*size).max(1)).chain(std::iter::repeat(1));
    let pieces = in_pieces(wire, sizes);
    assert_eq!(pieces, whole, "{}", wire.escape_ascii());
}

/// Reads `wire` in pieces of these sizes. The end is told as the bytes that belong to no event yet.
///
/// # Panics
///
/// When the raw bytes of the events are not the stream.
pub fn in_pieces(wire: &[u8], mut sizes: impl Iterator<Item = usize>) -> Read {
    let mut cutter = Cutter::default();
    let (mut start, mut end) = (0, 0);
    let mut events = Vec::new();
    loop {
        match cutter.cut(&wire[start..end]) {
            Err(error) => return (events, Err(error)),
            Ok(Some(event)) => {
                assert_eq!(event.raw, &wire[start..start + event.raw.len()]);
                assert!(cutter.at_event_start());
                start += event.raw.len();
                let data = event.data_joined().map(std::borrow::Cow::into_owned);
                let first = event.data().map(<[u8]>::to_vec);
                assert_eq!(
                    first,
                    data.as_ref().and_then(|d| d.split(|b| *b == b'\n').next()).map(<[u8]>::to_vec)
                );
                let name = event.event().map(<[u8]>::to_vec);
                if data.is_some() || name.is_some() {
                    events.push((data, name));
                }
            }
            Ok(None) => {
                assert_eq!(cutter.at_event_start(), start == end);
                if end == wire.len() {
                    return (events, Ok(end - start));
                }
                end = wire.len().min(end + sizes.next().unwrap_or(1));
            }
        }
    }
}
