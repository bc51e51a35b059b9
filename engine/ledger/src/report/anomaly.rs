//! Spending that is not like that scope's own history.
//!
//! In: a dimension and the day that is looked at. Out: scopes whose spend of that day is far from what they usually spend,
//! each with the arithmetic. Usual is the median of the same kind of day (workday or weekend) over the weeks before, so that
//! neither a quiet Sunday nor one earlier outlier moves it; how much is far is measured by the median distance from that
//! median (MAD), times 1.4826, which is what a standard deviation would be if days were distributed normally.
//! <https://en.wikipedia.org/wiki/Median_absolute_deviation>

use std::collections::BTreeMap;

use jiff::{civil::Date, tz::TimeZone};

use super::{Dimension, Period, Query, ask, money::exact};
use crate::store::{Store, StoreError};

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Whose spend: of each team, each key, …
    pub by: Dimension,
    /// The day that is looked at.
    pub day: Date,
    /// Where days begin.
    pub zone: TimeZone,
    /// Weeks of history.
    pub weeks: u32,
    /// How many deviations are far.
    pub deviations: u32,
    /// The least difference that is told, in nano-dollars.
    pub least: i128,
}

/// Days of the same kind that there must be before anything is called unusual.
pub const HISTORY_MIN: usize = 5;

/// A scope whose day is not like the days before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// The scope.
    pub scope: String,
    /// What it spent on the day, in nano-dollars.
    pub cost: i128,
    /// The median of its days.
    pub usual: i128,
    /// The median distance from it.
    pub mad: i128,
    /// Days that were compared.
    pub days: usize,
    /// How many tenths of a deviation it is off; `None` when there is no deviation, because each day was the same.
    pub tenths: Option<i128>,
    /// Whether the days were those of weekends.
    pub is_weekend: bool,
}

impl Anomaly {
    /// The arithmetic in words.
    #[must_use]
    pub fn why(&self) -> String {
        let kind = if self.is_weekend { "weekend days" } else { "workdays" };
        let (cost, usual, mad) = (exact(self.cost), exact(self.usual), exact(self.mad));
        let off = match self.tenths {
            Some(tenths) => format!("{}.{} deviations", tenths / 10, tenths % 10),
            None => "any deviation".into(),
        };
        format!(
            "{cost}, where the median of {} {kind} is {usual} and they are {mad} from it in the median: {off} {}",
            self.days,
            if self.cost > self.usual { "above" } else { "below" }
        )
    }
}

/// The date that a text says.
///
/// # Errors
///
/// It is none.
pub fn date(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| format!("{text:?} is no date; they are spelled 2026-11-24"))
}

/// The day before the one that holds `now`, in nanoseconds since 1970 UTC.
#[must_use]
pub fn yesterday(now: u64, zone: &TimeZone) -> Option<Date> {
    let now = jiff::Timestamp::from_nanosecond(now.into()).ok()?;
    now.to_zoned_datetime(zone.clone()).date().yesterday().ok()
}

/// Finds the scopes whose day is far from what is usual for them, the largest difference first.
///
/// # Errors
///
/// The dimension is a span of time, the history begins before 1970, or the store cannot be read.
pub fn find(store: &Store, watch: &Watch) -> Result<Vec<Anomaly>, StoreError> {
    let question = |why: &str| StoreError::Question(why.to_owned());
    if watch.by.is_time() || watch.by == Dimension::Session {
        return Err(question(
            "anomalies are of scopes that last: team, project, agent, key, user, model, …",
        ));
    }
    let days = i64::from(watch.weeks).saturating_mul(7);
    let first = watch.day.checked_sub(jiff::Span::new().try_days(days).unwrap_or_default());
    let first = first.map_err(|_| question("the history begins too early"))?;
    let next = watch.day.tomorrow().map_err(|_| question("there is no such day"))?;
    let period =
        Period::between(Some(&first.to_string()), Some(&next.to_string()), watch.zone.clone())
            .map_err(|bad| question(&bad.0))?;
    let query = Query { period, by: vec![Dimension::Day, watch.by.clone()], only: Vec::new() };
    let mut scopes: BTreeMap<String, BTreeMap<Date, i128>> = BTreeMap::new();
    for group in ask(store, query)?.groups {
        if let [date, scope] = group.values.as_slice()
            && let Ok(date) = date.parse()
        {
            scopes.entry(scope.clone()).or_default().insert(date, group.total.cost);
        }
    }
    let mut found: Vec<Anomaly> = scopes
        .into_iter()
        .filter_map(|(scope, costs)| judge(watch, first, scope, &costs))
        .collect();
    found.sort_by_key(|anomaly| std::cmp::Reverse((anomaly.cost - anomaly.usual).abs()));
    Ok(found)
}

