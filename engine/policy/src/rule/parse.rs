//! From words to a condition, by descent: `or`, `and`, `not`, comparisons, sums, products, values.

use std::ops::Range;

use crate::{nearest::nearest, pattern::Pattern};

use super::{
    DEPTH_MAX, Known, LIST_MAX, Mistake, Needs,
    field::{self, Field, Means, NumberField, TextField, WORDS},
    lex::{Is, Word, words},
    mistake,
    tree::{Flag, Number, Order, Text, is_day},
};

/// Names of fields whose values are nobody's business.
const SECRET_FIELDS: &[&str] =
    &["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization"];

pub(super) fn parse(text: &str, known: &mut Known<'_>) -> Result<(Flag, Needs), Mistake> {
    let words = words(text)?;
    let mut parser = Parser { words: &words, at: 0, depth: 0, known, needs: Needs::default() };
    if parser.peek().is == Is::End {
        let help = "for example: when = \"difficulty > 0.7 or tools\"";
        return Err(mistake(0..text.len(), "the condition is empty", help));
    }
    let value = parser.either()?;
    let flag = parser.flag(value)?;
    parser.end()?;
    Ok((flag, parser.needs))
}

struct Parser<'w, 't, 'k, 'p> {
    words: &'w [Word<'t>],
    at: usize,
    depth: usize,
    known: &'k mut Known<'p>,
    needs: Needs,
}

/// A part of a condition that has been read.
struct Value {
    is: Kind,
    span: Range<usize>,
}

enum Kind {
    Flag(Flag),
    Number(Number),
    Text(Text),
    Texts(Vec<Box<str>>),
    Numbers(Vec<f64>),
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Flag(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Texts(_) => "a list of texts",
            Self::Numbers(_) => "a list of numbers",
        }
    }
}

