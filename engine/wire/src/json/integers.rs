//! Lists of integers, stepped over a word at a time.

use super::words::{self, WORD_BYTES};

/// Steps over items of a list of integers without sign: token arrays have tens of thousands of them.
///
/// `comma` is the place of a comma behind an item. Gives back the place of the last comma up to which there is nothing
/// but integers, each behind a comma and at most one space; where anything else comes, [`super::scan`] goes on.
pub(super) fn last_comma_of_integers(body: &[u8], comma: usize) -> usize {
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
