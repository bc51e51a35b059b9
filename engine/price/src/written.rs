//! Money and prices as people write them: `$0.10/M`, `€3/1M tokens`, `0.15 USD/M`, `$0.04/image`, `$2.10`.
//!
//! In: text, and what other currencies are worth. Out: whole pico-dollars a token or a unit, nano-dollars of an amount.
//! Nothing is rounded but what a currency's rate or a division makes of it, and that is rounded up.

use crate::{Decimal, NanoUsd, Unit};

/// Digits behind the point of a dollar that a pico-dollar has.
const PICO: i32 = 12;

/// Digits behind the point of a dollar that a nano-dollar has.
const NANO: i32 = 9;

const TOKEN_HELP: &str =
    "a price says for how many tokens: \"$0.10/M\" for a million, or \"$0.0001/1K tokens\"";
const NUMBER_HELP: &str = "write an amount of dollars with digits and a point: \"$0.10\"";

/// Why a text is no price, and what would be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotMoney {
    /// Lower case, without a full stop.
    pub reason: String,
    /// What would be right.
    pub help: String,
}

/// What other currencies are worth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Currencies {
    list: Vec<Currency>,
}

/// What a currency is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Currency {
    /// Its code: `EUR`.
    pub code: Box<str>,
    /// Dollars for one of it.
    pub rate: Decimal,
    /// Since when.
    pub date: Box<str>,
}

impl Currencies {
    /// Adds one; a later one of the same code takes its place.
    pub fn add(&mut self, currency: Currency) {
        self.list.retain(|other| other.code != currency.code);
        self.list.push(currency);
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Currency] {
        &self.list
    }

    fn rate(&self, code: &str, text: &str) -> Result<Decimal, NotMoney> {
        if code == "USD" {
            return Ok(Decimal::ONE);
        }
        let found = self.list.iter().find(|currency| &*currency.code == code);
        let unknown = || NotMoney {
            reason: format!("`{text}` is in {code}, and nothing says what that is worth"),
            help: format!(
                "write it in dollars, or add below [currencies]: {code} = {{ rate = \"1.08\", date = \"2026-11-01\" }}"
            ),
        };
        found.map(|currency| currency.rate).ok_or_else(unknown)
    }
}

