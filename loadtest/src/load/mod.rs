//! An open-loop load generator for the OpenAI dialect.
//!
//! It sends what a [`Scenario`] describes to a [`Target`], checks every answer, and reports latencies
//! from the intended send time, so that a gateway that stalls does not hide it by holding the
//! generator up. Processor time and memory of the gateway are read from `/proc`.

mod check;
mod driver;
mod observe;
mod plan;
mod reload;
mod report;
mod scenario;
mod schedule;
mod session;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

pub use self::check::Fault;
use self::driver::{Driver, Tally};
pub use self::observe::{Cost, family, is_alive, observe, own_cpu};
use self::reload::Reloader;
pub use self::report::{CostReport, Report, Summary};
use self::report::{per, slope};
pub use self::scenario::{Arrivals, Kind, Reload, Request, Scenario};
use crate::clock::Nanos;

/// How long descriptors may take to come back after the last connection is closed.
const CLOSING: Duration = Duration::from_secs(2);

/// What is put under load.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// The value of Host.
    pub host: String,
    /// The key that is sent as a bearer token.
    pub key: Option<String>,
    /// The processes that are observed, with their children.
    pub pids: Vec<u32>,
}

impl Target {
    /// The gateway at `address`, without key or observed process.
    pub fn new(address: SocketAddr) -> Target {
        Target { address, host: address.to_string(), key: None, pids: Vec::new() }
    }

    /// The gateway at a URL such as `http://127.0.0.1:4000`; a path is ignored.
    ///
    /// # Errors
    ///
    /// A sentence, when the URL is not of that form or the name has no address.
    pub fn parse(url: &str) -> Result<Target, String> {
        let rest = url.strip_prefix("http://").ok_or("the target must begin with http://")?;
        let host = rest.split('/').next().unwrap_or(rest);
        let named = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let mut addresses = named.to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
        let address = addresses.next().ok_or_else(|| format!("{host} has no address"))?;
        Ok(Target { host: host.to_owned(), ..Target::new(address) })
    }
}

/// How far a run has come.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Time until the measured time ends.
    pub left: Duration,
    /// Requests answered.
    pub requests: u64,
    /// Requests failed.
    pub errors: u64,
}

/// The scenarios that come with the program: name and text.
pub const SCENARIOS: &[(&str, &str)] = &[
    ("plain", include_str!("../../scenarios/plain.toml")),
    ("sse", include_str!("../../scenarios/sse.toml")),
    ("prompt-64k", include_str!("../../scenarios/prompt-64k.toml")),
    ("prompt-1m", include_str!("../../scenarios/prompt-1m.toml")),
    ("open-200", include_str!("../../scenarios/open-200.toml")),
    ("idle-5000", include_str!("../../scenarios/idle-5000.toml")),
    ("soak", include_str!("../../scenarios/soak.toml")),
];

/// Puts the load of `scenario` on `target`; takes as long as the scenario says, and a little longer
/// for the last answers. `progress` is called a few times a second.
///
/// # Errors
///
/// When the generator itself fails: no descriptors, a reload that does not work. Failed requests are
/// counted in the report.
pub fn run(
    scenario: &Scenario,
    target: &Target,
    progress: &mut dyn FnMut(Moment),
) -> io::Result<Report> {
    let reloader = scenario.reload.clone().map(Reloader::start).transpose()?;
    let tally = Driver::new(scenario, target, progress)?.run()?;
    let reloads = reloader.map(Reloader::stop).transpose()?.unwrap_or(0);
    let fds_after = fds_after(target, tally.before.fds);
    Ok(report(scenario, target, &tally, reloads, fds_after))
}

/// The target's descriptors once it has noticed that all connections are closed.
fn fds_after(target: &Target, baseline: u64) -> u64 {
    let limit = Nanos::now().after(CLOSING);
    loop {
        let fds = observe(&target.pids).fds;
        if fds <= baseline || Nanos::now() > limit {
            return fds;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn report(
    scenario: &Scenario,
    target: &Target,
    tally: &Tally,
    reloads: u64,
    fds_after: u64,
) -> Report {
    let seconds = scenario.duration.as_secs_f64();
    Report {
        scenario: scenario.name.clone(),
        seconds,
        requests: tally.requests,
        chunks: tally.stream.chunks,
        requests_total: tally.requests_total,
        errors: tally.errors.names(),
        stale: tally.stale,
        connects: tally.connects,
        latency: tally.latency.summary(),
        first: tally.stream.first.summary(),
        gap: tally.stream.gap.summary(),
        travel: tally.stream.travel.summary(),
        cost: (!target.pids.is_empty()).then(|| cost_report(scenario, tally, seconds, fds_after)),
        generator_cpu: tally.own_cpu.as_secs_f64() / seconds,
        late_us_max: tally.late_max.as_secs_f64() * 1e6,
        reloads,
    }
}

fn cost_report(scenario: &Scenario, tally: &Tally, seconds: f64, fds_after: u64) -> CostReport {
    let cpu = Duration::from_nanos(tally.at_end.cpu_ns.saturating_sub(tally.at_start.cpu_ns))
        .as_secs_f64();
    let each = |count: u64| (count > 0).then(|| cpu * 1e6 / per(count, 1.0));
    let growth = tally.at_end.rss_bytes.saturating_sub(tally.before.rss_bytes);
    let samples = tally.rss_samples.iter();
    let points: Vec<_> = samples.clone().map(|(at, rss)| (*at, per(*rss, 1.0))).collect();
    CostReport {
        cpu_us_per_request: each(tally.requests),
        cpu_us_per_chunk: each(tally.stream.chunks),
        cpus: cpu / seconds,
        rss_before: tally.before.rss_bytes,
        rss_after: tally.at_end.rss_bytes,
        rss_max: samples.map(|(_, rss)| *rss).max().unwrap_or(0).max(tally.at_end.rss_bytes),
        rss_slope: slope(&points),
        bytes_per_stream: scenario.hold.then(|| per(growth, per(tally.stream.begun, 1.0))),
        fds_before: tally.before.fds,
        fds_after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_address_and_host() {
        let target = Target::parse("http://127.0.0.1:4000/v1").unwrap();
        assert_eq!(target.address, "127.0.0.1:4000".parse().unwrap());
        assert_eq!(target.host, "127.0.0.1:4000");
        assert_eq!(Target::parse("http://127.0.0.1").unwrap().address.port(), 80);
        assert!(Target::parse("https://127.0.0.1").is_err());
    }
}
