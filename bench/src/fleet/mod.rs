//! A fleet of engines, simulated: what choosing a replica by its prompts is worth, beside other ways of choosing.
//!
//! In: seeds and rates of new sessions. Out: a table. Conversations, loops of agents, documents and single questions arrive,
//! the same ones for every way of choosing; each replica reads prompts one after the other and keeps what it has read up to a
//! limit. Nothing is measured but the choices: the gateway's own table, loads and choice are those of the real one, fed by
//! cached tokens alone.

mod choice;
pub(crate) mod random;
mod world;

use choice::Way;
use world::{Outcome, World};

use crate::print;

/// What to simulate.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seeds, one run each.
    #[arg(long, value_delimiter = ',', default_values_t = [11, 12, 13, 14, 15, 16, 17, 18, 19, 20])]
    seeds: Vec<u64>,
    /// New sessions a second.
    #[arg(long, value_delimiter = ',', default_values_t = [3.0, 5.0, 6.0])]
    rates: Vec<f64>,
}

/// Simulates every way of choosing with every seed, and prints a table for each rate.
///
/// # Errors
///
/// None, so far.
#[expect(clippy::unnecessary_wraps, reason = "subcommands are run alike")]
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    for rate in &options.rates {
        print::result(&format!(
            "\n{rate} sessions/s, {} seeds: least / mean / most\n\n\
             | way | hits of those possible | prefill of the busiest / mean | TTFT p50 ms | TTFT p99 ms | sessions finished |\n\
             | --- | --- | --- | --- | --- | --- |",
            options.seeds.len()
        ));
        for way in Way::ALL {
            let run = |seed: &u64| World::new(*seed, *rate).run(way);
            let outcomes: Vec<Outcome> = options.seeds.iter().map(run).collect();
            let cell = |of: fn(&Outcome) -> f64, digits: usize| {
                let values = || outcomes.iter().map(of);
                let least = values().fold(f64::INFINITY, f64::min);
                let most = values().fold(0.0, f64::max);
                let mean = values().sum::<f64>() / outcomes.len().max(1) as f64;
                format!("{least:.digits$} / {mean:.digits$} / {most:.digits$}")
            };
            print::result(&format!(
                "| {} | {} | {} | {} | {} | {} |",
                way.name(),
                cell(|o| o.hits, 3),
                cell(|o| o.imbalance, 2),
                cell(|o| o.ttft_p50_ms, 0),
                cell(|o| o.ttft_p99_ms, 0),
                cell(|o| o.finished, 0),
            ));
        }
    }
    Ok(true)
}
