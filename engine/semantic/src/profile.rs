//! The plain form of a question: what two questions must have in common, word for word, before they are compared any further.
//!
//! In: a question. Out: a [`Profile`], whose key is a digest of the plain form; or why it has none. Nothing is remembered.
//!
//! Rules only take away what is known to be without meaning of its own (greetings, pleas, articles in a how-to), exchange
//! phrases that mean the same, and write quantities in one way. All that is left must be equal and in the same order: numbers,
//! units, days, names, code, negations, comparisons, what is asked. A word that no rule knows is never left out. So *being the
//! same question* is here a relation with classes, and candidates are found by the key of their class. Apart from that, the key
//! has what [`opposite`] and the quantities say of the text before any rule has been at it.

use sha2::{Digest, Sha256};

use crate::{
    language::{self, Form, Language, has},
    opposite,
    text::{Kind, Token, cut, quantity},
};

/// Bytes of a question; a longer one is not looked up by its meaning.
pub const TEXT_BYTES_MAX: usize = 2_048;

/// How many times as many words as another a question may have and still be the same.
pub const LENGTH_RATIO_MAX: u32 = 4;

/// What a question is compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The digest of its plain form.
    pub key: [u8; 16],
    /// How many words it has.
    pub words: u32,
}

/// Why a question cannot be compared with any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has nothing to compare.
    Empty,
    /// It has more than [`TEXT_BYTES_MAX`] bytes.
    Long,
}

impl Profile {
    /// The profile of a question.
    ///
    /// # Errors
    ///
    /// Where the text is too long, or has no word.
    pub fn of(text: &str) -> Result<Self, Unfit> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Unfit::Long);
        }
        let plain = Plain::of(text);
        if plain.tokens.iter().all(|token| token.kind == Kind::Mark) {
            return Err(Unfit::Empty);
        }
        let mut digest = Sha256::new();
        for part in plain.parts() {
            digest.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            digest.update(part.as_bytes());
        }
        let mut key = [0; 16];
        key.copy_from_slice(&digest.finalize()[..16]);
        let words = u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX);
        Ok(Self { key, words })
    }

    /// Whether the other is no more than [`LENGTH_RATIO_MAX`] times as long, or as short.
    #[must_use]
    pub fn is_of_like_length(&self, other: &Self) -> bool {
        let (short, long) = (self.words.min(other.words), self.words.max(other.words));
        long <= short.saturating_mul(LENGTH_RATIO_MAX)
    }
}

/// A question in its plain form.
#[derive(Debug)]
pub struct Plain {
    language: Option<&'static Language>,
    /// How the question is put, by its tag.
    form: &'static str,
    tokens: Vec<Token>,
    /// Quantities, quotations and names in their order, and groups of opposites, before rules.
    guards: Vec<String>,
}

impl Plain {
    /// Brings a question into its plain form.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let tokens = cut(text);
        let Some(language) = language::of(&tokens) else {
            return Self { language: None, form: "", guards: Vec::new(), tokens };
        };
        let tokens = if language.code == "en" { quantity::english(tokens) } else { tokens };
        let tokens = lengthened(folded(tokens, language), language);
        let guards = guards(&tokens);
        let (form, tokens) = Rules { language, tokens, is_asked: false }.apply();
        Self { language: Some(language), form, tokens, guards }
    }

    /// All that must be equal, in its order.
    fn parts(&self) -> impl Iterator<Item = String> + '_ {
        let language = self.language.map_or("", |language| language.code);
        let tokens = self.tokens.iter().map(|token| format!("{:?} {}", token.kind, token.text));
        [language.to_owned(), self.form.to_owned()]
            .into_iter()
            .chain(self.guards.iter().cloned())
            .chain(["|".to_owned()])
            .chain(tokens)
    }

    /// The plain form as people can read it.
    #[must_use]
    pub fn spelled(&self) -> String {
        let words: Vec<&str> = self.tokens.iter().map(|token| token.text.as_str()).collect();
        let language = self.language.map_or("?", |language| language.code);
        format!("{language} [{}] {}", self.form, words.join(" "))
    }
}

/// What stands in a text whatever the rules do with it.
fn guards(tokens: &[Token]) -> Vec<String> {
    let is_exact = |token: &&Token| !matches!(token.kind, Kind::Word | Kind::Mark);
    let exact = tokens.iter().filter(is_exact).map(|token| token.text.clone());
    let words = tokens.iter().filter(|token| token.kind == Kind::Word);
    let mut groups: Vec<u8> =
        words.filter_map(|token| opposite::group(&token.text.to_lowercase())).collect();
    groups.sort_unstable();
    exact.chain(groups.iter().map(|group| format!("group {group}"))).collect()
}

