//! Weights of [`Difficulty`](super::Difficulty), learned from requests of which it is known how hard they were.
//!
//! In: features and labels, the weights to start from. Out: weights. Nothing is remembered, and nothing is random: the same
//! samples make the same weights. The loss is that of logistic regression, with a pull back to where it started, so that few
//! samples move little and a feature that never occurs stays as it was; it is convex, and Newton's method finds its least.

use super::{FEATURES_COUNT, Weights, difficulty::squash};

/// How much a weight that is off by one counts, in samples.
const PULL: f64 = 1.0;

/// Steps of Newton's method; it is there long before.
const STEPS_MAX: usize = 50;

/// A step that is shorter is the last.
const STEP_LEAST: f64 = 1e-9;

/// The longest that a step moves a weight.
const STEP_MOST: f64 = 2.0;

/// The bias and the weights.
const COUNT: usize = FEATURES_COUNT + 1;

/// A request of which it is known how hard it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// What [`features`](super::features) says of it.
    pub features: [f64; FEATURES_COUNT],
    /// From 0, easy, to 1, hard.
    pub label: f64,
}

/// How well weights fit samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fit {
    /// The mean logarithmic loss: 0 is perfect, 0.693 says nothing.
    pub loss: f64,
    /// The share of samples that are on the right side of one half.
    pub right: f64,
}

/// The weights that fit these samples best, not far from `start` where they say little.
#[must_use]
pub fn train(samples: &[Sample], start: &Weights) -> Weights {
    let from = flat(start);
    let mut weights = from;
    for _ in 0..STEPS_MAX {
        let mut slope = [0.0; COUNT];
        let mut bend = [[0.0; COUNT]; COUNT];
        for at in 0..COUNT {
            slope[at] = PULL * (weights[at] - from[at]);
            bend[at][at] = PULL;
        }
        for sample in samples {
            let inputs = inputs(sample);
            let said = squash(dot(&weights, &inputs));
            let (off, weight) = (said - sample.label, said * (1.0 - said));
            for row in 0..COUNT {
                slope[row] += off * inputs[row];
                for column in 0..COUNT {
                    bend[row][column] += weight * inputs[row] * inputs[column];
                }
            }
        }
        let step = solve(bend, slope);
        let longest = step.iter().fold(0.0_f64, |most, part| most.max(part.abs()));
        let scale = if longest > STEP_MOST { STEP_MOST / longest } else { 1.0 };
        weights.iter_mut().zip(step).for_each(|(weight, part)| *weight -= part * scale);
        if longest < STEP_LEAST {
            break;
        }
    }
    let mut of = [0.0; FEATURES_COUNT];
    of.copy_from_slice(&weights[1..]);
    Weights { bias: weights[0], of }
}

/// How well weights fit samples.
#[must_use]
pub fn fit(samples: &[Sample], weights: &Weights) -> Fit {
    let weights = flat(weights);
    let mut fit = Fit::default();
    for sample in samples {
        let said = squash(dot(&weights, &inputs(sample))).clamp(1e-12, 1.0 - 1e-12);
        fit.loss -= sample.label * said.ln() + (1.0 - sample.label) * (1.0 - said).ln();
        fit.right += f64::from(u8::from((said > 0.5) == (sample.label > 0.5)));
    }
    let count = samples.len().max(1) as f64;
    Fit { loss: fit.loss / count, right: fit.right / count }
}

fn flat(weights: &Weights) -> [f64; COUNT] {
    let mut flat = [weights.bias; COUNT];
    flat[1..].copy_from_slice(&weights.of);
    flat
}

fn inputs(sample: &Sample) -> [f64; COUNT] {
    let mut inputs = [1.0; COUNT];
    inputs[1..].copy_from_slice(&sample.features);
    inputs
}

fn dot(one: &[f64; COUNT], other: &[f64; COUNT]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// Solves `matrix * x = sums` by elimination. The matrix has its pull on the diagonal, so there is a solution.
fn solve(mut matrix: [[f64; COUNT]; COUNT], mut sums: [f64; COUNT]) -> [f64; COUNT] {
    for at in 0..COUNT {
        let largest =
            (at..COUNT).max_by(|a, b| matrix[*a][at].abs().total_cmp(&matrix[*b][at].abs()));
        let largest = largest.unwrap_or(at);
        matrix.swap(at, largest);
        sums.swap(at, largest);
        for row in at + 1..COUNT {
            let part = matrix[row][at] / matrix[at][at];
            let upper = matrix[at];
            matrix[row]
                .iter_mut()
                .zip(upper)
                .skip(at)
                .for_each(|(own, other)| *own -= part * other);
            sums[row] -= part * sums[at];
        }
    }
    let mut solution = [0.0; COUNT];
    for at in (0..COUNT).rev() {
        let known: f64 = (at + 1..COUNT).map(|column| matrix[at][column] * solution[column]).sum();
        solution[at] = (sums[at] - known) / matrix[at][at];
    }
    solution
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Samples whose labels are drawn by these weights.
    fn samples(truth: &Weights, count: usize) -> Vec<Sample> {
        let mut seed = 9_u64;
        let mut unit = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 11) as f64 / (1_u64 << 53) as f64
        };
        let sample = |_| {
            let features = std::array::from_fn(|_| if unit() < 0.5 { 0.0 } else { unit() });
            let mut sample = Sample { features, label: 0.0 };
            let odds = squash(dot(&flat(truth), &inputs(&sample)));
            sample.label = f64::from(u8::from(unit() < odds));
            sample
        };
        (0..count).map(sample).collect()
    }

    #[test]
    fn what_labels_were_drawn_by_is_found_again() {
        let truth = Weights { bias: 0.5, of: std::array::from_fn(|at| at as f64 / 3.0 - 2.0) };
        let samples = samples(&truth, 20_000);
        let (seen, held) = samples.split_at(16_000);
        let shipped = Weights::default();
        let found = train(seen, &shipped);
        for (found, truth) in flat(&found).into_iter().zip(flat(&truth)) {
            assert!((found - truth).abs() < 0.25, "{found} {truth}");
        }
        let (before, after, best) = (fit(held, &shipped), fit(held, &found), fit(held, &truth));
        assert!(after.loss < before.loss - 0.1, "{before:?} {after:?}");
        assert!(
            after.loss < best.loss + 0.005 && after.right > best.right - 0.01,
            "{after:?} {best:?}"
        );
        assert_eq!(train(seen, &shipped), found, "the same samples make the same weights");
    }

    #[test]
    fn without_samples_or_with_one_sided_ones_weights_stay_finite() {
        let shipped = Weights::default();
        assert_eq!(train(&[], &shipped), shipped);
        let one = Sample { features: [1.0; FEATURES_COUNT], label: 1.0 };
        let found = train(&[one; 1000], &shipped);
        assert!(flat(&found).iter().all(|weight| weight.abs() < 100.0), "{found:?}");
        assert!(fit(&[one], &found).loss < fit(&[one], &shipped).loss);
    }
}
