//! How often hits are wrong, by comparing some of them with what the model says; and when that is too often.
//!
//! In: what became of comparisons. Out: whether the cache may go on. Remembered are two counts and whether it is off.
//!
//! Two rules put it off, both exact binomial tests at one side and 95 %. At any time: so many were different that this would be
//! unlikely if the bound held (the *lower* confidence bound of the share is above it). From [`enough`] comparisons on: it can no
//! longer be said that the bound holds (the *upper* confidence bound of the share is above it). Before that many,
//! the upper bound is above any small bound whatever the answers, and tells nothing. Once off, it stays off.

/// How sure the tests are.
const DOUBT: f64 = 0.05;

/// Comparisons by bound: `20 / bound`, 2,000 at 1 %. With half the bound wrong, the second rule is then met with some room.
#[must_use]
pub fn enough(bound: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let count = (20.0 / bound).clamp(100.0, 100_000.0) as u32;
    count
}

/// Counts of comparisons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    compared: u32,
    different: u32,
    is_off: bool,
}

/// How a workload's cache stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Hits that were compared, of late.
    pub compared: u32,
    /// Those whose answer was different.
    pub different: u32,
    /// The upper confidence bound of the share that is wrong.
    pub wrong_max: f64,
    /// Whether it has been put off.
    pub is_off: bool,
}

impl Watch {
    /// Counts a comparison; says whether the cache has been put off by it.
    pub fn add(&mut self, is_right: bool, bound: f64) -> bool {
        // What is long ago counts half.
        if self.compared >= enough(bound).saturating_mul(2) {
            self.compared /= 2;
            self.different = self.different.div_ceil(2);
        }
        self.compared += 1;
        self.different += u32::from(!is_right);
        let was_off = self.is_off;
        self.is_off |= self.is_refuted(bound);
        self.is_off && !was_off
    }

    fn is_refuted(&self, bound: f64) -> bool {
        let below = at_most(self.different, self.compared, bound);
        let at_least = if self.different == 0 {
            1.0
        } else {
            1.0 - at_most(self.different - 1, self.compared, bound)
        };
        at_least < DOUBT || (self.compared >= enough(bound) && below > DOUBT)
    }

    /// Whether it is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.is_off
    }

    /// The share of hits that is to be compared now: what the policy says, and more as long as little is known.
    #[must_use]
    pub fn share(&self, compare: f64) -> f64 {
        compare.max(10.0 / (10.0 + f64::from(self.compared)))
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let Self { compared, different, is_off } = *self;
        Standing { compared, different, wrong_max: wrong_max(different, compared), is_off }
    }
}

/// The largest share at which so few would not be unlikely.
fn wrong_max(different: u32, compared: u32) -> f64 {
    if different >= compared {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if at_most(different, compared, middle) > DOUBT { low = middle } else { high = middle }
    }
    high
}

/// How likely no more than `most` of `count` are, where each is with chance `p`.
fn at_most(most: u32, count: u32, p: f64) -> f64 {
    if most >= count || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    let odds = (p / (1.0 - p)).ln();
    let mut term = f64::from(count) * (1.0 - p).ln();
    let mut sum = term.exp();
    for k in 0..most {
        term += (f64::from(count - k) / f64::from(k + 1)).ln() + odds;
        sum += term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many comparisons it is off, every `one_in`th being different.
    fn off_after(one_in: u32, bound: f64) -> Option<u32> {
        let mut watch = Watch::default();
        (1..=20_000).find(|n| watch.add(n % one_in != 0, bound))
    }

    #[test]
    fn what_is_often_wrong_is_off_soon() {
        assert!(off_after(1, 0.01).is_some_and(|n| n <= 2), "{:?}", off_after(1, 0.01));
        assert!(off_after(10, 0.01).is_some_and(|n| n <= 40), "{:?}", off_after(10, 0.01));
        assert!(off_after(40, 0.01).is_some_and(|n| n <= 400), "{:?}", off_after(40, 0.01));
    }

    #[test]
    fn what_is_not_known_to_be_within_the_bound_is_off_later() {
        assert_eq!(off_after(105, 0.01).map(|n| n >= 300), Some(true));
        assert_eq!(off_after(u32::MAX, 0.01), None, "never wrong");
        assert_eq!(off_after(400, 0.01), None, "a quarter of the bound");
    }

    #[test]
    fn bounds_are_the_tables() {
        // Clopper and Pearson: 0 of 299 is below 1 % with 95 %.
        let watch = Watch { compared: 299, different: 0, is_off: false };
        assert!((watch.standing().wrong_max - 0.00997).abs() < 1e-4);
        let watch = Watch { compared: 10, different: 1, is_off: false };
        assert!((watch.standing().wrong_max - 0.3942).abs() < 1e-3);
        assert_eq!(Watch::default().standing().wrong_max, 1.0);
    }

    #[test]
    fn a_new_cache_is_compared_more_often() {
        let mut watch = Watch::default();
        assert_eq!(watch.share(0.02), 1.0);
        (0..90).for_each(|_| assert!(!watch.add(true, 0.01)));
        assert!((watch.share(0.02) - 0.1).abs() < 1e-9);
        (0..2_000).for_each(|_| assert!(!watch.add(true, 0.01)));
        assert_eq!(watch.share(0.02), 0.02);
    }

    #[test]
    fn counts_do_not_grow_for_ever() {
        let mut watch = Watch::default();
        (0..50_000).for_each(|_| assert!(!watch.add(true, 0.01)));
        assert!(watch.compared <= 2 * enough(0.01));
    }
}
