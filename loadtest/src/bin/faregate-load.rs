//! The load generator as a program.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use loadtest::load::{Moment, Report, SCENARIOS, Scenario, Target, run};

/// An open-loop load generator for gateways of the OpenAI dialect.
///
/// Latency counts from the time a request should have been sent. Every answer is checked; the
/// program ends with 1 when one of them failed.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios, one after the other.
    Run(Run),
    /// List the scenarios that come with the program.
    List,
}

#[derive(Debug, Args)]
struct Run {
    /// Files of scenarios, or names of those that come with the program.
    #[arg(required = true)]
    scenarios: Vec<String>,
    /// The gateway, `http://host:port`.
    #[arg(long, default_value = "http://127.0.0.1:4000")]
    target: String,
    /// A process to observe, with its children; may be repeated.
    #[arg(long = "pid")]
    pids: Vec<u32>,
    /// The key sent as a bearer token.
    #[arg(long, env = "FAREGATE_KEY")]
    key: Option<String>,
    /// The model asked for, instead of the scenario's.
    #[arg(long)]
    model: Option<String>,
    /// Send the requests of a `rate` at this one.
    #[arg(long)]
    rate: Option<f64>,
    /// Multiply warm-up and duration: 0.1 to try a scenario out.
    #[arg(long)]
    scale: Option<f64>,
    /// The file that a scenario with `[reload]` puts in place anew.
    #[arg(long)]
    reload_touch: Option<PathBuf>,
    /// Write the reports as JSON, one a line.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = match Options::parse().command {
        Command::Run(options) => options.run(),
        Command::List => {
            for (name, text) in SCENARIOS {
                let about = Scenario::parse(text).map(|scenario| scenario.about);
                say(&format!("{name:12} {}", about.unwrap_or_default()));
            }
            Ok(true)
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tell(&format!("faregate-load: {error}\n"));
            ExitCode::from(64)
        }
    }
}

impl Run {
    /// True when no request failed.
    fn run(&self) -> Result<bool, String> {
        let mut target = Target::parse(&self.target)?;
        target.key.clone_from(&self.key);
        target.pids.clone_from(&self.pids);
        let scenarios: Result<Vec<_>, String> =
            self.scenarios.iter().map(|name| self.scenario(name)).collect();
        let mut reports = Vec::new();
        for scenario in scenarios? {
            reports.push(one(&scenario, &target)?);
        }
        say(Report::markdown_head());
        reports.iter().for_each(|report| say(&report.markdown_row()));
        reports.iter().for_each(warn);
        if let Some(path) = &self.json {
            write_json(path, &reports)?;
        }
        Ok(reports.iter().all(|report| report.failed() == 0))
    }

    fn scenario(&self, name: &str) -> Result<Scenario, String> {
        let known = SCENARIOS.iter().find(|(known, _)| *known == name);
        let text = match known {
            Some((_, text)) if !Path::new(name).exists() => (*text).to_owned(),
            _ => std::fs::read_to_string(name).map_err(|error| format!("{name}: {error}"))?,
        };
        let mut scenario = Scenario::parse(&text).map_err(|error| format!("{name}: {error}"))?;
        scenario.scale(self.scale.unwrap_or(1.0));
        if let Some(rate) = self.rate {
            scenario.rate = Some(rate);
        }
        if let Some(model) = &self.model {
            scenario.requests.iter_mut().for_each(|request| request.model.clone_from(model));
        }
        match (&mut scenario.reload, &self.reload_touch) {
            (Some(reload), Some(path)) => reload.touch = Some(path.clone()),
            (reload @ Some(_), None) => {
                tell(&format!("{name}: no --reload-touch given: nothing is reloaded\n"));
                *reload = reload.take().filter(|reload| !reload.command.is_empty());
            }
            (None, _) => {}
        }
        Ok(scenario)
    }
}

fn one(scenario: &Scenario, target: &Target) -> Result<Report, String> {
    let mut progress = |moment: Moment| {
        tell(&format!(
            "\r{}: {:.0} s left, {} answered, {} failed   ",
            scenario.name,
            moment.left.as_secs_f64(),
            moment.requests,
            moment.errors
        ));
    };
    let report = run(scenario, target, &mut progress);
    tell("\n");
    report.map_err(|error| format!("{}: {error}", scenario.name))
}

/// What a reader of the figures should know.
fn warn(report: &Report) {
    let name = &report.scenario;
    for (kind, count) in &report.errors {
        tell(&format!("{name}: failed: {count} x {kind}\n"));
    }
    if report.generator_cpu > 0.9 {
        let used = report.generator_cpu;
        tell(&format!("{name}: the generator used {used:.2} processors: it was the limit\n"));
    }
    if report.stale > 0 {
        tell(&format!("{name}: {} kept connections were closed as they were used\n", report.stale));
    }
}

fn write_json(path: &Path, reports: &[Report]) -> Result<(), String> {
    let mut text = String::new();
    for report in reports {
        text += &serde_json::to_string(report).map_err(|error| error.to_string())?;
        text.push('\n');
    }
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[expect(clippy::print_stdout, reason = "results go to standard output")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "progress and warnings go to standard error")]
fn tell(text: &str) {
    eprint!("{text}");
}
