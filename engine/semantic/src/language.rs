//! Languages: which one a text is in, and what may be left out or exchanged in it without changing what is asked.
//!
//! In: words. Out: a [`Language`], a table; `None` where there is any doubt, and then nothing is left out. Tables name what is
//! known to be without meaning of its own: a word that is in none stays, and must be the same in both questions.

mod english;
mod french;
mod german;
mod spanish;

use std::sync::LazyLock;

use hashbrown::HashSet;

pub use english::ENGLISH;
pub use french::FRENCH;
pub use german::GERMAN;
pub use spanish::SPANISH;

use crate::text::{Kind, Token};

/// A way to put a question: how it begins and ends, and the one word that stands for it.
#[derive(Debug)]
pub struct Form {
    /// The words that it begins with.
    pub starts: &'static str,
    /// The words that it ends with, perhaps none.
    pub ends: &'static str,
    /// What stands for it in the plain form.
    pub tag: &'static str,
}

impl Form {
    const fn new(tag: &'static str, starts: &'static str, ends: &'static str) -> Self {
        Self { starts, ends, tag }
    }
}

/// What is known of a language. Phrases are words in lower case with one space between them.
#[derive(Debug)]
pub struct Language {
    /// Its code, as in ISO 639-1.
    pub code: &'static str,
    /// Words by which it is known.
    pub common: &'static str,
    /// Shortened words and what they stand for.
    pub short: &'static [(&'static str, &'static str)],
    /// Left out wherever they are.
    pub polite: &'static [&'static str],
    /// Left out at the beginning.
    pub greetings: &'static [&'static str],
    /// Left out at the end.
    pub thanks: &'static [&'static str],
    /// Left out before a question's first word.
    pub asks: &'static [&'static str],
    /// Left out before a verb of `requests`.
    pub pleas: &'static [&'static str],
    /// What somebody may be asked to do.
    pub requests: &'static str,
    /// Words that questions begin with.
    pub questions: &'static str,
    /// Verbs that a yes-or-no question begins with.
    pub auxiliaries: &'static str,
    /// Ways to put a question.
    pub forms: &'static [Form],
    /// Left out behind the forms of `light_forms`.
    pub articles: &'static str,
    /// Left out where it is asked how, where or what then, of which it is all the same whose it is: articles, my and our.
    pub light: &'static str,
    /// The forms behind which they are left out.
    pub light_forms: &'static [&'static str],
    /// Things of which one or many are the same where it is asked how, where or what then; the plural is made with an s.
    pub nouns: &'static str,
    /// Verbs whose form in -ing is the same as their plain one behind a form that ends in a preposition.
    pub verbs: &'static str,
    /// Verbs that say how something is: a question with one is not about how something is done.
    pub states: &'static str,
    /// Phrases that mean the same: the first of each is what they become.
    pub same: &'static [&'static [&'static str]],
}

/// All of them.
pub const ALL: [&Language; 4] = [&ENGLISH, &GERMAN, &FRENCH, &SPANISH];

/// The words of each language's tables, for finding out which one a text is in.
static VOCABULARIES: LazyLock<[HashSet<&'static str>; ALL.len()]> =
    LazyLock::new(|| ALL.map(|language| language.vocabulary()));

impl Language {
    /// Whether `word`, in lower case, is in one of the tables.
    #[must_use]
    pub fn knows(&self, word: &str) -> bool {
        let place = ALL.iter().position(|language| language.code == self.code);
        place.is_some_and(|place| VOCABULARIES[place].contains(word))
    }

    fn vocabulary(&self) -> HashSet<&'static str> {
        let lists = [self.common, self.requests, self.questions, self.auxiliaries, self.light];
        let phrases = [self.polite, self.greetings, self.thanks, self.asks, self.pleas];
        let mut words: HashSet<&'static str> = HashSet::new();
        words.extend(lists.iter().flat_map(|list| list.split_whitespace()));
        words.extend([self.nouns, self.verbs].iter().flat_map(|list| list.split_whitespace()));
        words.extend(phrases.iter().flat_map(|list| list.iter().flat_map(|p| p.split(' '))));
        words.extend(self.forms.iter().flat_map(|form| form.starts.split(' ')));
        words.extend(self.same.iter().flat_map(|same| same.iter().flat_map(|p| p.split(' '))));
        words.extend(self.short.iter().map(|(short, _)| *short));
        words.remove("");
        words
    }
}

/// Whether the words of `list` have `word` among them.
#[must_use]
pub fn has(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|other| other == word)
}

/// The language of a text: the one with most of its words, at least one in five of all, and more than any other.
#[must_use]
pub fn of(tokens: &[Token]) -> Option<&'static Language> {
    let words: Vec<String> = tokens
        .iter()
        .filter(|token| token.kind == Kind::Word)
        .map(|token| token.text.to_lowercase())
        .collect();
    let mut best = (0, None);
    let mut second = 0;
    for (language, vocabulary) in ALL.iter().zip(VOCABULARIES.iter()) {
        let count = words.iter().filter(|word| vocabulary.contains(word.as_str())).count();
        if count > best.0 {
            second = best.0;
            best = (count, Some(*language));
        } else {
            second = second.max(count);
        }
    }
    best.1.filter(|_| best.0 > second && best.0 * 5 >= words.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{opposite, text::cut};

    #[test]
    fn a_text_is_in_the_language_of_most_of_its_words() {
        for (text, code) in [
            ("How do I reset my password?", Some("en")),
            ("Wie kann ich mein Passwort zurücksetzen?", Some("de")),
            ("Comment puis-je changer mon mot de passe ?", Some("fr")),
            ("¿Cómo puedo cambiar mi contraseña?", Some("es")),
            ("reset password", Some("en")),
            ("ありがとうございます", None),
            ("xyzzy plugh", None),
            ("", None),
        ] {
            assert_eq!(of(&cut(text)).map(|language| language.code), code, "{text}");
        }
    }

    #[test]
    fn nothing_that_turns_a_question_round_may_be_left_out_or_exchanged() {
        for language in ALL {
            let left_out = [language.polite, language.greetings, language.thanks, language.pleas];
            let phrases = left_out.iter().flat_map(|list| list.iter().copied());
            let forms = language.forms.iter().flat_map(|form| [form.starts, form.ends]);
            let all = phrases.chain(language.asks.iter().copied()).chain(forms);
            for phrase in all.chain([language.light]) {
                for word in phrase.split_whitespace() {
                    assert!(opposite::group(word).is_none(), "{}: {phrase}: {word}", language.code);
                }
            }
            for same in language.same {
                let group = |phrase: &str| phrase.split(' ').find_map(opposite::group);
                assert!(same.iter().all(|p| group(p) == group(same[0])), "{same:?}");
            }
        }
    }
}
