//! Where the fields of a head end, by its line ends alone.

use super::{HeadError, HeadLimits};

/// The bytes that a head may lie in.
pub(super) fn window<'b>(bytes: &'b [u8], limits: &HeadLimits) -> &'b [u8] {
    &bytes[..bytes.len().min(limits.head_bytes)]
}

/// The end of the fields that start at `from`, behind the blank line; `None` while they are not
/// complete.
///
/// # Errors
///
/// The first of LF without CR and a line too many.
pub(super) fn fields_end(
    window: &[u8],
    from: usize,
    limits: &HeadLimits,
) -> Result<Option<usize>, HeadError> {
    let mut start = from;
    let mut left = limits.headers;
    for lf in memchr::memchr_iter(b'\n', &window[from..]) {
        let lf = from + lf;
        if lf == start || window[lf - 1] != b'\r' {
            return Err(HeadError::LineEnd);
        }
        if lf == start + 1 {
            return Ok(Some(lf + 1));
        }
        left = left.checked_sub(1).ok_or(HeadError::TooManyFields)?;
        start = lf + 1;
    }
    Ok(None)
}

/// What an incomplete head is: still to come, or too long already.
pub(super) fn incomplete<T>(window: &[u8], limits: &HeadLimits) -> Result<Option<T>, HeadError> {
    if window.len() < limits.head_bytes { Ok(None) } else { Err(HeadError::TooLong) }
}
