//! What choosing a target for each turn of a conversation costs in money: pinned, the cheapest turn by turn, and break-even.
//!
//! In: seeds. Out: a table for each kind of traffic, every seed in it. Conversations, loops of agents, documents and single
//! questions arrive, the same ones for every way of choosing; five targets with prices of their own keep what they have read
//! of a prompt for their own times, and fail now and then. All ways know the same: the gateway's own table and odds, fed by
//! what answers tell. The bill is the provider's.

mod market;
mod traffic;

use market::{Market, Way};
use traffic::Kind;

use crate::print;

/// What to simulate.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seeds, one run each.
    #[arg(long, value_delimiter = ',', default_values_t = [21, 22, 23, 24, 25, 26, 27, 28, 29, 30])]
    seeds: Vec<u64>,
    /// Conversations of a run.
    #[arg(long, default_value_t = 400)]
    conversations: usize,
}

/// What break-even may cost beyond the better of the two others.
const WORSE_MAX: f64 = 1.01;

/// Runs every way of choosing with every seed on every kind of traffic. Out: whether break-even is nowhere more than a
/// hundredth dearer than the better of the others, and cheaper on the mix.
///
/// # Errors
///
/// None, so far.
#[expect(clippy::unnecessary_wraps, reason = "subcommands are run alike")]
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    print::result(
        "| traffic | seed | pinned $ | cheapest turn by turn $ | break-even $ | break-even / the better one |\n\
         | --- | --- | --- | --- | --- | --- |",
    );
    let mut is_good = true;
    for kind in Kind::ALL {
        let (mut sums, mut worst) = ([0.0; 3], 0.0_f64);
        for seed in &options.seeds {
            let talks = traffic::talks(kind, *seed, options.conversations);
            let costs = Way::ALL.map(|way| Market::new(way, *seed).run(&talks));
            let [pinned, cheapest, even] = costs;
            let ratio = even / pinned.min(cheapest);
            worst = worst.max(ratio);
            for (sum, cost) in sums.iter_mut().zip(costs) {
                *sum += cost;
            }
            print::result(&format!(
                "| {} | {seed} | {pinned:.3} | {cheapest:.3} | {even:.3} | {ratio:.4} |",
                kind.name()
            ));
        }
        let [pinned, cheapest, even] = sums;
        let ratio = even / pinned.min(cheapest);
        is_good &= worst <= WORSE_MAX && (kind != Kind::Mix || ratio < 1.0);
        print::result(&format!(
            "| **{}** | all | **{pinned:.2}** | **{cheapest:.2}** | **{even:.2}** | **{ratio:.4}**, at most {worst:.4} |",
            kind.name()
        ));
    }
    Ok(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_the_same_again_and_every_way_serves_every_turn() {
        let talks = traffic::talks(Kind::Mix, 3, 40);
        let cost = |way| Market::new(way, 3).run(&talks);
        for way in Way::ALL {
            let one = cost(way);
            assert!(one > 0.0 && one.to_bits() == cost(way).to_bits(), "{way:?} {one}");
        }
    }
}
