//! Spans of time, as people say them, and the calendar that cuts them.

use std::fmt;

use jiff::{
    Timestamp, Unit, ZonedDateTime,
    civil::{Date, DateTime, Weekday},
    tz::TimeZone,
};

use super::Dimension;
use crate::month::{DAY, HOUR, Month};

/// The last moment that a row can have.
const LAST: u64 = i64::MAX.cast_unsigned();

/// From a moment until before another, seen in a timezone.
#[derive(Clone, Debug)]
pub struct Period {
    /// The first nanosecond since 1970 UTC.
    pub from: u64,
    /// The first nanosecond behind it.
    pub to: u64,
    /// Where days begin.
    pub zone: TimeZone,
}

/// Why text is no period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPeriod(pub String);

impl fmt::Display for BadPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Period {
    /// The timezone of this name: `UTC`, `Europe/Berlin`, …
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn zone(name: &str) -> Result<TimeZone, BadPeriod> {
        TimeZone::get(name).map_err(|_| {
            BadPeriod(format!(
                "no timezone is called {name:?}; they are spelled UTC or Europe/Berlin"
            ))
        })
    }

    /// The date of a day, counted from 1970, seen in a timezone.
    #[must_use]
    pub fn day(day: u64, zone: &TimeZone) -> String {
        moment(day.saturating_mul(DAY)).to_zoned_datetime(zone.clone()).date().to_string()
    }

    /// All that there is.
    #[must_use]
    pub const fn all(zone: TimeZone) -> Self {
        Self { from: 0, to: LAST, zone }
    }

    /// The last hours, days, weeks or months (`36h`, `30d`, `12w`, `6m`) up to `now`: from the start of the hour, or of the
    /// day, so long ago.
    ///
    /// # Errors
    ///
    /// It is spelled otherwise, or begins before 1970.
    pub fn since(text: &str, now: u64, zone: TimeZone) -> Result<Self, BadPeriod> {
        let bad = || BadPeriod(format!("{text:?} is no span of time; say 36h, 30d, 12w or 6m"));
        let unit = text.chars().next_back().ok_or_else(bad)?;
        let count: i64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| bad())?;
        if !(0..=100_000).contains(&count) {
            return Err(bad());
        }
        let span = match unit {
            'h' => jiff::Span::new().hours(count),
            'd' => jiff::Span::new().days(count),
            'w' => jiff::Span::new().days(count * 7),
            'm' => jiff::Span::new().months(count),
            _ => return Err(bad()),
        };
        let start =
            moment(now).to_zoned_datetime(zone.clone()).checked_sub(span).map_err(|_| bad())?;
        let unit = if unit == 'h' { Unit::Hour } else { Unit::Day };
        let start = start
            .round(jiff::ZonedDateTimeRound::new().smallest(unit).mode(jiff::RoundMode::Trunc))
            .map_err(|_| bad())?;
        let to = now.div_ceil(HOUR).saturating_mul(HOUR).min(LAST);
        Self { from: nanos(&start).ok_or_else(bad)?, to, zone }.checked()
    }

    /// A month of the timezone.
    ///
    /// # Errors
    ///
    /// It cannot be said in this timezone.
    pub fn month(month: Month, zone: TimeZone) -> Result<Self, BadPeriod> {
        let bad = || BadPeriod(format!("{month} is not known in this timezone"));
        let from = midnight(month.first(), &zone).ok_or_else(bad)?;
        let to = midnight(month.next().first(), &zone).ok_or_else(bad)?;
        Self { from, to, zone }.checked()
    }

    /// From a date or moment until before another; what is missing is the beginning and the end of all.
    ///
    /// # Errors
    ///
    /// One is spelled wrongly, or the second is not after the first.
    pub fn between(
        from: Option<&str>,
        to: Option<&str>,
        zone: TimeZone,
    ) -> Result<Self, BadPeriod> {
        let from = from.map_or(Ok(0), |text| point(text, &zone))?;
        let to = to.map_or(Ok(LAST), |text| point(text, &zone))?;
        Self { from, to, zone }.checked()
    }

    fn checked(self) -> Result<Self, BadPeriod> {
        if self.from < self.to {
            Ok(self)
        } else {
            Err(BadPeriod("the period ends before it begins".into()))
        }
    }

    /// The starts of the spans of `unit` that the period from `from` to `to` touches; none of anything but time.
    pub(crate) fn starts(&self, unit: &Dimension, from: u64, to: u64) -> Vec<u64> {
        let mut starts = Vec::new();
        if *unit == Dimension::Hour {
            // The hours of a timezone begin where its offset says.
            let offset = moment(from).to_zoned_datetime(self.zone.clone()).offset().seconds();
            let offset = u64::try_from(offset.rem_euclid(3_600)).unwrap_or(0) * 1_000_000_000;
            let first = (from + offset) / HOUR * HOUR;
            let mut at = first.saturating_sub(offset);
            while at < to {
                starts.push(at);
                at += HOUR;
            }
            return starts;
        }
        let mut date = first_of(unit, moment(from).to_zoned_datetime(self.zone.clone()).date());
        while let Some(at) = midnight(date, &self.zone).filter(|at| *at < to) {
            starts.push(at);
            let Some(next) = next(unit, date) else { break };
            date = next;
        }
        starts
    }

    /// What a span that starts here is called.
    pub(crate) fn label(&self, unit: &Dimension, start: u64) -> String {
        let local = moment(start).to_zoned_datetime(self.zone.clone());
        let date = local.date();
        match unit {
            // An hour that comes twice, when clocks are put back, is told apart by its offset.
            Dimension::Hour => {
                let text = format!("{date} {:02}:{:02}", local.hour(), local.minute());
                if self.zone == TimeZone::UTC { text } else { text + &offset(&local) }
            }
            Dimension::Week => {
                let week = date.iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            Dimension::Month => format!("{:04}-{:02}", date.year(), date.month()),
            _ => date.to_string(),
        }
    }
}

