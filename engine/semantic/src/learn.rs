//! How alike a question must be to an entry's before its answer is given: learned for each entry from what happened.
//!
//! In: pairs of a similarity and whether the entry's answer was right there. Out: how likely it is wrong at a similarity, and
//! from that the chance with which it may be given. Remembered are counts of such pairs, in [`Seen`].
//!
//! After vCache (<https://arxiv.org/abs/2502.03771>): an answer of which there is still doubt is given only as often as keeps
//! the chance of a wrong one at the bound, `give = bound / wrong`; otherwise the model is asked, and what it says is
//! one more pair. The paper fits a logistic curve and bounds its threshold by a normal approximation, which has no answer when all
//! pairs were right. Here the curve `ceiling / (1 + exp(-slope · (similarity - threshold)))` is known by its posterior over
//! a grid of thresholds, slopes and ceilings, and `wrong` is the mean of that; a ceiling below 1 is an entry
//! whose answer is not always right however alike the question is. The grid's prior is spread evenly over thresholds.

use std::sync::LazyLock;

/// Pairs that an entry must have of its own before its answer is given at all.
pub const PAIRS_MIN: u32 = 4;

/// Similarities that are kept apart for an entry; beyond, one is counted at the next higher.
const STEPS_MAX: usize = 16;

/// Pairs that are counted at one similarity.
const COUNT_MAX: u16 = 1_000;

/// Similarities go in hundredths.
const STEPS: u8 = 100;

const SLOPES: [f64; 4] = [10.0, 20.0, 40.0, 80.0];
const THRESHOLDS: usize = 21;

/// How often an answer is right at best, and how likely that is before anything is known.
const CEILINGS: [(f64, f64); 6] =
    [(1.0, 0.70), (0.99, 0.10), (0.95, 0.08), (0.8, 0.06), (0.5, 0.03), (0.1, 0.03)];

/// Curves by threshold and slope, at each similarity.
static CURVES: LazyLock<Vec<[f64; STEPS as usize + 1]>> = LazyLock::new(|| {
    let thresholds = (0_u32..).take(THRESHOLDS).map(|at| f64::from(at) * 0.05);
    let pairs = thresholds.flat_map(|threshold| SLOPES.map(|slope| (threshold, slope)));
    let curve = |(threshold, slope): (f64, f64)| {
        let mut values = [0.0; STEPS as usize + 1];
        for (value, step) in values.iter_mut().zip(0_u8..) {
            let similarity = f64::from(step) / f64::from(STEPS);
            *value = 1.0 / (1.0 + (-slope * (similarity - threshold)).exp());
        }
        values
    };
    pairs.map(curve).collect()
});

/// What was seen of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// A similarity in hundredths, how often the answer was right there, and how often wrong; in order.
    steps: Vec<(u8, u16, u16)>,
}

impl Seen {
    /// Counts a pair.
    pub fn add(&mut self, similarity: f64, is_right: bool) {
        let step = step(similarity);
        let place = self.steps.partition_point(|(other, ..)| *other < step);
        let is_there = self.steps.get(place).is_some_and(|(other, ..)| *other == step);
        if !is_there {
            self.steps.insert(place, (step, 0, 0));
        }
        let (_, right, wrong) = &mut self.steps[place];
        let count = if is_right { right } else { wrong };
        *count = count.saturating_add(1).min(COUNT_MAX);
        if self.steps.len() > STEPS_MAX {
            self.merge();
        }
    }

    /// Counts the two neighbours that are closest at the higher one: what was right there says less of lower ones, and what was
    /// wrong there says it of higher ones too.
    fn merge(&mut self) {
        let gap = |at: &usize| self.steps[at + 1].0 - self.steps[*at].0;
        let Some(at) = (0..self.steps.len() - 1).min_by_key(gap) else { return };
        let (_, right, wrong) = self.steps.remove(at);
        let (_, rights, wrongs) = &mut self.steps[at];
        *rights = rights.saturating_add(right).min(COUNT_MAX);
        *wrongs = wrongs.saturating_add(wrong).min(COUNT_MAX);
    }

