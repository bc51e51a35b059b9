//! Calendar windows: which hour, day, week, month, quarter or year a moment lies in.
//!
//! In: a moment on the wall clock, a period, and a [`Calendar`]. Out: the [`Window`], its end excluded. Nothing is
//! remembered.
//!
//! The windows of a period cover all of time and do not overlap, whatever a zone does to its clocks: a day on which they
//! are put forward has 23 hours, one on which they are put back has 25, and a day that a zone left out has no window. An
//! hour ends early where clocks are put back or forward by less than one.
//! Zones: the IANA database as of the build, <https://www.iana.org/time-zones>.

use jiff::{
    Timestamp,
    civil::{Date, Time, Weekday},
    tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase},
};

use crate::time::Wall;

/// Seconds of an hour.
const HOUR: i64 = 3600;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// How long what is used of a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// Seven days, from the calendar's first day of the week.
    Week,
    /// A month of the calendar.
    Month,
    /// Three months, counted from the month in which the fiscal year begins.
    Quarter,
    /// Twelve months, from the month in which the fiscal year begins.
    Year,
    /// For ever.
    Total,
}

impl Period {
    /// The word for it in policy, errors and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
            Self::Total => "total",
        }
    }

    /// The period with this name, or one of the short ones that people write.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "h" | "hour" | "hours" => Self::Hour,
            "d" | "day" | "days" => Self::Day,
            "w" | "week" | "weeks" => Self::Week,
            "mo" | "month" | "months" => Self::Month,
            "q" | "quarter" | "quarters" => Self::Quarter,
            "y" | "year" | "years" => Self::Year,
            "total" => Self::Total,
            _ => return None,
        })
    }
}

/// One window of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first moment in it.
    pub start: Wall,
    /// The first moment behind it; [`Wall::MAX`] for [`Period::Total`]. Names the window: no two of a budget end at once.
    pub end: Wall,
}

impl Window {
    /// All of time.
    pub const ALWAYS: Self = Self { start: Wall(0), end: Wall::MAX };
}

/// The names of all zones.
pub(crate) fn zones() -> Vec<String> {
    let zones = TimeZoneDatabase::bundled();
    zones.available().map(|name| name.as_str().to_owned()).collect()
}

/// Where and how days are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    zone: TimeZone,
    zone_name: Box<str>,
    week_start: Weekday,
    /// 1 to 12.
    year_start: i8,
}

impl Default for Calendar {
    /// UTC, weeks from Monday, years from January.
    fn default() -> Self {
        Self {
            zone: TimeZone::UTC,
            zone_name: "UTC".into(),
            week_start: Weekday::Monday,
            year_start: 1,
        }
    }
}

impl Calendar {
    /// The same in another zone, by its IANA name; `None` when there is no such zone.
    #[must_use]
    pub fn in_zone(&self, name: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        let zone_name = zone.iana_name().unwrap_or(name).into();
        Some(Self { zone, zone_name, ..self.clone() })
    }

    /// The same with weeks from another day, by its English name in lower case; `None` when there is no such day.
    #[must_use]
    pub fn with_week_start(&self, day: &str) -> Option<Self> {
        let week_start = match day {
            "monday" => Weekday::Monday,
            "tuesday" => Weekday::Tuesday,
            "wednesday" => Weekday::Wednesday,
            "thursday" => Weekday::Thursday,
            "friday" => Weekday::Friday,
            "saturday" => Weekday::Saturday,
            "sunday" => Weekday::Sunday,
            _ => return None,
        };
        Some(Self { week_start, ..self.clone() })
    }

    /// The same with years from another month, 1 to 12; `None` when there is no such month.
    #[must_use]
    pub fn with_year_start(&self, month: i8) -> Option<Self> {
        (1..=12).contains(&month).then(|| Self { year_start: month, ..self.clone() })
    }

