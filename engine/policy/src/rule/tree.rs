//! A condition as it is kept: one type for each type of the language, so that evaluating it cannot fail.
//!
//! Evaluation reads facts and allocates nothing. Its time is bounded by the length of the condition, its depth by
//! [`DEPTH_MAX`](super::DEPTH_MAX), and what a pattern is compared with by [`TEXT_BYTES_MAX`].

use crate::pattern::Pattern;

use super::{
    Facts,
    field::{FlagField, NumberField, TextField},
};

/// So much of a text is looked at.
pub const TEXT_BYTES_MAX: usize = 2048;

#[derive(Clone, Debug)]
pub(super) enum Flag {
    Is(bool),
    Field(FlagField),
    /// Index into the policy's targets.
    Healthy(usize),
    Not(Box<Flag>),
    All(Vec<Flag>),
    Any(Vec<Flag>),
    /// Whether both are the same.
    Same(Box<(Flag, Flag)>),
    Numbers(Order, Box<(Number, Number)>),
    NumberIn(Box<Number>, Vec<f64>),
    Texts(Box<(Text, Text)>),
    TextIn(Text, Vec<Box<str>>),
    Matches(Text, Vec<Pattern>),
}

#[derive(Clone, Debug)]
pub(super) enum Number {
    Is(f64),
    Field(NumberField),
    /// In a place so many minutes east of UTC.
    Hour(i32),
    Minus(Box<Number>),
    /// Each is added, or taken off.
    Sum(Vec<(bool, Number)>),
    Product(Vec<Number>),
}

#[derive(Clone, Debug)]
pub(super) enum Text {
    Is(Box<str>),
    Field(TextField),
    /// Index into the names of fields that the policy's conditions look at.
    Header(usize),
    /// Index into the names of tags.
    Tag(usize),
    /// In a place so many minutes east of UTC.
    Weekday(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Less,
    AtMost,
}

impl Flag {
    pub(super) fn holds(&self, facts: &dyn Facts) -> bool {
        match self {
            Self::Is(flag) => *flag,
            Self::Field(field) => facts.flag(*field),
            Self::Healthy(target) => facts.healthy(*target),
            Self::Not(flag) => !flag.holds(facts),
            Self::All(flags) => flags.iter().all(|flag| flag.holds(facts)),
            Self::Any(flags) => flags.iter().any(|flag| flag.holds(facts)),
            Self::Same(both) => both.0.holds(facts) == both.1.holds(facts),
            Self::Numbers(order, both) => {
                let (a, b) = (both.0.value(facts), both.1.value(facts));
                match order {
                    Order::Equal => a == b,
                    Order::Less => a < b,
                    Order::AtMost => a <= b,
                }
            }
            Self::NumberIn(number, list) => {
                let value = number.value(facts);
                list.contains(&value)
            }
            Self::Texts(both) => both.0.value(facts) == both.1.value(facts),
            Self::TextIn(text, list) => {
                let value = text.value(facts);
                list.iter().any(|item| **item == *value)
            }
            Self::Matches(text, patterns) => {
                let value = text.value(facts);
                patterns.iter().any(|pattern| pattern.matches(value))
            }
        }
    }
}

impl Number {
    fn value(&self, facts: &dyn Facts) -> f64 {
        match self {
            Self::Is(number) => *number,
            Self::Field(field) => facts.number(*field),
            Self::Hour(east) => f64::from(hour(facts.wall_nanos(), *east)),
            Self::Minus(number) => -number.value(facts),
            Self::Sum(parts) => parts.iter().fold(0.0, |sum, (adds, part)| {
                let value = part.value(facts);
                if *adds { sum + value } else { sum - value }
            }),
            Self::Product(parts) => parts.iter().map(|part| part.value(facts)).product(),
        }
    }
}

impl Text {
    fn value<'f>(&'f self, facts: &'f dyn Facts) -> &'f str {
        clip(match self {
            Self::Is(text) => text,
            Self::Field(field) => facts.text(*field),
            Self::Header(index) => facts.header(*index),
            Self::Tag(index) => facts.tag(*index),
            Self::Weekday(east) => weekday(facts.wall_nanos(), *east),
        })
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Whether this is a day as [`weekday`] spells it.
pub(super) fn is_day(text: &str) -> bool {
    DAYS.contains(&text)
}

fn minutes(wall_nanos: u64, east: i32) -> u64 {
    const MINUTE: u64 = 60_000_000_000;
    (wall_nanos / MINUTE).saturating_add_signed(i64::from(east))
}

fn hour(wall_nanos: u64, east: i32) -> u32 {
    u32::try_from(minutes(wall_nanos, east) / 60 % 24).unwrap_or(0)
}

fn weekday(wall_nanos: u64, east: i32) -> &'static str {
    // 1 January 1970 was a Thursday.
    let day = (minutes(wall_nanos, east) / (24 * 60) + 3) % 7;
    usize::try_from(day).ok().and_then(|day| DAYS.get(day)).copied().unwrap_or("")
}

fn clip(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
