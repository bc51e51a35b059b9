//! The frames of a WebSocket, followed while they pass.
//!
//! In: the bytes of one direction, split anywhere. Out: runs of payload, and where frames and messages end. Nothing is
//! kept but the bytes of a frame's head, and nothing is unmasked: what a client says is not looked into.
//! State between calls: how much of the frame is still to come, and whether a message is open.
//! Format: <https://www.rfc-editor.org/rfc/rfc6455#section-5.2>

use crate::limits::{WEBSOCKET_CONTROL_BYTES_MAX, WEBSOCKET_HEAD_BYTES_MAX};

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// The next piece of the message that is open.
    Continuation,
    /// Text, or the start of it.
    Text,
    /// Bytes, or the start of them.
    Binary,
    /// The end of the connection.
    Close,
    /// A question whether the peer is there.
    Ping,
    /// The answer to it.
    Pong,
}

impl Opcode {
    fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// Whether it stands between the frames of messages.
    #[must_use]
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A run of bytes of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramePiece<'a> {
    /// What its frame carries.
    pub opcode: Opcode,
    /// The frame starts here.
    pub starts: bool,
    /// Payload, masked as it came. May be empty.
    pub data: &'a [u8],
    /// The frame ends here.
    pub frame_ends: bool,
    /// With the frame, a message ends here; true for each control frame.
    pub message_ends: bool,
}

/// A frame that breaks the format, so that nobody knows where the next one starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadWebsocket;

/// Follows the frames of one direction.
#[derive(Clone, Debug)]
pub struct FrameReader {
    masked: bool,
    head: [u8; WEBSOCKET_HEAD_BYTES_MAX],
    head_len: usize,
    opcode: Opcode,
    ends: bool,
    left: u64,
    /// A message has begun and not ended.
    open: bool,
    in_payload: bool,
    /// Something of the payload has passed.
    begun: bool,
}

impl FrameReader {
    /// A reader at the start of a direction: clients mask their frames, servers do not.
    #[must_use]
    pub fn new(masked: bool) -> Self {
        Self {
            masked,
            head: [0; WEBSOCKET_HEAD_BYTES_MAX],
            head_len: 0,
            opcode: Opcode::Text,
            ends: true,
            left: 0,
            open: false,
            in_payload: false,
            begun: false,
        }
    }