impl<'t> Parser<'_, 't, '_, '_> {
    fn either(&mut self) -> Result<Value, Mistake> {
        self.chain("or", Self::both, Flag::Any)
    }

    fn both(&mut self) -> Result<Value, Mistake> {
        self.chain("and", Self::negation, Flag::All)
    }

    /// One or more of what `next` reads, with a word between.
    fn chain(
        &mut self,
        word: &str,
        next: fn(&mut Self) -> Result<Value, Mistake>,
        join: fn(Vec<Flag>) -> Flag,
    ) -> Result<Value, Mistake> {
        let first = next(self)?;
        if !self.is_name(word) {
            return Ok(first);
        }
        let start = first.span.start;
        let mut flags = vec![self.flag(first)?];
        let mut end = start;
        while self.take_name(word) {
            let value = next(self)?;
            end = value.span.end;
            flags.push(self.flag(value)?);
        }
        Ok(Value { is: Kind::Flag(join(flags)), span: start..end })
    }

    fn negation(&mut self) -> Result<Value, Mistake> {
        let start = self.peek().span.start;
        if !self.take_name("not") {
            return self.comparison();
        }
        let value = self.deeper(Self::negation)?;
        let span = start..value.span.end;
        let flag = self.flag(value)?;
        Ok(Value { is: Kind::Flag(Flag::Not(Box::new(flag))), span })
    }

    fn comparison(&mut self) -> Result<Value, Mistake> {
        let left = self.sum()?;
        let Some((sign, at)) = self.comparing() else { return Ok(left) };
        let right = self.sum()?;
        let span = left.span.start..right.span.end;
        if let Some((_, again)) = self.comparing() {
            let help = "join two comparisons by `and`";
            return Err(mistake(again, "two values are compared at a time", help));
        }
        let flag = match sign {
            "in" => self.contained(left, right)?,
            "not in" => Flag::Not(Box::new(self.contained(left, right)?)),
            "matches" => matched(left, right)?,
            _ => compared(sign, left, right, at)?,
        };
        Ok(Value { is: Kind::Flag(flag), span })
    }

    /// Takes a sign or word of comparison.
    fn comparing(&mut self) -> Option<(&'static str, Range<usize>)> {
        let word = self.peek();
        let span = word.span.clone();
        let sign = match &word.is {
            Is::Sign(sign @ ("==" | "!=" | "<" | "<=" | ">" | ">=")) => *sign,
            Is::Name("in") => "in",
            Is::Name("matches") => "matches",
            Is::Name("not") => {
                let next = self.words.get(self.at + 1)?;
                if next.is != Is::Name("in") {
                    return None;
                }
                self.at += 2;
                return Some(("not in", span.start..next.span.end));
            }
            _ => return None,
        };
        self.at += 1;
        Some((sign, span))
    }

    fn contained(&mut self, left: Value, right: Value) -> Result<Flag, Mistake> {
        match (left.is, right.is) {
            (Kind::Text(text), Kind::Texts(list)) => {
                if let (Text::Weekday(_), Some(no)) = (&text, list.iter().find(|day| !is_day(day)))
                {
                    return Err(no_day(no, right.span));
                }
                Ok(Flag::TextIn(text, list))
            }
            (Kind::Number(number), Kind::Numbers(list)) => {
                Ok(Flag::NumberIn(Box::new(number), list))
            }
            (Kind::Text(_) | Kind::Number(_), Kind::Text(_) | Kind::Number(_) | Kind::Flag(_)) => {
                let help = "for example: team in [\"search\", \"ads\"]";
                Err(mistake(right.span, "`in` needs a list behind it", help))
            }
            (left_is, right_is) => {
                let reason = format!("{} cannot be in {}", left_is.name(), right_is.name());
                Err(mistake(left.span.start..right.span.end, reason, ""))
            }
        }
    }

    fn sum(&mut self) -> Result<Value, Mistake> {
        let first = self.product()?;
        if !matches!(self.peek().is, Is::Sign("+" | "-")) {
            return Ok(first);
        }
        let start = first.span.start;
        let mut parts = vec![(true, number(first)?)];
        let mut end = start;
        while let Is::Sign(sign @ ("+" | "-")) = self.peek().is {
            self.at += 1;
            let value = self.product()?;
            end = value.span.end;
            parts.push((sign == "+", number(value)?));
        }
        Ok(Value { is: Kind::Number(Number::Sum(parts)), span: start..end })
    }

    fn product(&mut self) -> Result<Value, Mistake> {
        let first = self.signed()?;
        if self.peek().is != Is::Sign("*") {
            return Ok(first);
        }
        let start = first.span.start;
        let mut parts = vec![number(first)?];
        let mut end = start;
        while self.take_sign("*") {
            let value = self.signed()?;
            end = value.span.end;
            parts.push(number(value)?);
        }
        Ok(Value { is: Kind::Number(Number::Product(parts)), span: start..end })
    }

    fn signed(&mut self) -> Result<Value, Mistake> {
        let start = self.peek().span.start;
        if !self.take_sign("-") {
            return self.value();
        }
        let value = self.deeper(Self::signed)?;
        let span = start..value.span.end;
        Ok(Value { is: Kind::Number(Number::Minus(Box::new(number(value)?))), span })
    }

    fn value(&mut self) -> Result<Value, Mistake> {
        let word = self.peek().clone();
        let span = word.span.clone();
        match word.is {
            Is::Number(number) => {
                self.at += 1;
                Ok(Value { is: Kind::Number(Number::Is(number)), span })
            }
            Is::Text(text) => {
                self.at += 1;
                Ok(Value { is: Kind::Text(Text::Is(text.into())), span })
            }
            Is::Sign("(") => {
                self.at += 1;
                let inner = self.deeper(Self::either)?;
                let end = self.close(")", &span)?;
                Ok(Value { is: inner.is, span: span.start..end })
            }
            Is::Sign("[") => {
                self.at += 1;
                self.list(span)
            }
            Is::Name(name) => {
                self.at += 1;
                self.named(name, span)
            }
            Is::Sign(sign) => {
                let reason = format!("a value is missing before `{sign}`");
                Err(mistake(span, reason, "a name, a number, or a text in quotes"))
            }
            Is::End => Err(mistake(
                span,
                "a value is missing here",
                "a name, a number, or a text in quotes",
            )),
        }
    }

    fn named(&mut self, name: &'t str, span: Range<usize>) -> Result<Value, Mistake> {
        match name {
            "true" | "false" => {
                return Ok(Value { is: Kind::Flag(Flag::Is(name == "true")), span });
            }
            _ if WORDS.contains(&name) => {
                let reason = format!("a value is missing before `{name}`");
                return Err(mistake(span, reason, "a name, a number, or a text in quotes"));
            }
            _ => {}
        }
        let Some(field) = field::find(name) else { return Err(unknown(name, span)) };
        let start = span.start;
        let is = match field.means {
            Means::Flag(flag) => Kind::Flag(Flag::Field(flag)),
            Means::Number(number) => Kind::Number(Number::Field(number)),
            Means::Text(text) => Kind::Text(Text::Field(text)),
            Means::Hour => Kind::Number(Number::Hour(self.east()?)),
            Means::Weekday => Kind::Text(Text::Weekday(self.east()?)),
            Means::Header => Kind::Text(self.header(field, &span)?),
            Means::Tag => {
                let (name, _) = self.argument(field, &span, ("[", "]"))?;
                Kind::Text(Text::Tag(place(&mut self.known.tags, name)))
            }
            Means::Healthy => Kind::Flag(self.healthy(field, &span)?),
        };
        self.needs.note(field.means);
        let end = self.words[self.at - 1].span.end;
        Ok(Value { is, span: start..end })
    }

    fn header(&mut self, field: &Field, span: &Range<usize>) -> Result<Text, Mistake> {
        let (name, at) = self.argument(field, span, ("[", "]"))?;
        let lower = name.to_ascii_lowercase();
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if lower.is_empty() || !lower.bytes().all(fits) {
            return Err(mistake(at, format!("`{name}` is no name of a field"), ""));
        }
        if SECRET_FIELDS.contains(&lower.as_str()) {
            let help = "tell callers apart by `key`, `team`, `project` or `agent`";
            return Err(mistake(at, format!("`{lower}` holds a secret"), help));
        }
        Ok(Text::Header(place(&mut self.known.headers, &lower)))
    }

    fn healthy(&mut self, field: &Field, span: &Range<usize>) -> Result<Flag, Mistake> {
        let (name, at) = self.argument(field, span, ("(", ")"))?;
        if let Some(index) = self.known.targets.iter().position(|target| *target == name) {
            return Ok(Flag::Healthy(index));
        }
        let help = match nearest(name, self.known.targets.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "a target as a model names it: \"provider/model\"".to_owned(),
        };
        Err(mistake(at, format!("there is no target `{name}`"), help))
    }

    /// The text that stands in brackets behind a name.
    fn argument(
        &mut self,
        field: &Field,
        span: &Range<usize>,
        (open, close): (&'static str, &'static str),
    ) -> Result<(&'t str, Range<usize>), Mistake> {
        let bracket = self.peek().span.clone();
        if !self.take_sign(open) {
            let reason = format!("`{}` needs a name behind it", field.name);
            return Err(mistake(span.clone(), reason, example(field)));
        }
        let word = self.peek().clone();
        let Is::Text(text) = word.is else {
            let reason = format!("`{}` needs a text in quotes", field.name);
            return Err(mistake(word.span, reason, example(field)));
        };
        self.at += 1;
        self.close(close, &bracket)?;
        Ok((text, word.span))
    }

    /// How many minutes east of UTC is meant: nothing, or `("+02:00")`.
    fn east(&mut self) -> Result<i32, Mistake> {
        let bracket = self.peek().span.clone();
        if !self.take_sign("(") {
            return Ok(0);
        }
        let word = self.peek().clone();
        let east = match word.is {
            Is::Text(text) => offset(text),
            _ => None,
        };
        let Some(east) = east else {
            let help = "UTC or an offset: hour(\"+02:00\")";
            return Err(mistake(word.span, "this is no time zone", help));
        };
        self.at += 1;
        self.close(")", &bracket)?;
        Ok(east)
    }

    fn list(&mut self, open: Range<usize>) -> Result<Value, Mistake> {
        let (mut texts, mut numbers): (Vec<Box<str>>, Vec<f64>) = (Vec::new(), Vec::new());
        while !self.is_sign("]") {
            let word = self.peek().clone();
            match word.is {
                Is::Text(text) => texts.push(text.into()),
                Is::Number(number) => numbers.push(number),
                _ => {
                    let help = "texts in quotes or numbers, with commas between";
                    return Err(mistake(word.span, "this cannot stand in a list", help));
                }
            }
            if !texts.is_empty() && !numbers.is_empty() {
                return Err(mistake(word.span, "a list holds texts or numbers, not both", ""));
            }
            if texts.len().max(numbers.len()) > LIST_MAX {
                let reason = format!("a list holds at most {LIST_MAX} values");
                return Err(mistake(word.span, reason, "a pattern may say more: matches \"a-*\""));
            }
            self.at += 1;
            if !self.take_sign(",") {
                break;
            }
        }
        let end = self.close("]", &open)?;
        let span = open.start..end;
        match (texts.is_empty(), numbers.is_empty()) {
            (true, true) => Err(mistake(span, "the list is empty", "nothing is in it")),
            (false, _) => Ok(Value { is: Kind::Texts(texts), span }),
            (true, false) => Ok(Value { is: Kind::Numbers(numbers), span }),
        }
    }

    /// A condition, where one must stand.
    fn flag(&self, value: Value) -> Result<Flag, Mistake> {
        let help = match &value.is {
            Kind::Flag(_) => "",
            Kind::Number(_) => "compare it, as in: difficulty > 0.7",
            Kind::Text(_) => "compare it, as in: team == \"search\"",
            Kind::Texts(_) | Kind::Numbers(_) => "ask what is in it, as in: team in [\"search\"]",
        };
        match value.is {
            Kind::Flag(flag) => Ok(flag),
            other => {
                let reason = format!("this is {}, not true or false", other.name());
                Err(mistake(value.span, reason, help))
            }
        }
    }

    fn end(&self) -> Result<(), Mistake> {
        let word = self.peek();
        match word.is {
            Is::End => Ok(()),
            Is::Sign(")" | "]") => Err(mistake(word.span.clone(), "nothing is open here", "")),
            _ => {
                let help = "join two conditions by `and` or `or`";
                Err(mistake(word.span.clone(), "the condition has ended before this", help))
            }
        }
    }

    fn deeper(&mut self, read: fn(&mut Self) -> Result<Value, Mistake>) -> Result<Value, Mistake> {
        if self.depth == DEPTH_MAX {
            let reason = format!("more than {DEPTH_MAX} levels of brackets and `not`");
            return Err(mistake(self.peek().span.clone(), reason, "make two rules of it"));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn close(&mut self, sign: &'static str, open: &Range<usize>) -> Result<usize, Mistake> {
        let end = self.peek().span.end;
        if self.take_sign(sign) {
            return Ok(end);
        }
        Err(mistake(open.clone(), format!("this is not closed by `{sign}`"), ""))
    }

    fn peek(&self) -> &Word<'t> {
        // The last word is the end, and is never taken.
        &self.words[self.at.min(self.words.len() - 1)]
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek().is, Is::Name(found) if found == name)
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek().is, Is::Sign(found) if found == sign)
    }

    fn take_name(&mut self, name: &str) -> bool {
        let taken = self.is_name(name);
        self.at += usize::from(taken);
        taken
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let taken = self.is_sign(sign);
        self.at += usize::from(taken);
        taken
    }
}

