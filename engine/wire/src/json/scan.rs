//! The automaton behind [`Scanner`]: RFC 8259 without a tree, to be stopped and resumed between any two bytes.

use super::{
    DEPTH_MAX, JsonError, Scanner, text,
    words::{self, WORD_BYTES},
};

/// Bytes that are looked at together in long strings.
const BLOCK_BYTES: usize = 32;

/// A string is long when it has gone on for this many words.
const WORDS_BEFORE_BLOCKS: usize = 4;

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

/// The string that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    /// Behind the opening quote.
    start: usize,
    /// All bytes that are not ASCII lie between these two, with whole characters around them; `high_end` is 0 when
    /// there are none.
    high_start: usize,
    high_end: usize,
    has_escapes: bool,
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
            self.found_name(&body[text.start..end], text.has_escapes)?;
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
        match byte {
            b'{' => self.open(at, true),
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
                    if byte == b',' && !self.is_in_object() {
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
            let decoded = text::decode(name);
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

impl Text {
    pub(super) const fn at(start: usize) -> Self {
        Self { start, high_start: 0, high_end: 0, has_escapes: false }
    }

    /// Reads on to the closing quote, and true, or as far as there is something to read, and false.
    #[inline(always)]
    fn read(&mut self, body: &[u8], mut at: usize) -> Result<(usize, bool), JsonError> {
        loop {
            at = self.skip(body, at);
            match body.get(at) {
                Some(b'"') => {
                    self.check(body)?;
                    return Ok((at, true));
                }
                Some(b'\\') => {
                    self.has_escapes = true;
                    match escape_len(body, at)? {
                        0 => return Ok((at, false)),
                        len => at += len,
                    }
                }
                Some(_) => return Err(JsonError::Malformed(at)),
                None => return Ok((at, false)),
            }
        }
    }

    /// The place of the next byte that is special, or the end.
    #[inline(always)]
    fn skip(&mut self, body: &[u8], mut at: usize) -> usize {
        for _ in 0..WORDS_BEFORE_BLOCKS {
            let Some(bytes) = body[at..].first_chunk() else { return self.skip_bytes(body, at) };
            let word = u64::from_le_bytes(*bytes);
            let special = words::special(word);
            if words::high(word) != 0 {
                self.note_high(word, at, at + words::first(special));
            }
            if special != 0 {
                return at + words::first(special);
            }
            at += WORD_BYTES;
        }
        self.skip_blocks(body, at)
    }

    /// The same for long strings.
    #[inline(never)]
    fn skip_blocks(&mut self, body: &[u8], mut at: usize) -> usize {
        while let Some(block) = body[at..].first_chunk::<BLOCK_BYTES>() {
            let (mut special, mut high) = (0, 0);
            for bytes in block.as_chunks().0 {
                let word = u64::from_le_bytes(*bytes);
                special |= words::special(word);
                high |= words::high(word);
            }
            if special != 0 {
                break;
            }
            if high != 0 {
                self.note_high(high, at, at + BLOCK_BYTES);
            }
            at += BLOCK_BYTES;
        }
        while let Some(bytes) = body[at..].first_chunk() {
            let word = u64::from_le_bytes(*bytes);
            let special = words::special(word);
            if words::high(word) != 0 {
                self.note_high(word, at, at + words::first(special));
            }
            if special != 0 {
                return at + words::first(special);
            }
            at += WORD_BYTES;
        }
        self.skip_bytes(body, at)
    }

    /// The same where less than a word is left.
    #[inline(never)]
    fn skip_bytes(&mut self, body: &[u8], mut at: usize) -> usize {
        while let Some(&byte) = body.get(at) {
            if matches!(byte, b'"' | b'\\' | ..=0x1f) {
                break;
            }
            if byte >= 0x80 {
                self.note_high(0x80, at, at + 1);
            }
            at += 1;
        }
        at
    }

    /// Bytes beyond ASCII may be between `from` and `to`, which `word` tells for the first eight.
    #[cold]
    fn note_high(&mut self, word: u64, from: usize, to: usize) {
        if to - from < WORD_BYTES && words::below(words::high(word), to - from) == 0 {
            return; // all of them behind the end
        }
        if self.high_end == 0 {
            self.high_start = from;
        }
        self.high_end = to;
    }

    /// Whether the string is UTF-8.
    #[inline(always)]
    fn check(&self, body: &[u8]) -> Result<(), JsonError> {
        if self.high_end == 0 {
            return Ok(());
        }
        match std::str::from_utf8(&body[self.high_start..self.high_end]) {
            Ok(_) => Ok(()),
            Err(error) => Err(JsonError::Malformed(self.high_start + error.valid_up_to())),
        }
    }
}

/// Bytes of the escape whose backslash is at `at`; 0 when it is not all there.
#[inline(always)]
fn escape_len(body: &[u8], at: usize) -> Result<usize, JsonError> {
    let Some(&letter) = body.get(at + 1) else { return Ok(0) };
    match ESCAPE_LENS[usize::from(letter)] {
        2 => Ok(2),
        0 => Err(JsonError::Malformed(at)),
        len => match body.get(at + 2..at + len) {
            None => Ok(0),
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(len),
            Some(_) => Err(JsonError::Malformed(at)),
        },
    }
}

/// Bytes of an escape with this letter behind the backslash; 0 when there is none.
const ESCAPE_LENS: [usize; 256] = {
    let mut lens = [0; 256];
    let short = b"\"\\/bfnrt";
    let mut index = 0;
    while index < short.len() {
        lens[short[index] as usize] = 2;
        index += 1;
    }
    lens[b'u' as usize] = 6;
    lens
};

/// Steps over items of a list of integers without sign: token arrays have tens of thousands of them.
///
/// `comma` is the place of a comma behind an item. Gives back the place of the last comma up to which there is nothing
/// but integers, each behind a comma and at most one space; where anything else comes, the automaton goes on.
fn last_comma_of_integers(body: &[u8], comma: usize) -> usize {
    let mut last = comma;
    let mut at = comma;
    let (mut digit_before, mut comma_before, mut leading_zero_before) = (true, false, false);
    while let Some(bytes) = body[at..].first_chunk() {
        let word = u64::from_le_bytes(*bytes);
        let digits = words::digits(word);
        let commas = words::equal(word, b',');
        let spaces = words::equal(word, b' ');
        let behind_digit = words::behind(digits, digit_before);
        let behind_comma = words::behind(commas, comma_before);
        let leading_zeros = words::equal(word, b'0') & !behind_digit;
        let bad = words::high(!(digits | commas | spaces))
            | commas & !behind_digit
            | spaces & !behind_comma
            | digits & words::behind(leading_zeros, leading_zero_before);
        let good = words::first(bad);
        let good_commas = words::below(commas, good);
        if good_commas != 0 {
            last = at + words::last(good_commas);
        }
        if bad != 0 {
            break;
        }
        digit_before = words::carries(digits);
        comma_before = words::carries(commas);
        leading_zero_before = words::carries(leading_zeros);
        at += WORD_BYTES;
    }
    last
}