    /// How many pairs there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.steps.iter().map(|(_, right, wrong)| u32::from(*right) + u32::from(*wrong)).sum()
    }

    /// How likely the answer is wrong at `similarity`.
    #[must_use]
    pub fn wrong(&self, similarity: f64) -> f64 {
        let asked = usize::from(step(similarity));
        let mut weights = Vec::with_capacity(CURVES.len() * CEILINGS.len());
        for curve in CURVES.iter() {
            for (ceiling, prior) in CEILINGS {
                let likelihood: f64 = self
                    .steps
                    .iter()
                    .map(|(step, right, wrong)| {
                        let p = (ceiling * curve[usize::from(*step)]).clamp(1e-12, 1.0 - 1e-12);
                        f64::from(*right) * p.ln() + f64::from(*wrong) * (1.0 - p).ln()
                    })
                    .sum();
                weights.push((prior.ln() + likelihood, 1.0 - ceiling * curve[asked]));
            }
        }
        let largest = weights.iter().fold(f64::MIN, |largest, (weight, _)| largest.max(*weight));
        let (mut sum, mut wrong) = (0.0, 0.0);
        for (weight, error) in weights {
            let weight = (weight - largest).exp();
            sum += weight;
            wrong += weight * error;
        }
        wrong / sum
    }

    /// The chance with which the answer may be given at `similarity`, so that it is wrong no more often than `bound`.
    #[must_use]
    pub fn chance(&self, similarity: f64, bound: f64) -> f64 {
        if self.count() < PAIRS_MIN {
            return 0.0;
        }
        (bound / self.wrong(similarity)).clamp(0.0, 1.0)
    }
}

/// A similarity in hundredths, rounded down.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
fn step(similarity: f64) -> u8 {
    (similarity.clamp(0.0, 1.0) * f64::from(STEPS) + 1e-9).floor() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pairs: &[(f64, bool)]) -> Seen {
        let mut seen = Seen::default();
        pairs.iter().for_each(|(similarity, is_right)| seen.add(*similarity, *is_right));
        seen
    }

    #[test]
    fn nothing_is_given_before_there_are_pairs() {
        assert_eq!(seen(&[(0.99, true); 3]).chance(1.0, 0.2), 0.0);
        assert!(seen(&[(0.99, true); 4]).chance(1.0, 0.2) > 0.0);
    }

    #[test]
    fn what_was_right_makes_it_likelier_and_what_was_wrong_unlikelier() {
        let mut before = 1.0;
        for count in [1, 4, 8, 16, 32, 64] {
            let wrong = seen(&vec![(0.9, true); count]).wrong(0.9);
            assert!(wrong < before, "{count}: {wrong} {before}");
            before = wrong;
        }
        let mut pairs = vec![(0.9, true); 64];
        pairs.push((0.9, false));
        assert!(seen(&pairs).wrong(0.9) > before * 2.0);
    }

    #[test]
    fn a_lower_similarity_is_never_likelier_to_be_right() {
        let seen = seen(&[(0.95, true), (0.92, true), (0.9, false), (0.97, true), (0.85, false)]);
        let wrong: Vec<f64> = (0..=100).map(|s| seen.wrong(f64::from(s) / 100.0)).collect();
        assert!(wrong.is_sorted_by(|one, next| one >= next), "{wrong:?}");
    }

    #[test]
    fn an_answer_that_is_sometimes_wrong_is_hardly_ever_given() {
        let pairs: Vec<(f64, bool)> = (0..60).map(|n| (0.95, n % 5 != 0)).collect();
        assert!(seen(&pairs).chance(0.95, 0.01) < 0.1);
    }

    #[test]
    fn memory_is_bounded_and_what_is_merged_counts_higher() {
        let mut seen = Seen::default();
        for n in 0..10_000_u32 {
            seen.add(f64::from(n % 101) / 100.0, true);
        }
        assert!(seen.steps.len() <= STEPS_MAX);
        assert!(seen.steps.is_sorted());
        assert!(seen.count() <= u32::from(COUNT_MAX) * 16);
    }

    /// Entries whose true curve is drawn at random, questions at random similarities: the share of wrong answers among all
    /// questions stays below the bound, though thresholds are unknown.
    #[test]
    fn wrong_answers_stay_below_the_bound() {
        let mut state = 0x1234_5678_9abc_def1_u64;
        let mut chance = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            f64::from(u32::try_from(state >> 40).unwrap()) / f64::from(1_u32 << 24)
        };
        for bound in [0.01, 0.05] {
            let (mut asked, mut given, mut wrong) = (0_u32, 0_u32, 0_u32);
            for _ in 0..25 {
                let (threshold, slope) = (0.3 + 0.6 * chance(), 10.0 + 60.0 * chance());
                let mut seen = Seen::default();
                for _ in 0..60 {
                    let similarity = 0.6 + 0.4 * chance();
                    let right = 1.0 / (1.0 + (-slope * (similarity - threshold)).exp());
                    let is_right = chance() < right;
                    asked += 1;
                    if chance() < seen.chance(similarity, bound) {
                        given += 1;
                        wrong += u32::from(!is_right);
                    } else {
                        seen.add(similarity, is_right);
                    }
                }
            }
            let share = f64::from(wrong) / f64::from(asked);
            assert!(share <= bound, "bound {bound}: {wrong} of {asked} wrong");
            assert!(given * 20 > asked, "bound {bound}: {given} of {asked} given");
        }
    }
}