fn compared(sign: &str, left: Value, right: Value, at: Range<usize>) -> Result<Flag, Mistake> {
    let whole = left.span.start..right.span.end;
    let not = |flag| Flag::Not(Box::new(flag));
    match (left.is, right.is) {
        (Kind::Number(a), Kind::Number(b)) => Ok(match sign {
            "==" => Flag::Numbers(Order::Equal, Box::new((a, b))),
            "!=" => not(Flag::Numbers(Order::Equal, Box::new((a, b)))),
            "<" => Flag::Numbers(Order::Less, Box::new((a, b))),
            "<=" => Flag::Numbers(Order::AtMost, Box::new((a, b))),
            ">" => Flag::Numbers(Order::Less, Box::new((b, a))),
            _ => Flag::Numbers(Order::AtMost, Box::new((b, a))),
        }),
        (Kind::Text(a), Kind::Text(b)) if matches!(sign, "==" | "!=") => {
            if let (Text::Weekday(_), Text::Is(day)) | (Text::Is(day), Text::Weekday(_)) = (&a, &b)
                && !is_day(day)
            {
                return Err(no_day(day, right.span));
            }
            let same = Flag::Texts(Box::new((a, b)));
            Ok(if sign == "==" { same } else { not(same) })
        }
        (Kind::Flag(a), Kind::Flag(b)) if matches!(sign, "==" | "!=") => {
            let same = Flag::Same(Box::new((a, b)));
            Ok(if sign == "==" { same } else { not(same) })
        }
        (Kind::Text(_), Kind::Text(_)) | (Kind::Flag(_), Kind::Flag(_)) => {
            let reason = format!("`{sign}` compares numbers");
            Err(mistake(at, reason, "these are compared by `==` or `!=`"))
        }
        (Kind::Texts(_) | Kind::Numbers(_), _) | (_, Kind::Texts(_) | Kind::Numbers(_)) => {
            Err(mistake(at, "a list is not compared", "write `in` to ask whether a value is in it"))
        }
        (a, b) => {
            let reason = format!("{} is never {}", a.name(), b.name());
            Err(mistake(whole, reason, "both sides must be of one type"))
        }
    }
}

