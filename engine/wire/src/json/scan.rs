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
    InLiteral(&'static [u8]),
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

impl Text {
    pub(super) const fn at(start: usize) -> Self {
        Self { start, high_start: 0, high_end: 0, has_escapes: false }
    }
}

/// The automaton has come to the end of what is there.
struct Pause;

/// Goes on only while there are bytes.
type Next<T> = Result<Result<T, Pause>, JsonError>;

impl Scanner {
    /// Goes on from where the last run stopped, to the end of `body`.
    pub(super) fn run(&mut self, body: &[u8]) -> Result<(), JsonError> {
        loop {
            let step = match self.state {
                State::Value => self.value(body)?,
                State::Name => self.name(body)?,
                State::Comma => self.comma(body)?,
                State::Colon => self.colon(body)?,
                State::NameOrEnd => self.name_or_end(body)?,
                State::ItemOrEnd => self.item_or_end(body)?,
                State::InName => self.in_name(body)?,
                State::InText => self.in_text(body)?,
                State::InNumber(part) => self.in_number(body, part)?,
                State::InLiteral(rest) => self.in_literal(body, rest)?,
                State::Start => self.start(body)?,
                State::Done => self.trail(body)?,
            };
            if step.is_err() {
                return Ok(());
            }
        }
    }

    #[inline]
    fn start(&mut self, body: &[u8]) -> Next<()> {
        match self.peek(body) {
            None => Ok(Err(Pause)),
            Some(b'{') => {
                self.object_start = self.at;
                self.open(true)
            }
            Some(_) => Err(JsonError::NotAnObject),
        }
    }

    fn trail(&mut self, body: &[u8]) -> Next<()> {
        match self.peek(body) {
            None => Ok(Err(Pause)),
            Some(_) => Err(JsonError::Trailing),
        }
    }

    #[inline]
    fn name_or_end(&mut self, body: &[u8]) -> Next<()> {
        match self.peek(body) {
            Some(b'}') => self.close(),
            _ => self.name(body),
        }
    }

    #[inline]
    fn name(&mut self, body: &[u8]) -> Next<()> {
        match self.peek(body) {
            None => Ok(Err(Pause)),
            Some(b'"') => {
                self.at += 1;
                self.text = Text::at(self.at);
                self.state = State::InName;
                self.in_name(body)
            }
            Some(_) => Err(JsonError::Malformed(self.at)),
        }
    }

    #[inline]
    fn in_name(&mut self, body: &[u8]) -> Next<()> {
        let Ok(end) = self.rest_of_text(body)? else { return Ok(Err(Pause)) };
        if self.depth == 1 {
            self.found_name(body, end)?;
        }
        self.at = end + 1;
        self.state = State::Colon;
        self.colon(body)
    }

    #[inline]
    fn colon(&mut self, body: &[u8]) -> Next<()> {
        match self.peek(body) {
            None => Ok(Err(Pause)),
            Some(b':') => {
                self.at += 1;
                self.state = State::Value;
                Ok(Ok(()))
            }
            Some(_) => Err(JsonError::Malformed(self.at)),
        }
    }

    #[inline]
    fn item_or_end(&mut self, body: &[u8]) -> Next<()> {
        match self.peek(body) {
            Some(b']') => self.close(),
            _ => self.value(body),
        }
    }

    #[inline]
    fn value(&mut self, body: &[u8]) -> Next<()> {
        let Some(byte) = self.peek(body) else { return Ok(Err(Pause)) };
        if self.depth == 1 {
            self.value_starts();
        }
        match byte {
            b'"' => {
                self.at += 1;
                self.text = Text::at(self.at);
                self.state = State::InText;
                self.in_text(body)
            }
            b'{' => self.open(true),
            b'[' => self.open(false),
            b'1'..=b'9' => self.number_from(body, Part::Integer),
            b'0' => self.number_from(body, Part::Zero),
            b'-' => self.number_from(body, Part::Minus),
            b't' => self.literal_from(body, b"true"),
            b'f' => self.literal_from(body, b"false"),
            b'n' => self.literal_from(body, b"null"),
            _ => Err(JsonError::Malformed(self.at)),
        }
    }

    #[inline]
    fn in_text(&mut self, body: &[u8]) -> Next<()> {
        let Ok(end) = self.rest_of_text(body)? else { return Ok(Err(Pause)) };
        self.at = end + 1;
        self.value_ends();
        Ok(Ok(()))
    }

    #[inline]
    fn number_from(&mut self, body: &[u8], part: Part) -> Next<()> {
        self.at += 1;
        self.in_number(body, part)
    }

    /// Reads a number on; what may follow it is for [`Scanner::comma`] to say.
    fn in_number(&mut self, body: &[u8], mut part: Part) -> Next<()> {
        while let Some(&byte) = body.get(self.at) {
            part = match (part, byte) {
                (Part::Integer | Part::Fraction | Part::Exponent, b'0'..=b'9') => part,
                (Part::Zero | Part::Integer, b'.') => Part::Point,
                (Part::Zero | Part::Integer | Part::Fraction, b'e' | b'E') => Part::E,
                (Part::Zero | Part::Integer | Part::Fraction | Part::Exponent, _) => {
                    self.value_ends();
                    if byte == b',' && !self.is_in_object() {
                        self.at = last_comma_of_integers(body, self.at);
                    }
                    return Ok(Ok(()));
                }
                (Part::Minus, b'0') => Part::Zero,
                (Part::Minus, b'1'..=b'9') => Part::Integer,
                (Part::Point, b'0'..=b'9') => Part::Fraction,
                (Part::E, b'+' | b'-') => Part::Sign,
                (Part::E | Part::Sign, b'0'..=b'9') => Part::Exponent,
                (Part::Minus | Part::Point | Part::E | Part::Sign, _) => {
                    return Err(JsonError::Malformed(self.at));
                }
            };
            self.at += 1;
        }
        self.state = State::InNumber(part);
        Ok(Err(Pause))
    }

    #[inline]
    fn literal_from(&mut self, body: &[u8], literal: &'static [u8]) -> Next<()> {
        if body[self.at..].starts_with(literal) {
            self.at += literal.len();
            self.value_ends();
            return Ok(Ok(()));
        }
        self.in_literal(body, literal)
    }

    fn in_literal(&mut self, body: &[u8], mut rest: &'static [u8]) -> Next<()> {
        while let Some((expected, behind)) = rest.split_first() {
            let Some(byte) = body.get(self.at) else {
                self.state = State::InLiteral(rest);
                return Ok(Err(Pause));
            };
            if byte != expected {
                return Err(JsonError::Malformed(self.at));
            }
            self.at += 1;
            rest = behind;
        }
        self.value_ends();
        Ok(Ok(()))
    }

    #[inline]
    fn comma(&mut self, body: &[u8]) -> Next<()> {
        match self.peek(body) {
            None => Ok(Err(Pause)),
            Some(b',') => {
                self.at += 1;
                if self.is_in_object() {
                    self.state = State::Name;
                    self.name(body)
                } else {
                    self.state = State::Value;
                    Ok(Ok(()))
                }
            }
            Some(b'}') if self.is_in_object() => self.close(),
            Some(b']') if !self.is_in_object() => self.close(),
            Some(_) => Err(JsonError::Malformed(self.at)),
        }
    }

    /// The next byte that is not white space.
    #[inline]
    fn peek(&mut self, body: &[u8]) -> Option<u8> {
        loop {
            let byte = *body.get(self.at)?;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    #[inline]
    fn open(&mut self, is_object: bool) -> Next<()> {
        if self.depth == DEPTH_MAX {
            return Err(JsonError::TooDeep);
        }
        self.at += 1;
        self.depth += 1;
        self.kinds = self.kinds << 1 | u128::from(is_object);
        self.state = if is_object { State::NameOrEnd } else { State::ItemOrEnd };
        Ok(Ok(()))
    }

    #[inline]
    fn close(&mut self) -> Next<()> {
        self.at += 1;
        self.depth -= 1;
        self.kinds >>= 1;
        if self.depth == 0 {
            self.object_end = self.at;
            self.state = State::Done;
        } else {
            self.value_ends();
        }
        Ok(Ok(()))
    }

    #[inline]
    const fn is_in_object(&self) -> bool {
        self.kinds & 1 == 1
    }

    #[inline]
    fn value_starts(&mut self) {
        self.has_members = true;
        if let Some(index) = self.current {
            self.spans[index].start = self.at;
        }
    }

    #[inline]
    fn value_ends(&mut self) {
        self.state = State::Comma;
        if self.depth == 1
            && let Some(index) = self.current.take()
        {
            self.spans[index].end = self.at;
        }
    }

    /// Notes whether the top-level name that ends at `end` is one of interest.
    fn found_name(&mut self, body: &[u8], end: usize) -> Result<(), JsonError> {
        let name = &body[self.text.start..end];
        if self.text.has_escapes {
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

    /// Reads a string on; gives back the place of its closing quote.
    fn rest_of_text(&mut self, body: &[u8]) -> Next<usize> {
        let mut at = self.at;
        loop {
            at = self.text.skip(body, at);
            match body.get(at) {
                Some(b'"') => {
                    self.text.check(body)?;
                    return Ok(Ok(at));
                }
                Some(b'\\') => {
                    self.text.has_escapes = true;
                    let Ok(len) = escape_len(body, at)? else { break };
                    at += len;
                }
                Some(_) => return Err(JsonError::Malformed(at)),
                None => break,
            }
        }
        self.at = at;
        Ok(Err(Pause))
    }
}

impl Text {
    /// The place of the next byte that is special, or the end.
    #[inline]
    fn skip(&mut self, body: &[u8], mut at: usize) -> usize {
        for _ in 0..WORDS_BEFORE_BLOCKS {
            let Some(bytes) = body[at..].first_chunk() else { return self.skip_bytes(body, at) };
            let word = u64::from_le_bytes(*bytes);
            let special = words::special(word);
            let stop = words::first(special);
            if words::below(words::high(word), stop) != 0 {
                self.note_high(at, at + stop);
            }
            at += stop;
            if special != 0 {
                return at;
            }
        }
        self.skip_blocks(body, at)
    }

    /// The same for long strings.
    fn skip_blocks(&mut self, body: &[u8], mut at: usize) -> usize {
        while let Some(block) = body[at..].first_chunk::<BLOCK_BYTES>() {
            let (mut special, mut high) = (0, 0);
            for bytes in block.as_chunks::<WORD_BYTES>().0 {
                let word = u64::from_le_bytes(*bytes);
                special |= words::special(word);
                high |= words::high(word);
            }
            if special != 0 {
                break;
            }
            if high != 0 {
                self.note_high(at, at + BLOCK_BYTES);
            }
            at += BLOCK_BYTES;
        }
        while let Some(bytes) = body[at..].first_chunk() {
            let word = u64::from_le_bytes(*bytes);
            let special = words::special(word);
            let stop = words::first(special);
            if words::below(words::high(word), stop) != 0 {
                self.note_high(at, at + stop);
            }
            at += stop;
            if special != 0 {
                return at;
            }
        }
        self.skip_bytes(body, at)
    }

    /// The same where less than a word is left.
    fn skip_bytes(&mut self, body: &[u8], mut at: usize) -> usize {
        while let Some(&byte) = body.get(at) {
            if matches!(byte, b'"' | b'\\' | ..=0x1f) {
                break;
            }
            if byte >= 0x80 {
                self.note_high(at, at + 1);
            }
            at += 1;
        }
        at
    }

    /// Bytes beyond ASCII are somewhere between `from` and `to`.
    #[inline]
    fn note_high(&mut self, from: usize, to: usize) {
        if self.high_end == 0 {
            self.high_start = from;
        }
        self.high_end = to;
    }

    /// Whether the string is UTF-8.
    #[inline]
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

/// Bytes of the escape whose backslash is at `at`.
#[inline]
fn escape_len(body: &[u8], at: usize) -> Next<usize> {
    match body.get(at + 1) {
        None => Ok(Err(Pause)),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(Ok(2)),
        Some(b'u') => match body.get(at + 2..at + 6) {
            None => Ok(Err(Pause)),
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(Ok(6)),
            Some(_) => Err(JsonError::Malformed(at)),
        },
        Some(_) => Err(JsonError::Malformed(at)),
    }
}

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
