//! `bench compare`: the same load on Faregate, on its rivals, and directly on the provider.
//!
//! In: `rivals.toml`, the scenarios of `loadtest`. Out: `bench/out/compare.md`, `.svg`, `.json`.
//! The rival is pinned to one core; provider and generator share another. Rounds alternate between
//! the rivals, and each measurement begins with a fresh process, so that no rival has a better hour
//! or a warmer heap than another.

mod chart;
mod figure;
mod machine;
mod rival;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use loadtest::load::{SCENARIOS, Scenario, Target, observe, run as put_load};
use loadtest::provider::{Provider, Settings};

use self::figure::{DIRECT, Measure};
use self::rival::{KEY, Rival};
use self::table::{Comparison, FOREIGN_MAX};
use crate::print;

/// What is compared unless told otherwise; the soak has no place among rivals.
const SCENARIO_NAMES: &[&str] =
    &["plain", "sse", "prompt-64k", "prompt-1m", "open-200", "idle-5000"];

/// Time the machine is watched to see whether it is quiet.
const GLANCE: Duration = Duration::from_millis(500);

/// How a comparison is run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Two short rounds: shows that everything works; the figures are worth nothing.
    #[arg(long)]
    quick: bool,
    /// Rounds.
    #[arg(long)]
    rounds: Option<usize>,
    /// Scenarios, with commas between them.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Rivals, with commas between them; `direct` is always measured.
    #[arg(long, value_delimiter = ',')]
    rivals: Vec<String>,
    /// The core of the proxies.
    #[arg(long, default_value_t = 0)]
    proxy_core: usize,
    /// The core of provider and load generator.
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Multiply the time of every scenario.
    #[arg(long)]
    scale: Option<f64>,
    /// Wait for a quiet machine and repeat what was disturbed, for so many minutes altogether.
    #[arg(long, default_value_t = 0)]
    patience: u64,
}

/// Runs a comparison; false when a request failed.
///
/// # Errors
///
/// When something that is asked for does not exist, or a rival does not start.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    let root = root();
    let scenarios = options.scenarios()?;
    let rivals = options.rivals(&root)?;
    let base = rivals.iter().find(|rival| rival.base).map_or(DIRECT, |rival| rival.name.as_str());
    let mut comparison = Comparison {
        columns: columns(&rivals),
        base: base.to_owned(),
        rounds: options.rounds(),
        facts: facts(&root, &rivals, options),
        measures: Vec::new(),
    };
    machine::pin(options.load_core)?;
    let settings = Settings { prefix_blocks: 0, ..Settings::default() };
    let provider = Provider::start(settings).map_err(|error| format!("provider: {error}"))?;
    let until = Instant::now() + Duration::from_secs(60 * options.patience);
    let stage = Stage { root: &root, provider: &provider, options, until };
    for round in 0..options.rounds() {
        for scenario in &scenarios {
            for place in 0..=rivals.len() {
                // Each round begins with another one, so that none always follows the same.
                let place = (place + round) % (rivals.len() + 1);
                let rival = place.checked_sub(1).map(|place| &rivals[place]);
                comparison.measures.push(stage.measure_calmly(scenario, rival, round)?);
            }
        }
    }
    comparison.facts.push(format!("load average at the end: {:.2}", machine::load_average()));
    write(&root, &comparison)?;
    print::result(&comparison.markdown());
    Ok(comparison.is_clean())
}

impl Options {
    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 }).max(1)
    }

    fn scenarios(&self) -> Result<Vec<Scenario>, String> {
        let wanted: Vec<&str> = match self.only.as_slice() {
            [] => SCENARIO_NAMES.to_vec(),
            only => only.iter().map(String::as_str).collect(),
        };
        let scale = self.scale.unwrap_or(if self.quick { 0.25 } else { 1.0 });
        let find = |name: &str| {
            let found = SCENARIOS.iter().find(|(known, _)| *known == name);
            let (_, text) = found.ok_or_else(|| format!("no scenario is called {name}"))?;
            let mut scenario = Scenario::parse(text).map_err(|error| format!("{name}: {error}"))?;
            scenario.scale(scale);
            Ok(scenario)
        };
        wanted.into_iter().map(find).collect()
    }

    fn rivals(&self, root: &Path) -> Result<Vec<Rival>, String> {
        let all = rival::read(&root.join("bench"))?;
        for name in self.rivals.iter().filter(|name| *name != DIRECT) {
            if !all.iter().any(|rival| rival.name == *name) {
                return Err(format!("rivals.toml has no rival {name}"));
            }
        }
        let wanted = |rival: &Rival| match self.rivals.is_empty() {
            true => !rival.optional,
            false => self.rivals.contains(&rival.name),
        };
        let installed = |rival: &Rival| {
            let found = rival.program(root).is_some();
            if !found {
                let (name, install) = (&rival.name, &rival.install);
                print::note(&format!("{name} is left out: not found; install it with: {install}"));
            }
            found
        };
        Ok(all.into_iter().filter(wanted).filter(installed).collect())
    }
}

