//! Where a turn of a conversation is best answered: at the target that is warm for it, or at another one.
//!
//! In: what each target asks for tokens, how much of the prompt it has likely cached, how long its answers take to begin; how
//! many turns are likely to follow. Out: [`Even`], the sums and the target that they say. Nothing is remembered.
//!
//! A turn costs what is read anew, what comes from the cache, the answer, and the wait for it. A cold target is cold once: in
//! the turns that follow it is as warm as any. So what a move costs now is set against what it saves in each turn to come.
//! All of it is whole numbers, so that a choice can be made again from what was written of it ([`Even::text`],
//! [`Even::read`]) and comes out the same. The sums are for a choice, not for a bill.

use std::{cell::Cell, fmt::Write};

/// One, of what is counted in millionths.
pub const ONE: u64 = 1_000_000;

/// Targets that are weighed against each other; those behind are not used.
pub const SIDES_MAX: usize = 8;

/// A move must save this part of what staying costs: estimates are not that exact.
const MARGIN_PART: u128 = 200;

/// Tokens, rates and waits above this are taken for it, so that no sum runs over.
const NUMBER_MAX: u64 = 1 << 40;

/// Turns to come above this, in thousandths, are taken for it.
const MORE_MAX: u64 = 1 << 20;

/// What a target asks, in pico-dollars a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Input that is not cached, writing it to the cache included.
    pub input: u64,
    /// Input from the cache.
    pub cached: u64,
    /// Output.
    pub output: u64,
}

/// A target as one turn sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// What it asks.
    pub rates: Rates,
    /// Tokens of the prompt, as it counts them.
    pub prompt_tokens: u64,
    /// Tokens of the prompt that it has read.
    pub warm_tokens: u64,
    /// The odds that it still has them, in millionths.
    pub warm_odds: u64,
    /// The odds that what it reads now is there in the turn that follows, in millionths.
    pub keep_odds: u64,
    /// How long its answers take to begin, in microseconds.
    pub delay_us: u64,
}

/// A turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Tokens of the answer, as far as one can tell.
    pub output_tokens: u64,
    /// Turns that are likely to follow, in thousandths.
    pub more: u64,
    /// What a second until an answer begins is worth, in pico-dollars.
    pub second: u64,
    /// Where the conversation was answered last: place among the sides.
    pub home: Option<usize>,
}

/// A turn, and the targets that may answer it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Even {
    /// The turn.
    pub turn: Turn,
    /// The targets, in the order of the policy. At most [`SIDES_MAX`].
    pub sides: Vec<Side>,
    /// Those that were weighed when a choice was made last, a bit each: the others had failed.
    weighed: Cell<u64>,
}

impl Even {
    /// Weighs these targets.
    #[must_use]
    pub fn new(turn: Turn, mut sides: Vec<Side>) -> Self {
        sides.truncate(SIDES_MAX);
        let weighed = Cell::new(all(sides.len()));
        Self { turn, sides, weighed }
    }

    /// What the turn and those to come cost at a place, in pico-dollars.
    #[must_use]
    pub fn sum(&self, place: usize) -> u128 {
        self.sides.get(place).map_or(u128::MAX, |side| side.sum(&self.turn))
    }

    /// Of the places whose bits are set the one where the turn and those to come cost least; the home stays unless another
    /// one saves more than the margin. `None` when none is set.
    #[must_use]
    pub fn choose(&self, set: u64) -> Option<usize> {
        let set = set & all(self.sides.len());
        let places = (0..self.sides.len()).filter(|place| set & (1 << place) != 0);
        let best = places.min_by_key(|place| self.sum(*place))?;
        let home =
            self.turn.home.filter(|home| set & 1_u64.checked_shl(shift(*home)).unwrap_or(0) != 0);
        Some(home.filter(|home| !self.pays(*home, best)).unwrap_or(best))
    }

    /// The choice is made among these, and what was not able to answer is not among them.
    pub fn weigh(&self, set: u64) {
        self.weighed.set(set & all(self.sides.len()));
    }

    /// Whether a move from one place to another saves more than the margin.
    fn pays(&self, from: usize, to: usize) -> bool {
        let (stay, moved) = (self.sum(from), self.sum(to));
        stay.saturating_sub(moved) > stay / MARGIN_PART
    }