    /// The zone's name.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// The window of `period` that `now` lies in.
    #[must_use]
    pub fn window(&self, period: Period, now: Wall) -> Window {
        let second = (now.0 / NANOS_PER_SECOND).cast_signed();
        let ends = match period {
            Period::Total => return Window::ALWAYS,
            Period::Hour => self.hour(second),
            Period::Day | Period::Week | Period::Month | Period::Quarter | Period::Year => {
                self.days(period, second)
            }
        };
        let (start, end) =
            ends.expect("what 64 bits of nanoseconds can say is within the calendar");
        Window { start: wall(start), end: wall(end) }
    }

    fn hour(&self, second: i64) -> Option<(i64, i64)> {
        let now = Timestamp::from_second(second).ok()?;
        let offset = i64::from(self.zone.to_offset(now).seconds());
        let start = (second + offset).div_euclid(HOUR) * HOUR - offset;
        let end = start + HOUR;
        // Clocks may have been put elsewhere within the hour.
        let shifted = |at: i64| {
            let offset = |second| Some(self.zone.to_offset(Timestamp::from_second(second).ok()?));
            offset(at - 1) != offset(at)
        };
        let just_behind = Timestamp::from_second(second + 1).ok()?;
        let mut before =
            self.zone.preceding(just_behind).map(|change| change.timestamp().as_second());
        let mut after = self.zone.following(now).map(|change| change.timestamp().as_second());
        let from = before.by_ref().take_while(|at| *at > start).find(|at| shifted(*at));
        let to = after.by_ref().take_while(|at| *at < end).find(|at| shifted(*at));
        Some((from.unwrap_or(start), to.unwrap_or(end)))
    }

    /// Windows of whole days: the one whose first day's first moment is the last one not behind `second`.
    fn days(&self, period: Period, second: i64) -> Option<(i64, i64)> {
        let now = Timestamp::from_second(second).ok()?;
        let mut first = self.first_day(period, self.zone.to_datetime(now).date())?;
        let mut start = self.midnight(first)?;
        // Where clocks are put back over midnight, a date comes again after the next one has begun.
        while start > second {
            first = self.first_day(period, first.yesterday().ok()?)?;
            start = self.midnight(first)?;
        }
        loop {
            let next = next_first_day(period, first)?;
            let end = self.midnight(next)?;
            if end > second {
                return Some((start, end));
            }
            (first, start) = (next, end);
        }
    }

    fn first_day(&self, period: Period, day: Date) -> Option<Date> {
        match period {
            Period::Hour | Period::Day | Period::Total => Some(day),
            Period::Week => {
                let since = day.weekday().since(self.week_start);
                let mut first = day;
                for _ in 0..since {
                    first = first.yesterday().ok()?;
                }
                Some(first)
            }
            Period::Month => Some(day.first_of_month()),
            Period::Quarter => self.first_of_months(3, day),
            Period::Year => self.first_of_months(12, day),
        }
    }

    /// The first day of the group of `months` months that `day` lies in.
    fn first_of_months(&self, months: i8, day: Date) -> Option<Date> {
        let into = (day.month() - self.year_start).rem_euclid(12) % months;
        let month = day.month() - into;
        if month >= 1 {
            Date::new(day.year(), month, 1).ok()
        } else {
            Date::new(day.year() - 1, month + 12, 1).ok()
        }
    }

    /// The first second of a day; of one that the zone left out, that of the next.
    fn midnight(&self, day: Date) -> Option<i64> {
        let midnight = self.zone.to_ambiguous_timestamp(day.to_datetime(Time::midnight()));
        let is_left_out = matches!(midnight.offset(), AmbiguousOffset::Gap { .. });
        let first = midnight.compatible().ok()?;
        if !is_left_out {
            return Some(first.as_second());
        }
        let just_behind = Timestamp::from_second(first.as_second() + 1).ok()?;
        self.zone.preceding(just_behind).next().map(|change| change.timestamp().as_second())
    }
}