    /// Whether the next byte starts a frame.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        !self.in_payload && self.head_len == 0
    }

    /// Whether a message is open.
    #[must_use]
    pub fn is_in_message(&self) -> bool {
        self.open
    }

    /// Takes the next run out of `input`, and moves it behind. `None` when `input` is spent.
    ///
    /// # Errors
    ///
    /// [`BadWebsocket`]: an opcode or a bit without a meaning, a length that is not the shortest, a control frame that is
    /// long or in pieces, a piece without its message, a mask where none belongs or none where one does.
    pub fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<FramePiece<'a>>, BadWebsocket> {
        while !self.in_payload {
            let Some((byte, rest)) = input.split_first() else { return Ok(None) };
            *input = rest;
            self.head[self.head_len] = *byte;
            self.head_len += 1;
            self.read_head()?;
        }
        if input.is_empty() && self.left > 0 {
            return Ok(None);
        }
        let take = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
        let (data, rest) = input.split_at(take);
        *input = rest;
        self.left -= take as u64;
        let frame_ends = self.left == 0;
        let message_ends = frame_ends && self.ends;
        let starts = !self.begun;
        self.begun = !frame_ends;
        if frame_ends {
            self.in_payload = false;
            self.head_len = 0;
            if !self.opcode.is_control() {
                self.open = !self.ends;
            }
        }
        Ok(Some(FramePiece { opcode: self.opcode, starts, data, frame_ends, message_ends }))
    }

    fn read_head(&mut self) -> Result<(), BadWebsocket> {
        let head = &self.head[..self.head_len];
        if self.head_len == 1 {
            let opcode = Opcode::of(head[0] & 0x0f).ok_or(BadWebsocket)?;
            let ends = head[0] & 0x80 != 0;
            let is_reserved = head[0] & 0x70 != 0;
            let is_in_place = match opcode {
                Opcode::Continuation => self.open,
                Opcode::Text | Opcode::Binary => !self.open,
                Opcode::Close | Opcode::Ping | Opcode::Pong => ends,
            };
            if is_reserved || !is_in_place {
                return Err(BadWebsocket);
            }
            (self.opcode, self.ends) = (opcode, ends);
            return Ok(());
        }
        let short = head[1] & 0x7f;
        if self.head_len == 2 {
            let is_long = usize::from(short) > WEBSOCKET_CONTROL_BYTES_MAX;
            if (head[1] & 0x80 != 0) != self.masked || self.opcode.is_control() && is_long {
                return Err(BadWebsocket);
            }
        }
        let wide = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.masked { 4 } else { 0 };
        if self.head_len == 2 + wide + mask {
            let number = head[2..2 + wide].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            let (length, least) = match wide {
                0 => (u64::from(short), 0),
                2 => (number, 126),
                _ => (number, 1 << 16),
            };
            if length < least || length >> 63 != 0 {
                return Err(BadWebsocket);
            }
            self.left = length;
            self.in_payload = true;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut out = vec![first];
        match payload.len() {
            len @ 0..126 => out.push(mask | u8::try_from(len).unwrap()),
            len @ 126..65536 => {
                out.push(mask | 126);
                out.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
            }
            len => {
                out.push(mask | 127);
                out.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        if masked {
            out.extend_from_slice(&[1, 2, 3, 4]);
        }
        out.extend_from_slice(payload);
        out
    }

    /// Payloads of messages and control frames, in the order of their ends.
    fn read(
        bytes: &[u8],
        step: usize,
        masked: bool,
    ) -> Result<Vec<(Opcode, Vec<u8>)>, BadWebsocket> {
        let mut reader = FrameReader::new(masked);
        let mut ended = Vec::new();
        let (mut message, mut control) = ((Opcode::Text, Vec::new()), Vec::new());
        for mut piece in bytes.chunks(step) {
            while let Some(run) = reader.next(&mut piece)? {
                if run.opcode.is_control() {
                    control.extend_from_slice(run.data);
                    if run.message_ends {
                        ended.push((run.opcode, std::mem::take(&mut control)));
                    }
                    continue;
                }
                if run.opcode != Opcode::Continuation {
                    assert_eq!(run.starts, message.1.is_empty());
                    message.0 = run.opcode;
                }
                message.1.extend_from_slice(run.data);
                if run.message_ends {
                    ended.push((message.0, std::mem::take(&mut message.1)));
                }
            }
        }
        assert!(reader.is_between_frames() && !reader.is_in_message());
        Ok(ended)
    }

    #[test]
    fn messages_are_followed_wherever_they_are_cut() {
        for masked in [false, true] {
            let long = vec![b'y'; 70_000];
            let frames = [
                frame(0x81, b"hello", masked),
                frame(0x01, b"a", masked),
                frame(0x89, b"are you there", masked),
                frame(0x00, &[b'b'; 200], masked),
                frame(0x80, b"", masked),
                frame(0x82, &long, masked),
                frame(0x81, b"", masked),
                frame(0x88, &[3, 232], masked),
            ];
            let bytes = frames.concat();
            let expected = vec![
                (Opcode::Text, b"hello".to_vec()),
                (Opcode::Ping, b"are you there".to_vec()),
                (Opcode::Text, [b"a".to_vec(), vec![b'b'; 200]].concat()),
                (Opcode::Binary, long),
                (Opcode::Text, Vec::new()),
                (Opcode::Close, vec![3, 232]),
            ];
            for step in [1, 2, 3, 5, 13, 100, 4096, bytes.len()] {
                assert_eq!(read(&bytes, step, masked).as_ref(), Ok(&expected), "{step}");
            }
        }
    }

    #[test]
    fn what_breaks_the_format_is_refused() {
        for bytes in [
            frame(0x83, b"", false),       // no such opcode
            frame(0xc1, b"", false),       // a reserved bit
            frame(0x80, b"", false),       // a piece of nothing
            frame(0x09, b"", false),       // a control frame in pieces
            frame(0x89, &[0; 126], false), // a long one
            frame(0x81, b"", true),        // a masked frame of a server
            [frame(0x01, b"a", false), frame(0x81, b"b", false)].concat(),
            vec![0x81, 126, 0, 125], // not the shortest length
            vec![0x81, 127, 0, 0, 0, 0, 0, 0, 255, 255],
            vec![0x81, 127, 255, 0, 0, 0, 0, 0, 0, 0],
        ] {
            for step in [1, bytes.len()] {
                assert_eq!(read(&bytes, step, false), Err(BadWebsocket), "{bytes:?}");
            }
        }
        assert_eq!(read(&frame(0x81, b"a", false), 1, true), Err(BadWebsocket));
    }
}
