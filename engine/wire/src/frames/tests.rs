//! Frames in pieces, broken frames, and frames of the other types of headers.

use proptest::prelude::*;

use super::*;
use crate::check::frames::{does_not_depend_on_pieces, in_pieces};

fn stream() -> Vec<u8> {
    let mut wire = Vec::new();
    write_event_frame(&mut wire, "messageStart", br#"{"role":"assistant"}"#);
    write_frame(&mut wire, &[], b"");
    write_event_frame(
        &mut wire,
        "contentBlockDelta",
        "{\"delta\":{\"text\":\"\u{2028}\"}}".as_bytes(),
    );
    write_exception_frame(&mut wire, "throttlingException", br#"{"message":"slow down"}"#);
    wire
}

/// A frame whose headers are these bytes.
fn with_headers(headers: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let total = u32::try_from(PRELUDE_BYTES + headers.len() + CRC_BYTES).unwrap();
    wire.extend_from_slice(&total.to_be_bytes());
    wire.extend_from_slice(&u32::try_from(headers.len()).unwrap().to_be_bytes());
    wire.extend_from_slice(&crc32(&wire).to_be_bytes());
    wire.extend_from_slice(headers);
    wire.extend_from_slice(&crc32(&wire).to_be_bytes());
    wire
}

fn only(wire: &[u8]) -> Result<Option<Frame<'_>>, BadFrame> {
    FrameCutter::default().cut(wire)
}

#[test]
fn frames_do_not_depend_on_where_the_network_cut_them() {
    let wire = stream();
    let (frames, end) = in_pieces(&wire, std::iter::once(wire.len()));
    let names: Vec<_> = frames.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
    assert_eq!(names, ["messageStart", "", "contentBlockDelta", "exception:throttlingException"]);
    assert_eq!(end, Ok(0));
    for size in 1..=255 {
        does_not_depend_on_pieces(&wire, &[size]);
    }
    for len in 0..wire.len() {
        does_not_depend_on_pieces(&wire[..len], &[7, 1]);
    }
}

#[test]
fn the_formats_own_example_is_read() {
    // From the AWS SDKs' test vectors: one string header, JSON payload.
    let wire = b"\x00\x00\x00\x3d\x00\x00\x00\x20\x07\xfd\x83\x96\x0ccontent-type\x07\x00\x10application/json\
        {'foo':'bar'}\x8d\x9c\x08\xb1";
    let frame = only(wire).unwrap().unwrap();
    assert_eq!(frame.header("content-type"), Some(&b"application/json"[..]));
    assert_eq!(frame.payload, b"{'foo':'bar'}");
    let mut written = Vec::new();
    write_frame(&mut written, &[("content-type", "application/json")], b"{'foo':'bar'}");
    assert_eq!(written, wire);
}

#[test]
fn every_bit_that_flips_is_noticed() {
    let mut wire = Vec::new();
    write_event_frame(&mut wire, "x", b"{}");
    for bit in 0..wire.len() * 8 {
        let mut broken = wire.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        assert!(only(&broken).is_err(), "bit {bit}");
    }
}

#[test]
fn headers_of_every_type_are_stepped_over() {
    let mut headers = Vec::new();
    for (kind, value) in [
        (0, &b""[..]),
        (1, b""),
        (2, b"1"),
        (3, b"12"),
        (4, b"1234"),
        (5, b"12345678"),
        (6, b"\0\x03abc"),
        (8, b"12345678"),
        (9, b"0123456789abcdef"),
    ] {
        headers.extend_from_slice(&[1, b'a', kind]);
        headers.extend_from_slice(value);
    }
    headers.extend_from_slice(b"\x01s\x07\0\x02ok");
    let wire = with_headers(&headers);
    let frame = only(&wire).unwrap().unwrap();
    assert_eq!((frame.header("s"), frame.header("a")), (Some(&b"ok"[..]), None));
    for wrong in [&b"\x01s\x0a"[..], b"\x01s\x07\0\x03ok", b"\x00\x00", b"\x05ab", b"\x01s\x07\0"] {
        assert_eq!(only(&with_headers(wrong)), Err(BadFrame::Headers), "{wrong:?}");
    }
}

#[test]
fn an_error_without_a_payload_has_its_message_as_data() {
    let mut wire = Vec::new();
    let headers =
        [(":message-type", "error"), (":error-code", "Internal"), (":error-message", "a \"b\"")];
    write_frame(&mut wire, &headers, b"");
    let frame = only(&wire).unwrap().unwrap();
    assert_eq!(&frame.event()[..], b"exception:Internal");
    assert_eq!(&frame.data()[..], br#"{"message":"a \"b\""}"#);
}

#[test]
fn lengths_have_limits_and_must_agree() {
    let prelude = |total: u32, headers: u32| {
        let mut wire = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        wire.extend_from_slice(&crc32(&wire).to_be_bytes());
        wire
    };
    let longest = u32::try_from(FRAME_BYTES_MAX).unwrap();
    let headers = u32::try_from(FRAME_HEADER_BYTES_MAX).unwrap();
    for (total, headers, expected) in [
        (longest, headers, Ok(None)),
        (longest + 1, 0, Err(BadFrame::TooLong)),
        (u32::MAX, 0, Err(BadFrame::TooLong)),
        (longest, headers + 1, Err(BadFrame::TooLong)),
        (15, 0, Err(BadFrame::Lengths)),
        (0, 0, Err(BadFrame::Lengths)),
        (20, 5, Err(BadFrame::Lengths)),
        (21, 5, Ok(None)),
    ] {
        assert_eq!(only(&prelude(total, headers)), expected, "{total} {headers}");
    }
    assert_eq!(only(b"HTTP/1.1 500"), Err(BadFrame::PreludeCrc));
}

proptest! {
    #[test]
    fn any_bytes_are_cut_alike_in_any_pieces(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        at in 0..400_usize,
        sizes in prop::collection::vec(1..40_u8, 0..30),
    ) {
        let mut wire = stream();
        let at = at.min(wire.len());
        wire.splice(at..at, bytes);
        does_not_depend_on_pieces(&wire, &sizes);
    }
}
