//! Which driver a core runs on, and starting it.
//!
//! In: the wish of the operator. Out: a runtime, and the name of what was built.
//! `DEFER_TASKRUN` with `SINGLE_ISSUER` is worth about 30 % of the CPU of a request; kernels before 6.1 lack it, and
//! containers often refuse io_uring altogether. So the ring is probed stepwise and epoll is a mode of its own.

use std::io;

use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

/// Submission entries of a core's ring.
const RING_ENTRIES: u32 = 1024;

/// How a core waits for its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// io_uring with `DEFER_TASKRUN` and `SINGLE_ISSUER` (Linux 6.1).
    UringDefer,
    /// io_uring with `COOP_TASKRUN` (Linux 5.19).
    UringCoop,
    /// io_uring as it comes (Linux 5.6).
    Uring,
    /// epoll, where io_uring is missing or refused.
    Epoll,
}

impl Driver {
    /// The name in logs, `doctor` and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UringDefer => "io_uring (defer_taskrun, single_issuer)",
            Self::UringCoop => "io_uring (coop_taskrun)",
            Self::Uring => "io_uring",
            Self::Epoll => "epoll",
        }
    }

    fn builder(self) -> io_uring06::Builder {
        let mut builder = io_uring06::IoUring::builder();
        match self {
            Self::UringDefer => {
                builder.setup_single_issuer().setup_defer_taskrun();
            }
            Self::UringCoop => {
                builder.setup_coop_taskrun();
            }
            Self::Uring | Self::Epoll => {}
        }
        builder
    }
}

/// The best driver this kernel and sandbox allow; with `epoll` no ring is tried. The reasons say what was refused.
pub(crate) fn probe(epoll: bool) -> (Driver, Vec<String>) {
    let mut refused = Vec::new();
    if epoll {
        return (Driver::Epoll, vec!["epoll was asked for".to_owned()]);
    }
    for driver in [Driver::UringDefer, Driver::UringCoop, Driver::Uring] {
        match driver.builder().build(8).and_then(|ring| supports_what_we_use(&ring)) {
            Ok(()) => return (driver, refused),
            Err(error) => refused.push(format!("{}: {error}", driver.name())),
        }
    }
    (Driver::Epoll, refused)
}

fn supports_what_we_use(ring: &io_uring06::IoUring) -> io::Result<()> {
    use io_uring06::opcode::{Accept, AsyncCancel, Close, PollAdd, Recv};
    let mut probe = io_uring06::Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    let needed = [Accept::CODE, AsyncCancel::CODE, Close::CODE, PollAdd::CODE, Recv::CODE];
    match needed.iter().all(|code| probe.is_supported(*code)) {
        true => Ok(()),
        false => {
            Err(io::Error::other("an operation is missing (accept, cancel, close, poll, recv)"))
        }
    }
}

/// Runs `main` to its end on this thread.
///
/// # Errors
///
/// When the ring or the epoll instance cannot be made.
pub(crate) fn run<F: Future>(driver: Driver, main: F) -> io::Result<F::Output> {
    if driver == Driver::Epoll {
        return Ok(RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?.block_on(main));
    }
    let mut runtime = RuntimeBuilder::<IoUringDriver>::new()
        .uring_builder(driver.builder())
        .with_entries(RING_ENTRIES)
        .enable_timer()
        .build()?;
    Ok(runtime.block_on(main))
}
