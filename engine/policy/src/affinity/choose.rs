//! Which replica takes a prompt: the one where reading it costs least, its own queue and those behind it counted in.
//!
//! In: what each replica would have to read, and how busy it is. Out: one of them. Nothing is remembered.
//!
//! A replica's cost is what it has to read before the prompt, what it has to read of the prompt, and something for each
//! request under way. What it has to read of the prompt counts at least twice, and more when many replicas have a queue:
//! then a prompt that is read anew where it need not be takes time from everybody and space from somebody's prompt. A
//! replica that has more requests under way than its share is passed over, however warm it is.

use super::fold;

/// What a block of the prompt counts, in blocks of the queue.
const READ_WEIGHT: u64 = 2;

/// What a request under way counts, in hundredths of a block.
const IN_FLIGHT_COST: u64 = 100;

/// Requests under way that a replica may have whatever others have.
const IN_FLIGHT_FREE: u64 = 4;

/// So many hundredths of the mean of requests under way may a replica have beyond the mean, in a fleet without end; in a
/// small one as much less as the others are fewer.
const BEYOND_PERCENT: u64 = 170;

/// The most that a block counts when all replicas have a queue: 1 / (1 - 0.95).
const CROWD_MAX: u64 = 20;

/// What a replica offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bid {
    /// Blocks of the prompt that it has to read.
    pub cold: u32,
    /// Blocks that it has to read before.
    pub pending: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Tells it from the others, the same in every process.
    pub name: u64,
    /// It can be asked.
    pub is_open: bool,
}

/// The index of the bid that is taken; `None` when none can be asked. Prompts with the same `first` go to the same replica
/// where all cost the same.
#[must_use]
pub fn choose(bids: &[Bid], first: u64) -> Option<usize> {
    let open = || bids.iter().enumerate().filter(|(_, bid)| bid.is_open);
    let count = open().count() as u64;
    let under_way: u64 = open().map(|(_, bid)| bid.in_flight).sum();
    let queued = open().filter(|(_, bid)| bid.pending > 0).count() as u64;
    // 1 / (1 - share of replicas with a queue), in hundredths.
    let crowd = (100 * count).checked_div(count - queued).unwrap_or(u64::MAX).min(100 * CROWD_MAX);
    let bound = 100 + (BEYOND_PERCENT * (count.saturating_sub(1))).checked_div(count).unwrap_or(0);
    let is_within = |bid: &Bid| {
        bid.in_flight < IN_FLIGHT_FREE
            || (bid.in_flight + 1) * 100 * count <= bound * (under_way + count)
    };
    let cost = |bid: &Bid| {
        let own = u64::from(bid.cold) * READ_WEIGHT * crowd;
        let queue = bid.pending.saturating_mul(100);
        let cost = own.saturating_add(queue).saturating_add(bid.in_flight * IN_FLIGHT_COST);
        (!is_within(bid), cost, fold(first ^ bid.name, bid.name | 1))
    };
    open().min_by_key(|(_, bid)| cost(bid)).map(|(index, _)| index)
}
