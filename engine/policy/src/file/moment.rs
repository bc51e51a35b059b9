//! Dates, as nanoseconds since 1970 UTC.
//!
//! Format: <https://www.rfc-editor.org/rfc/rfc3339>, or a date alone, which means its first second
//! in UTC.

/// Reads a date and time with its offset, or a date.
///
/// # Errors
///
/// What is missing or wrong.
pub(super) fn parse(text: &str) -> Result<u64, &'static str> {
    let digits = text.as_bytes();
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    if !digits.is_ascii() {
        return Err(SPELLING);
    }
    let days = days(date)?;
    let seconds = match time {
        None => 0,
        Some(time) => seconds(time)?,
    };
    let total = days * 86_400 + seconds;
    let total = u64::try_from(total).map_err(|_| "dates before 1970 are not known")?;
    total.checked_mul(1_000_000_000).ok_or("dates after 2554 are not known")
}

const SPELLING: &str = "dates are spelled 2027-01-31 or 2027-01-31T12:00:00Z";
const OFFSET: &str = "the offset is missing: end with Z for UTC, or with +01:00";

fn days(date: &str) -> Result<i64, &'static str> {
    let mut parts = date.splitn(3, '-');
    let year = number(parts.next(), 4)?;
    let month = number(parts.next(), 2)?;
    let day = number(parts.next(), 2)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return Err("there is no such month"),
    };
    if !(1..=length).contains(&day) {
        return Err("there is no such day");
    }
    // Years begin in March, so that the leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    Ok(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Seconds of the day in UTC; may be before or behind it.
fn seconds(time: &str) -> Result<i64, &'static str> {
    let at = time.find(['Z', 'z', '+', '-']).ok_or(OFFSET)?;
    let (clock, offset) = time.split_at(at);
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    let mut parts = clock.splitn(3, ':');
    let hour = number(parts.next(), 2)?;
    let minute = number(parts.next(), 2)?;
    let second = match parts.next() {
        None => 0,
        part => number(part, 2)?,
    };
    if hour > 23 || minute > 59 || second > 60 {
        return Err("there is no such time of day");
    }
    Ok(hour * 3600 + minute * 60 + second - offset_seconds(offset)?)
}

fn offset_seconds(offset: &str) -> Result<i64, &'static str> {
    let sign = match offset.as_bytes() {
        b"Z" | b"z" => return Ok(0),
        [b'-', ..] => -1,
        _ => 1,
    };
    let (hours, minutes) = offset[1..].split_once(':').ok_or(OFFSET)?;
    let (hours, minutes) = (number(Some(hours), 2)?, number(Some(minutes), 2)?);
    if hours > 23 || minutes > 59 {
        return Err(OFFSET);
    }
    Ok(sign * (hours * 3600 + minutes * 60))
}

fn number(part: Option<&str>, len: usize) -> Result<i64, &'static str> {
    let part = part.filter(|part| part.len() == len).ok_or(SPELLING)?;
    if !part.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SPELLING);
    }
    part.parse().map_err(|_| SPELLING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_from_1970_in_utc() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2027-01-01T00:00:00Z", 1_798_761_600),
            ("2027-01-01 01:00:00.5+01:00", 1_798_761_600),
            ("2026-12-31t23:30-00:30", 1_798_761_600),
            ("2400-03-01", 13_574_649_600),
        ] {
            assert_eq!(parse(text), Ok(seconds * 1_000_000_000), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for (text, why) in [
            ("2027-02-29", "there is no such day"),
            ("2027-13-01", "there is no such month"),
            ("2027-01-01T24:00:00Z", "there is no such time of day"),
            ("2027-01-01T10:00:00", OFFSET),
            ("1969-12-31", "dates before 1970 are not known"),
            ("9999-01-01", "dates after 2554 are not known"),
            ("tomorrow", SPELLING),
            ("2027-1-1", SPELLING),
            ("2027-01-01é", SPELLING),
            ("", SPELLING),
        ] {
            assert_eq!(parse(text), Err(why), "{text}");
        }
    }
}
