//! The seam between Faregate and the runtime: everything that touches a socket, a ring or a timer.
//!
//! monoio types end here. The rest of the gateway sees [`Stream`], [`Listener`], [`Timers`], [`Wake`], [`spawn`] and
//! [`run`], so that the driver below can be replaced without touching anything else.
//!
//! How each operation is done, and why (figures in `bench/results`):
//! - *Receiving* is a pending ring receive into a buffer the stream owns. It is also the watch for a peer that leaves,
//!   so a connection always has exactly one receive pending and none is ever dropped half done.
//! - *Receiving more* while a body streams is a non-blocking `recv` into the same buffer until it would block: one ring
//!   completion then carries as many bytes as the socket holds.
//! - *Sending* is a non-blocking `sendmsg` over borrowed slices; the ring only waits for room when the socket is full.
//! - *Connecting* is a non-blocking connect of our own whose readiness the ring reports: a deadline can drop the wait
//!   without leaking a socket.
//! - *Deadlines* are one number a connection in a table that one task a core sweeps.

mod driver;
mod listener;
mod socket;
mod stream;
mod sys;
mod timer;
mod wake;

pub(crate) use driver::{Driver, probe, run};
pub(crate) use listener::{Accepted, Listener, steer_to_newest};
pub(crate) use socket::{Endpoint, Socket};
pub(crate) use stream::{Left, Stream};
pub(crate) use sys::{
    block_signals, file_limit, is_exhausted, pin_to_cpu, raise_file_limit, send_now, wait_signal,
};
pub(crate) use timer::{Slot, Timers};
pub(crate) use wake::{Wake, Waker};

/// Runs `future` on this core until it is done.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    drop(monoio::spawn(future));
}

/// Sleeps; for housekeeping tasks only, connections use a [`Slot`].
#[expect(clippy::disallowed_methods, reason = "the one place that the rule points to")]
pub(crate) async fn sleep(duration: std::time::Duration) {
    monoio::time::sleep(duration).await;
}