/// `2026-11-01 to 2026-11-30 (UTC)`, with hours where it does not begin and end at midnight.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.zone.iana_name().unwrap_or("UTC");
        if self.from == 0 && self.to == LAST {
            return write!(f, "all that there is ({name})");
        }
        let text = |nanos: u64, is_end: bool| {
            let local = moment(nanos).to_zoned_datetime(self.zone.clone());
            let is_midnight = local.hour() == 0 && local.minute() == 0 && local.second() == 0;
            match (is_midnight, is_end) {
                (true, false) => local.date().to_string(),
                (true, true) => {
                    local.date().yesterday().map_or_else(|_| String::new(), |d| d.to_string())
                }
                (false, _) => format!("{} {:02}:{:02}", local.date(), local.hour(), local.minute()),
            }
        };
        match (self.from, self.to) {
            (0, to) => write!(f, "up to {} ({name})", text(to, true)),
            (from, LAST) => write!(f, "from {} ({name})", text(from, false)),
            (from, to) => write!(f, "{} to {} ({name})", text(from, false), text(to, true)),
        }
    }
}

fn first_of(unit: &Dimension, date: Date) -> Date {
    match unit {
        Dimension::Month => date.first_of_month(),
        Dimension::Week if date.weekday() == Weekday::Monday => date,
        Dimension::Week => date.nth_weekday(-1, Weekday::Monday).unwrap_or(date),
        _ => date,
    }
}

fn next(unit: &Dimension, date: Date) -> Option<Date> {
    let span = match unit {
        Dimension::Month => jiff::Span::new().months(1),
        Dimension::Week => jiff::Span::new().days(7),
        _ => jiff::Span::new().days(1),
    };
    date.checked_add(span).ok()
}

/// The first nanosecond of a date in a timezone.
fn midnight(date: Date, zone: &TimeZone) -> Option<u64> {
    nanos(&date.to_zoned_datetime(zone.clone()).ok()?)
}

/// A date, or a date and time, in a timezone; or a moment with an offset.
fn point(text: &str, zone: &TimeZone) -> Result<u64, BadPeriod> {
    let bad = || {
        BadPeriod(format!(
            "{text:?} is no date; they are spelled 2026-11-01, 2026-11-01T12:00 or 2026-11-01T12:00:00Z"
        ))
    };
    let found = if let Ok(timestamp) = text.parse::<Timestamp>() {
        u64::try_from(timestamp.as_nanosecond()).ok()
    } else if let Ok(date) = text.parse::<Date>() {
        midnight(date, zone)
    } else {
        let local = text.parse::<DateTime>().map_err(|_| bad())?;
        nanos(&local.to_zoned_datetime(zone.clone()).map_err(|_| bad())?)
    };
    found.filter(|nanos| *nanos <= LAST).ok_or_else(bad)
}

/// `+05:30`
fn offset(at: &ZonedDateTime) -> String {
    let seconds = at.offset().seconds();
    let (sign, size) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    format!("{sign}{:02}:{:02}", size / 3_600, size / 60 % 60)
}

fn moment(nanos: u64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos.min(LAST))).unwrap_or(Timestamp::MAX)
}

