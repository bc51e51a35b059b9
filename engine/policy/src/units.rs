//! Quantities as people write them: `30s`, `32 MiB`, `2M`, `10%`, `600 requests/min`.
//!
//! In: text. Out: whole numbers; nothing is rounded, what would have to be is refused.

use std::time::Duration;

use crate::{
    budget::{LIMIT_MAX, Period, Unit},
    policy::LimitKind,
};

/// The largest amount of a limit.
pub const AMOUNT_MAX: u64 = 1_000_000_000_000;

/// The longest period of a limit that is refilled all the time. Longer ones are budgets, by the calendar.
pub const PERIOD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a text is no quantity, and what would be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAQuantity {
    /// Lower case, without a full stop.
    pub reason: String,
    /// Example of what is right.
    pub help: String,
}

/// A limit as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// One that is refilled all the time.
    Rate(Amount),
    /// One that begins anew with each window of the calendar, or never.
    Budget(Sum),
}

/// A budget as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// What is counted.
    pub unit: Unit,
    /// How much of it.
    pub amount: u64,
    /// For how long.
    pub period: Period,
}

/// A rate as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// What is counted.
    pub kind: LimitKind,
    /// How much of it.
    pub amount: u64,
    /// In what time; zero for [`LimitKind::Concurrent`].
    pub period: Duration,
}

const DURATIONS: &[(&[&str], u64)] = &[
    (&["ms", "millisecond", "milliseconds"], 1_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000_000_000),
    (&["h", "hour", "hours"], 3_600_000_000_000),
    (&["d", "day", "days"], 86_400_000_000_000),
    (&["w", "week", "weeks"], 604_800_000_000_000),
];

const SIZES: &[(&[&str], u64)] = &[
    (&["B", "byte", "bytes"], 1),
    (&["kB", "KB"], 1000),
    (&["MB"], 1_000_000),
    (&["GB"], 1_000_000_000),
    (&["KiB"], 1 << 10),
    (&["MiB"], 1 << 20),
    (&["GiB"], 1 << 30),
];

const COUNTS: &[(&[&str], u64)] =
    &[(&[""], 1), (&["k", "K"], 1000), (&["M"], 1_000_000), (&["G", "B"], 1_000_000_000)];

const NANOS_PER_DOLLAR: u64 = 1_000_000_000;

const DURATION_HELP: &str = "write a number and a unit: 250ms, 30s, 5m, 1h, 1d or 1w";
const SIZE_HELP: &str = "write a number and a unit: 512 KiB, 32 MiB or 1 GiB";
const COUNT_HELP: &str = "write a whole number, with k, M or G for larger ones: 600, 40k, 2M";
const LIMIT_HELP: &str = "for example: \"$500/month\", \"600 requests/min\", \"2M tokens/min\", \"40 \
                          concurrent\"";
const PERIOD_HELP: &str = "a period is s, min, h, day, week, month, quarter or year: \"600 \
                           requests/min\", \"2M tokens/day\"; or a sum for ever: \"1G tokens total\"";
const MONEY_HELP: &str = "a budget of money is by hour, day, week, month, quarter or year, or a total: \
                          \"$500/month\", \"$0.50/day\", \"$20 total\"";

/// A duration: `30s`, `1h30m`, `250 ms`.
///
/// # Errors
///
/// Text without a unit, with an unknown one, or longer than 584 years.
pub fn duration(text: &str) -> Result<Duration, NotAQuantity> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return no("an empty text is no duration", DURATION_HELP);
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let Some((number, behind)) = Number::read(rest) else {
            return no(format!("`{text}` is no duration"), DURATION_HELP);
        };
        let behind = behind.trim_start();
        let end = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        if unit.is_empty() {
            return no(format!("`{text}` has no unit"), DURATION_HELP);
        }
        let Some(nanos) = find(DURATIONS, unit) else {
            return no(format!("`{unit}` is no unit of time"), DURATION_HELP);
        };
        let sum = number.times(nanos).and_then(|nanos| total.checked_add(nanos));
        let Some(sum) = sum else {
            return no(format!("`{text}` is too long, or finer than a nanosecond"), DURATION_HELP);
        };
        total = sum;
        rest = behind.trim_start();
    }
    Ok(Duration::from_nanos(total))
}

