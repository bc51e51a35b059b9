//! The system calls that monoio does not offer, each with its reason. The gateway's `unsafe` lives in this file.
#![expect(unsafe_code, reason = "direct system calls on file descriptors that the callers own")]

use std::{
    io::{self, IoSlice},
    mem::size_of,
    os::fd::RawFd,
};

fn check(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Sends what fits without blocking, from borrowed slices.
///
/// # Errors
///
/// `WouldBlock` when the socket is full, else the error of the connection.
pub(crate) fn send_now(fd: RawFd, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    const FLAGS: libc::c_int = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    if let [one] = parts {
        // SAFETY: the slice is valid for reading for its length, and the call does not keep it.
        return check(unsafe { libc::send(fd, one.as_ptr().cast(), one.len(), FLAGS) });
    }
    // SAFETY: an all-zero msghdr is a valid empty message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = parts.len();
    // SAFETY: `IoSlice` has the layout of `iovec`; the kernel only reads through `msg_iov`, during the call.
    check(unsafe { libc::sendmsg(fd, &raw const message, FLAGS) })
}

/// Receives into the spare capacity of `buf` without blocking; returns 0 when the peer has finished.
///
/// # Errors
///
/// `WouldBlock` when nothing is there, else the error of the connection.
pub(super) fn receive_now(fd: RawFd, buf: &mut Vec<u8>, max: usize) -> io::Result<usize> {
    let spare = buf.spare_capacity_mut();
    let room = spare.len().min(max);
    debug_assert!(
        !spare.is_empty(),
        "a receive into no room would look like the end of the stream"
    );
    // SAFETY: the spare capacity is valid for writing for its length.
    let n = check(unsafe { libc::recv(fd, spare.as_mut_ptr().cast(), room, libc::MSG_DONTWAIT) })?;
    let len = buf.len() + n;
    // SAFETY: the kernel has written `n` bytes, at most the spare capacity, behind the old length.
    unsafe { buf.set_len(len) };
    Ok(n)
}

/// Closes one or both directions at once, also while a ring operation still holds the descriptor.
pub(super) fn shutdown(fd: RawFd, how: libc::c_int) {
    // SAFETY: no memory is involved; a wrong descriptor is an error that leaves nothing to do.
    unsafe { libc::shutdown(fd, how) };
}

/// Takes one waiting connection without blocking.
pub(super) fn accept_now(fd: RawFd) -> io::Result<RawFd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: null address pointers are allowed and mean that the address is not wanted.
    let accepted = unsafe { libc::accept4(fd, std::ptr::null_mut(), std::ptr::null_mut(), flags) };
    if accepted < 0 { Err(io::Error::last_os_error()) } else { Ok(accepted) }
}

#[expect(clippy::cast_possible_truncation, reason = "the size of a small structure")]
const fn socklen<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