fn matched(left: Value, right: Value) -> Result<Flag, Mistake> {
    let Kind::Text(text) = left.is else {
        let reason = format!("{} matches no pattern", left.is.name());
        return Err(mistake(left.span, reason, "only a text does"));
    };
    match right.is {
        Kind::Text(Text::Is(pattern)) => Ok(Flag::Matches(text, vec![Pattern::new(&pattern)])),
        Kind::Texts(patterns) => {
            Ok(Flag::Matches(text, patterns.iter().map(|pattern| Pattern::new(pattern)).collect()))
        }
        _ => {
            let help = "for example: model matches \"gpt-*\"";
            Err(mistake(right.span, "a pattern is a text in quotes, or a list of them", help))
        }
    }
}

fn number(value: Value) -> Result<Number, Mistake> {
    match value.is {
        Kind::Number(number) => Ok(number),
        other => {
            let reason = format!("this is {}, and cannot be reckoned with", other.name());
            Err(mistake(value.span, reason, "+, - and * take numbers"))
        }
    }
}

fn unknown(name: &str, span: Range<usize>) -> Mistake {
    let names = field::FIELDS.iter().map(|field| field.name);
    let words = WORDS.iter().copied();
    let help = match nearest(name, names.clone().chain(words)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("names are {}", names.collect::<Vec<_>>().join(", ")),
    };
    mistake(span, format!("there is no `{name}`"), help)
}