/// Compares a scope's day with its days before.
fn judge(
    watch: &Watch,
    first: Date,
    scope: String,
    costs: &BTreeMap<Date, i128>,
) -> Option<Anomaly> {
    let is_weekend = is_weekend(watch.day);
    // Days without a row count as days without spend, from the first day with one.
    let begin = *costs.keys().next()?;
    let mut history = Vec::new();
    let mut date = begin.max(first);
    while date < watch.day {
        if self::is_weekend(date) == is_weekend {
            history.push(costs.get(&date).copied().unwrap_or(0));
        }
        date = date.tomorrow().ok()?;
    }
    if history.len() < HISTORY_MIN {
        return None;
    }
    let cost = costs.get(&watch.day).copied().unwrap_or(0);
    let usual = median(&mut history);
    let mut distances: Vec<i128> = history.iter().map(|day| (day - usual).abs()).collect();
    let mad = median(&mut distances);
    let distance = (cost - usual).abs();
    // In tenths: distance / (1.4826 × MAD).
    let tenths = (mad > 0).then(|| distance.saturating_mul(100_000) / mad.saturating_mul(14_826));
    let is_far = tenths.is_none_or(|tenths| tenths >= i128::from(watch.deviations) * 10);
    (is_far && distance >= watch.least.max(1)).then_some(Anomaly {
        scope,
        cost,
        usual,
        mad,
        days: history.len(),
        tenths,
        is_weekend,
    })
}

fn is_weekend(date: Date) -> bool {
    use jiff::civil::Weekday::{Saturday, Sunday};
    matches!(date.weekday(), Saturday | Sunday)
}

/// The middle one; of an even number, the mean of the two in the middle, rounded down.
fn median(numbers: &mut [i128]) -> i128 {
    numbers.sort_unstable();
    let middle = numbers.len() / 2;
    match numbers.get(middle) {
        None => 0,
        Some(upper) if numbers.len() % 2 == 1 => *upper,
        Some(upper) => (upper + numbers[middle - 1]).div_euclid(2),
    }
}

#[cfg(test)]
mod tests {
    use faregate_price::NanoUsd;

    use super::*;
    use crate::{
        month::DAY,
        row::{Payer, Row, RowId},
    };

    /// Wednesday, 2026-11-25, in days since 1970.
    const TODAY: u64 = 20_782;

    /// A store with what `cost` says of each team and day before today, 28 days long.
    fn store(cost: impl Fn(&str, u64) -> u64) -> Store {
        let mut rows = Vec::new();
        for (at, team) in ["steady", "spiky", "new", "quiet"].into_iter().enumerate() {
            for ago in 0..=28 {
                let amount = cost(team, ago);
                let day = TODAY - ago;
                let row = Row {
                    id: RowId { node: 1, boot: 1, number: at as u64 * 100 + ago + 1 },
                    settled_at: day * DAY + 5,
                    payer: Payer { team: team.into(), ..Payer::default() }.into(),
                    cost: NanoUsd(amount),
                    ..Row::default()
                };
                rows.extend((amount > 0).then_some(row));
            }
        }
        let mut store = Store::in_memory().unwrap();
        store.fold(&rows, None).unwrap();
        store
    }

    fn watch() -> Watch {
        Watch {
            by: Dimension::Team,
            day: Date::constant(2026, 11, 25),
            zone: TimeZone::UTC,
            weeks: 4,
            deviations: 4,
            least: 1_000_000,
        }
    }

    const DOLLAR: u64 = 1_000_000_000;

    #[test]
    fn a_spike_is_found_and_explained() {
        let store = store(|team, ago| match (team, ago) {
            ("spiky", 0) => 90 * DOLLAR,
            // One earlier outlier does not make the next one usual.
            ("spiky", 7) => 500 * DOLLAR,
            ("spiky", ago) => (10 + ago % 3) * DOLLAR,
            // Never seen before: there is no history to be unlike.
            ("new", 0) => 1_000 * DOLLAR,
            ("new" | "quiet", _) => 0,
            _ => (10 + ago % 3) * DOLLAR,
        });
        let found = find(&store, &watch()).unwrap();
        assert_eq!(found.iter().map(|one| one.scope.as_str()).collect::<Vec<_>>(), ["spiky"]);
        let one = &found[0];
        assert_eq!((one.days, one.usual, one.mad), (20, 11_000_000_000, 1_000_000_000));
        assert_eq!(one.tenths, Some(532));
        let why = one.why();
        assert!(
            why.contains("$90.00")
                && why.contains("20 workdays")
                && why.contains("53.2 deviations above"),
            "{why}"
        );
    }

    #[test]
    fn silence_and_change_after_constancy_are_found_too() {
        let store = store(|team, ago| match (team, ago) {
            ("quiet", 0) => 0,
            ("steady", 0) => 6 * DOLLAR,
            _ => 5 * DOLLAR,
        });
        let found = find(&store, &watch()).unwrap();
        let scopes: Vec<_> = found.iter().map(|one| (one.scope.as_str(), one.tenths)).collect();
        assert_eq!(scopes, [("quiet", None), ("steady", None)]);
        assert!(found[0].why().contains("below"));
    }

    #[test]
    fn what_is_too_small_or_too_young_is_not_told() {
        let small = store(|_, ago| if ago == 0 { 900_000 } else { 1_000 });
        assert!(find(&small, &watch()).unwrap().is_empty());
        let young =
            store(|_, ago| if ago < 5 { (1 + 100 * u64::from(ago == 0)) * DOLLAR } else { 0 });
        assert!(find(&young, &watch()).unwrap().is_empty());
        let watch = Watch { by: Dimension::Day, ..watch() };
        assert!(find(&small, &watch).is_err());
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&mut [3, 1, 2]), 2);
        assert_eq!(median(&mut [4, 1, 2, 3]), 2);
        assert_eq!(median(&mut [-1, -2]), -2);
        assert_eq!(median(&mut []), 0);
    }
}
