//! Two numbers in one atomic word: an amount, and of which window it is.
//!
//! A compare-and-swap on such a word fails when the window has changed, so nothing of one window is ever taken from, or put
//! into, another. The window stands there by the last bits of its number in a row: whoever stops between reading a word and
//! swapping it, for as many windows as those bits count, and finds the very same amount, would be deceived.

/// How a word is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    amount_bits: u32,
}

/// What all cores have claimed: 16 windows, and up to 1.15 billion dollars.
pub(super) const CLAIMS: Split = Split { amount_bits: 60 };

/// What one core has to hand out: a million windows, and up to 17,592 dollars.
pub(super) const LEASE: Split = Split { amount_bits: 44 };

/// Which window it is, and the second in which it ends: 268 million windows, and the year 4147.
pub(super) const TURN: Split = Split { amount_bits: 36 };

impl Split {
    /// The largest amount.
    pub(super) const fn max(self) -> u64 {
        (1 << self.amount_bits) - 1
    }

    /// `amount` of window `number`.
    pub(super) const fn pack(self, number: u64, amount: u64) -> u64 {
        debug_assert!(amount <= self.max(), "an amount does not fit its word");
        number << self.amount_bits | amount
    }

    pub(super) const fn amount(self, word: u64) -> u64 {
        word & self.max()
    }

    /// The last bits of the window's number.
    pub(super) const fn tag(self, word: u64) -> u64 {
        word >> self.amount_bits
    }

    /// Whether `word` is of window `number`.
    pub(super) const fn is_of(self, word: u64, number: u64) -> bool {
        self.tag(word) == number << self.amount_bits >> self.amount_bits
    }
}
