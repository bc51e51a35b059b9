//! `faregate doctor`: what this machine offers, and whether the policy's ports and providers are in reach.
//!
//! Every line is a fact with its verdict: `ok`, `note` (works, could be better) or `FAIL` (mend this first).

use std::{
    fmt::Write,
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use faregate_policy::{Policy, policy::Scheme};

use super::{Stop, print};
use crate::{
    clock::Clock,
    io::{self, Driver},
    serve::{self, Source},
};

/// How long a provider may take to answer a connect.
const REACH_TIME: Duration = Duration::from_secs(3);

/// Descriptors below which a busy gateway runs out.
const FILES_WANTED: u64 = 65_536;

/// A clock that says less than this (2024-01-01) is wrong: certificates and expiry dates would fail.
const EARLIEST_NANOS: u64 = 1_704_067_200_000_000_000;

/// Prints what was found; an error when something must be mended.
pub(super) fn run(config: Option<PathBuf>) -> Result<(), Stop> {
    let config_given = config.is_some();
    let source = config.map_or(Source::Environment, Source::File);
    let mut report = Report::default();
    machine(&mut report);
    match serve::load(&source, serve::cores_available()) {
        Ok((policy, _)) => policy_facts(&mut report, &policy),
        Err(error) if config_given => report.fail("policy", error.trim_end()),
        Err(_) => report.note(
            "policy",
            "no file was given (-c FILE) and no provider is known from the environment",
        ),
    }
    print(&report.text)?;
    match report.failures {
        0 => Ok(()),
        n => Err(Stop { message: format!("{n} of these need mending"), code: 1 }),
    }
}

#[derive(Default)]
struct Report {
    text: String,
    failures: usize,
}

impl Report {
    fn line(&mut self, verdict: &str, what: &str, found: &str) {
        let _ = writeln!(self.text, "{verdict:<5} {what:<22} {found}");
    }

    fn ok(&mut self, what: &str, found: &str) {
        self.line("ok", what, found);
    }

    fn note(&mut self, what: &str, found: &str) {
        self.line("note", what, found);
    }

    fn fail(&mut self, what: &str, found: &str) {
        self.failures += 1;
        self.line("FAIL", what, found);
    }
}

fn machine(report: &mut Report) {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    report.ok("kernel", kernel.trim());
    let (driver, refused) =
        io::probe(std::env::var_os("FAREGATE_DRIVER").is_some_and(|v| v == "epoll"));
    match driver {
        Driver::UringDefer => report.ok("driver", driver.name()),
        _ => report.note("driver", &format!("{} ({})", driver.name(), refused.join("; "))),
    }
    if driver == Driver::Epoll {
        let disabled =
            std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
        let reason = match disabled.trim() {
            "1" | "2" => "the kernel forbids it: sysctl kernel.io_uring_disabled",
            _ => {
                "a container's seccomp profile refuses it, or the kernel lacks it; epoll costs a few percent"
            }
        };
        report.note("io_uring", reason);
    }
    report.ok("cores", &serve::cores_available().to_string());
    let files = io::file_limit();
    match files {
        n if n >= FILES_WANTED => report.ok("open files", &n.to_string()),
        n => report.note(
            "open files",
            &format!("{n}; raise `ulimit -n` to {FILES_WANTED} for many connections"),
        ),
    }
    let clock = Clock::start();
    match clock.wall() {
        now if now >= EARLIEST_NANOS => {
            report.ok("clock", &format!("{} s since 1970", now / 1_000_000_000))
        }
        _ => report
            .fail("clock", "far in the past: TLS certificates and expiry dates will be refused"),
    }
    let roots = crate::tls::system_roots();
    match roots {
        0 => {
            report.fail("TLS authorities", "none found; install ca-certificates, or name a ca_file")
        }
        n => report.ok("TLS authorities", &format!("{n} of the system")),
    }
}

fn policy_facts(report: &mut Report, policy: &Policy) {
    for warning in &policy.warnings {
        report.note("policy", warning.to_string().lines().next().unwrap_or_default());
    }
    for address in policy.server.listen.iter().chain(&policy.server.admin) {
        port(report, *address);
    }
    for provider in &policy.providers {
        for url in &provider.replicas {
            let what = format!("provider {}", provider.name);
            match &url.scheme {
                Scheme::Unix(path) => match std::os::unix::net::UnixStream::connect(path) {
                    Ok(_) => report.ok(&what, &path.display().to_string()),
                    Err(error) => report.fail(&what, &format!("{}: {error}", path.display())),
                },
                Scheme::Http | Scheme::Https => reach(report, &what, &url.host, url.port),
            }
        }
    }
}

fn port(report: &mut Report, address: SocketAddr) {
    match TcpListener::bind(address) {
        Ok(_) => report.ok("port", &format!("{address} is free")),
        Err(error) => {
            report.note("port", &format!("{address}: {error} (faregate may run there already)"))
        }
    }
}

fn reach(report: &mut Report, what: &str, host: &str, port: u16) {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<SocketAddr> = match (bare, port).to_socket_addrs() {
        Ok(found) => found.collect(),
        Err(error) => return report.fail(what, &format!("{host}: {error}")),
    };
    let mut last = "no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, REACH_TIME) {
            Ok(_) => return report.ok(what, &format!("{host}:{port} answers at {}", address.ip())),
            Err(error) => last = error.to_string(),
        }
    }
    report.fail(what, &format!("{host}:{port}: {last}"));
}