fn no_day(word: &str, span: Range<usize>) -> Mistake {
    mistake(span, format!("`{word}` is no day"), "days are mon, tue, wed, thu, fri, sat, sun")
}

fn example(field: &Field) -> &'static str {
    match field.means {
        Means::Header => "for example: header[\"x-tier\"] == \"gold\"",
        Means::Tag => "for example: tag[\"job\"] == \"nightly\"",
        _ => "for example: healthy(\"openai/gpt-5-mini\")",
    }
}

/// `UTC`, `Z`, `+02:00`, `-0530`
fn offset(text: &str) -> Option<i32> {
    if matches!(text, "UTC" | "Z") {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some(parts) => parts,
        None => rest.split_at_checked(2)?,
    };
    let two = |digits: &str| {
        let is_two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<i32>().ok().filter(|_| is_two)
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// The place of a name in a list, where it is put when it is new.
fn place(list: &mut Vec<Box<str>>, name: &str) -> usize {
    match list.iter().position(|known| **known == *name) {
        Some(at) => at,
        None => {
            list.push(name.into());
            list.len() - 1
        }
    }
}

impl Needs {
    fn note(&mut self, means: Means) {
        match means {
            Means::Number(NumberField::Difficulty) => self.difficulty = true,
            Means::Number(NumberField::Warm) => self.warm = true,
            Means::Number(NumberField::Turns | NumberField::ToolCount | NumberField::Images)
            | Means::Flag(super::FlagField::Tools)
            | Means::Text(TextField::Reasoning | TextField::User) => self.shape = true,
            _ => {}
        }
    }
}
