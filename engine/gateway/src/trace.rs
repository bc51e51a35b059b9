//! W3C trace context: continue a valid trace, start one otherwise, and name requests.
//!
//! In: the client's `traceparent`, random numbers. Out: the ids of this request.
//! Format: <https://www.w3.org/TR/trace-context/#traceparent-header>

use std::{cell::Cell, hash::BuildHasher};

/// Random numbers for ids and jitter; not for secrets. One a core.
#[derive(Debug)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    /// Seeds from the process's own random source.
    pub(crate) fn new() -> Self {
        let seed =
            std::collections::hash_map::RandomState::new().hash_one(std::thread::current().id());
        Self(Cell::new(seed | 1))
    }

    /// The next number (splitmix64, <https://prng.di.unimi.it/splitmix64.c>).
    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The place of one request in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// The trace, from the client or new.
    pub(crate) trace_id: u128,
    /// This request's own span.
    pub(crate) span_id: u64,
    /// The flags, passed on.
    pub(crate) flags: u8,
}

impl Trace {
    /// Continues `parent` when it is a valid version 00 header, else starts a trace.
    pub(crate) fn continue_from(parent: Option<&[u8]>, random: &Random) -> Self {
        let span_id = random.next() | 1;
        match parent.and_then(parse) {
            Some((trace_id, flags)) => Self { trace_id, span_id, flags },
            None => {
                let trace_id = (u128::from(random.next()) << 64) | u128::from(random.next() | 1);
                Self { trace_id, span_id, flags: 1 }
            }
        }
    }

    /// Appends `00-<trace>-<span>-<flags>`.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"00-");
        write_hex(out, self.trace_id, 32);
        out.push(b'-');
        write_hex(out, u128::from(self.span_id), 16);
        out.push(b'-');
        write_hex(out, u128::from(self.flags), 2);
    }
}

/// Appends the lowest `digits` hex digits of `value`.
///
/// # Panics
///
/// With an odd number of digits, or more than 32.
#[inline(always)]
pub(crate) fn write_hex(out: &mut Vec<u8>, value: u128, digits: usize) {
    const PAIRS: [[u8; 2]; 256] = {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut pairs = [[0; 2]; 256];
        let mut n = 0;
        while n < 256 {
            pairs[n] = [DIGITS[n >> 4], DIGITS[n & 15]];
            n += 1;
        }
        pairs
    };
    assert!(digits <= 32 && digits.is_multiple_of(2), "whole bytes of a number of 128 bits");
    let mut text = [0; 32];
    let bytes = value.to_be_bytes();
    for (pair, byte) in text.chunks_exact_mut(2).zip(&bytes[16 - digits / 2..]) {
        pair.copy_from_slice(&PAIRS[usize::from(*byte)]);
    }
    out.extend_from_slice(&text[..digits]);
}

fn parse(header: &[u8]) -> Option<(u128, u8)> {
    let text = std::str::from_utf8(header).ok()?;
    let hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let (version, rest) = text.split_once('-')?;
    let (trace, rest) = rest.split_once('-')?;
    let (span, flags) = rest.split_once('-')?;
    let lengths = (version, trace.len(), span.len(), flags.len());
    if lengths != ("00", 32, 16, 2) || !(hex(trace) && hex(span) && hex(flags)) {
        return None;
    }
    let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
    u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
    Some((trace_id, u8::from_str_radix(flags, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(trace: &Trace) -> String {
        let mut out = Vec::new();
        trace.write(&mut out);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn a_valid_parent_is_continued_under_a_new_span() {
        let parent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let text = written(&Trace::continue_from(Some(parent), &Random::new()));
        assert!(text.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{text}");
        assert!(text.ends_with("-01") && !text.contains("00f067aa0ba902b7"), "{text}");
    }

    #[test]
    fn an_invalid_parent_starts_a_new_trace() {
        for parent in [
            &b"00-00000000000000000000000000000000-00f067aa0ba902b7-01"[..],
            b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            b"",
            b"\xff\xff",
        ] {
            let text = written(&Trace::continue_from(Some(parent), &Random::new()));
            assert_eq!(text.len(), 55, "{text}");
            assert!(!text.to_lowercase().contains("4bf92f3577b34da6"), "{text}");
        }
    }
}
