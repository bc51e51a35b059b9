//! What a process costs, read from `/proc`.
//!
//! In: process numbers; their children are found and counted with them, so that a server of several
//! processes is measured whole. Out: processor time of all threads, resident memory, descriptors.
//! Format: <https://docs.kernel.org/scheduler/sched-stats.html>, `proc(5)`.

use std::fs;
use std::time::Duration;

use serde::Serialize;

/// The costs of a group of processes at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Cost {
    /// Processor time since the processes began, user and kernel, of all threads.
    pub cpu_ns: u64,
    /// Resident memory in bytes. Pages that processes share count for each.
    pub rss_bytes: u64,
    /// Open descriptors.
    pub fds: u64,
    /// Threads.
    pub threads: u64,
}

/// The costs of `pids` and their descendants. Processes and threads that are gone cost nothing, so the
/// processor time of a program whose threads come and go may even fall.
pub fn observe(pids: &[u32]) -> Cost {
    let mut cost = Cost::default();
    for pid in family(pids) {
        cost.cpu_ns += cpu_ns(pid, &mut cost.threads);
        cost.rss_bytes += rss_bytes(pid);
        cost.fds +=
            fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count()) as u64;
    }
    cost
}

/// `pids` and all processes that descend from them, each once.
pub fn family(pids: &[u32]) -> Vec<u32> {
    let mut found: Vec<u32> = Vec::new();
    let mut left = pids.to_vec();
    while let Some(pid) = left.pop() {
        if found.contains(&pid) {
            continue;
        }
        found.push(pid);
        for thread in threads(pid) {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children"));
            let children = children.unwrap_or_default();
            left.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    found
}

/// Whether the process exists.
pub fn is_alive(pid: u32) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok()
}

/// Processor time of this process.
pub fn own_cpu() -> Duration {
    let mut threads = 0;
    Duration::from_nanos(cpu_ns(std::process::id(), &mut threads))
}

fn threads(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn cpu_ns(pid: u32, count: &mut u64) -> u64 {
    let mut sum = 0;
    for thread in threads(pid) {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat"));
        let text = text.unwrap_or_default();
        sum += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        *count += 1;
    }
    sum
}

fn rss_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
    kib.and_then(|kib| kib.trim().parse::<u64>().ok()).unwrap_or(0) << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_something() {
        let pid = std::process::id();
        let before = observe(&[pid, pid]);
        assert!(before.rss_bytes > 1 << 20 && before.fds >= 3 && before.threads >= 1);
        let mut spin = 0_u64;
        while own_cpu() < Duration::from_nanos(before.cpu_ns + 2_000_000) {
            spin = std::hint::black_box(spin + 1);
        }
        assert!(observe(&[pid]).cpu_ns > before.cpu_ns);
    }

    #[test]
    fn children_belong_to_the_family_and_the_gone_cost_nothing() {
        let mut child = std::process::Command::new("sleep").arg("10").spawn().unwrap();
        assert!(family(&[std::process::id()]).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(observe(&[child.id()]), Cost::default());
    }
}
