//! Tests of the chunked coding.

use proptest::prelude::*;

use super::*;
use crate::check;

/// Reads `wire` in one piece: its data and the bytes consumed, or the rule that it breaks.
fn read(wire: &[u8]) -> Result<(Vec<u8>, usize, bool), BadChunk> {
    let mut reader = ChunkReader::new();
    let (mut data, mut consumed) = (Vec::new(), 0);
    while consumed < wire.len() && !reader.is_ended() {
        let piece = reader.next(&wire[consumed..])?;
        data.extend_from_slice(piece.data);
        consumed += piece.consumed;
    }
    Ok((data, consumed, reader.is_ended()))
}

fn check_body(wire: &[u8], expected: &[u8]) {
    check::chunks(wire);
    assert_eq!(read(wire), Ok((expected.to_vec(), wire.len(), true)), "{}", wire.escape_ascii());
}

fn check_bad(wire: &[u8], expected: BadChunk) {
    check::chunks(wire);
    assert_eq!(read(wire), Err(expected), "{}", wire.escape_ascii());
}

#[test]
fn a_body_is_its_chunks_one_behind_the_other() {
    check_body(b"0\r\n\r\n", b"");
    check_body(b"5\r\nhello\r\n0\r\n\r\n", b"hello");
    check_body(b"1\r\na\r\n2\r\nbc\r\nA\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789");
    check_body(b"0000000000000005\r\nhello\r\n000\r\n\r\n", b"hello");
    check_body(b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n");
}

#[test]
fn one_call_reads_a_whole_chunk_and_the_end_behind_it() {
    let mut reader = ChunkReader::new();
    let piece = reader.next(b"5\r\nhello\r\n0\r\n\r\nPOST /").unwrap();
    assert_eq!(piece, Piece { data: b"hello", consumed: 15, end: true });
    assert_eq!(reader.next(b"POST /").unwrap(), Piece { data: b"", consumed: 0, end: true });
}

#[test]
fn a_chunk_start_is_where_the_next_byte_is_a_size() {
    let mut reader = ChunkReader::new();
    assert!(reader.at_chunk_start());
    for (byte, at_start) in
        b"2\r\nab\r\n".iter().zip([false, false, false, false, false, false, true])
    {
        reader.next(&[*byte]).unwrap();
        assert_eq!(reader.at_chunk_start(), at_start, "behind {}", byte.escape_ascii());
    }
}

#[test]
fn extensions_and_trailers_are_read_and_dropped() {
    check_body(b"5;a=b\r\nhello\r\n0;last\r\n\r\n", b"hello");
    check_body(b"5;a=\"b;c\"\t \r\nhello\r\n0\r\n\r\n", b"hello");
    check_body(
        b"5;\r\nhello\r\n0\r\nContent-Length: 7\r\nAuthorization: Bearer x\r\n\r\n",
        b"hello",
    );
    check_body(b"0\r\nx:\r\ny: \x80\t\r\n\r\n", b"");
}

#[test]
fn a_size_is_hex_digits_alone() {
    for bad in [
        &b"0x5\r\n"[..],
        b"+5\r\n",
        b"-5\r\n",
        b"5_0\r\n",
        b"\r\n",
        b" 5\r\n",
        b"\t5\r\n",
        b"5 \r\n",
        b"5\t;a\r\n",
        b";a\r\n",
        b"g\r\n",
        b"5.\r\n",
        b"\xb2\r\n",
        b"5\0\r\n",
    ] {
        check_bad(bad, BadChunk::Size);
    }
}

#[test]
fn a_size_never_wraps() {
    check_bad(b"10000000000000000\r\n", BadChunk::Size);
    check_bad(b"00000000000000005\r\n", BadChunk::Size);
    check_bad(b"fffffffffffffffff\r\n", BadChunk::Size);
    let mut reader = ChunkReader::new();
    let piece = reader.next(b"ffffffffffffffff\r\nabc").unwrap();
    assert_eq!(piece, Piece { data: b"abc", consumed: 21, end: false });
}

#[test]
fn a_line_ends_with_crlf_and_nothing_less() {
    for bad in [
        &b"5\nhello\r\n0\r\n\r\n"[..], // CVE-2025-22871: LF behind the size
        b"5\rhello",
        b"5;a=b\nhello", // CVE-2025-55315: LF in an extension
        b"5;a\n\r\nhello",
        b"5;a\rb\r\nhello", // CR in an extension
        b"5\r\r\nhello",
        b"5\r\nhello0\r\n\r\n", // overrun
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\rx",
        b"0\r\n\n",
        b"0\r\nx: y\n\r\n",
        b"0\r\nx\n\r\n",
        b"0\r\nx: y\rz",
        b"0\r\n\rx",
    ] {
        check_bad(bad, BadChunk::LineEnd);
    }
}

#[test]
fn data_in_front_of_a_bad_byte_are_given_back_first() {
    let mut reader = ChunkReader::new();
    let piece = reader.next(b"5\r\nhelloX").unwrap();
    assert_eq!(piece, Piece { data: b"hello", consumed: 8, end: false });
    assert_eq!(reader.next(b"X"), Err(BadChunk::LineEnd));
    assert_eq!(reader.next(b"\r\n"), Err(BadChunk::LineEnd), "a bad body stays bad");
}

#[test]
fn control_bytes_in_extensions_and_trailers_are_refused() {
    check_bad(b"5;a\0b\r\n", BadChunk::Extension);
    check_bad(b"5;\x7f\r\n", BadChunk::Extension);
    check_bad(b"0\r\nx: \0\r\n\r\n", BadChunk::Trailer);
    check_bad(b"0\r\nx\0: y\r\n\r\n", BadChunk::Trailer);
}

#[test]
fn a_trailer_is_a_field() {
    check_bad(b"0\r\nx\r\n\r\n", BadChunk::Trailer);
    check_bad(b"0\r\n: y\r\n\r\n", BadChunk::Trailer);
    check_bad(b"0\r\nx : y\r\n\r\n", BadChunk::Trailer);
    check_bad(b"0\r\n x: y\r\n\r\n", BadChunk::Trailer);
    check_bad(b"0\r\nx: y\r\n folded\r\n\r\n", BadChunk::Trailer);
}

#[test]
fn extensions_are_bounded_for_the_whole_message() {
    let mut wire = Vec::new();
    for _ in 0..4 {
        wire.extend_from_slice(b"400;");
        wire.resize(wire.len() + 1023, b'x');
        wire.extend_from_slice(b"\r\n");
        wire.resize(wire.len() + 1024, b'd');
        wire.extend_from_slice(b"\r\n");
    }
    assert!(read(&wire).is_ok(), "4096 bytes of extensions");
    wire.extend_from_slice(b"1;");
    check_bad(&wire, BadChunk::ExtensionsTooLong);
}

#[test]
fn trailers_are_bounded_for_the_whole_message() {
    let field = b"name: value\r\n";
    let fitting = TRAILER_BYTES_MAX as usize / field.len();
    let mut wire = b"0\r\n".to_vec();
    wire.extend_from_slice(&field.repeat(fitting));
    let mut whole = wire.clone();
    whole.extend_from_slice(b"\r\n");
    check_body(&whole, b"");
    wire.extend_from_slice(field);
    check_bad(&wire, BadChunk::TrailersTooLong);
}

#[test]
fn framing_may_not_outweigh_the_data() {
    let padded = b"0000000000000001\r\na\r\n";
    let wire = padded.repeat(usize::try_from(CHUNK_WASTE_BYTES_MAX).unwrap() / 2 + 1);
    assert_eq!(read(&wire), Err(BadChunk::TooMuchFraming));
    check::chunks(&wire);
    let plain = b"1\r\na\r\n".repeat(100_000);
    assert!(read(&plain).is_ok(), "the smallest chunks without extensions are fine");
}

#[test]
fn whole_chunks_give_their_data() {
    let check = |wire: &[u8], expected: &[&[u8]]| {
        check::chunks(wire);
        let runs: Vec<_> = WholeChunks::all(wire).expect("whole chunks").collect();
        assert_eq!(runs, expected);
    };
    check(b"5\r\nhello\r\n", &[b"hello"]);
    check(
        b"1\r\na\r\n2\r\nbc\r\nA\r\n0123456789\r\na\r\n0123456789\r\n",
        &[b"a", b"bc", b"0123456789", b"0123456789"],
    );
}

#[test]
fn anything_but_whole_canonical_chunks_is_left_to_the_reader() {
    for other in [
        &b""[..],
        b"0\r\n\r\n",
        b"1\r\na\r\n0\r\n\r\n",
        b"1\r\na",
        b"1\r\na\r",
        b"1\r\n",
        b"1\r",
        b"1",
        b"1\r\nab\r\n",
        b"1\r\na\r\nx",
        b"1;x\r\na\r\n",
        b"01\r\na\r\n",
        b"1\na\r\n",
        b"ffffffffffffffff\r\na\r\n",
        b"fffffffffffffffff\r\na\r\n",
        b" 1\r\na\r\n",
    ] {
        check::chunks(other);
        assert!(WholeChunks::all(other).is_none(), "{}", other.escape_ascii());
    }
}

#[test]
fn a_written_head_is_the_size_in_hex() {
    for len in [1, 9, 10, 15, 16, 255, 256, 4095, 65_536, 0xdead_beef, usize::MAX] {
        let mut out = [0; CHUNK_HEAD_BYTES_MAX];
        let written = write_chunk_head(&mut out, len);
        assert_eq!(out[..written], *format!("{len:x}\r\n").as_bytes());
    }
}

#[test]
fn reasons_name_the_limits_as_they_are() {
    assert!(BadChunk::ExtensionsTooLong.reason().contains(&CHUNK_EXTENSION_BYTES_MAX.to_string()));
    assert!(BadChunk::TrailersTooLong.reason().contains(&TRAILER_BYTES_MAX.to_string()));
}

/// A body in chunks, as some sender might have written it.
fn body() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let run = prop::collection::vec(any::<u8>(), 1..200);
    let extension = prop_oneof![4 => Just(""), 1 => Just(";a"), 1 => Just(";name=\"some value\"")];
    let chunk = (run, extension, 0usize..3, any::<bool>());
    (
        prop::collection::vec(chunk, 0..12),
        prop::sample::select(vec!["", "x: y\r\n", "a:\r\nb: c\r\n"]),
    )
        .prop_map(|(chunks, trailers)| {
            let (mut data, mut wire) = (Vec::new(), Vec::new());
            for (run, extension, zeros, upper) in chunks {
                let size =
                    if upper { format!("{:X}", run.len()) } else { format!("{:x}", run.len()) };
                wire.extend_from_slice(
                    format!("{}{size}{extension}\r\n", "0".repeat(zeros)).as_bytes(),
                );
                wire.extend_from_slice(&run);
                wire.extend_from_slice(b"\r\n");
                data.extend_from_slice(&run);
            }
            wire.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
            (data, wire)
        })
}

