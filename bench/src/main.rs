//! Faregate measured: `bench compare` puts it beside other proxies, under the same load.
//!
//! `cargo run --release -p faregate-bench -- compare` measures everything in about 20 minutes and
//! writes `bench/out/compare.md`, `compare.svg` and `compare.json`; `--quick` takes two minutes and
//! only shows that everything works.
//!
//! `cargo run --release -p faregate-bench -- count` counts instructions and allocations of every hot piece, one by one.
//!
//! `cargo run --release -p faregate-bench -- fleet` simulates engines whose replicas are chosen in several ways.
//!
//! `cargo run --release -p faregate-bench -- worth` adds up what conversations cost over targets with prices.

mod allocations;
mod compare;
mod count;
mod fleet;
mod print;
mod worth;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures Faregate.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put Faregate and other proxies under the same load, in alternating rounds.
    Compare(compare::Options),
    /// Count instructions and allocations of each hot piece, under valgrind.
    Count(count::Options),
    /// Simulate a fleet of engines, and choose replicas in several ways.
    Fleet(fleet::Options),
    /// Simulate conversations over targets with prices, and choose a target for each turn in several ways.
    Worth(worth::Options),
}

fn main() -> ExitCode {
    let result = match Options::parse().command {
        Command::Compare(options) => compare::run(&options),
        Command::Count(options) => count::run(&options),
        Command::Fleet(options) => fleet::run(&options),
        Command::Worth(options) => worth::run(&options),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print::note(&format!("bench: {error}"));
            ExitCode::from(64)
        }
    }
}
