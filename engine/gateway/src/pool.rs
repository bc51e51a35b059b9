//! Connections to targets that wait for their next request, one pool a core.
//!
//! Every idle connection has a receive pending. It is how a provider that closes, or speaks out of turn, is noticed
//! before the connection is handed out again; handed out, the same receive brings the answer's first bytes.

use std::{
    cell::RefCell,
    task::{Context, Waker},
    time::Duration,
};

use hashbrown::HashMap;

use crate::{buffer, clock::Instant, io::Stream, upstream::UpstreamId};

/// Idle connections kept for one upstream on one core; the one idle longest makes room.
pub(crate) const IDLE_MAX: usize = 1024;

/// The idle connections of one core.
#[derive(Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<UpstreamId, Vec<Idle>>>,
}

struct Idle {
    stream: Stream,
    since: Instant,
}

impl Pool {
    /// The connection that came back last and is still good. Its receive is pending.
    pub(crate) fn take(&self, id: UpstreamId) -> Option<Stream> {
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.get_mut(&id)?;
        let mut cx = Context::from_waker(Waker::noop());
        while let Some(mut candidate) = waiting.pop() {
            if candidate.stream.poll(&mut cx).is_pending() {
                return Some(candidate.stream);
            }
        }
        None
    }

    /// Keeps a connection whose last answer was read to its end.
    pub(crate) fn put(&self, id: UpstreamId, mut stream: Stream, now: Instant) {
        debug_assert!(!stream.is_receiving(), "its answer is complete");
        stream.begin(buffer::landing());
        // The receive starts when it is polled, and until then nobody would notice what the provider does.
        if stream.poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let waiting = idle.entry(id).or_default();
        if waiting.len() == IDLE_MAX {
            waiting.remove(0);
        }
        waiting.push(Idle { stream, since: now });
    }

    /// Closes what has been idle for longer than `idle_max`, and what its peer has closed.
    pub(crate) fn sweep(&self, now: Instant, idle_max: Duration) {
        let mut cx = Context::from_waker(Waker::noop());
        let idle_max = u64::try_from(idle_max.as_nanos()).unwrap_or(u64::MAX);
        self.idle.borrow_mut().retain(|_, waiting| {
            waiting.retain_mut(|idle| {
                now.since(idle.since) < idle_max && idle.stream.poll(&mut cx).is_pending()
            });
            !waiting.is_empty()
        });
    }

    /// Closes everything.
    pub(crate) fn clear(&self) {
        self.idle.borrow_mut().clear();
    }

    /// How many connections wait.
    pub(crate) fn len(&self) -> usize {
        self.idle.borrow().values().map(Vec::len).sum()
    }
}