proptest! {
    #[test]
    fn random_bodies_come_back_whole_in_any_pieces((data, wire) in body()) {
        check_body(&wire, &data);
    }

    #[test]
    fn a_changed_byte_is_read_the_same_in_any_pieces((_, mut wire) in body(), at: prop::sample::Index, byte: u8) {
        let at = at.index(wire.len());
        wire[at] = byte;
        check::chunks(&wire);
    }

    #[test]
    fn random_bytes_are_read_the_same_in_any_pieces(wire in prop::collection::vec(any::<u8>(), 0..300)) {
        check::chunks(&wire);
    }

    #[test]
    fn bytes_that_look_like_chunks_are_read_the_same_in_any_pieces(
        wire in prop::collection::vec(prop::sample::select(b"012aF;:x\r\n\t \0\x80".to_vec()), 0..64)
    ) {
        check::chunks(&wire);
    }

    #[test]
    fn written_chunks_are_whole_chunks(runs in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..10)) {
        let mut wire = Vec::new();
        for run in &runs {
            let mut head = [0; CHUNK_HEAD_BYTES_MAX];
            let written = write_chunk_head(&mut head, run.len());
            wire.extend_from_slice(&head[..written]);
            wire.extend_from_slice(run);
            wire.extend_from_slice(b"\r\n");
        }
        let read: Vec<_> = WholeChunks::all(&wire).expect("whole chunks").collect();
        prop_assert_eq!(read, runs);
        check::chunks(&wire);
    }
}