/// Symbols of currencies whose code they leave no doubt about.
const SYMBOLS: [(&str, &str); 7] = [
    ("US$", "USD"),
    ("$", "USD"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("₹", "INR"),
    ("₩", "KRW"),
    ("₽", "RUB"),
];

/// What tokens are counted in.
const TOKENS: [(&[&str], i32); 3] = [
    (&["m", "mtok", "m token", "m tokens", "million", "million tokens"], 6),
    (&["k", "ktok", "k token", "k tokens", "thousand", "thousand tokens"], 3),
    (&["token", "tokens", "tok"], 0),
];

/// What units are called, and how many of them a word means: a power of ten, and a factor.
const UNITS: [(Unit, &[&str]); 8] = [
    (Unit::Image, &["image", "images"]),
    (Unit::ImageInput, &["image", "images"]),
    (Unit::Second, &["s", "sec", "second", "seconds"]),
    (Unit::Search, &["search", "searches", "query", "queries"]),
    (Unit::Request, &["request", "requests", "call", "calls"]),
    (Unit::Page, &["page", "pages"]),
    (Unit::Character, &["char", "chars", "character", "characters"]),
    (Unit::Rerank, &["query", "queries", "search", "searches"]),
];

/// Pico-dollars a token: `$0.10/M`, `$3/1M tokens`, `0.15/M`.
///
/// # Errors
///
/// Text that is no price of tokens, in a currency without a rate, or finer than a pico-dollar a token.
pub fn per_token(text: &str, currencies: &Currencies) -> Result<u64, NotMoney> {
    let (amount, per) = split(text);
    let amount = Amount::read(text, amount, currencies)?;
    let Some(per) = per else {
        return no(format!("`{text}` does not say for how many tokens"), TOKEN_HELP);
    };
    let Some(places) = token_scale(per) else {
        return no(format!("`{per}` is no number of tokens"), TOKEN_HELP);
    };
    let help = "the finest price is $0.000001/M, the dearest $18,000,000 a token";
    amount.in_units(text, PICO - places, help)
}

/// Pico-dollars for each `unit`: `$0.04/image`, `$10/1K searches`, `$0.006/minute`; without a `/`, for one.
///
/// # Errors
///
/// Text that is no price of that unit, in a currency without a rate, or finer than a pico-dollar.
pub fn per_unit(text: &str, unit: Unit, currencies: &Currencies) -> Result<u64, NotMoney> {
    let (amount, per) = split(text);
    let amount = Amount::read(text, amount, currencies)?;
    let key = unit.key().split('_').next().unwrap_or_default();
    let help = format!("for example \"$0.04/{key}\" or \"$40/1K {key}s\"");
    let Some((places, divisor)) = per.map_or(Some((0, 1)), |per| unit_scale(unit, per)) else {
        let per = per.unwrap_or_default();
        return no(format!("`{per}` is no number of {key}s"), help);
    };
    let count = amount.in_units(text, PICO - places, &help)?;
    Ok(count.div_ceil(divisor))
}

/// An amount: `$2.10`, `$2,000`.
///
/// # Errors
///
/// Text that is no amount of money, in a currency without a rate, or finer than a nano-dollar.
pub fn amount(text: &str, currencies: &Currencies) -> Result<NanoUsd, NotMoney> {
    let amount = Amount::read(text, text, currencies)?;
    let help = "the finest amount is $0.000000001, the largest $18,446,744,073";
    amount.in_units(text, NANO, help).map(NanoUsd)
}

/// A multiplier in parts of a million: `1.1`, `0.85`.
///
/// # Errors
///
/// Anything but a number from 0 to 1000 with at most six digits behind its point.
pub fn multiplier(text: &str) -> Result<u32, NotMoney> {
    let number = Decimal::parse(text.trim()).and_then(|number| number.exactly(6));
    match number.and_then(|ppm| u32::try_from(ppm).ok()) {
        Some(ppm) if ppm <= 1000 * crate::price::PPM_ONE => Ok(ppm),
        _ => no(
            format!("`{text}` is no multiplier"),
            "a number from 0 to 1000: \"1.1\" for a tenth more, \"0.85\" for 15% less",
        ),
    }
}

/// An amount in dollars.
struct Amount {
    dollars: Decimal,
    /// Whether a currency's rate has been applied.
    converted: bool,
}

impl Amount {
    fn read(text: &str, amount: &str, currencies: &Currencies) -> Result<Self, NotMoney> {
        let amount = amount.trim();
        let symbol = SYMBOLS.iter().find_map(|(symbol, code)| {
            amount
                .strip_prefix(symbol)
                .or_else(|| amount.strip_suffix(symbol))
                .map(|rest| (rest, *code))
        });
        let (digits, code) = match symbol {
            Some(found) => found,
            None => worded(amount).unwrap_or((amount, "USD")),
        };
        let digits = digits.trim();
        if digits.starts_with('-') {
            return no(format!("`{text}` is negative"), "a price is never below \"$0\"");
        }
        if let Some(symbol) = digits.chars().find(|c| "¥$€£₹₩₽¢".contains(*c)) {
            let help = "write the currency's code instead: \"100 JPY\", \"7 CNY\"";
            return no(format!("`{symbol}` in `{text}` may mean several things"), help);
        }
        let Some(number) = Decimal::parse(digits) else {
            return no(format!("`{text}` is no amount of money"), NUMBER_HELP);
        };
        let rate = currencies.rate(code, text)?;
        let Some(dollars) = number.times(rate) else {
            return no(format!("`{text}` has too many digits"), NUMBER_HELP);
        };
        Ok(Self { dollars, converted: code != "USD" })
    }

    /// How many units of `10^-places` dollars.
    fn in_units(&self, text: &str, places: i32, help: &str) -> Result<u64, NotMoney> {
        let number = match self.converted {
            true => self.dollars.rounded_up(places),
            false => self.dollars.exactly(places),
        };
        number.map_or_else(|| no(format!("`{text}` is too fine, or too much"), help), Ok)
    }
}

/// The amount, and what stands behind the `/` or `per`.
fn split(text: &str) -> (&str, Option<&str>) {
    let found = text.split_once('/').or_else(|| text.split_once(" per "));
    found.map_or((text, None), |(amount, per)| (amount, Some(per.trim())))
}

/// The digits and the code of an amount that bears a code before or behind.
fn worded(amount: &str) -> Option<(&str, &str)> {
    let is_code = |word: &str| word.len() == 3 && word.bytes().all(|b| b.is_ascii_uppercase());
    let before = amount.get(..3).filter(|code| is_code(code)).map(|code| (&amount[3..], code));
    let behind = || {
        let at = amount.len().checked_sub(3)?;
        amount.get(at..).filter(|code| is_code(code)).map(|code| (&amount[..at], code))
    };
    before.or_else(behind)
}

/// The power of ten of a number of tokens: `M`, `1M tokens`, `1,000,000`.
fn token_scale(per: &str) -> Option<i32> {
    let (places, noun) = counted(per)?;
    if noun.is_empty() {
        return (places > 0).then_some(places);
    }
    let found = TOKENS.iter().find(|(names, _)| names.contains(&noun.as_str()))?;
    Some(places + found.1)
}

/// The power of ten and the factor of a number of units: `image`, `1K images`, `minute`.
fn unit_scale(unit: Unit, per: &str) -> Option<(i32, u64)> {
    let (places, noun) = counted(per)?;
    let (scale, noun) = match noun.split_once(' ') {
        Some(("k" | "thousand", noun)) => (3, noun),
        Some(("m" | "million", noun)) => (6, noun),
        _ => (0, noun.as_str()),
    };
    let names = UNITS.iter().find(|(other, _)| *other == unit).map(|(_, names)| *names)?;
    let factor = match noun {
        "min" | "minute" | "minutes" if unit == Unit::Second => 60,
        "h" | "hour" | "hours" if unit == Unit::Second => 3600,
        _ if names.contains(&noun) => 1,
        _ => return None,
    };
    Some((places + scale, factor))
}

/// The power of ten in front, and the rest in lower case; other numbers are none.
fn counted(per: &str) -> Option<(i32, String)> {
    let end = per.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(per.len());
    let (digits, noun) = per.split_at(end);
    let noun = noun.trim().to_lowercase();
    if digits.is_empty() {
        return Some((0, noun));
    }
    let number = Decimal::parse(digits)?.exactly(0)?;
    let places = number.checked_ilog10()?;
    (10_u64.checked_pow(places)? == number).then_some((i32::try_from(places).ok()?, noun))
}

fn no<T>(reason: impl Into<String>, help: impl Into<String>) -> Result<T, NotMoney> {
    Err(NotMoney { reason: reason.into(), help: help.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn euros() -> Currencies {
        let mut currencies = Currencies::default();
        let rate = Decimal::parse("1.08").unwrap();
        currencies.add(Currency { code: "EUR".into(), rate, date: "2026-11-01".into() });
        currencies
    }

    fn token(text: &str) -> Option<u64> {
        per_token(text, &euros()).ok()
    }

    fn unit(text: &str, unit: Unit) -> Option<u64> {
        per_unit(text, unit, &euros()).ok()
    }

    #[test]
    fn prices_of_tokens_are_read_as_people_write_them() {
        let same = [
            "$0.10/M",
            "$0.10/1M",
            "$0.1/1M tokens",
            "0.10/M",
            "$ 0.10 / M tokens",
            "0.10 USD/M",
            "USD 0.10/MTok",
            "US$0.10/1,000,000 tokens",
            "$0.0001/1K tokens",
            "$0.0001/k",
            "$0.0000001/token",
            "$1e-1/M",
            "$0.10 per million tokens",
            "$0.10/1000000",
        ];
        for text in same {
            assert_eq!(token(text), Some(100_000), "{text}");
        }
        assert_eq!(token("$0/M"), Some(0));
        assert_eq!(token("$0.000001/M"), Some(1));
        assert_eq!(token("$1,250.50/M"), Some(1_250_500_000));
    }

    #[test]
    fn other_currencies_need_a_rate_and_are_rounded_up() {
        assert_eq!(token("€3/M"), Some(3_240_000));
        assert_eq!(token("3 EUR/M"), Some(3_240_000));
        assert_eq!(token("3€/M"), Some(3_240_000));
        assert_eq!(token("€0.0000015/M"), Some(2), "1.62 pico-dollars");
        let error = per_token("£3/M", &euros()).unwrap_err();
        assert_eq!(error.reason, "`£3/M` is in GBP, and nothing says what that is worth");
        assert!(error.help.contains("GBP = { rate = "), "{}", error.help);
        let error = per_token("¥3/M", &euros()).unwrap_err();
        assert!(error.help.contains("JPY"), "{error:?}");
    }

    #[test]
    fn what_is_no_price_of_tokens_says_what_would_be_one() {
        let check = |text: &str, reason: &str| {
            let error = per_token(text, &Currencies::default()).unwrap_err();
            assert_eq!(error.reason, reason);
            assert!(!error.help.is_empty());
        };
        check("$3", "`$3` does not say for how many tokens");
        check("$3/2M", "`2M` is no number of tokens");
        check("$3/image", "`image` is no number of tokens");
        check("$3/1", "`1` is no number of tokens");
        check("$-3/M", "`$-3/M` is negative");
        check("cheap/M", "`cheap/M` is no amount of money");
        check("$0.0000001/M", "`$0.0000001/M` is too fine, or too much");
        check("$99999999999/token", "`$99999999999/token` is too fine, or too much");
        check("$$3/M", "`$` in `$$3/M` may mean several things");
        check("$1,00/M", "`$1,00/M` is no amount of money");
        check("", "`` is no amount of money");
    }

    #[test]
    fn prices_of_units_are_read_too() {
        let cents = 10_000_000_000;
        assert_eq!(unit("$0.04/image", Unit::Image), Some(4 * cents));
        assert_eq!(unit("$0.04", Unit::Image), Some(4 * cents));
        assert_eq!(unit("$10/1K searches", Unit::Search), Some(cents));
        assert_eq!(unit("$10/1000", Unit::Search), None, "of what?");
        assert_eq!(unit("$0.60/minute", Unit::Second), Some(cents));
        assert_eq!(unit("$2.10/hour", Unit::Second), Some(583_333_334), "rounded up");
        assert_eq!(unit("$15/M characters", Unit::Character), Some(15_000_000));
        assert_eq!(unit("$0.04/page", Unit::Image), None);
        assert_eq!(amount("$2,000.5", &euros()), Ok(NanoUsd(2_000_500_000_000)));
        assert_eq!(multiplier("1.1"), Ok(1_100_000));
        assert!(multiplier("-1").is_err() && multiplier("1001").is_err());
    }

    #[test]
    fn no_text_makes_it_panic() {
        let parts = ["$", "€", "/", "M", "0", "1,000", ".", "e9", " ", "é", "USD", "-", "K ", "s"];
        for a in parts {
            for b in parts {
                for c in parts {
                    let text = format!("{a}{b}{c}{a}");
                    let _ = per_token(&text, &euros());
                    let _ = per_unit(&text, Unit::Second, &euros());
                    let _ = amount(&text, &euros());
                }
            }
        }
    }
}
