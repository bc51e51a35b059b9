//! `Retry-After` and `retry-after-ms` read.
//!
//! In: the fields' values and the wall clock. Out: how long to wait. Formats: delay in seconds or one of the three HTTP
//! dates (<https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>); milliseconds as OpenAI and Azure send them. Fractions
//! are taken, as client libraries do.

use std::time::Duration;

/// Longer than anything that is waited for; keeps arithmetic on waits from overflowing.
const TOLD_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long a provider asks to be left alone. `value` is `Retry-After`, empty when absent; milliseconds take precedence.
/// `None` when neither says anything that can be read; a date in the past is no wait at all.
#[must_use]
pub fn retry_after(value: &[u8], value_ms: Option<&[u8]>, wall_nanos: u64) -> Option<Duration> {
    let told = value_ms
        .and_then(|value| decimal(value, 1_000_000))
        .or_else(|| decimal(value, 1_000_000_000))
        .or_else(|| Some(until(date(value)?, wall_nanos)))?;
    Some(told.min(TOLD_MAX))
}

/// A non-negative decimal number of units of `nanos` nanoseconds.
fn decimal(value: &[u8], nanos: u64) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim_ascii();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = whole.parse().unwrap_or(u64::MAX);
    let mut total = whole.saturating_mul(nanos);
    let mut unit = nanos;
    for digit in fraction.bytes() {
        unit /= 10;
        total = total.saturating_add(u64::from(digit - b'0') * unit);
    }
    Some(Duration::from_nanos(total))
}

fn until(seconds: u64, wall_nanos: u64) -> Duration {
    Duration::from_secs(seconds).saturating_sub(Duration::from_nanos(wall_nanos))
}

/// Seconds since 1970 of an HTTP date.
fn date(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?.trim_ascii();
    let words: Vec<&str> = text.split([' ', '-']).filter(|word| !word.is_empty()).take(7).collect();
    let (day, month, year, time) = match *words.as_slice() {
        // Sun, 06 Nov 1994 08:49:37 GMT, and Sunday, 06-Nov-94 08:49:37 GMT
        [weekday, day, month, year, time, "GMT"] if weekday.ends_with(',') => {
            (day, month, year, time)
        }
        // Sun Nov  6 08:49:37 1994
        [_, month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let day = number(day, 31)?;
    let year = match (year.len(), number(year, 9999)?) {
        (4, year) => year,
        (2, year) if year < 70 => year + 2000,
        (2, year) => year + 1900,
        _ => return None,
    };
    let mut parts = time.split(':').map(|part| number(part, 60));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    if day == 0 || hours > 23 || minutes > 59 || parts.next().is_some() {
        return None;
    }
    let days = days_before(year, month, day)?;
    Some(days * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn number(text: &str, max: u64) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|value| digits && *value <= max)
}

/// Days from 1970 to a date of the Gregorian calendar (<https://howardhinnant.github.io/date_algorithms.html>).
/// `month` counts from zero. `None` before 1970.
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month < 2 { year.checked_sub(1)? } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 10) % 12) + 2) / 5 + day - 1;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    (era * 146_097 + of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1994-11-06 08:49:37 UTC.
    const WALL: u64 = 784_111_777_000_000_000;

    fn check(value: &str, expected_ms: Option<u64>) {
        let told = retry_after(value.as_bytes(), None, WALL - 5_000_000_000);
        assert_eq!(told, expected_ms.map(Duration::from_millis), "{value:?}");
    }

    #[test]
    fn seconds_and_dates_are_read() {
        check("0", Some(0));
        check(" 7 ", Some(7000));
        check("1.5", Some(1500));
        check("120", Some(120_000));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(5000));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(5000));
        check("Sun Nov  6 08:49:37 1994", Some(5000));
        check("Sun, 06 Nov 1994 08:49:30 GMT", Some(0));
        check("Thu, 29 Feb 1996 00:00:00 GMT", Some(41_440_228_000));
    }

    #[test]
    fn a_huge_wait_stays_a_huge_wait() {
        for value in ["99999999999999999999999999", "18446744073709551615", "9e9999"] {
            let told = retry_after(value.as_bytes(), None, WALL);
            assert!(told.is_none_or(|told| told > Duration::from_secs(3600)), "{value}: {told:?}");
        }
        assert_eq!(retry_after(b"99999999999999999999999999", None, WALL), Some(TOLD_MAX));
    }

    #[test]
    fn garbage_and_negative_waits_say_nothing() {
        for value in [
            "",
            "-1",
            "+1",
            "soon",
            "1,5",
            "0x10",
            ".5",
            "1.-5",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "Sun, 06 Now 1994 08:49:37 GMT",
            "\u{661}",
        ] {
            check(value, None);
        }
        assert_eq!(retry_after(b"\xff", Some(b"\xff"), WALL), None);
    }

    #[test]
    fn milliseconds_take_precedence() {
        let told = |value: &[u8], ms: &[u8]| retry_after(value, Some(ms), WALL);
        assert_eq!(told(b"9", b"250"), Some(Duration::from_millis(250)));
        assert_eq!(told(b"", b"0.5"), Some(Duration::from_micros(500)));
        assert_eq!(told(b"9", b"-250"), Some(Duration::from_secs(9)));
    }
}