/// A number of bytes: `32 MiB`, `64KiB`, `1 GB`.
///
/// # Errors
///
/// Text without a unit, with an unknown one, or no whole number of bytes.
pub fn bytes(text: &str) -> Result<u64, NotAQuantity> {
    let Some((number, unit)) = Number::read(text.trim()) else {
        return no(format!("`{text}` is no size"), SIZE_HELP);
    };
    let unit = unit.trim_start();
    if unit.is_empty() {
        return no(format!("`{text}` has no unit"), SIZE_HELP);
    }
    let Some(scale) = find(SIZES, unit) else {
        return no(format!("`{unit}` is no unit of size"), SIZE_HELP);
    };
    whole(number.times(scale), text, SIZE_HELP)
}

/// A count: `600`, `40k`, `1.5M`.
///
/// # Errors
///
/// Anything but a whole number.
pub fn count(text: &str) -> Result<u64, NotAQuantity> {
    let Some((number, unit)) = Number::read(text.trim()) else {
        return no(format!("`{text}` is no count"), COUNT_HELP);
    };
    let Some(scale) = find(COUNTS, unit.trim_start()) else {
        return no(format!("`{text}` is no count"), COUNT_HELP);
    };
    whole(number.times(scale), text, COUNT_HELP)
}

/// A share in whole percent: `10%`.
///
/// # Errors
///
/// Anything but a whole number before a percent sign.
pub fn percent(text: &str) -> Result<u64, NotAQuantity> {
    let number = text.trim().strip_suffix('%').and_then(|n| n.trim_end().parse().ok());
    number.map_or_else(|| no(format!("`{text}` is no share"), "write whole percent: \"10%\""), Ok)
}

/// A limit: `$500/month`, `$20 total`, `600 requests/min`, `2M tokens/day`, `40 concurrent`.
///
/// # Errors
///
/// What is not understood, an amount of zero or above [`AMOUNT_MAX`], money that is none of dollars or above a billion of
/// them.
pub fn limit(text: &str) -> Result<Written, NotAQuantity> {
    let text = text.trim();
    if is_money(text) {
        return money_limit(text);
    }
    let (amount, what) = split_amount(text)?;
    let (noun, period) = split_period(what);
    let kind = match noun {
        "request" | "requests" => LimitKind::Requests,
        "token" | "tokens" => LimitKind::Tokens,
        "concurrent" => LimitKind::Concurrent,
        "rpm" | "rps" | "rpd" | "tpm" | "tps" | "tpd" => return spelled_out(text, amount, noun),
        "" => return no(format!("`{text}` does not say of what"), LIMIT_HELP),
        _ => return no(format!("`{noun}` is nothing that can be limited"), LIMIT_HELP),
    };
    if amount == 0 {
        return nothing_passes(text);
    }
    if amount > AMOUNT_MAX {
        return no(format!("`{text}` is more than 1000G"), LIMIT_HELP);
    }
    let unit = match kind {
        LimitKind::Requests => Some(Unit::Requests),
        LimitKind::Tokens => Some(Unit::Tokens),
        LimitKind::Concurrent => None,
    };
    match (unit, period.and_then(Period::parse)) {
        (Some(unit), Some(period)) if !matches!(period, Period::Hour | Period::Day) => {
            Ok(Written::Budget(Sum { unit, amount, period }))
        }
        _ => Ok(Written::Rate(Amount { kind, amount, period: limit_period(text, kind, period)? })),
    }
}

/// An amount that a limit is raised to, counted as the limit is: `$800`, `5M tokens`, `1k`.
///
/// # Errors
///
/// What is not understood, and an amount of something else.
pub fn raised(text: &str, unit: Unit) -> Result<u64, NotAQuantity> {
    let text = text.trim();
    if unit == Unit::Money {
        let (amount, rest) = dollars(text)?;
        if !rest.is_empty() {
            return no(format!("`{text}` is no amount of money"), "for example: \"$800\"");
        }
        return Ok(amount);
    }
    let (amount, noun) = split_amount(text)?;
    if amount > AMOUNT_MAX || !(noun.is_empty() || noun == unit.as_str()) {
        let help = format!("for example: \"5M {}\"", unit.as_str());
        return no(format!("`{text}` is no amount of {}", unit.as_str()), help);
    }
    Ok(amount)
}

fn money_limit(text: &str) -> Result<Written, NotAQuantity> {
    let (amount, rest) = dollars(text)?;
    if amount == 0 {
        return nothing_passes(text);
    }
    let period = match split_period(rest) {
        ("", Some(period)) => period,
        ("", None) => return no(format!("`{text}` does not say for how long"), MONEY_HELP),
        _ => return no(format!("`{text}` is no budget"), MONEY_HELP),
    };
    match Period::parse(period) {
        Some(period) => Ok(Written::Budget(Sum { unit: Unit::Money, amount, period })),
        None => no(format!("`{period}` is no period of a budget of money"), MONEY_HELP),
    }
}

