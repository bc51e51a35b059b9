//! Whether a conversation is better off where it is warm or at another target, in money.
//!
//! In: what two targets ask for tokens and how much of the prompt each has likely cached; how long the turn is; how likely
//! another one follows. Out: [`Worth`], the sums and what they say. Nothing is remembered, and nothing is rounded: the sums
//! are for a choice, not for a bill.
//!
//! A turn costs what is read anew, what comes from the cache, and the answer. A cold target is cold once: in the turns that
//! follow it is as warm as the other. So what a move costs now is set against what it saves in each turn to come, of which
//! `q / (1 - q)` are to be expected where each turn is followed by another one in time with the odds `q`.

use std::fmt;

/// So many turns to come are counted at most, however sure they seem.
const TURNS_MAX: f64 = 100.0;

/// Picodollars of a dollar.
const DOLLAR: f64 = 1e12;

/// What a target asks, in picodollars a token.
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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Side {
    /// What it asks.
    pub rates: Rates,
    /// Tokens of the prompt that it has read.
    pub warm_tokens: u64,
    /// The odds that it still has them, from 0 to 1.
    pub warm_odds: f64,
}

/// A turn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Turn {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer, as far as one can tell.
    pub output_tokens: u64,
    /// The odds that another turn comes before the cache forgets, from 0 to 1.
    pub return_odds: f64,
}

/// What staying and moving cost, in picodollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// This turn: staying, moving.
    pub now: [f64; 2],
    /// Each turn to come: after staying, after moving.
    pub later: [f64; 2],
    /// Turns that are to be expected.
    pub turns: f64,
    /// Moving is cheaper by more than the margin.
    pub moves: bool,
}

impl Worth {
    /// Weighs two targets. A move must save more than `margin` picodollars.
    #[must_use]
    pub fn of(stay: &Side, other: &Side, turn: &Turn, margin: u64) -> Self {
        let q = odds(turn.return_odds);
        let turns = if q < 1.0 { (q / (1.0 - q)).min(TURNS_MAX) } else { TURNS_MAX };
        let now = [stay, other].map(|side| side.now(turn));
        let later = [stay, other].map(|side| side.later(turn));
        let total = |at: usize| now[at] + turns * later[at];
        let moves = total(0) - total(1) > margin as f64;
        Self { now, later, turns, moves }
    }
}

impl Side {
    fn now(&self, turn: &Turn) -> f64 {
        let warm = self.warm_tokens.min(turn.prompt_tokens) as f64 * odds(self.warm_odds);
        let cold = turn.prompt_tokens as f64 - warm;
        warm * self.rates.cached as f64
            + cold * self.rates.input as f64
            + turn.output_tokens as f64 * self.rates.output as f64
    }

    /// A turn like this one when all that was said until then is cached.
    fn later(&self, turn: &Turn) -> f64 {
        let known = turn.prompt_tokens as f64 * self.rates.cached as f64;
        let answer = turn.output_tokens as f64;
        known + answer * (self.rates.input as f64 + self.rates.output as f64)
    }
}

impl fmt::Display for Worth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [stay, other] = self.now.map(|sum| sum / DOLLAR);
        let [stay_later, other_later] = self.later.map(|sum| sum / DOLLAR);
        let turns = self.turns;
        write!(
            f,
            "stay ${stay:.4} + {turns:.1} x ${stay_later:.4}, move ${other:.4} + {turns:.1} x ${other_later:.4}"
        )
    }
}

/// What is no number is no odds.
fn odds(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const WARM_TOKENS: u64 = 40_000;

    /// Dear and warm: $3 and $0.30 a million tokens.
    fn dear(warm_odds: f64) -> Side {
        let rates = Rates { input: 3_000_000, cached: 300_000, output: 0 };
        Side { rates, warm_tokens: WARM_TOKENS, warm_odds }
    }

    /// Cold, at a fifth of the price.
    const CHEAP: Side = Side {
        rates: Rates { input: 600_000, cached: 60_000, output: 0 },
        warm_tokens: 0,
        warm_odds: 0.0,
    };

    fn weigh(stay: &Side, other: &Side, return_odds: f64) -> Worth {
        let turn = Turn { prompt_tokens: WARM_TOKENS, output_tokens: 0, return_odds };
        Worth::of(stay, other, &turn, 0)
    }

    #[test]
    fn a_cheaper_target_pays_when_enough_turns_are_to_come() {
        let worth = weigh(&dear(1.0), &CHEAP, 0.5);
        assert_eq!((worth.now, worth.later), ([12e9, 24e9], [12e9, 2.4e9]));
        assert!(!worth.moves, "one turn to come does not pay for the move: {worth}");
        // The move costs $0.012 and saves $0.0096 a turn: it pays from 1.25 turns on.
        assert!(!weigh(&dear(1.0), &CHEAP, 1.24 / 2.24).moves);
        assert!(weigh(&dear(1.0), &CHEAP, 1.26 / 2.26).moves);
        assert!(weigh(&dear(1.0), &CHEAP, 1.0).moves);
        assert_eq!(worth.to_string(), "stay $0.0120 + 1.0 x $0.0120, move $0.0240 + 1.0 x $0.0024");
    }

    #[test]
    fn a_cold_target_of_the_same_price_never_pays_and_a_cache_that_is_gone_holds_nobody() {
        let cold = Side { warm_tokens: 0, ..dear(0.0) };
        for q in [0.0, 0.5, 0.99, 1.0] {
            assert!(!weigh(&dear(1.0), &cold, q).moves, "{q}");
            assert!(!weigh(&dear(0.0), &cold, q).moves, "{q}: where both are cold it stays");
            assert!(weigh(&dear(0.0), &CHEAP, q).moves, "{q}");
        }
    }

    #[test]
    fn a_margin_holds_back_and_nonsense_is_no_odds() {
        let turn = Turn { prompt_tokens: WARM_TOKENS, output_tokens: 10, return_odds: 0.9 };
        assert!(Worth::of(&dear(1.0), &CHEAP, &turn, 0).moves);
        assert!(!Worth::of(&dear(1.0), &CHEAP, &turn, 1_000_000_000_000).moves);
        let nonsense = weigh(&dear(f64::NAN), &CHEAP, f64::NAN);
        assert_eq!((nonsense.turns, nonsense.now), (0.0, [120e9, 24e9]));
        assert_eq!(weigh(&dear(7.0), &CHEAP, 7.0).turns, TURNS_MAX);
    }
}
