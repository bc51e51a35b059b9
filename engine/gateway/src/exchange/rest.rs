//! What is left of a request that was answered before it was read.
//!
//! A small rest is read away so that the connection can go on; with a large one, or one that may never come, the
//! connection ends. Bytes of a body are never taken for the next request.

use std::time::Duration;

use faregate_wire::Framing;

use crate::connection::{Connection, Next};

/// Bytes of an unread body that are read away.
const REST_BYTES_MAX: usize = 64 * 1024;

/// How long that may take.
const REST_TIME: Duration = Duration::from_secs(1);

/// The unread rest of one request.
pub(crate) struct Rest {
    /// Bytes of the request from the front of what has been received; `None` when that cannot be said.
    total: Option<usize>,
    close: bool,
}

impl Rest {
    /// The rest of a request whose head was read.
    pub(crate) fn of(
        connection: &Connection,
        head_len: usize,
        framing: Framing,
        close: bool,
    ) -> Self {
        let body = match framing {
            Framing::None => Some(0),
            Framing::Length(n) => usize::try_from(n).ok(),
            Framing::Chunked | Framing::UntilClose => None,
        };
        let total = body.and_then(|body| head_len.checked_add(body));
        let missing = total.map(|total| total.saturating_sub(connection.client.received.len()));
        let small = missing.is_some_and(|missing| missing <= REST_BYTES_MAX);
        Self { total, close: close || !small }
    }

    /// No rest: the request was read, or is of no more use.
    pub(crate) fn none(close: bool) -> Self {
        Self { total: Some(0), close }
    }

    /// Whether the answer must say that the connection ends.
    pub(crate) fn closes(&self) -> bool {
        self.close
    }

    /// Sends the answer, then reads the rest away.
    pub(crate) async fn answer(&mut self, connection: &mut Connection, bytes: &[u8]) -> Next {
        connection.answered = true;
        connection.arm(connection.core.live().policy.server.deadlines.stall);
        if connection.client.send(&[bytes]).await.is_err() {
            return Next::Close;
        }
        let Some(total) = self.total.filter(|_| !self.close) else { return Next::Finish };
        connection.arm(REST_TIME);
        while connection.client.received.len() < total {
            let missing = total - connection.client.received.len();
            if connection.client.fill(missing).await.is_err() {
                return Next::Close;
            }
        }
        connection.client.consume(total);
        Next::Continue
    }
}
