//! Dates as AWS and token services spell them, to and from seconds since 1970.
//!
//! Format: RFC 3339 <https://www.rfc-editor.org/rfc/rfc3339>, UTC or with an offset; ISO 8601's basic form for AWS.

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u64);

const DAY: u64 = 86_400;

/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

impl Seconds {
    /// `20150830T123600Z`; what is beyond the year 9999 is its last second.
    #[must_use]
    pub fn basic(self) -> String {
        let seconds = self.0.min(LAST);
        let (year, month, day) = civil(seconds / DAY);
        let rest = seconds % DAY;
        let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
        format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
    }

    /// `2015-08-30T12:36:00Z`; what is beyond the year 9999 is its last second.
    #[must_use]
    pub fn extended(self) -> String {
        let basic = self.basic();
        let part = |range: std::ops::Range<usize>| basic.get(range).unwrap_or_default();
        let (date, clock) = ((part(0..4), part(4..6), part(6..8)), (part(9..11), part(11..13)));
        let ((year, month, day), (hour, minute), second) = (date, clock, part(13..15));
        format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")
    }

    /// Reads `2024-05-01T12:00:00Z`, fractions and offsets too; `None` when it is none or before 1970.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (date, clock) = text.trim().split_at_checked(10)?;
        let mut date = date.split('-');
        let (year, month, day) =
            (number(date.next()?)?, number(date.next()?)?, number(date.next()?)?);
        let clock = clock.strip_prefix(['T', 't', ' '])?;
        let (clock, zone) = clock.split_at_checked(8)?;
        let mut clock = clock.split(':');
        let (hour, minute, second) =
            (number(clock.next()?)?, number(clock.next()?)?, number(clock.next()?)?);
        let fits = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        if !fits {
            return None;
        }
        let zone = zone
            .strip_prefix('.')
            .map_or(zone, |zone| zone.trim_start_matches(|digit: char| digit.is_ascii_digit()));
        let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
        offset(zone, seconds).map(Self)
    }

    /// This many seconds later.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// This many seconds earlier.
    #[must_use]
    pub const fn minus(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `seconds` of local time in UTC.
fn offset(zone: &str, seconds: u64) -> Option<u64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(seconds);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let ahead = number(hours)? * 3600 + number(minutes)? * 60;
    match sign {
        "+" => seconds.checked_sub(ahead),
        "-" => seconds.checked_add(ahead),
        _ => None,
    }
}

/// Days from 1970-01-01; years begin in March here, so that the leap day is their last.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_of_year = (month + 9) % 12;
    let day_of_year = (153 * month_of_year + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

/// The year, month and day of a day since 1970-01-01.
const fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_of_year = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_of_year + 2) / 5 + 1;
    let month = if month_of_year < 10 { month_of_year + 3 } else { month_of_year - 9 };
    let year = year_of_era + era * 400 + (month <= 2) as u64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2015-08-30T12:36:00Z", 1_440_938_160),
            ("2024-02-29T23:59:59Z", 1_709_251_199),
            ("2024-02-29T23:59:59.123Z", 1_709_251_199),
            ("2024-03-01T01:59:59+02:00", 1_709_251_199),
            ("2024-02-29T18:29:59.5-05:30", 1_709_251_199),
            ("9999-12-31T23:59:59Z", LAST),
        ] {
            assert_eq!(Seconds::read(text), Some(Seconds(seconds)), "{text}");
        }
        assert_eq!(Seconds(1_440_938_160).basic(), "20150830T123600Z");
        assert_eq!(Seconds(1_440_938_160).extended(), "2015-08-30T12:36:00Z");
        assert_eq!(Seconds(u64::MAX).basic(), "99991231T235959Z");
        for wrong in
            ["", "2024", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T0:0:0Z", "x"]
        {
            assert_eq!(Seconds::read(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in 0..=LAST) {
            let text = Seconds(seconds).extended();
            prop_assert_eq!(Seconds::read(&text), Some(Seconds(seconds)));
        }

        #[test]
        fn any_text_is_survived(text in "[0-9TZ:.+é-]{0,30}") {
            let _ = Seconds::read(&text);
        }
    }
}