/// An amount of money in nano-dollars, and what follows.
fn dollars(text: &str) -> Result<(u64, &str), NotAQuantity> {
    let no_money = || no(format!("`{text}` is no amount of money"), MONEY_HELP);
    let (number, rest) = match text.strip_prefix('$') {
        Some(rest) => match Number::read(rest) {
            Some(found) => found,
            None => return no_money(),
        },
        None => match Number::read(text) {
            Some(found) => found,
            None if text.starts_with(['€', '£']) => return no_dollars(text),
            None => return no_money(),
        },
    };
    let word = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (scale, rest) = match find(COUNTS, &rest[..word]) {
        Some(scale) => (scale, rest[word..].trim_start()),
        None => (1, rest.trim_start()),
    };
    let rest = match (text.starts_with('$'), rest.strip_prefix("USD").or(rest.strip_prefix("usd")))
    {
        (true, None) => rest,
        (_, Some(rest)) => rest.trim_start(),
        (false, None) if is_money(text) => return no_dollars(text),
        (false, None) => return no_money(),
    };
    let nanos = scale.checked_mul(NANOS_PER_DOLLAR).and_then(|scale| number.times(scale));
    match nanos.filter(|nanos| *nanos <= LIMIT_MAX) {
        Some(nanos) => Ok((nanos, rest)),
        None => no(
            format!("`{text}` is more than a billion dollars, or finer than a billionth"),
            MONEY_HELP,
        ),
    }
}

fn no_dollars<T>(text: &str) -> Result<T, NotAQuantity> {
    no(
        format!("`{text}` is not in dollars"),
        "prices and budgets are in US dollars: \"$500/month\"",
    )
}

fn nothing_passes<T>(text: &str) -> Result<T, NotAQuantity> {
    no(
        format!("`{text}` lets nothing pass"),
        "to shut a key out write disabled = true; a limit is more than nothing",
    )
}

/// What stands before `/` or `total`, and the period.
fn split_period(what: &str) -> (&str, Option<&str>) {
    if let Some((noun, period)) = what.split_once('/') {
        return (noun.trim(), Some(period.trim()));
    }
    match what.strip_suffix("total") {
        Some(noun) if noun.is_empty() || noun.ends_with(' ') => (noun.trim(), Some("total")),
        _ => (what, None),
    }
}

fn limit_period(
    text: &str,
    kind: LimitKind,
    period: Option<&str>,
) -> Result<Duration, NotAQuantity> {
    match (kind, period) {
        (LimitKind::Concurrent, None) => Ok(Duration::ZERO),
        (LimitKind::Concurrent, Some(_)) => {
            no(format!("`{text}`: what is concurrent has no period"), LIMIT_HELP)
        }
        (LimitKind::Requests | LimitKind::Tokens, None) => {
            no(format!("`{text}` does not say in what time"), PERIOD_HELP)
        }
        (LimitKind::Requests | LimitKind::Tokens, Some(period)) => one_period(text, period),
    }
}

fn one_period(text: &str, period: &str) -> Result<Duration, NotAQuantity> {
    let parsed = match find(DURATIONS, period) {
        Some(nanos) => Duration::from_nanos(nanos),
        None => match duration(period) {
            Ok(parsed) => parsed,
            Err(_) => return no(format!("`{period}` is no period"), PERIOD_HELP),
        },
    };
    if parsed.is_zero() || parsed > PERIOD_MAX {
        return no(
            format!(
                "`{text}`: a period is longer than nothing and at most a day, or one of the calendar"
            ),
            PERIOD_HELP,
        );
    }
    Ok(parsed)
}

/// The amount in front, with its k, M or G, and what follows.
fn split_amount(text: &str) -> Result<(u64, &str), NotAQuantity> {
    let Some((_, behind)) = Number::read(text) else {
        return no(format!("`{text}` is no limit"), LIMIT_HELP);
    };
    let number_len = text.len() - behind.len();
    let word = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
    let scaled = find(COUNTS, &behind[..word]).is_some();
    let at = if scaled { number_len + word } else { number_len };
    Ok((count(&text[..at])?, text[at..].trim_start()))
}

fn spelled_out<T>(text: &str, amount: u64, noun: &str) -> Result<T, NotAQuantity> {
    let what = if noun.starts_with('r') { "requests" } else { "tokens" };
    let period = match noun.as_bytes()[2] {
        b'm' => "min",
        b's' => "s",
        _ => "day",
    };
    no(format!("`{text}` is not spelled out"), format!("write \"{amount} {what}/{period}\""))
}

