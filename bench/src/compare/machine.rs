//! The machine a run happens on: which core does what, how busy it is with other things.
//!
//! In: core numbers, `/proc`. Out: pinned threads, facts for the report.

use std::fs;
use std::process::Command;
use std::time::Duration;

use loadtest::load::Cost;
use rustix::thread::{CpuSet, sched_setaffinity};

/// Pins the calling thread, and what it starts from now on, to one core.
///
/// # Errors
///
/// When there is no such core or the process may not use it.
pub(crate) fn pin(core: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    if core >= CpuSet::MAX_CPU {
        return Err(format!("core {core}: no such core"));
    }
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| format!("core {core}: {error}"))
}

/// Processor seconds that all cores have worked since the machine started.
pub(crate) fn busy_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> =
        line.split_whitespace().skip(1).filter_map(|tick| tick.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let busy = [0, 1, 2, 5, 6, 7].iter().filter_map(|place| ticks.get(*place)).sum::<f64>();
    busy / rustix::param::clock_ticks_per_second() as f64
}

/// Processors that are busy now, looked at for `time`.
pub(crate) fn busy_now(time: Duration) -> f64 {
    let before = busy_seconds();
    std::thread::sleep(time);
    (busy_seconds() - before) / time.as_secs_f64()
}

/// Processor seconds of a group of processes.
pub(crate) fn seconds(cost: Cost) -> f64 {
    Duration::from_nanos(cost.cpu_ns).as_secs_f64()
}

/// The load average of the last minute.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

/// Lines about the machine, for the report.
pub(crate) fn facts() -> Vec<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(':').nth(1)).unwrap_or("unknown").trim();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    vec![
        format!("machine: {cores} x {model}"),
        format!("kernel: {}", kernel.trim()),
        format!("commit: {}", commit.trim()),
    ]
}

/// What a program prints, on either stream; empty if it cannot be run.
pub(crate) fn output(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else { return String::new() };
    let bytes = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}