    /// Everything that the choice was made of, and the choice: see [`Even::read`].
    #[must_use]
    pub fn text<'n>(&self, name: impl Fn(usize) -> &'n str, winner: usize) -> String {
        let Turn { output_tokens, more, second, home } = self.turn;
        let mut out = format!("even output={output_tokens} more={more} second={second}");
        if let Some(home) = home {
            let _ = write!(out, " home={}", home + 1);
        }
        let names: usize = (0..self.sides.len()).map(|place| name(place).len()).sum();
        for (place, side) in self.sides.iter().enumerate() {
            // A row's text has a length: numbers go before names.
            let _ = match names <= NAMES_BYTES_MAX {
                true => write!(out, " | {}", name(place)),
                false => write!(out, " | {}", place + 1),
            };
            let Side { rates, prompt_tokens, warm_tokens, warm_odds, keep_odds, delay_us } = side;
            let Rates { input, cached, output } = rates;
            let sum = side.sum(&self.turn);
            let _ = write!(
                out,
                " {input},{cached},{output} prompt={prompt_tokens} warm={warm_tokens}x{warm_odds} \
                 keep={keep_odds} us={delay_us} sum={sum}"
            );
            if self.weighed.get() & (1 << place) == 0 {
                out.push_str(" off");
            }
        }
        let _ = write!(out, " > {}", winner + 1);
        out
    }

    /// Reads what [`text`](Self::text) has written, wherever it stands in `text`. Out: what was weighed, and the place that
    /// was chosen; `None` where there is none, or where a sum is not what its numbers make.
    #[must_use]
    pub fn read(text: &str) -> Option<(Self, usize)> {
        let (_, text) = text.split_once("even output=")?;
        let (text, winner) = text.rsplit_once(" > ")?;
        let winner = winner.parse::<usize>().ok()?.checked_sub(1)?;
        let mut parts = text.split(" | ");
        let mut words = parts.next()?.split(' ');
        let output_tokens = words.next()?.parse().ok()?;
        let (more, second) = (named(words.next()?, "more=")?, named(words.next()?, "second=")?);
        let home = match words.next() {
            Some(word) => Some(usize::try_from(named(word, "home=")?).ok()?.checked_sub(1)?),
            None => None,
        };
        let turn = Turn { output_tokens, more, second, home };
        let (mut sides, mut weighed) = (Vec::new(), 0);
        for (place, part) in parts.enumerate().take(SIDES_MAX) {
            let (side, sum, is_off) = Side::read(part)?;
            if side.sum(&turn) != sum {
                return None;
            }
            weighed |= if is_off { 0 } else { 1 << place };
            sides.push(side);
        }
        let even = Self::new(turn, sides);
        even.weigh(weighed);
        Some((even, winner))
    }

    /// The choice among those that were weighed last.
    #[must_use]
    pub fn again(&self) -> Option<usize> {
        self.choose(self.weighed.get())
    }
}

impl Side {
    /// This turn and those to come.
    fn sum(&self, turn: &Turn) -> u128 {
        let later = self.later(turn).saturating_mul(u128::from(turn.more.min(MORE_MAX)));
        self.now(turn).saturating_add(later / 1000)
    }

    fn now(&self, turn: &Turn) -> u128 {
        let prompt = wide(self.prompt_tokens);
        let warm = wide(self.warm_tokens).min(prompt);
        self.turn(turn, (warm, self.warm_odds), prompt)
    }

    /// A turn like this one, of which all that was said until then has been read before.
    fn later(&self, turn: &Turn) -> u128 {
        let known = wide(self.prompt_tokens);
        self.turn(turn, (known, self.keep_odds), known + wide(turn.output_tokens))
    }

    fn turn(&self, turn: &Turn, (known, odds): (u128, u64), prompt: u128) -> u128 {
        let one = u128::from(ONE);
        let warm = known * u128::from(odds.min(ONE));
        let cold = (prompt * one).saturating_sub(warm);
        let input = (warm * wide(self.rates.cached) + cold * wide(self.rates.input)) / one;
        let wait = wide(turn.second) * wide(self.delay_us) / one;
        input + wide(turn.output_tokens) * wide(self.rates.output) + wait
    }

    fn read(part: &str) -> Option<(Self, u128, bool)> {
        let mut words = part.split(' ').skip(1);
        let mut rates = words.next()?.split(',').map(str::parse);
        let mut rate = || rates.next()?.ok();
        let rates = Rates { input: rate()?, cached: rate()?, output: rate()? };
        let prompt_tokens = named(words.next()?, "prompt=")?;
        let (warm, odds) = words.next()?.strip_prefix("warm=")?.split_once('x')?;
        let side = Self {
            rates,
            prompt_tokens,
            warm_tokens: warm.parse().ok()?,
            warm_odds: odds.parse().ok()?,
            keep_odds: named(words.next()?, "keep=")?,
            delay_us: named(words.next()?, "us=")?,
        };
        let sum = words.next()?.strip_prefix("sum=")?.parse().ok()?;
        Some((side, sum, words.next() == Some("off")))
    }
}

/// Names of targets that are longer in all are left out of what is written.
const NAMES_BYTES_MAX: usize = 160;

fn named(word: &str, name: &str) -> Option<u64> {
    word.strip_prefix(name)?.parse().ok()
}

fn wide(number: u64) -> u128 {
    u128::from(number.min(NUMBER_MAX))
}

