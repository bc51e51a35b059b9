//! WebSocket frames do not depend on where the input was split.

use crate::websocket::{BadWebsocket, FrameReader, Opcode};

/// A frame as a whole: what it carries, its payload, whether it has ended, and a message with it.
type Read = (Vec<(Opcode, Vec<u8>, bool, bool)>, Result<(bool, bool), BadWebsocket>);

/// Asserts that both directions are read the same in one piece, in single bytes and in pieces that the bytes themselves
/// say, that frames begin and end in turn, and that no input is passed over.
///
/// # Panics
///
/// When they are not.
pub fn websocket(bytes: &[u8]) {
    for masked in [false, true] {
        let whole = in_pieces(bytes, masked, &[]);
        for sizes in [&[1], bytes] {
            assert_eq!(in_pieces(bytes, masked, sizes), whole, "{}", bytes.escape_ascii());
        }
    }
}

fn in_pieces(bytes: &[u8], masked: bool, sizes: &[u8]) -> Read {
    let mut reader = FrameReader::new(masked);
    let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();
    let (mut frames, mut rest): (Vec<(Opcode, Vec<u8>, bool, bool)>, _) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let size = rest.len().min(sizes.next().unwrap_or(rest.len()));
        let (mut piece, behind) = rest.split_at(size);
        loop {
            match reader.next(&mut piece) {
                Err(error) => return (frames, Err(error)),
                Ok(None) => break,
                Ok(Some(run)) if run.starts => {
                    assert!(frames.last().is_none_or(|frame| frame.2), "a frame within a frame");
                    let data = run.data.to_vec();
                    frames.push((run.opcode, data, run.frame_ends, run.message_ends));
                }
                Ok(Some(run)) => {
                    let frame = frames.last_mut().filter(|frame| frame.0 == run.opcode && !frame.2);
                    assert!(frame.is_some(), "a run without its frame");
                    if let Some((_, data, frame_ends, message_ends)) = frame {
                        data.extend_from_slice(run.data);
                        (*frame_ends, *message_ends) = (run.frame_ends, run.message_ends);
                    }
                }
            }
        }
        assert!(piece.is_empty(), "input is left");
        rest = behind;
    }
    // The start of a frame whose payload has not come may have been told or not.
    if frames.last().is_some_and(|frame| frame.1.is_empty() && !frame.2) {
        frames.pop();
    }
    (frames, Ok((reader.is_between_frames(), reader.is_in_message())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_are_whole_however_they_came() {
        let wire = b"\x01\x02Hi\x89\x00\x80\x01!";
        let (frames, end) = in_pieces(wire, false, &[1]);
        assert_eq!(end, Ok((true, false)));
        let told: Vec<_> = frames.iter().map(|frame| (frame.0, &*frame.1, frame.3)).collect();
        let expected: [(_, &[u8], _); 3] = [
            (Opcode::Text, b"Hi", false),
            (Opcode::Ping, b"", true),
            (Opcode::Continuation, b"!", true),
        ];
        assert_eq!(told, expected);
        websocket(wire);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_alike(first in prop::sample::select(vec![0_u8, 1, 2, 0x80, 0x81, 0x89]), bytes: Vec<u8>) {
            websocket(&[&[first], &*bytes].concat());
        }
    }
}