/// Words that only have a capital because they open a sentence lose it, where the language's tables have them.
fn folded(mut tokens: Vec<Token>, language: &Language) -> Vec<Token> {
    for token in tokens.iter_mut().filter(|token| token.kind == Kind::Word) {
        let mut letters = token.text.chars();
        let has_capital = letters.next().is_some_and(char::is_uppercase);
        let is_lower_behind = letters.all(|c| !c.is_uppercase());
        let is_i = language.code == "en" && (token.text == "I" || token.text.starts_with("I'"));
        if has_capital && ((token.opens && is_lower_behind) || is_i) {
            let lower = token.text.to_lowercase();
            if is_i || language.knows(&lower) {
                token.text = lower;
            }
        }
    }
    tokens
}

/// Shortened words in full.
fn lengthened(tokens: Vec<Token>, language: &Language) -> Vec<Token> {
    let mut made = Vec::with_capacity(tokens.len());
    for token in tokens {
        let full = language.short.iter().find(|(short, _)| token.is(short));
        match full {
            Some((_, full)) => {
                let words = full.split(' ').enumerate();
                made.extend(words.map(|(at, word)| Token {
                    opens: token.opens && at == 0,
                    ..Token::new(Kind::Word, word)
                }));
            }
            None => made.push(token),
        }
    }
    made
}

/// The rules of a language, at work on a question.
struct Rules {
    language: &'static Language,
    tokens: Vec<Token>,
    /// Whether something was left out that says that a question follows.
    is_asked: bool,
}

impl Rules {
    fn apply(mut self) -> (&'static str, Vec<Token>) {
        self.leave_out_politeness();
        self.open();
        while self.leave_out_beginning() {
            self.open();
        }
        let is_request = self.leave_out_plea();
        let has_mark = self.leave_out_end();
        self.put_setting_last();
        self.turn_indirect();
        let form = self.find_form();
        let tag = form.map_or("", |form| form.tag);
        let is_request = is_request || (form.is_none() && self.begins_with(self.language.requests));
        let is_question = self.is_asked
            || form.is_some()
            || is_request
            || self.begins_with(self.language.questions)
            || self.begins_with(self.language.auxiliaries);
        if self.language.light_forms.contains(&tag) {
            self.leave_out_light(matches!(tag, "how-to" | "what-if" | "where-to"));
        }
        self.exchange();
        if has_mark && !is_question {
            self.tokens.push(Token::new(Kind::Mark, "?"));
        }
        (tag, self.tokens)
    }

    fn begins_with(&self, list: &str) -> bool {
        self.tokens.first().is_some_and(|token| token.kind == Kind::Word && has(list, &token.text))
    }

    /// The first word that is left opens a sentence now.
    fn open(&mut self) {
        if let Some(at) = self.tokens.iter().position(|token| token.kind != Kind::Mark) {
            self.tokens[at].opens = true;
            let tokens = std::mem::take(&mut self.tokens);
            self.tokens = folded(tokens, self.language);
        }
    }

    fn leave_out_politeness(&mut self) {
        let mut at = 0;
        while at < self.tokens.len() {
            match longest(self.language.polite, &self.tokens[at..]) {
                Some(count) => {
                    self.tokens.drain(at..at + count);
                    let has_comma = at > 0
                        && self.tokens[at - 1].is_mark(",")
                        && self.tokens.get(at).is_none_or(|token| token.kind == Kind::Mark);
                    if has_comma {
                        self.tokens.remove(at - 1);
                    }
                }
                None => at += 1,
            }
        }
    }

    /// Leaves out a greeting, with the marks behind it, or what says that a question follows.
    fn leave_out_beginning(&mut self) -> bool {
        let is_pause =
            |token: &Token| token.kind == Kind::Mark && ",.!:-–—¿¡".contains(&*token.text);
        let marks = self.tokens.iter().take_while(|token| is_pause(token)).count();
        self.tokens.drain(..marks);
        if let Some(count) = longest(self.language.greetings, &self.tokens) {
            let rest = &self.tokens[count..];
            let is_alone = rest.first().is_none_or(|token| token.kind == Kind::Mark);
            if is_alone || rest.len() > 1 && self.opens_question(rest) {
                self.tokens.drain(..count);
                return true;
            }
        }
        let Some(count) = longest(self.language.asks, &self.tokens) else { return false };
        let rest = &self.tokens[count..];
        let marks = rest.iter().take_while(|token| is_pause(token)).count();
        let is_ask = self.opens_question(&rest[marks..]);
        if is_ask {
            self.tokens.drain(..count);
            self.is_asked = true;
        }
        is_ask
    }

