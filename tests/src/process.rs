//! What `/proc` says of a process, and signals to it.

use std::path::PathBuf;

/// A process by its id.
#[derive(Debug, Clone, Copy)]
pub struct Process(pub u32);

impl Process {
    /// Resident memory, in KiB.
    pub fn rss_kib(self) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    /// Open descriptors.
    pub fn fds(self) -> usize {
        std::fs::read_dir(self.path("fd")).map_or(0, Iterator::count)
    }

    /// Processor time used so far, in ticks of 10 ms.
    pub fn cpu_ticks(self) -> u64 {
        let stat = self.read("stat");
        let behind_name = stat.rsplit(')').next().unwrap_or("");
        let fields: Vec<&str> = behind_name.split_whitespace().collect();
        fields[11..13].iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
    }

    /// Sends a signal.
    #[expect(unsafe_code, reason = "kill(2) is a system call")]
    pub fn signal(self, signal: i32) {
        let id = i32::try_from(self.0).expect("process ids are positive");
        // SAFETY: kill takes two numbers and touches no memory of this process.
        let sent = unsafe { libc::kill(id, signal) };
        assert_eq!(sent, 0, "no signal {signal} to {id}: {}", std::io::Error::last_os_error());
    }

    fn path(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.0))
    }

    fn read(self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the process runs")
    }
}
