//! A client's connection: one request after the other, until one side has had enough.
//!
//! In: a stream. Out: answers, in the order of the requests. A request that panics takes its own connection with it and
//! nothing else.

use std::{
    future::Future,
    io::IoSlice,
    os::fd::{AsRawFd, RawFd},
    panic::AssertUnwindSafe,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use crate::{
    client::{Client, NoMore},
    exchange::{self, Opened},
    io::{Accepted, Slot, Stream, send_now},
    worker::Core,
};

/// Room for more of a head below which its buffer grows: one that comes byte by byte stays in the buffer it began in.
const HEAD_ROOM_BYTES: usize = 1024;

/// How long an answered connection may take to read the rest of a request away before it is closed.
const LINGER: Duration = Duration::from_secs(1);

/// What a client gets that finds no room.
const NO_ROOM: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 139\r\n\r\n{\"error\":{\"message\":\"too many connections; try again in a second, \
    or raise server.connections\",\"type\":\"server_error\",\"code\":\"overloaded\"}}\n";

/// What a client gets whose request made the gateway panic before it was answered.
const PANICKED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\n\
    connection: close\r\ncontent-length: 100\r\n\r\n{\"error\":{\"message\":\"internal error of the gateway\",\
    \"type\":\"server_error\",\"code\":\"internal_error\"}}\n";

/// Whether the connection goes on after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another request may come.
    Continue,
    /// The answer was the last one; what the client still sends is read away for a moment.
    Finish,
    /// It is of no more use.
    Close,
}

/// Serves a client until its connection ends.
pub(crate) async fn serve(core: Rc<Core>, stream: Stream, slot: Slot) {
    let fd = stream.socket().fd();
    let mut connection =
        Connection { core: Rc::clone(&core), client: Client::new(stream, slot), answered: false };
    let panicked = {
        let mut run = pin!(connection.run());
        std::future::poll_fn(|cx| {
            core.wake_up();
            match std::panic::catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(cx))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(())) => Poll::Ready(false),
                Err(_) => Poll::Ready(true),
            }
        })
        .await
    };
    if panicked {
        core.metrics.panics.add(1);
        if !connection.answered {
            answer_and_forget(fd, PANICKED);
        }
    }
}

/// Tells a client that there is no room, and closes.
pub(crate) fn turn_away(accepted: Accepted) {
    let fd = accepted.into_fd();
    answer_and_forget(fd.as_raw_fd(), NO_ROOM);
}

fn answer_and_forget(fd: RawFd, answer: &[u8]) {
    let _ = send_now(fd, &[IoSlice::new(answer)]);
}

/// A client's connection and the core that serves it.
pub(crate) struct Connection {
    /// The core.
    pub(crate) core: Rc<Core>,
    /// The client's side.
    pub(crate) client: Client,
    /// A byte of the current answer has been sent.
    pub(crate) answered: bool,
}

impl Connection {
    async fn run(&mut self) {
        let mut first = true;
        loop {
            let Some(opened) = self.next_request(first).await else { return };
            self.answered = false;
            first = false;
            match exchange::serve(self, opened).await {
                // Its answer did not say that the connection ends, so another request may be on its way already.
                Next::Continue => {}
                Next::Close => return,
                Next::Finish => {
                    let until = self.core.now().after(LINGER);
                    return self.client.linger(until).await;
                }
            }
        }
    }

    /// Reads until a request's head is complete. `None` when there will be none.
    async fn next_request(&mut self, first: bool) -> Option<Opened> {
        let mut begun = !self.client.received.is_empty();
        let live = self.core.live();
        self.arm(if begun || first {
            live.policy.server.deadlines.head
        } else {
            live.policy.server.deadlines.idle
        });
        loop {
            if let Some(opened) = exchange::open(self) {
                return Some(opened);
            }
            self.client.slot.set_idle(!begun);
            let filled = self.client.fill(HEAD_ROOM_BYTES).await;
            self.client.slot.set_idle(false);
            match filled {
                Ok(()) if begun => {}
                Ok(()) => {
                    begun = true;
                    self.arm(self.core.live().policy.server.deadlines.head);
                }
                Err(NoMore::Deadline) if begun => {
                    return Some(exchange::head_timed_out(&self.core.random));
                }
                Err(_) => return None,
            }
        }
    }

    /// Sets the client's deadline.
    pub(crate) fn arm(&self, within: Duration) {
        self.client.slot.arm(self.core.now().after(within));
    }
}

#[cfg(test)]
mod tests {
    use faregate_wire::{Framing, HeadLimits, Method, Slots, parse_response};

    use super::{NO_ROOM, PANICKED};

    /// Every open connection pays for this, idle or not.
    const TASK_BYTES_MAX: usize = 3 * 1024;

    fn size<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connections_task_is_small() {
        let bytes = size(super::serve);
        assert!(bytes <= TASK_BYTES_MAX, "{bytes} bytes");
    }

    #[test]
    fn canned_answers_are_whole_answers_with_json_in_them() {
        for answer in [NO_ROOM, PANICKED] {
            let mut slots = Slots::new();
            let head = parse_response(answer, &mut slots, &HeadLimits::default(), Method::Post)
                .expect("well-formed")
                .expect("complete");
            let body = &answer[head.len..];
            assert_eq!(head.framing, Framing::Length(body.len() as u64));
            let parsed: serde_json::Value = serde_json::from_slice(body).expect("JSON");
            assert!(parsed["error"]["code"].is_string(), "{parsed}");
        }
    }
}