    /// Whether a question's first words are there.
    fn opens_question(&self, rest: &[Token]) -> bool {
        let first = rest.first().filter(|token| token.kind == Kind::Word);
        first.is_some_and(|token| has(self.language.questions, &token.text))
            || longest(self.language.asks, rest).is_some()
            || longest(self.language.pleas, rest).is_some()
            || self.language.forms.iter().any(|form| count(form.starts, rest).is_some())
    }

    fn leave_out_plea(&mut self) -> bool {
        let mut found = false;
        while let Some(count) = longest(self.language.pleas, &self.tokens) {
            let next = self.tokens.get(count).filter(|token| token.kind == Kind::Word);
            // `Can you swim?` asks for nothing to be done.
            let has_more = self.tokens.get(count + 1).is_some_and(|token| token.kind != Kind::Mark);
            if !has_more || !next.is_some_and(|token| has(self.language.requests, &token.text)) {
                break;
            }
            self.tokens.drain(..count);
            found = true;
        }
        found
    }

    /// Leaves out thanks and the last marks; says whether one of them was a question's.
    fn leave_out_end(&mut self) -> bool {
        let mut has_question = false;
        loop {
            let before = self.tokens.len();
            while let Some(last) = self.tokens.last() {
                let behind_word =
                    self.tokens.iter().rev().nth(1).is_some_and(|token| token.kind == Kind::Word);
                has_question |= last.is_mark("?");
                let is_end = last.is_mark("?") || last.is_mark(".") || last.is_mark("…");
                let is_cry = last.is_mark("!")
                    && (behind_word
                        || self.tokens.iter().rev().nth(1).is_none_or(|t| t.is_mark("?")));
                if !is_end && !is_cry {
                    break;
                }
                self.tokens.pop();
            }
            for phrase in self.language.thanks {
                let words = phrase.split(' ').count();
                let Some(at) = self.tokens.len().checked_sub(words) else { continue };
                // Thanks stand apart: behind a mark.
                let is_apart = at == 0 || self.tokens[at - 1].kind == Kind::Mark;
                if is_apart && count(phrase, &folded_start(&self.tokens[at..])) == Some(words) {
                    self.tokens.truncate(at);
                    while self.tokens.last().is_some_and(|t| t.is_mark(",") || t.is_mark("-")) {
                        self.tokens.pop();
                    }
                }
            }
            if self.tokens.len() == before {
                return has_question;
            }
        }
    }

    /// `In Python, how …` as `how … in Python`.
    fn put_setting_last(&mut self) {
        let is_setting =
            self.tokens.first().is_some_and(|token| token.is("in") || token.is("with"));
        if !is_setting || self.language.code != "en" {
            return;
        }
        let Some(comma) = self.tokens.iter().take(6).position(|token| token.is_mark(",")) else {
            return;
        };
        let rest = &self.tokens[comma + 1..];
        if comma > 1 && self.opens_question(rest) && rest.iter().all(|token| !token.is_mark(",")) {
            self.tokens.rotate_left(comma + 1);
            self.tokens.pop();
        }
    }

