//! Decimal numbers, exactly.
//!
//! In: digits as people and JSON write them (`0.10`, `1,500`, `2.5e-07`). Out: whole numbers of a smaller unit. What does not
//! fit is told, what would have to be rounded is rounded only where the caller says so, and then up.

use std::fmt;

/// Digits that are read; more than any price has.
const DIGITS_MAX: u32 = 30;

/// The largest power of ten, either way.
const EXPONENT_MAX: i32 = 60;

/// From this many digits on, a number of a price list is the spelling of a binary fraction: `2.0000000000000002E-7`.
const NOISE_DIGITS_MIN: u32 = 16;

/// Digits that such a number keeps.
const NOISE_DIGITS_KEPT: u32 = 12;

/// A decimal number that is not negative: `digits · 10^exponent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decimal {
    digits: u128,
    exponent: i32,
}

impl Decimal {
    /// One.
    pub const ONE: Self = Self { digits: 1, exponent: 0 };

    /// A whole number.
    #[must_use]
    pub const fn whole(number: u64) -> Self {
        Self { digits: number as u128, exponent: 0 }
    }

    /// The number that `text` is: digits, with commas between thousands or none, a point, an exponent. Nothing else, no sign.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let bare = without_commas(whole)?;
        if bare.is_empty() || !all_digits(fraction) || mantissa.ends_with('.') {
            return None;
        }
        let mut digits: u128 = 0;
        for digit in bare.bytes().chain(fraction.bytes()) {
            digits = digits.checked_mul(10)?.checked_add(u128::from(digit - b'0'))?;
        }
        let places = i32::try_from(fraction.len()).ok()?;
        let number = Self { digits, exponent: exponent.checked_sub(places)? }.trimmed();
        (number.count_digits() <= DIGITS_MAX && number.exponent.abs() <= EXPONENT_MAX)
            .then_some(number)
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// How many units of `10^-places` it is; `None` where that is no whole number, or too many.
    #[must_use]
    pub fn exactly(self, places: i32) -> Option<u64> {
        match self.scaled(places)? {
            (number, true) => Some(number),
            (_, false) => None,
        }
    }

    /// How many units of `10^-places` it is, rounded up; `None` where that is too many.
    #[must_use]
    pub fn rounded_up(self, places: i32) -> Option<u64> {
        match self.scaled(places)? {
            (number, true) => Some(number),
            (number, false) => number.checked_add(1),
        }
    }

    /// The product, where its digits can be kept.
    #[must_use]
    pub fn times(self, other: Self) -> Option<Self> {
        let digits = self.digits.checked_mul(other.digits)?;
        let product = Self { digits, exponent: self.exponent.checked_add(other.exponent)? };
        Some(product.trimmed())
    }

    /// The number with its point moved to the right by `places`.
    #[must_use]
    pub fn shifted(self, places: i32) -> Self {
        Self { exponent: self.exponent.saturating_add(places), ..self }.trimmed()
    }

    /// The number that was meant where `self` is how a program spells a binary fraction: with sixteen digits or more, the
    /// nearest one of twelve.
    #[must_use]
    pub fn without_noise(self) -> Self {
        let count = self.count_digits();
        if count < NOISE_DIGITS_MIN {
            return self;
        }
        let dropped = count - NOISE_DIGITS_KEPT;
        let unit = 10_u128.pow(dropped);
        let digits = (self.digits + unit / 2) / unit;
        Self { digits, exponent: self.exponent.saturating_add_unsigned(dropped) }.trimmed()
    }

    fn scaled(self, places: i32) -> Option<(u64, bool)> {
        if self.digits == 0 {
            return Some((0, true));
        }
        let exponent = self.exponent.checked_add(places)?;
        let power = 10_u128.checked_pow(exponent.unsigned_abs());
        let (number, exact) = match (exponent >= 0, power) {
            (true, Some(power)) => (self.digits.checked_mul(power)?, true),
            (true, None) => return None,
            (false, Some(power)) => (self.digits / power, self.digits.is_multiple_of(power)),
            (false, None) => (0, false),
        };
        Some((u64::try_from(number).ok()?, exact))
    }