fn nanos(at: &ZonedDateTime) -> Option<u64> {
    u64::try_from(at.timestamp().as_nanosecond()).ok().filter(|nanos| *nanos <= LAST)
}

/// How fine sums must be for all of `starts` to fall between them: `DAY`, `HOUR`, or 1 for single rows.
pub(crate) fn grain(starts: &[u64]) -> u64 {
    [DAY, HOUR]
        .into_iter()
        .find(|grain| starts.iter().all(|at| at.is_multiple_of(*grain)))
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-25 14:45 in UTC.
    const NOW: u64 = 1_795_617_900_000_000_000;

    fn said(period: Result<Period, BadPeriod>) -> String {
        period.map_or_else(|error| error.0, |period| period.to_string())
    }

    fn zone(name: &str) -> TimeZone {
        Period::zone(name).expect("a timezone")
    }

    #[test]
    fn spans_begin_at_the_start_of_a_day_or_an_hour() {
        for (text, name, period) in [
            ("30d", "UTC", "2026-10-26 to 2026-11-25 15:00 (UTC)"),
            ("36h", "UTC", "2026-11-24 02:00 to 2026-11-25 15:00 (UTC)"),
            ("6m", "UTC", "2026-05-25 to 2026-11-25 15:00 (UTC)"),
            ("0d", "Asia/Kolkata", "2026-11-25 to 2026-11-25 20:30 (Asia/Kolkata)"),
            ("1w", "Europe/Berlin", "2026-11-18 to 2026-11-25 16:00 (Europe/Berlin)"),
        ] {
            assert_eq!(said(Period::since(text, NOW, zone(name))), period, "{text}");
        }
        for text in ["", "d", "30", "30y", "-1d", "1.5d", "999999999d", "30é"] {
            assert!(Period::since(text, NOW, TimeZone::UTC).is_err(), "{text}");
        }
    }

    #[test]
    fn months_and_dates_are_those_of_the_timezone() {
        let month = "2026-11".parse().expect("a month");
        let berlin = Period::month(month, zone("Europe/Berlin")).expect("a period");
        assert_eq!(berlin.from, month.start() - HOUR);
        assert_eq!(berlin.to, month.end() - HOUR);
        let zone = zone("Europe/Berlin");
        let same = Period::between(Some("2026-11-01"), Some("2026-11-30T23:00:00Z"), zone.clone());
        assert_eq!(said(same), "2026-11-01 to 2026-11-30 (Europe/Berlin)");
        assert!(Period::between(Some("2026-11-02"), Some("2026-11-01"), zone.clone()).is_err());
        assert!(Period::between(Some("yesterday"), None, zone.clone()).is_err());
        assert!(Period::between(Some("1812-01-01"), None, zone).is_err());
        assert!(Period::zone("Middle-earth/Shire").is_err());
    }

    #[test]
    fn days_follow_the_change_of_the_clocks() {
        let zone = zone("Europe/Berlin");
        let period =
            Period::between(Some("2026-10-24"), Some("2026-10-27"), zone).expect("a period");
        let starts = period.starts(&Dimension::Day, period.from, period.to);
        let lengths: Vec<u64> = starts.windows(2).map(|pair| (pair[1] - pair[0]) / HOUR).collect();
        assert_eq!(lengths, [24, 25]);
        let labels: Vec<_> =
            starts.iter().map(|start| period.label(&Dimension::Day, *start)).collect();
        assert_eq!(labels, ["2026-10-24", "2026-10-25", "2026-10-26"]);
        assert_eq!(grain(&starts), HOUR);
        let weeks = period.starts(&Dimension::Week, period.from, period.to);
        let labels: Vec<_> =
            weeks.iter().map(|start| period.label(&Dimension::Week, *start)).collect();
        assert_eq!(labels, ["2026-W43", "2026-W44"]);
    }

    #[test]
    fn hours_begin_where_the_timezone_says() {
        let zone = zone("Asia/Kolkata");
        let period =
            Period::between(Some("2026-11-01"), Some("2026-11-02"), zone).expect("a period");
        let starts = period.starts(&Dimension::Hour, period.from, period.to);
        assert_eq!(starts.len(), 24);
        assert_eq!(starts[0], period.from);
        assert_eq!(period.label(&Dimension::Hour, starts[1]), "2026-11-01 01:00+05:30");
        assert_eq!(grain(&starts), 1);
        let utc = Period::between(Some("2026-11-01"), Some("2026-12-01"), TimeZone::UTC)
            .expect("a period");
        assert_eq!(grain(&utc.starts(&Dimension::Month, utc.from, utc.to)), DAY);
    }
}
