//! Amounts of nano-dollars as text, and text as amounts: never through a floating-point number.

/// Nano-dollars of a dollar.
const DOLLAR: u128 = 1_000_000_000;

/// Dollars with all nine digits, for files: `-12.340000000`.
#[must_use]
pub fn decimal(nanos: i128) -> String {
    let (sign, size) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    format!("{sign}{}.{:09}", size / DOLLAR, size % DOLLAR)
}

/// Dollars with the digits that count, at least two, for reading: `-$1,212.34`.
#[must_use]
pub fn exact(nanos: i128) -> String {
    let (sign, size) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let digits = format!("{:09}", size % DOLLAR);
    let kept = digits.trim_end_matches('0');
    format!("{sign}${}.{kept:0<2}", grouped(size / DOLLAR))
}

/// Dollars rounded to four digits, half away from zero: `$1,212.3400`.
#[must_use]
pub fn rounded(nanos: i128) -> String {
    let size = nanos.unsigned_abs().saturating_add(50_000) / 100_000;
    let sign = if nanos < 0 && size > 0 { "-" } else { "" };
    format!("{sign}${}.{:04}", grouped(size / 10_000), size % 10_000)
}

/// A count with its thousands apart: `12,345`.
#[must_use]
pub fn count(number: i128) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(number.unsigned_abs()))
}

fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A decimal number as a count of 10⁻`scale`, exactly: `1.5` is 1,500,000,000 at scale 9. Exponents are understood, as in
/// `6e-7`. What is finer than the scale is told apart: the second value says whether something was cut off.
#[must_use]
pub fn parse(text: &str, scale: u32) -> Option<(i128, bool)> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (is_negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    // The number is `digits` times ten to this power, in units of the scale.
    let power = exponent
        .checked_sub(i32::try_from(fraction.len()).ok()?)?
        .checked_add(i32::try_from(scale).ok()?)?;
    let (kept, cut) = if power >= 0 {
        let zeros = if digits.is_empty() { 0 } else { usize::try_from(power).ok()? };
        if digits.len().checked_add(zeros)? > 38 {
            return None;
        }
        (format!("{digits}{}", "0".repeat(zeros)), false)
    } else {
        let split = digits.len().saturating_sub(usize::try_from(power.unsigned_abs()).ok()?);
        (digits[..split].to_owned(), digits[split..].bytes().any(|b| b != b'0'))
    };
    let size: i128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    Some((if is_negative { -size } else { size }, cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_to_the_last_digit() {
        assert_eq!(decimal(12_340_000_000), "12.340000000");
        assert_eq!(decimal(-1), "-0.000000001");
        assert_eq!(exact(-1_212_340_000_000), "-$1,212.34");
        assert_eq!(exact(1), "$0.000000001");
        assert_eq!(rounded(1_212_349_950_000), "$1,212.3500");
        assert_eq!(rounded(-49_999), "$0.0000");
        assert_eq!(rounded(-50_000), "-$0.0001");
        assert_eq!(count(-1_234_567), "-1,234,567");
        assert_eq!(count(999), "999");
        assert_eq!(exact(i128::from(u64::MAX) * 1000), "$18,446,744,073,709.551615");
    }

    #[test]
    fn decimals_are_read_as_they_are_written() {
        for (text, found) in [
            ("0", Some((0, false))),
            ("0.06", Some((60_000_000, false))),
            ("-12", Some((-12_000_000_000, false))),
            ("123.78912", Some((123_789_120_000, false))),
            ("6e-7", Some((600, false))),
            ("1.5E3", Some((1_500_000_000_000, false))),
            ("0.0000000005", Some((0, true))),
            ("1.0000000010", Some((1_000_000_001, false))),
            (".5", Some((500_000_000, false))),
            ("0e99999", Some((0, false))),
            ("1e-99999", Some((0, true))),
            ("1e99999", None),
            ("1e99999999999", None),
            ("", None),
            (".", None),
            ("-", None),
            ("1,5", None),
            ("NaN", None),
            ("--1", None),
            ("１", None),
        ] {
            assert_eq!(parse(text, 9), found, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for nanos in [0, 1, -1, 999_999_999, 1_000_000_000, -12_345_678_901, i128::from(i64::MAX)] {
            assert_eq!(parse(&decimal(nanos), 9), Some((nanos, false)));
        }
    }
}