/// The first day of the window behind the one that begins with `first`.
fn next_first_day(period: Period, first: Date) -> Option<Date> {
    let months = match period {
        Period::Hour | Period::Day | Period::Total => return first.tomorrow().ok(),
        Period::Week => {
            let mut next = first;
            for _ in 0..7 {
                next = next.tomorrow().ok()?;
            }
            return Some(next);
        }
        Period::Month => 1,
        Period::Quarter => 3,
        Period::Year => 12,
    };
    let month = first.month() + months;
    if month <= 12 {
        Date::new(first.year(), month, 1).ok()
    } else {
        Date::new(first.year() + 1, month - 12, 1).ok()
    }
}

/// A second since 1970 as a moment; those before it, and those behind what 64 bits can say, are its ends.
fn wall(second: i64) -> Wall {
    Wall(u64::try_from(second).unwrap_or(0).saturating_mul(NANOS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PERIODS: [Period; 7] = [
        Period::Hour,
        Period::Day,
        Period::Week,
        Period::Month,
        Period::Quarter,
        Period::Year,
        Period::Total,
    ];

    fn at(text: &str) -> Wall {
        let second = text.parse::<Timestamp>().unwrap().as_second();
        wall(second)
    }

    fn said(window: Window) -> String {
        let moment = |wall: Wall| {
            Timestamp::from_second((wall.0 / NANOS_PER_SECOND).cast_signed()).unwrap().to_string()
        };
        format!("{} {}", moment(window.start), moment(window.end))
    }

    fn berlin() -> Calendar {
        Calendar::default().in_zone("Europe/Berlin").unwrap()
    }

    #[test]
    fn windows_begin_and_end_where_the_calendar_says() {
        let fiscal = Calendar::default().with_year_start(4).unwrap();
        let sunday = Calendar::default().with_week_start("sunday").unwrap();
        let utc = Calendar::default();
        let apia = utc.in_zone("Pacific/Apia").unwrap();
        let howe = utc.in_zone("Australia/Lord_Howe").unwrap();
        let kathmandu = utc.in_zone("Asia/Kathmandu").unwrap();
        let john = utc.in_zone("America/St_Johns").unwrap();
        for (calendar, period, now, expected) in [
            (
                &utc,
                Period::Hour,
                "2026-11-25T14:59:59Z",
                "2026-11-25T14:00:00Z 2026-11-25T15:00:00Z",
            ),
            (
                &kathmandu,
                Period::Hour,
                "2026-11-25T14:20:00Z",
                "2026-11-25T14:15:00Z 2026-11-25T15:15:00Z",
            ),
            (
                &utc,
                Period::Day,
                "2026-11-25T00:00:00Z",
                "2026-11-25T00:00:00Z 2026-11-26T00:00:00Z",
            ),
            (
                &utc,
                Period::Week,
                "2026-11-25T00:00:00Z",
                "2026-11-23T00:00:00Z 2026-11-30T00:00:00Z",
            ),
            (
                &sunday,
                Period::Week,
                "2026-11-25T00:00:00Z",
                "2026-11-22T00:00:00Z 2026-11-29T00:00:00Z",
            ),
            (
                &utc,
                Period::Month,
                "2028-02-29T12:00:00Z",
                "2028-02-01T00:00:00Z 2028-03-01T00:00:00Z",
            ),
            (
                &utc,
                Period::Month,
                "2026-12-31T12:00:00Z",
                "2026-12-01T00:00:00Z 2027-01-01T00:00:00Z",
            ),
            (
                &utc,
                Period::Quarter,
                "2026-11-25T00:00:00Z",
                "2026-10-01T00:00:00Z 2027-01-01T00:00:00Z",
            ),
            (
                &fiscal,
                Period::Quarter,
                "2027-03-25T00:00:00Z",
                "2027-01-01T00:00:00Z 2027-04-01T00:00:00Z",
            ),
            (
                &fiscal,
                Period::Year,
                "2027-03-25T00:00:00Z",
                "2026-04-01T00:00:00Z 2027-04-01T00:00:00Z",
            ),
            (
                &utc,
                Period::Year,
                "2027-03-25T00:00:00Z",
                "2027-01-01T00:00:00Z 2028-01-01T00:00:00Z",
            ),
            // A zone skipped the 30th.
            (
                &apia,
                Period::Day,
                "2011-12-30T09:59:59Z",
                "2011-12-29T10:00:00Z 2011-12-30T10:00:00Z",
            ),
            (
                &apia,
                Period::Day,
                "2011-12-30T10:00:00Z",
                "2011-12-30T10:00:00Z 2011-12-31T10:00:00Z",
            ),
            // Clocks put back by half an hour.
            (
                &howe,
                Period::Hour,
                "2026-04-04T15:10:00Z",
                "2026-04-04T15:00:00Z 2026-04-04T15:30:00Z",
            ),
            // Clocks put back from a minute past midnight: the 6th comes again after the 7th has begun.
            (
                &john,
                Period::Day,
                "2010-11-07T02:45:00Z",
                "2010-11-07T02:30:00Z 2010-11-08T03:30:00Z",
            ),
        ] {
            let found = said(calendar.window(period, at(now)));
            assert_eq!(found, expected, "{period:?} at {now} in {}", calendar.zone());
        }
        assert_eq!(utc.window(Period::Total, at("2026-11-25T00:00:00Z")), Window::ALWAYS);
    }

    #[test]
    fn a_day_on_which_clocks_change_has_23_or_25_hours() {
        let hours = |now| {
            let window = berlin().window(Period::Day, at(now));
            window.start.until(window.end).as_secs() / 3600
        };
        assert_eq!(hours("2026-03-29T12:00:00Z"), 23);
        assert_eq!(hours("2026-10-25T12:00:00Z"), 25);
        assert_eq!(hours("2026-11-25T12:00:00Z"), 24);
    }

    #[test]
    fn what_is_no_zone_day_or_month_is_refused() {
        let utc = Calendar::default();
        assert_eq!(utc.in_zone("Europe/Atlantis"), None);
        assert_eq!(utc.in_zone(""), None);
        assert_eq!(utc.with_week_start("someday"), None);
        assert_eq!(utc.with_year_start(0), None);
        assert_eq!(utc.in_zone("europe/berlin").unwrap().zone(), "Europe/Berlin");
    }

    proptest! {
        /// The moments at the ends of a window lie in its neighbours, which end and begin there.
        #[test]
        fn windows_cover_time_and_do_not_overlap(
            second in 400_000_000_u64..7_000_000_000,
            near in -7200_i64..7200,
            zone in 0_usize..600,
            month in 1_i8..=12,
        ) {
            let zones = TimeZoneDatabase::bundled();
            let names: Vec<_> = zones.available().collect();
            let calendar = Calendar::default().in_zone(names[zone % names.len()].as_str()).unwrap();
            let calendar = calendar.with_year_start(month).unwrap();
            // Half of the moments lie near a change of the clocks.
            let moment = Timestamp::from_second(second.cast_signed()).unwrap();
            let change = calendar.zone.preceding(moment).next().map(|t| t.timestamp().as_second());
            let second = match change {
                Some(change) if change > 400_000_000 && near % 2 == 0 => change + near,
                _ => second.cast_signed(),
            };
            for period in PERIODS {
                let now = wall(second);
                let window = calendar.window(period, now);
                prop_assert!(window.start <= now && now < window.end, "{period:?} {window:?}");
                prop_assert_eq!(calendar.window(period, window.start), window);
                if period == Period::Total {
                    continue;
                }
                prop_assert_eq!(calendar.window(period, Wall(window.end.0 - 1)), window);
                prop_assert_eq!(calendar.window(period, window.end).start, window.end);
                prop_assert_eq!(calendar.window(period, Wall(window.start.0 - 1)).end, window.start);
            }
        }

        #[test]
        fn every_moment_has_a_window(now in any::<u64>()) {
            for period in PERIODS {
                let window = berlin().window(period, Wall(now));
                prop_assert!(window.start.0 <= now && (now < window.end.0 || now > u64::MAX - (1 << 60)));
            }
        }
    }
}