/// The pending error of a socket, read once a non-blocking connect has ended.
pub(super) fn take_error(fd: RawFd) -> io::Result<()> {
    let mut code: libc::c_int = 0;
    let mut len = socklen::<libc::c_int>();
    // SAFETY: `code` and `len` are valid for writing and `len` says how large `code` is.
    let r = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, (&raw mut code).cast(), &raw mut len)
    };
    match (r, code) {
        (0, 0) => Ok(()),
        (0, code) => Err(io::Error::from_raw_os_error(code)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the peer's kernel has taken everything that was sent; `None` where nobody knows. It says so of a connection that has
/// ended, too, for as long as the descriptor is open.
/// Reference: `struct tcp_info` in linux/tcp.h, since 4.19; `libc` has its older part alone.
pub(super) fn has_been_taken(fd: RawFd) -> Option<bool> {
    // In words of eight bytes: tcpi_bytes_acked, tcpi_notsent_bytes (the lower half), tcpi_bytes_sent, tcpi_bytes_retrans.
    const ACKED: usize = 15;
    const NOT_SENT: usize = 18;
    const SENT: usize = 25;
    const SENT_AGAIN: usize = 26;
    let mut info = [0_u64; 32];
    let mut len = socklen::<[u64; 32]>();
    // SAFETY: `info` and `len` are valid for writing and `len` says how large `info` is.
    let r = unsafe {
        libc::getsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    let is_whole = usize::try_from(len).is_ok_and(|len| len >= (SENT_AGAIN + 1) * size_of::<u64>());
    if r != 0 || !is_whole {
        return None;
    }
    let [not_sent, _] = halves(info[NOT_SENT]);
    // The connection's first acknowledgement counts as a byte.
    let sent = info[SENT].saturating_sub(info[SENT_AGAIN]);
    Some(not_sent == 0 && info[ACKED] >= sent)
}

/// The two numbers of four bytes that lie in one of eight, in their order.
fn halves(word: u64) -> [u32; 2] {
    let bytes = word.to_ne_bytes();
    let half = |at: usize| {
        let mut half = [0; 4];
        half.copy_from_slice(&bytes[at..at + 4]);
        u32::from_ne_bytes(half)
    };
    [half(0), half(4)]
}

/// Attaches a classic BPF program to a `SO_REUSEPORT` group that sends every new connection to the socket at `place`.
/// The kernel falls back to its hash when the place is empty.
/// Reference: socket(7), `SO_ATTACH_REUSEPORT_CBPF`.
pub(super) fn steer_reuseport(fd: RawFd, place: u32) -> io::Result<()> {
    let code = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: place }]; // ret #place
    let program = libc::sock_fprog { len: 1, filter: code.as_ptr().cast_mut() };
    let len = socklen::<libc::sock_fprog>();
    // SAFETY: the program and its instructions live through the call, which copies them.
    let r = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            len,
        )
    };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Pins the calling thread to the `index`-th processor of those it may run on; returns the processor's number.
///
/// # Errors
///
/// When the affinity mask cannot be read or set.
pub(crate) fn pin_to_cpu(index: usize) -> io::Result<usize> {
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut allowed: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `allowed` is valid for writing for the size given.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut allowed) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let max = libc::CPU_SETSIZE as usize;
    // SAFETY: every index is below CPU_SETSIZE.
    let cpus: Vec<usize> =
        (0..max).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &allowed) }).collect();
    let Some(cpu) = cpus.get(index % cpus.len().max(1)).copied() else {
        return Err(io::Error::other("no processor is allowed"));
    };
    // SAFETY: an all-zero cpu_set_t is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `cpu` is below CPU_SETSIZE.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is valid for reading for the size given.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) } {
        0 => Ok(cpu),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether it is this process or machine that has no descriptors or memory left: nobody else's fault.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

fn our_signals() -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the set before any other use; the signal numbers are valid.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

/// Blocks SIGTERM, SIGINT and SIGHUP in this thread and those it starts later, so that [`wait_signal`] gets them.
pub(crate) fn block_signals() {
    let set = our_signals();
    // SAFETY: `set` is valid for reading; a null old set is allowed.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
}

/// Waits for the next of the signals that [`block_signals`] has blocked.
///
/// # Errors
///
/// When the kernel refuses to wait.
pub(crate) fn wait_signal() -> io::Result<i32> {
    let set = our_signals();
    let mut signal = 0;
    // SAFETY: `set` is valid for reading and `signal` for writing.
    match unsafe { libc::sigwait(&raw const set, &raw mut signal) } {
        0 => Ok(signal),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// How many descriptors this process may have open.
pub(crate) fn file_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writing.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } {
        0 => limit.rlim_max,
        _ => 0,
    }
}

/// Lets this process have as many descriptors open as it is allowed to ask for.
pub(crate) fn raise_file_limit() {
    let max = file_limit();
    let limit = libc::rlimit { rlim_cur: max, rlim_max: max };
    if max > 0 {
        // SAFETY: `limit` is valid for reading.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    }
}
