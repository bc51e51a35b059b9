//! An amount of money.

use std::fmt;

/// An amount of money in nano-dollars, 10⁻⁹ USD. Never negative; the largest one is above 18 billion dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// More than anybody has: what a sum that does not fit becomes, so that it is refused and never wraps.
    pub const MAX: Self = Self(u64::MAX);
    /// One dollar.
    pub const DOLLAR: Self = Self(1_000_000_000);

    /// The sum, if it fits.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The sum, or [`MAX`](Self::MAX).
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or nothing.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// All digits that count, at least two: `$12.00`, `$0.000000001`.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, nanos) = (self.0 / Self::DOLLAR.0, self.0 % Self::DOLLAR.0);
        let digits = format!("{nanos:09}");
        let kept = digits.trim_end_matches('0');
        write!(f, "${dollars}.{kept:0<2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_every_digit_that_counts() {
        let written = |nanos| NanoUsd(nanos).to_string();
        assert_eq!(written(0), "$0.00");
        assert_eq!(written(1), "$0.000000001");
        assert_eq!(written(1_500_000_000), "$1.50");
        assert_eq!(written(12_340_000_000), "$12.34");
        assert_eq!(written(u64::MAX), "$18446744073.709551615");
    }

    #[test]
    fn sums_do_not_wrap() {
        assert_eq!(NanoUsd::MAX.checked_add(NanoUsd(1)), None);
        assert_eq!(NanoUsd::MAX.saturating_add(NanoUsd(1)), NanoUsd::MAX);
        assert_eq!(NanoUsd(1).saturating_sub(NanoUsd(2)), NanoUsd::ZERO);
    }
}
