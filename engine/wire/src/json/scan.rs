//! The automaton behind [`Scanner`]: RFC 8259 without a tree, to be stopped and resumed between any two bytes.

use super::{
    DEPTH_MAX, JsonError, Scanner,
    integers::last_comma_of_integers,
    string::{self, Text},
};

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The object.
    Start,
    /// The first name of an object, or its end.
    NameOrEnd,
    /// A name.
    Name,
    /// The rest of a string that is a name.
    InName,
    /// The colon behind a name.
    Colon,
    /// The first item of an array, or its end.
    ItemOrEnd,
    /// A value.
    Value,
    /// The rest of a string that is a value.
    InText,
    /// The rest of a number.
    InNumber(Part),
    /// The rest of `true`, `false` or `null`.
    InLiteral,
    /// A comma, or the end of the innermost container.
    Comma,
    /// Nothing more.
    Done,
}

/// The part of a number that has just been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

/// Where to go on, and with what.
enum Step {
    /// At once.
    Go(State, usize),
    /// When there are more bytes.
    Pause(State, usize),
}

use Step::{Go, Pause};

type Next = Result<Step, JsonError>;

// The automaton keeps its place and its state in registers: that is why the steps hand them on, and why they are inlined.
impl Scanner {
    /// Goes on from where the last run stopped, to the end of `body`.
    pub(super) fn run(&mut self, body: &[u8]) -> Result<(), JsonError> {
        let (mut state, mut at) = (self.state, self.at);
        loop {
            let step = match state {
                State::Value => self.value(body, at)?,
                State::Name => self.name(body, at)?,
                State::Comma => self.comma(body, at)?,
                State::Colon => self.colon(body, at)?,
                State::NameOrEnd => self.name_or_end(body, at)?,
                State::ItemOrEnd => self.item_or_end(body, at)?,
                State::InName => self.in_name(body, at, self.text)?,
                State::InText => self.in_text(body, at, self.text)?,
                State::InNumber(part) => self.in_number(body, at, part)?,
                State::InLiteral => self.in_literal(body, at)?,
                State::Start => self.start(body, at)?,
                State::Done => trail(body, at)?,
            };
            match step {
                Go(next, place) => (state, at) = (next, place),
                Pause(next, place) => {
                    (self.state, self.at) = (next, place);
                    return Ok(());
                }
            }
        }
    }

    fn start(&mut self, body: &[u8], at: usize) -> Next {
        match skip_space(body, at) {
            (at, None) => Ok(Pause(State::Start, at)),
            (at, Some(b'{')) => {
                self.object_start = at;
                self.open(at, true)
            }
            (_, Some(_)) => Err(JsonError::NotAnObject),
        }
    }

    #[inline(always)]
    fn name_or_end(&mut self, body: &[u8], at: usize) -> Next {
        match skip_space(body, at) {
            (at, None) => Ok(Pause(State::NameOrEnd, at)),
            (at, Some(b'}')) => Ok(self.close(at)),
            (at, Some(_)) => self.name(body, at),
        }
    }

    #[inline(always)]
    fn name(&mut self, body: &[u8], at: usize) -> Next {
        match skip_space(body, at) {
            (at, None) => Ok(Pause(State::Name, at)),
            (at, Some(b'"')) => self.in_name(body, at + 1, Text::at(at + 1)),
            (at, Some(_)) => Err(JsonError::Malformed(at)),
        }
    }

    #[inline(always)]
    fn in_name(&mut self, body: &[u8], at: usize, mut text: Text) -> Next {
        let (end, is_whole) = text.read(body, at)?;
        if !is_whole {
            self.text = text;
            return Ok(Pause(State::InName, end));
        }
        if self.depth == 1 {
            self.found_name(&body[text.start()..end], text.has_escapes())?;
        }
        self.colon(body, end + 1)
    }

    #[inline(always)]
    fn colon(&mut self, body: &[u8], at: usize) -> Next {
        match skip_space(body, at) {
            (at, None) => Ok(Pause(State::Colon, at)),
            (at, Some(b':')) => self.value(body, at + 1),
            (at, Some(_)) => Err(JsonError::Malformed(at)),
        }
    }

    #[inline(always)]
    fn item_or_end(&mut self, body: &[u8], at: usize) -> Next {
        match skip_space(body, at) {
            (at, None) => Ok(Pause(State::ItemOrEnd, at)),
            (at, Some(b']')) => Ok(self.close(at)),
            (at, Some(_)) => self.value(body, at),
        }
    }

    #[inline(always)]
    fn value(&mut self, body: &[u8], at: usize) -> Next {
        let (at, Some(byte)) = skip_space(body, at) else {
            return Ok(Pause(State::Value, body.len()));
        };
        if self.depth == 1 {
            self.value_starts(at);
        }
        if byte == b'"' {
            return self.in_text(body, at + 1, Text::at(at + 1));
        }
        if byte == b'{' {
            return self.open(at, true);
        }
        match byte {
            b'[' => self.open(at, false),
            b'1'..=b'9' => Ok(Go(State::InNumber(Part::Integer), at + 1)),
            b'0' => Ok(Go(State::InNumber(Part::Zero), at + 1)),
            b'-' => Ok(Go(State::InNumber(Part::Minus), at + 1)),
            b't' => Ok(self.literal(at, b"true")),
            b'f' => Ok(self.literal(at, b"false")),
            b'n' => Ok(self.literal(at, b"null")),
            _ => Err(JsonError::Malformed(at)),
        }
    }

