//! Numbers, units, money, days and times, however they are written.
//!
//! In: what stands between white space, or tokens. Out: tokens in one spelling each, where there is no doubt what is meant; where
//! there is, as it was. `1,000` is a thousand in English and one in German, so that it is only read where the language is known;
//! `3/4/2024` is a day in April or in March and stays as it is. Nothing is remembered.

use super::{Kind, Token};

/// Units by what they may be called, and their one name. Letters that mean several things (`m`, `s`, `pounds`) are not here.
const UNITS: &[(&str, &[&str])] = &[
    ("%", &["percent", "pct"]),
    ("usd", &["dollar", "dollars", "bucks"]),
    ("eur", &["eur", "EUR", "euro", "euros", "€"]),
    ("gbp", &["GBP", "£"]),
    ("jpy", &["JPY", "yen"]),
    ("km", &["km", "kilometer", "kilometers", "kilometre", "kilometres"]),
    ("cm", &["cm", "centimeter", "centimeters", "centimetre", "centimetres"]),
    ("mm", &["mm", "millimeter", "millimeters", "millimetre", "millimetres"]),
    ("meter", &["meter", "meters", "metre", "metres"]),
    ("mile", &["mile", "miles"]),
    ("inch", &["inch", "inches"]),
    ("foot", &["foot", "feet", "ft"]),
    ("kg", &["kg", "kgs", "kilo", "kilos", "kilogram", "kilograms"]),
    ("gram", &["gram", "grams"]),
    ("mg", &["mg", "milligram", "milligrams"]),
    ("liter", &["liter", "liters", "litre", "litres"]),
    ("ml", &["ml", "milliliter", "milliliters", "millilitre", "millilitres"]),
    ("second", &["second", "seconds", "sec", "secs"]),
    ("minute", &["minute", "minutes", "min", "mins"]),
    ("hour", &["hour", "hours", "hr", "hrs"]),
    ("day", &["day", "days"]),
    ("week", &["week", "weeks"]),
    ("month", &["month", "months"]),
    ("year", &["year", "years"]),
    ("GB", &["GB", "gigabyte", "gigabytes"]),
    ("MB", &["MB", "megabyte", "megabytes"]),
    ("TB", &["TB", "terabyte", "terabytes"]),
    ("celsius", &["celsius", "Celsius", "°C"]),
    ("fahrenheit", &["fahrenheit", "Fahrenheit", "°F"]),
];

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] =
    ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Reads a piece that begins with a digit, a sign or a currency; `None` where it is no number.
#[must_use]
pub fn read(piece: &str) -> Option<Vec<Token>> {
    if let Some(day) = iso_day(piece) {
        return Some(vec![Token::new(Kind::Date, day)]);
    }
    if let Some(time) = time(piece) {
        return Some(vec![Token::new(Kind::Time, time)]);
    }
    let (currency, rest) = currency(piece);
    let end = rest
        .char_indices()
        .find(|&(at, c)| !(c.is_ascii_digit() || matches!(c, '.' | ',') || (at == 0 && is_sign(c))))
        .map_or(rest.len(), |(at, _)| at);
    let (digits, suffix) = rest.split_at(end);
    let is_number = digits.chars().next_back().is_some_and(|c| c.is_ascii_digit());
    if !is_number || (currency.is_some() && !suffix.is_empty()) {
        return None;
    }
    let number = Token::new(Kind::Number, digits.replace(['−', '–'], "-"));
    if let Some(currency) = currency {
        return Some(vec![number, Token::new(Kind::Unit, currency)]);
    }
    match suffix {
        "" => Some(vec![number]),
        "%" => Some(vec![number, Token::new(Kind::Unit, "%")]),
        "$" => Some(vec![number, Token::new(Kind::Unit, "usd")]),
        _ => unit(suffix).map(|unit| vec![number, Token::new(Kind::Unit, unit)]),
    }
}

fn is_sign(c: char) -> bool {
    matches!(c, '-' | '−' | '+')
}

fn currency(piece: &str) -> (Option<&'static str>, &str) {
    let signs = [("$", "usd"), ("€", "eur"), ("£", "gbp"), ("¥", "jpy")];
    signs
        .iter()
        .find_map(|(sign, name)| piece.strip_prefix(sign).map(|rest| (Some(*name), rest)))
        .unwrap_or((None, piece))
}

fn unit(word: &str) -> Option<&'static str> {
    UNITS.iter().find(|(_, names)| names.contains(&word)).map(|(unit, _)| *unit)
}

fn iso_day(piece: &str) -> Option<String> {
    let parts: Vec<&str> = piece.split('-').collect();
    let is_digits = |text: &str, count| text.len() == count && is_all_digits(text);
    match parts[..] {
        [year, month, day] if is_digits(year, 4) && is_digits(month, 2) && is_digits(day, 2) => {
            Some(piece.to_owned())
        }
        _ => None,
    }
}