/// What all measurements share.
struct Stage<'a> {
    root: &'a Path,
    provider: &'a Provider,
    options: &'a Options,
    /// The end of patience with a machine that does other things.
    until: Instant,
}

impl Stage<'_> {
    /// Measures when the machine is quiet, and again if it was not, as long as patience lasts.
    fn measure_calmly(
        &self,
        scenario: &Scenario,
        rival: Option<&Rival>,
        round: usize,
    ) -> Result<Measure, String> {
        loop {
            while Instant::now() < self.until && machine::busy_now(GLANCE) > FOREIGN_MAX {}
            let measure = self.measure(scenario, rival, round)?;
            if measure.foreign_cpus <= FOREIGN_MAX || Instant::now() >= self.until {
                return Ok(measure);
            }
        }
    }

    /// Puts `scenario` on a fresh process of `rival`, or directly on the provider.
    fn measure(
        &self,
        scenario: &Scenario,
        rival: Option<&Rival>,
        round: usize,
    ) -> Result<Measure, String> {
        let name = rival.map_or(DIRECT, |rival| rival.name.as_str());
        let port = self.provider.address().port();
        let Options { proxy_core, load_core, .. } = *self.options;
        let start = |rival: &Rival| rival.start(self.root, port, proxy_core, load_core);
        let running = rival.map(start).transpose()?;
        let mut target = Target::new(self.provider.address());
        if let Some(running) = &running {
            target = Target::new(running.address);
            target.pids = vec![running.pid()];
        }
        target.key = Some(KEY.to_owned());
        let idle = observe(&target.pids);
        let before = (machine::busy_seconds(), own_seconds());
        let begin = Instant::now();
        let report = put_load(scenario, &target, &mut |_| ())
            .map_err(|error| format!("{name}, {}: {error}", scenario.name))?;
        let elapsed = begin.elapsed().as_secs_f64();
        let own = own_seconds() - before.1;
        let foreign_cpus = ((machine::busy_seconds() - before.0 - own) / elapsed).max(0.0);
        let measure = Measure {
            rival: name.to_owned(),
            round,
            ready_ms: running.as_ref().map(|running| running.ready.as_secs_f64() * 1e3),
            rss_idle: running.as_ref().map(|_| idle.rss_bytes),
            foreign_cpus,
            report,
        };
        self.tell(&measure);
        Ok(measure)
    }

    fn tell(&self, measure: &Measure) {
        let Measure { rival, round, foreign_cpus, report, .. } = measure;
        let rounds = self.options.rounds();
        let cost = report.cost.as_ref();
        let cpu = cost.and_then(|cost| cost.cpu_us_per_chunk.or(cost.cpu_us_per_request));
        let cpu = cpu.map(|cpu| format!(", {cpu:.2} us")).unwrap_or_default();
        print::note(&format!(
            "round {} of {rounds}: {:10} {rival:10} {:7.0} req/s{cpu}, {} failed, others {foreign_cpus:.2}",
            round + 1,
            report.scenario,
            report.rate(),
            report.failed(),
        ));
        for breach in self.provider.counters().take_breaches() {
            print::note(&format!("{rival}: breach: {} ({})", breach.reason.code(), breach.message));
        }
    }
}

/// Processor seconds of this process and of the rival, which is its child.
fn own_seconds() -> f64 {
    machine::seconds(observe(&[std::process::id()]))
}

fn columns(rivals: &[Rival]) -> Vec<String> {
    let names = rivals.iter().map(|rival| rival.name.clone());
    std::iter::once(DIRECT.to_owned()).chain(names).collect()
}

fn facts(root: &Path, rivals: &[Rival], options: &Options) -> Vec<String> {
    let mut facts = machine::facts();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments = arguments.join(" ");
    facts.push(format!("command: `cargo run --release -p faregate-bench -- {arguments}`"));
    facts.push(format!(
        "proxy on core {}, provider and load generator on core {}",
        options.proxy_core, options.load_core
    ));
    for rival in rivals {
        facts.push(format!("{}: {} ({})", rival.name, rival.about, rival.version(root)));
    }
    facts.push(format!("load average at the start: {:.2}", machine::load_average()));
    facts
}

fn write(root: &Path, comparison: &Comparison) -> Result<(), String> {
    let folder = root.join("bench/out");
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let json = serde_json::to_string_pretty(&comparison.measures);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    put("compare.json", json.map_err(|error| error.to_string())?)?;
    put("compare.svg", chart::svg(comparison))?;
    put("compare.md", comparison.markdown())
}

/// The root of the repository: where it was built, as the rivals' files lie there.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