    #[inline(always)]
    fn in_text(&mut self, body: &[u8], at: usize, mut text: Text) -> Next {
        let (end, is_whole) = text.read(body, at)?;
        if is_whole {
            return Ok(self.value_ends(end + 1));
        }
        self.text = text;
        Ok(Pause(State::InText, end))
    }

    /// Reads a number on; what may follow it is for [`Scanner::comma`] to say.
    #[inline]
    fn in_number(&mut self, body: &[u8], mut at: usize, mut part: Part) -> Next {
        while let Some(&byte) = body.get(at) {
            part = match (part, byte) {
                (Part::Integer | Part::Fraction | Part::Exponent, b'0'..=b'9') => part,
                (Part::Zero | Part::Integer, b'.') => Part::Point,
                (Part::Zero | Part::Integer | Part::Fraction, b'e' | b'E') => Part::E,
                (Part::Zero | Part::Integer | Part::Fraction | Part::Exponent, _) => {
                    let is_whole = matches!(part, Part::Zero | Part::Integer);
                    if byte == b',' && is_whole && !self.is_in_object() {
                        at = last_comma_of_integers(body, at);
                    }
                    return Ok(self.value_ends(at));
                }
                (Part::Minus, b'0') => Part::Zero,
                (Part::Minus, b'1'..=b'9') => Part::Integer,
                (Part::Point, b'0'..=b'9') => Part::Fraction,
                (Part::E, b'+' | b'-') => Part::Sign,
                (Part::E | Part::Sign, b'0'..=b'9') => Part::Exponent,
                (Part::Minus | Part::Point | Part::E | Part::Sign, _) => {
                    return Err(JsonError::Malformed(at));
                }
            };
            at += 1;
        }
        Ok(Pause(State::InNumber(part), at))
    }

    #[inline(always)]
    fn literal(&mut self, at: usize, literal: &'static [u8]) -> Step {
        self.literal = literal;
        Go(State::InLiteral, at)
    }

    fn in_literal(&mut self, body: &[u8], mut at: usize) -> Next {
        while let Some((expected, rest)) = self.literal.split_first() {
            match body.get(at) {
                None => return Ok(Pause(State::InLiteral, at)),
                Some(byte) if byte != expected => return Err(JsonError::Malformed(at)),
                Some(_) => {}
            }
            at += 1;
            self.literal = rest;
        }
        Ok(self.value_ends(at))
    }

    #[inline(always)]
    fn comma(&mut self, body: &[u8], at: usize) -> Next {
        match skip_space(body, at) {
            (at, None) => Ok(Pause(State::Comma, at)),
            (at, Some(b',')) if self.is_in_object() => self.name(body, at + 1),
            (at, Some(b',')) => self.value(body, at + 1),
            (at, Some(b'}')) if self.is_in_object() => Ok(self.close(at)),
            (at, Some(b']')) if !self.is_in_object() => Ok(self.close(at)),
            (at, Some(_)) => Err(JsonError::Malformed(at)),
        }
    }

    #[inline(always)]
    fn open(&mut self, at: usize, is_object: bool) -> Next {
        if self.depth == DEPTH_MAX {
            return Err(JsonError::TooDeep);
        }
        self.depth += 1;
        self.kinds = self.kinds << 1 | u128::from(is_object);
        Ok(Go(if is_object { State::NameOrEnd } else { State::ItemOrEnd }, at + 1))
    }

    #[inline(always)]
    fn close(&mut self, at: usize) -> Step {
        self.depth -= 1;
        self.kinds >>= 1;
        if self.depth > 0 {
            return self.value_ends(at + 1);
        }
        self.object_end = at + 1;
        Go(State::Done, at + 1)
    }

    #[inline(always)]
    const fn is_in_object(&self) -> bool {
        self.kinds & 1 == 1
    }

    #[inline(always)]
    fn value_starts(&mut self, at: usize) {
        self.has_members = true;
        if let Some(index) = self.current {
            self.spans[index].start = at;
        }
    }

    #[inline(always)]
    fn value_ends(&mut self, at: usize) -> Step {
        if self.depth == 1
            && let Some(index) = self.current.take()
        {
            self.spans[index].end = at;
        }
        Go(State::Comma, at)
    }

    /// Notes whether this top-level name is one of interest.
    fn found_name(&mut self, name: &[u8], has_escapes: bool) -> Result<(), JsonError> {
        if has_escapes {
            let decoded = string::decode(name);
            let found =
                decoded.and_then(|name| self.names.iter().position(|wanted| *wanted == name));
            return found.map_or(Ok(()), |index| Err(JsonError::EscapedName(index)));
        }
        let mut candidates = self.names_of_len.get(name.len()).copied().unwrap_or(0);
        while candidates != 0 {
            let index = candidates.trailing_zeros() as usize;
            candidates &= candidates - 1;
            if self.names[index].as_bytes() != name {
                continue;
            }
            if self.seen & 1 << index != 0 {
                return Err(JsonError::Duplicate(index));
            }
            self.seen |= 1 << index;
            self.current = Some(index);
            break;
        }
        Ok(())
    }
}

fn trail(body: &[u8], at: usize) -> Next {
    match skip_space(body, at) {
        (at, None) => Ok(Pause(State::Done, at)),
        (_, Some(_)) => Err(JsonError::Trailing),
    }
}

/// The place of the next byte that is not white space, and the byte.
#[inline(always)]
fn skip_space(body: &[u8], mut at: usize) -> (usize, Option<u8>) {
    while let Some(&byte) = body.get(at) {
        if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            return (at, Some(byte));
        }
        at += 1;
    }
    (at, None)
}
