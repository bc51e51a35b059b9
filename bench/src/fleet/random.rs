//! Random numbers from a seed, and the distributions that sessions are made of.

/// A generator (xorshift64*, <https://en.wikipedia.org/wiki/Xorshift>).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator that gives the same numbers for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(mix(seed, 0x5eed) | 1);
        for _ in 0..10 {
            random.next();
        }
        random
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number from 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// A time with this mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// One of `count`, the first ones more often.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and count"
    )]
    pub(crate) fn zipf(&mut self, count: u64) -> u64 {
        ((count as f64 + 1.0).powf(self.unit()) - 1.0) as u64
    }
}

/// Two numbers, mixed.
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let wide = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd6e8_feb8_6659_fd93);
    let low = u64::try_from(wide & u128::from(u64::MAX)).unwrap_or(0);
    low ^ u64::try_from(wide >> 64).unwrap_or(0)
}
