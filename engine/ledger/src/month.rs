//! A month of the books: a calendar month in UTC.

use std::{fmt, str::FromStr};

use jiff::civil::Date;

/// Nanoseconds of an hour.
pub const HOUR: u64 = 3_600_000_000_000;

/// Nanoseconds of a day.
pub const DAY: u64 = 24 * HOUR;

/// A calendar month in UTC, written `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i16,
    month: i8,
}

impl Month {
    /// The month that holds a moment, in nanoseconds since 1970 UTC.
    #[must_use]
    pub fn of(nanos: u64) -> Self {
        let seconds = i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX);
        let moment = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
        let date = jiff::tz::Offset::UTC.to_datetime(moment).date();
        Self { year: date.year(), month: date.month() }
    }

    /// The month after this one; the last one that can be said is its own.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.month {
            12 if self.year < 9999 => Self { year: self.year + 1, month: 1 },
            12 => self,
            month => Self { year: self.year, month: month + 1 },
        }
    }

    /// Its first nanosecond since 1970 UTC.
    #[must_use]
    pub fn start(self) -> u64 {
        let days = (self.first() - Date::constant(1970, 1, 1)).get_days();
        u64::try_from(days).unwrap_or(0).saturating_mul(DAY)
    }

    /// The first nanosecond behind it.
    #[must_use]
    pub fn end(self) -> u64 {
        self.next().start()
    }

    /// Its first day.
    #[must_use]
    pub fn first(self) -> Date {
        Date::new(self.year, self.month, 1).unwrap_or(Date::ZERO)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SPELLING: &str = "months are spelled 2026-11";
        let (year, month) = text.split_once('-').ok_or(SPELLING)?;
        let digits =
            |part: &str, len| part.len() == len && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(SPELLING);
        }
        let (year, month) =
            (year.parse().map_err(|_| SPELLING)?, month.parse().map_err(|_| SPELLING)?);
        if !(1..=12).contains(&month) {
            return Err("there is no such month");
        }
        if !(1970..=2261).contains(&year) {
            return Err("months from 1970 to 2261 are known");
        }
        Ok(Self { year, month })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_cut_out_of_utc() {
        let november: Month = "2026-11".parse().expect("a month");
        assert_eq!(november.start(), 1_793_491_200_000_000_000);
        assert_eq!(november.end() - november.start(), 30 * DAY);
        assert_eq!(Month::of(november.start()), november);
        assert_eq!(Month::of(november.end() - 1), november);
        assert_eq!(Month::of(november.end()).to_string(), "2026-12");
        assert_eq!(
            "2026-12".parse::<Month>().map(|month| month.next().to_string()),
            Ok("2027-01".to_owned())
        );
        assert_eq!("1970-01".parse::<Month>().map(Month::start), Ok(0));
    }

    #[test]
    fn what_is_no_month_is_refused() {
        for text in [
            "",
            "2026",
            "2026-1",
            "2026-13",
            "2026-00",
            "26-11",
            "2026-11-01",
            "+026-11",
            "1969-12",
            "9999-01",
        ] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }
}