    fn count_digits(self) -> u32 {
        self.digits.checked_ilog10().map_or(1, |log| log + 1)
    }

    /// Without zeros at its end.
    fn trimmed(mut self) -> Self {
        if self.digits == 0 {
            return Self::default();
        }
        while self.digits.is_multiple_of(10) {
            self.digits /= 10;
            self.exponent = self.exponent.saturating_add(1);
        }
        self
    }
}

/// Digits with a point, no exponent: `0.0000025`.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits.to_string();
        let places = usize::try_from(self.exponent.unsigned_abs()).unwrap_or_default();
        if self.exponent >= 0 {
            return write!(f, "{digits}{}", "0".repeat(places));
        }
        match digits.len().checked_sub(places) {
            Some(0) => write!(f, "0.{digits}"),
            Some(at) => write!(f, "{}.{}", &digits[..at], &digits[at..]),
            None => write!(f, "0.{digits:0>places$}"),
        }
    }
}

fn read_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number: i32 = match digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() <= 3 {
        true => digits.parse().ok()?,
        false => return None,
    };
    Some(if text.starts_with('-') { -number } else { number })
}

/// The digits before the point; commas stand before each three of them, or nowhere.
fn without_commas(text: &str) -> Option<String> {
    let mut groups = text.split(',');
    let first = groups.next()?;
    let mut digits = first.to_owned();
    for group in groups {
        if group.len() != 3 || first.is_empty() || first.len() > 3 {
            return None;
        }
        digits.push_str(group);
    }
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pico(text: &str) -> Option<u64> {
        Decimal::parse(text).unwrap().exactly(12)
    }

    #[test]
    fn json_numbers_are_read_as_they_stand() {
        assert_eq!(pico("2.5e-07"), Some(250_000));
        assert_eq!(pico("1e-12"), Some(1));
        assert_eq!(pico("0.00000125"), Some(1_250_000));
        assert_eq!(pico("0"), Some(0));
        assert_eq!(pico("0.0"), Some(0));
        assert_eq!(pico("1E+2"), Some(100_000_000_000_000));
        assert_eq!(pico("1.41953125E-7"), None, "finer than a pico-dollar");
        assert_eq!(Decimal::parse("1.41953125E-7").unwrap().rounded_up(12), Some(141_954));
        assert_eq!(pico("18446744.073709551615"), Some(u64::MAX));
        assert_eq!(pico("18446744.073709551616"), None, "more than fits");
    }

    #[test]
    fn what_is_no_number_is_none() {
        let texts = [
            "", ".", "1.", ".5", "-1", "+1", "1e", "1e-", "1.2.3", "1,00", "1,0000", ",100",
            "1,000,00", "0x1", "NaN", "1 ", "1e9999", "٣", "1e61",
        ];
        for text in texts {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert_eq!(Decimal::parse(&"9".repeat(31)), None);
        assert_eq!(Decimal::parse(&"9".repeat(200)), None);
        assert_eq!(Decimal::parse("1,234,567.5"), Decimal::parse("1234567.5"));
    }

    #[test]
    fn spellings_of_binary_fractions_mean_the_number_next_to_them() {
        let meant = |text| Decimal::parse(text).unwrap().without_noise().to_string();
        assert_eq!(meant("2.0000000000000002E-7"), "0.0000002");
        assert_eq!(meant("9.499999999999999E-7"), "0.00000095");
        assert_eq!(meant("0.0005666666666666667"), "0.000566666666667");
        assert_eq!(meant("1.41953125E-7"), "0.000000141953125", "few digits are meant");
    }

    #[test]
    fn numbers_are_written_without_an_exponent() {
        for text in ["0", "7", "120", "0.5", "1.25", "0.000001", "1000000"] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Decimal::parse("2.50").unwrap().to_string(), "2.5");
    }
}