fn is_all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `17:05`, `5pm`, `5:05pm` as `17:05`.
fn time(piece: &str) -> Option<String> {
    let lower = piece.to_ascii_lowercase();
    let (clock, half) = match lower.strip_suffix("am").map(|rest| (rest, Some(false))) {
        Some(found) => found,
        None => lower.strip_suffix("pm").map_or((lower.as_str(), None), |rest| (rest, Some(true))),
    };
    let (hour, minute) = match clock.split_once(':') {
        Some((hour, minute)) if minute.len() == 2 => (hour, minute),
        None if half.is_some() => (clock, "00"),
        _ => return None,
    };
    if !is_all_digits(hour) || hour.len() > 2 || !is_all_digits(minute) {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match half {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(false) => hour % 12,
        Some(true) => hour % 12 + 12,
        None => hour,
    };
    (hour < 24 && minute < 60).then(|| format!("{hour:02}:{minute:02}"))
}

/// Puts English numbers, units, days and times into one spelling each.
#[must_use]
pub fn english(tokens: Vec<Token>) -> Vec<Token> {
    let tokens = counted(digits(numbers(tokens)));
    days(times(tokens))
}

/// Thousands without their commas.
fn digits(mut tokens: Vec<Token>) -> Vec<Token> {
    for token in tokens.iter_mut().filter(|token| token.kind == Kind::Number) {
        let (whole, fraction) = token.text.split_once('.').unwrap_or((&token.text, ""));
        let mut groups = whole.trim_start_matches(is_sign).split(',');
        let first = groups.next().unwrap_or_default();
        let is_grouped = whole.contains(',')
            && (1..=3).contains(&first.len())
            && groups.all(|group| group.len() == 3)
            && !fraction.contains(',');
        if is_grouped {
            token.text.retain(|c| c != ',');
        }
    }
    tokens
}

/// `twenty-five` as `25`, `five hundred` as `500`. A word that cannot be part of the number before it begins one of its own.
fn numbers(tokens: Vec<Token>) -> Vec<Token> {
    let mut made: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match spelled(&tokens[at..]) {
            Some((value, used)) => {
                let mut number = Token::new(Kind::Number, value.to_string());
                number.opens = token.opens;
                made.push(number);
                at += used;
            }
            None => {
                made.push(token.clone());
                at += 1;
            }
        }
    }
    made
}

/// The number that the tokens begin with, in words, and how many tokens it is.
fn spelled(tokens: &[Token]) -> Option<(u64, usize)> {
    let (mut value, mut used) = below_hundred(tokens)?;
    if tokens.get(used).is_some_and(|token| token.is("hundred")) {
        value *= 100;
        used += 1;
        let and = usize::from(tokens.get(used).is_some_and(|token| token.is("and")));
        let rest = tokens.get(used + and..).and_then(below_hundred);
        if let Some((rest, more)) = rest {
            value += rest;
            used += and + more;
        }
    }
    let scale = match tokens.get(used) {
        Some(token) if token.is("thousand") => 1_000,
        Some(token) if token.is("million") => 1_000_000,
        // `one` alone is more often somebody than a number.
        _ => return Some((value, used)).filter(|_| (value, used) != (1, 1)),
    };
    Some((value * scale, used + 1))
}

fn below_hundred(tokens: &[Token]) -> Option<(u64, usize)> {
    let word = |at: usize| {
        tokens.get(at).filter(|token| token.kind == Kind::Word).map(|token| token.text.as_str())
    };
    let place = |list: &[&str], word: &str| {
        list.iter().position(|other| *other == word).and_then(|at| u64::try_from(at).ok())
    };
    let first = word(0)?;
    if let Some((tens, unit)) = first.split_once('-') {
        let tens = (place(&TENS, tens)? + 2) * 10;
        return Some((tens + place(&SMALL[..10], unit).filter(|unit| *unit > 0)?, 1));
    }
    if let Some(small) = place(&SMALL, first) {
        return Some((small, 1));
    }
    let tens = (place(&TENS, first)? + 2) * 10;
    let unit = word(1).and_then(|word| place(&SMALL[..10], word)).filter(|unit| *unit > 0);
    Some(unit.map_or((tens, 1), |unit| (tens + unit, 2)))
}

/// A word behind a number that is a unit, by its one name.
fn counted(mut tokens: Vec<Token>) -> Vec<Token> {
    for at in 1..tokens.len() {
        let is_behind = tokens[at - 1].kind == Kind::Number;
        let token = &mut tokens[at];
        if is_behind && matches!(token.kind, Kind::Word | Kind::Verbatim | Kind::Mark) {
            if let Some(unit) = unit(&token.text) {
                *token = Token::new(Kind::Unit, unit);
            } else if token.text == "%" {
                token.kind = Kind::Unit;
            }
        }
    }
    let mut made: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let is_cent = token.is("cent")
            && made.last().is_some_and(|token| token.is("per"))
            && made.iter().rev().nth(1).is_some_and(|token| token.kind == Kind::Number);
        if is_cent {
            made.pop();
            made.push(Token::new(Kind::Unit, "%"));
        } else {
            made.push(token);
        }
    }
    made
}

