//! Frames of an AWS event stream.
//!
//! In: headers and a payload. Out: the bytes of one message: total length, length of the headers,
//! checksum of those two, headers, payload, checksum of everything before it; all big-endian.
//! Format: <https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html>

/// Bytes of a message beside headers and payload: two lengths and two checksums.
const FRAMING_BYTES: usize = 16;

/// The number of the header type `string`.
const STRING: u8 = 7;

/// One message with string headers. Names and values are short by nature.
pub(crate) fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(u8::try_from(name.len()).expect("header names have less than 256 bytes"));
        block.extend_from_slice(name.as_bytes());
        block.push(STRING);
        let length = u16::try_from(value.len()).expect("header values have less than 64 KiB");
        block.extend_from_slice(&length.to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let total = FRAMING_BYTES + block.len() + payload.len();
    let mut out = Vec::with_capacity(total);
    let length = |bytes: usize| u32::try_from(bytes).expect("a message has less than 4 GiB");
    out.extend_from_slice(&length(total).to_be_bytes());
    out.extend_from_slice(&length(block.len()).to_be_bytes());
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.extend_from_slice(&block);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out
}

/// One event of that type.
pub(crate) fn event(kind: &str, payload: &[u8]) -> Vec<u8> {
    let headers =
        [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
    message(&headers, payload)
}

/// One exception of that type.
pub(crate) fn exception(kind: &str, payload: &[u8]) -> Vec<u8> {
    let headers = [
        (":exception-type", kind),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    message(&headers, payload)
}

/// The checksum of `bytes`: CRC-32 as in gzip.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| CRCS[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ crc >> 8;
    !bytes.iter().fold(u32::MAX, step)
}

/// The checksums of single bytes.
const CRCS: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "less than 256")]
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_common_one() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn an_empty_message_has_the_known_bytes() {
        let known = [0, 0, 0, 0x10, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(message(&[], b""), known);
    }

    #[test]
    fn lengths_and_checksums_cover_what_they_should() {
        let wire = event("messageStop", b"{}");
        let word = |at: usize| u32::from_be_bytes(wire[at..at + 4].try_into().unwrap());
        assert_eq!(word(0) as usize, wire.len());
        assert_eq!(word(8), crc32(&wire[..8]));
        assert_eq!(word(wire.len() - 4), crc32(&wire[..wire.len() - 4]));
        let headers = 12..12 + word(4) as usize;
        assert!(wire[headers.clone()].starts_with(b"\x0b:event-type\x07\x00\x0bmessageStop"));
        assert_eq!(&wire[headers.end..wire.len() - 4], b"{}");
    }
}