fn is_money(text: &str) -> bool {
    text.starts_with(['$', '€', '£'])
        || text.split(['/', ' ']).any(|word| matches!(word, "usd" | "USD" | "eur" | "EUR"))
}

fn find(units: &[(&[&str], u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(names, _)| names.contains(&unit)).map(|(_, scale)| *scale)
}

fn whole(value: Option<u64>, text: &str, help: &str) -> Result<u64, NotAQuantity> {
    value.map_or_else(|| no(format!("`{text}` is too large, or no whole number"), help), Ok)
}

fn no<T>(reason: impl Into<String>, help: impl Into<String>) -> Result<T, NotAQuantity> {
    Err(NotAQuantity { reason: reason.into(), help: help.into() })
}

/// A decimal number, exactly.
#[derive(Clone, Copy)]
struct Number {
    /// All digits, as if there were no point.
    digits: u64,
    /// Ten to the number of digits behind the point.
    divisor: u64,
}

impl Number {
    /// The number that `text` begins with, and what follows. `_` and `,` may stand between digits.
    fn read(text: &str) -> Option<(Self, &str)> {
        let mut number = Self { digits: 0, divisor: 1 };
        let (mut point, mut last, mut end) = (false, b' ', 0);
        for (at, &byte) in text.as_bytes().iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    number.digits =
                        number.digits.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
                    if point {
                        number.divisor = number.divisor.checked_mul(10)?;
                    }
                }
                b'.' if !point && last.is_ascii_digit() => point = true,
                b'_' | b',' if !point && last.is_ascii_digit() => {}
                _ => break,
            }
            last = byte;
            end = at + 1;
        }
        last.is_ascii_digit().then_some((number, &text[end..]))
    }

    fn times(self, scale: u64) -> Option<u64> {
        let product = u128::from(self.digits) * u128::from(scale);
        let divisor = u128::from(self.divisor);
        if product % divisor != 0 {
            return None;
        }
        u64::try_from(product / divisor).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIN: Duration = Duration::from_secs(60);

    #[test]
    fn durations_have_units() {
        for (text, expected) in [
            ("250ms", Ok(250)),
            ("30s", Ok(30_000)),
            ("30 s", Ok(30_000)),
            ("1.5s", Ok(1500)),
            ("5m", Ok(300_000)),
            ("5 min", Ok(300_000)),
            ("1h30m", Ok(5_400_000)),
            ("1d", Ok(86_400_000)),
            ("1w", Ok(604_800_000)),
            ("0s", Ok(0)),
            ("30", Err("`30` has no unit")),
            ("", Err("an empty text is no duration")),
            ("soon", Err("`soon` is no duration")),
            ("-1s", Err("`-1s` is no duration")),
            ("1M", Err("`M` is no unit of time")),
            ("0.0000000001s", Err("`0.0000000001s` is too long, or finer than a nanosecond")),
            ("1000000w", Err("`1000000w` is too long, or finer than a nanosecond")),
        ] {
            let found = duration(text).map(|duration| duration.as_millis());
            let found = found.as_ref().map_err(|error| error.reason.as_str());
            assert_eq!(found.copied(), expected, "{text}");
        }
    }

    #[test]
    fn sizes_and_counts_and_shares_have_units() {
        let reason = |error: NotAQuantity| error.reason;
        for (text, expected) in [("32 MiB", 32 << 20), ("64KiB", 64 << 10), ("1 GB", 1_000_000_000)]
        {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        assert_eq!(bytes("1.5 KiB"), Ok(1536));
        assert_eq!(bytes("32").map_err(reason), Err("`32` has no unit".to_owned()));
        assert_eq!(bytes("1 mb").map_err(reason), Err("`mb` is no unit of size".to_owned()));
        assert!(bytes("0.3 B").is_err() && bytes("99999999999 GiB").is_err());
        for (text, expected) in [("600", 600), ("40k", 40_000), ("2M", 2_000_000), ("1_000", 1000)]
        {
            assert_eq!(count(text), Ok(expected), "{text}");
        }
        assert!(count("1.0005k").is_err() && count("many").is_err() && count("1x").is_err());
        assert_eq!(percent("10%"), Ok(10));
        assert!(percent("10").is_err() && percent("1.5%").is_err() && percent("-1%").is_err());
    }

    #[test]
    fn limits_say_how_much_of_what_in_what_time() {
        use LimitKind::{Concurrent, Requests, Tokens};
        for (text, kind, amount, period) in [
            ("600 requests/min", Requests, 600, MIN),
            ("1 request / s", Requests, 1, MIN / 60),
            ("2M tokens/day", Tokens, 2_000_000, 24 * 60 * MIN),
            ("2.5M tokens/h", Tokens, 2_500_000, 60 * MIN),
            ("100 requests/10s", Requests, 100, MIN / 6),
            ("40 concurrent", Concurrent, 40, Duration::ZERO),
            ("40concurrent", Concurrent, 40, Duration::ZERO),
            ("2,000 requests/minute", Requests, 2000, MIN),
        ] {
            let rate = Written::Rate(Amount { kind, amount, period });
            assert_eq!(limit(text), Ok(rate), "{text}");
        }
        for (text, reason) in [
            ("600 rpm", "`600 rpm` is not spelled out"),
            ("600", "`600` does not say of what"),
            ("requests/min", "`requests/min` is no limit"),
            ("0 requests/min", "`0 requests/min` lets nothing pass"),
            ("6 apples/min", "`apples` is nothing that can be limited"),
            ("6 requests", "`6 requests` does not say in what time"),
            ("6 requests/moon", "`moon` is no period"),
            (
                "6 requests/0s",
                "`6 requests/0s`: a period is longer than nothing and at most a day, or one of the calendar",
            ),
            (
                "6 tokens/2d",
                "`6 tokens/2d`: a period is longer than nothing and at most a day, or one of the calendar",
            ),
            ("6 concurrent total", "`6 concurrent total`: what is concurrent has no period"),
            ("6 concurrent/min", "`6 concurrent/min`: what is concurrent has no period"),
            ("1001G tokens/day", "`1001G tokens/day` is more than 1000G"),
        ] {
            assert_eq!(limit(text).map_err(|error| error.reason), Err(reason.to_owned()));
        }
        assert_eq!(limit("600 tpm").unwrap_err().help, "write \"600 tokens/min\"");
    }

    #[test]
    fn budgets_say_how_much_of_what_for_how_long() {
        use Unit::{Money, Requests, Tokens};
        for (text, unit, amount, period) in [
            ("$2,000/month", Money, 2_000_000_000_000, Period::Month),
            ("$150/day", Money, 150_000_000_000, Period::Day),
            ("$20 total", Money, 20_000_000_000, Period::Total),
            ("$0.000000001 / h", Money, 1, Period::Hour),
            ("$1.5k/quarter", Money, 1_500_000_000_000, Period::Quarter),
            ("500 USD/year", Money, 500_000_000_000, Period::Year),
            ("$1G total", Money, LIMIT_MAX, Period::Total),
            ("100M tokens/week", Tokens, 100_000_000, Period::Week),
            ("1k requests/month", Requests, 1000, Period::Month),
            ("2G tokens total", Tokens, 2_000_000_000, Period::Total),
        ] {
            assert_eq!(limit(text), Ok(Written::Budget(Sum { unit, amount, period })), "{text}");
        }
        for (text, reason) in [
            ("$500", "`$500` does not say for how long"),
            ("$500/min", "`min` is no period of a budget of money"),
            ("$/day", "`$/day` is no amount of money"),
            ("$5 tokens/day", "`$5 tokens/day` is no budget"),
            ("$0/day", "`$0/day` lets nothing pass"),
            ("€5/day", "`€5/day` is not in dollars"),
            ("5 EUR/day", "`5 EUR/day` is not in dollars"),
            ("$1.5G/day", "`$1.5G/day` is more than a billion dollars, or finer than a billionth"),
            (
                "$0.0000000001/day",
                "`$0.0000000001/day` is more than a billion dollars, or finer than a billionth",
            ),
        ] {
            assert_eq!(limit(text).map_err(|error| error.reason), Err(reason.to_owned()));
        }
        assert_eq!(raised("$800", Money), Ok(800_000_000_000));
        assert_eq!(raised("5M tokens", Tokens), Ok(5_000_000));
        assert_eq!(raised("5k", Requests), Ok(5000));
        assert!(raised("$800/day", Money).is_err() && raised("$5", Tokens).is_err());
        assert!(raised("5", Money).is_err() && raised("5 requests", Tokens).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_a_quantity_or_not(text in "\\PC{0,20}") {
            let _ = (duration(&text), bytes(&text), count(&text), percent(&text), limit(&text));
        }

        #[test]
        fn a_whole_number_comes_back(number in 0_u64..1_000_000_000_000) {
            prop_assert_eq!(count(&number.to_string()), Ok(number));
            prop_assert_eq!(bytes(&format!("{number} B")), Ok(number));
            prop_assert_eq!(duration(&format!("{number}ms")), Ok(Duration::from_millis(number)));
        }
    }
}