fn shift(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// A bit for each of the first places.
fn all(count: usize) -> u64 {
    (1_u64 << count.min(SIDES_MAX)) - 1
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const WARM_TOKENS: u64 = 40_000;

    /// Dear and warm: $3 and $0.30 a million tokens.
    fn dear(warm_odds: u64) -> Side {
        let rates = Rates { input: 3_000_000, cached: 300_000, output: 0 };
        let (prompt_tokens, warm_tokens) = (WARM_TOKENS, WARM_TOKENS);
        Side { rates, prompt_tokens, warm_tokens, warm_odds, keep_odds: ONE, delay_us: 0 }
    }

    /// Cold, at a fifth of the price.
    const CHEAP: Side = Side {
        rates: Rates { input: 600_000, cached: 60_000, output: 0 },
        prompt_tokens: WARM_TOKENS,
        warm_tokens: 0,
        warm_odds: 0,
        keep_odds: ONE,
        delay_us: 0,
    };

    fn weigh(stay: Side, other: Side, more: u64) -> Even {
        Even::new(Turn { more, home: Some(0), ..Turn::default() }, vec![stay, other])
    }

    fn moves(even: &Even) -> bool {
        even.choose(u64::MAX) == Some(1)
    }

    #[test]
    fn a_cheaper_target_pays_when_enough_turns_are_to_come() {
        let even = weigh(dear(ONE), CHEAP, 1000);
        assert_eq!((even.sum(0), even.sum(1)), (24_000_000_000, 26_400_000_000));
        assert!(!moves(&even), "one turn to come does not pay for the move");
        // The move costs $0.012 and saves $0.0096 a turn: it is even at 1.25 turns, and pays by more than the margin soon after.
        assert!(!moves(&weigh(dear(ONE), CHEAP, 1250)));
        assert!(moves(&weigh(dear(ONE), CHEAP, 1350)));
        assert!(moves(&weigh(dear(ONE), CHEAP, u64::MAX)));
    }

    #[test]
    fn a_cold_target_of_the_same_price_never_pays_and_a_cache_that_is_gone_holds_nobody() {
        let cold = Side { warm_tokens: 0, ..dear(0) };
        for more in [0, 1000, 100_000] {
            assert!(!moves(&weigh(dear(ONE), cold, more)), "{more}");
            assert!(!moves(&weigh(dear(0), cold, more)), "{more}: where both are cold it stays");
            assert!(moves(&weigh(dear(0), CHEAP, more)), "{more}");
        }
    }

    #[test]
    fn waiting_has_a_price_where_it_is_given_one() {
        let slow = Side { delay_us: 30_000_000, ..dear(ONE) };
        let quick = Side { warm_tokens: 0, delay_us: 300_000, ..dear(0) };
        assert!(!moves(&weigh(slow, quick, 0)));
        let turn = Turn { second: 5_000_000_000, home: Some(0), ..Turn::default() };
        let even = Even::new(turn, vec![slow, quick]);
        assert!(moves(&even), "30 s at half a cent a second are more than $0.108: {even:?}");
    }

    #[test]
    fn the_home_is_left_when_it_is_not_among_those_that_can_answer() {
        let even = weigh(dear(ONE), CHEAP, 0);
        assert_eq!(
            (even.choose(0b11), even.choose(0b10), even.choose(0)),
            (Some(0), Some(1), None)
        );
        let away = Even { turn: Turn { home: Some(70), ..even.turn }, ..even.clone() };
        assert_eq!(away.choose(u64::MAX), Some(0));
    }

    #[test]
    fn what_is_written_of_a_choice_says_the_same_again() {
        let mut seed = 7_u64;
        let mut next = |bits: u32| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            seed >> (64 - bits)
        };
        for round in 0..2000 {
            let bits = if round % 7 == 0 { 63 } else { 20 };
            let count = 1 + round % SIDES_MAX;
            let mut side = || Side {
                rates: Rates { input: next(bits), cached: next(bits), output: next(bits) },
                prompt_tokens: next(bits),
                warm_tokens: next(bits),
                warm_odds: next(20),
                keep_odds: next(20),
                delay_us: next(bits),
            };
            let sides: Vec<Side> = (0..count).map(|_| side()).collect();
            let home = (round % 3 > 0).then(|| round % count);
            let turn = Turn { output_tokens: next(bits), more: next(12), second: next(bits), home };
            let even = Even::new(turn, sides);
            even.weigh(next(8) | 1);
            let winner = even.again().unwrap();
            let text = format!("failover: a/x; {}", even.text(|_| "provider/model", winner));
            let (read, told) = Even::read(&text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((&read, told, read.again()), (&even, winner, Some(winner)), "{text}");
            let digit = text.rfind("sum=").unwrap() + 4;
            let wrong = format!("{}9{}", &text[..digit], &text[digit..]);
            assert_eq!(Even::read(&wrong), None, "a sum that is not that of its numbers");
        }
        assert_eq!(Even::read("order 1/2"), None);
    }
}