/// `5 pm` and `5 p.m.` as `17:00`.
fn times(tokens: Vec<Token>) -> Vec<Token> {
    let mut made: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let half = token.text.to_ascii_lowercase().replace('.', "");
        let before = made.last().filter(|last| matches!(last.kind, Kind::Number | Kind::Time));
        let whole = before
            .filter(|_| matches!(half.as_str(), "am" | "pm") && token.kind != Kind::Mark)
            .and_then(|last| time(&format!("{}{half}", last.text)));
        match whole {
            Some(whole) => {
                made.pop();
                made.push(Token::new(Kind::Time, whole));
            }
            None => made.push(token),
        }
    }
    made
}

/// `March 5, 2024`, `5th of March 2024` and `2024-03-05` in one spelling; likewise without the year or the day.
fn days(tokens: Vec<Token>) -> Vec<Token> {
    let mut made: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match day(&tokens[at..]) {
            Some((day, used)) => {
                let mut date = Token::new(Kind::Date, day);
                date.opens = token.opens;
                made.push(date);
                at += used;
            }
            None => {
                made.push(token.clone());
                at += 1;
            }
        }
    }
    made
}

fn day(tokens: &[Token]) -> Option<(String, usize)> {
    if let Some(month) = month(tokens.first()?) {
        if let Some(day) = tokens.get(1).and_then(day_of_month) {
            let comma = usize::from(tokens.get(2).is_some_and(|token| token.is_mark(",")));
            return Some(match tokens.get(2 + comma).and_then(year) {
                Some(year) => (format!("{year}-{month:02}-{day:02}"), 3 + comma),
                None => (format!("-{month:02}-{day:02}"), 2),
            });
        }
        return Some((format!("{}-{month:02}", tokens.get(1).and_then(year)?), 2));
    }
    let day = day_of_month(tokens.first()?)?;
    let of = usize::from(tokens.get(1).is_some_and(|token| token.is("of")));
    let month = month(tokens.get(1 + of)?)?;
    Some(match tokens.get(2 + of).and_then(year) {
        Some(year) => (format!("{year}-{month:02}-{day:02}"), 3 + of),
        None => (format!("-{month:02}-{day:02}"), 2 + of),
    })
}

/// A month by its name or three letters of it; `march` and `may` are words where they have no capital.
fn month(token: &Token) -> Option<usize> {
    let lower = token.text.to_lowercase();
    let has_capital = token.text.chars().next().is_some_and(char::is_uppercase);
    let is_word = matches!(lower.as_str(), "march" | "may" | "mar" | "dec" | "jan" | "sep");
    if token.kind != Kind::Word || (is_word && !has_capital) {
        return None;
    }
    MONTHS
        .iter()
        .position(|month| *month == lower || (lower.len() == 3 && month.starts_with(&lower)))
        .map(|at| at + 1)
}

fn day_of_month(token: &Token) -> Option<u32> {
    let digits = match token.kind {
        Kind::Number => token.text.as_str(),
        Kind::Verbatim => {
            let ends = ["st", "nd", "rd", "th"];
            ends.iter().find_map(|end| token.text.strip_suffix(end))?
        }
        _ => return None,
    };
    if digits.len() > 2 || !is_all_digits(digits) {
        return None;
    }
    digits.parse().ok().filter(|day| (1..=31).contains(day))
}

fn year(token: &Token) -> Option<&str> {
    let is_year = token.kind == Kind::Number && token.text.len() == 4 && is_all_digits(&token.text);
    is_year.then_some(token.text.as_str())
}

#[cfg(test)]
mod tests {
    use super::{super::cut, *};

    fn spelling(text: &str) -> String {
        let tokens = english(cut(text));
        let texts: Vec<String> = tokens.into_iter().map(|token| token.text).collect();
        texts.join(" ")
    }

    #[test]
    fn one_quantity_has_one_spelling() {
        for (one, other) in [
            ("5 km", "five kilometres"),
            ("5km", "5 kilometers"),
            ("20%", "20 percent"),
            ("20 %", "twenty per cent"),
            ("1,000 dollars", "$1000"),
            ("€5", "5 euros"),
            ("twenty-five", "25"),
            ("twenty five", "25"),
            ("five hundred and six", "506"),
            ("three thousand", "3,000"),
            ("March 5, 2024", "2024-03-05"),
            ("5th of March 2024", "Mar 5 2024"),
            ("March 2024", "Mar 2024"),
            ("5 pm", "17:00"),
            ("5:30 p.m.", "17:30"),
            ("12am", "00:00"),
        ] {
            assert_eq!(spelling(one), spelling(other), "{one} | {other}");
        }
    }

    #[test]
    fn what_may_be_another_quantity_has_another_spelling() {
        for (one, other) in [
            ("5 km", "5 miles"),
            ("5 GB", "5 Gb"),
            ("$5", "5 USD"),
            ("3.1", "3.10"),
            ("1.000", "1000"),
            ("-5", "5"),
            ("3/4/2024", "4/3/2024"),
            ("March 5, 2024", "March 6, 2024"),
            ("5 am", "5 pm"),
            ("five six", "56"),
            ("£5", "5 pounds"),
            ("5!", "5"),
            ("10k", "10"),
            ("fifteen", "fifty"),
            ("5-10", "510"),
        ] {
            assert_ne!(spelling(one), spelling(other), "{one} | {other}");
        }
    }
}