    /// Takes the way in which the question is put off its beginning and end.
    fn find_form(&mut self) -> Option<&'static Form> {
        let fits = |form: &&Form| {
            let tokens = &self.tokens;
            let starts = count(form.starts, tokens)?;
            let ends = if form.ends.is_empty() { 0 } else { form.ends.split(' ').count() };
            let end = tokens.len().checked_sub(ends).filter(|end| *end > starts)?;
            if ends > 0 && count(form.ends, &tokens[end..]) != Some(ends) {
                return None;
            }
            let next = tokens.get(starts).filter(|token| token.kind == Kind::Word);
            let is_state = next.is_some_and(|next| has(self.language.states, &next.text));
            let is_action = next.is_some_and(|next| has(self.language.verbs, &next.text));
            let needs_gerund = form.tag == "how-to"
                && ["for", "of", "about", "help"].iter().any(|end| form.starts.ends_with(end));
            let is_gerund = next.and_then(|next| plain_verb(&next.text, self.language)).is_some();
            let fits = match form.tag {
                "how-to" | "may-i" if self.language.code == "en" => {
                    !is_state && (!needs_gerund || is_gerund)
                }
                "where-to" => is_action,
                _ => true,
            };
            fits.then_some(starts + ends)
        };
        let forms = self.language.forms.iter();
        let (_, form) =
            forms.filter_map(|form| Some((fits(&form)?, form))).max_by_key(|(n, _)| *n)?;
        let ends = if form.ends.is_empty() { 0 } else { form.ends.split(' ').count() };
        self.tokens.truncate(self.tokens.len() - ends);
        self.tokens.drain(..form.starts.split(' ').count());
        if form.tag == "how-to"
            && let Some(first) = self.tokens.first_mut()
            && let Some(plain) = plain_verb(&first.text, self.language)
        {
            first.text = plain;
        }
        Some(form)
    }

    /// `what the answer is` as `what is the answer`, `what I can do` as `what can I do`.
    fn turn_indirect(&mut self) {
        let verbs = ["is", "are", "was", "were"];
        let modals = ["can", "could", "should", "must", "would", "will"];
        let is_one_of = |token: Option<&Token>, words: &[&str]| {
            token.is_some_and(|token| words.iter().any(|word| token.is(word)))
        };
        if !self.is_asked || self.tokens.len() < 3 || !self.begins_with(self.language.questions) {
            return;
        }
        if is_one_of(self.tokens.get(1), &["i", "we", "one"])
            && is_one_of(self.tokens.get(2), &modals)
        {
            self.tokens.swap(1, 2);
            return;
        }
        let count = self.tokens.iter().filter(|token| is_one_of(Some(*token), &verbs)).count();
        if count == 1
            && is_one_of(self.tokens.last(), &verbs)
            && let Some(verb) = self.tokens.pop()
        {
            // `how tall it is` is `how tall is it`.
            let place = if self.tokens[0].is("how") { 2 } else { 1 };
            self.tokens.insert(place.min(self.tokens.len()), verb);
        }
    }

    /// Leaves out articles; where it is all the same whose it is and how many there are, that too.
    fn leave_out_light(&mut self, is_any: bool) {
        let language = self.language;
        let light = if is_any { language.light } else { language.articles };
        self.tokens.retain(|token| token.kind != Kind::Word || !has(light, &token.text));
        if !is_any {
            return;
        }
        for token in self.tokens.iter_mut().filter(|token| token.kind == Kind::Word) {
            let one = token.text.strip_suffix('s').map(|one| one.strip_suffix("oe").unwrap_or(one));
            let noun = |one: &str| has(language.nouns, one);
            if let Some(one) = one.filter(|one| noun(one)) {
                token.text = one.to_owned();
            }
        }
    }

    /// Puts one phrase for all that mean the same.
    fn exchange(&mut self) {
        let mut at = 0;
        while at < self.tokens.len() {
            let rest = &self.tokens[at..];
            let all = self.language.same.iter().flat_map(|same| same.iter().map(|p| (same[0], *p)));
            let found = all
                .filter_map(|(first, phrase)| Some((count(phrase, rest)?, first)))
                .max_by_key(|(count, _)| *count);
            if let Some((count, first)) = found {
                self.tokens.splice(at..at + count, [Token::new(Kind::Word, first)]);
            }
            at += 1;
        }
    }
}

/// A verb in -ing as its plain form, where the language's table has that.
fn plain_verb(word: &str, language: &Language) -> Option<String> {
    let stem = word.strip_suffix("ing").filter(|stem| stem.len() > 1)?;
    let mut letters = stem.chars();
    let is_double = letters.next_back() == stem.chars().nth_back(1);
    let short = if is_double { letters.as_str() } else { stem };
    [stem.to_owned(), format!("{stem}e"), short.to_owned()]
        .into_iter()
        .find(|plain| has(language.verbs, plain))
}

/// Tokens whose first one has no capital.
fn folded_start(tokens: &[Token]) -> Vec<Token> {
    let mut tokens = tokens.to_vec();
    if let Some(first) = tokens.first_mut() {
        first.text = first.text.to_lowercase();
    }
    tokens
}

/// How many tokens the longest of `phrases` has that the tokens begin with.
fn longest(phrases: &[&str], tokens: &[Token]) -> Option<usize> {
    phrases.iter().filter_map(|phrase| count(phrase, tokens)).max()
}

/// How many tokens `phrase` has, where `tokens` begin with it.
fn count(phrase: &str, tokens: &[Token]) -> Option<usize> {
    // Most phrases begin with another word.
    if !tokens.first().is_some_and(|token| phrase.starts_with(token.text.as_str())) {
        return None;
    }
    let mut used = 0;
    for word in phrase.split(' ') {
        tokens.get(used).filter(|token| token.is(word))?;
        used += 1;
    }
    Some(used)
}

#[cfg(test)]
mod tests;
