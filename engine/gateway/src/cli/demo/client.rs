//! A blocking HTTP/1.1 client, as small as the demo needs.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use faregate_wire::{BodyReader, HeadLimits, Method, Slots, parse_response};

/// How long an answer may take before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A keep-alive connection.
pub(super) struct Client {
    address: SocketAddr,
    key: String,
    stream: TcpStream,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    /// The status.
    pub(super) status: u16,
    /// `x-faregate-route`.
    pub(super) route: String,
    /// `retry-after`.
    pub(super) retry_after: Option<String>,
    /// The body, without framing.
    pub(super) body: String,
    /// To the first byte of the body.
    pub(super) first: Duration,
    /// To the last byte.
    pub(super) total: Duration,
}

impl Reply {
    /// `error.code` of an answer in OpenAI's shape.
    pub(super) fn code(&self) -> &str {
        let Some(at) = self.body.find("\"code\":\"") else { return "" };
        self.body[at + 8..].split('"').next().unwrap_or_default()
    }
}

impl Client {
    /// Connects.
    pub(super) fn connect(address: SocketAddr, key: &str) -> io::Result<Self> {
        Ok(Self { address, key: key.to_owned(), stream: dial(address)? })
    }

    /// Posts a chat completion.
    pub(super) fn chat(&mut self, model: &str, prompt: &str, stream: bool) -> io::Result<Reply> {
        let mut body = b"{\"model\":".to_vec();
        faregate_wire::quote(&mut body, model);
        body.extend_from_slice(b",\"messages\":[{\"role\":\"user\",\"content\":");
        faregate_wire::quote(&mut body, prompt);
        body.extend_from_slice(b"}]");
        body.extend_from_slice(if stream { b",\"stream\":true}" } else { b"}" });
        self.post("/v1/chat/completions", &body)
    }

    fn post(&mut self, path: &str, body: &[u8]) -> io::Result<Reply> {
        let mut request = Vec::with_capacity(256 + body.len());
        write!(
            request,
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            self.key,
            body.len()
        )?;
        request.extend_from_slice(body);
        let begun = now();
        self.stream.write_all(&request)?;
        let (reply, keep_alive) = self.read(begun)?;
        if !keep_alive {
            self.stream = dial(self.address)?;
        }
        Ok(reply)
    }

    fn read(&mut self, begun: Instant) -> io::Result<(Reply, bool)> {
        let mut bytes = Vec::new();
        let mut slots = Slots::new();
        let head = loop {
            self.more(&mut bytes)?;
            let found = parse_response(&bytes, &mut slots, &HeadLimits::default(), Method::Post)
                .map_err(bad)?;
            if let Some(head) = found {
                let text = |name: &[u8]| {
                    let value = head.header(name)?;
                    Some(String::from_utf8_lossy(value).into_owned())
                };
                let route = text(b"x-faregate-route").unwrap_or_default();
                break (
                    head.len,
                    head.status,
                    head.framing,
                    head.keep_alive,
                    route,
                    text(b"retry-after"),
                );
            }
            slots = Slots::new();
        };
        let (len, status, framing, keep_alive, route, retry_after) = head;
        let mut reader = BodyReader::new(framing);
        let mut body = Vec::new();
        let mut first = None;
        bytes.drain(..len);
        while !reader.is_ended() {
            let piece = reader.next(&bytes).map_err(bad)?;
            body.extend_from_slice(piece.data);
            let (used, end) = (piece.consumed, piece.end);
            if !body.is_empty() {
                first.get_or_insert_with(|| begun.elapsed());
            }
            bytes.drain(..used);
            if !end && bytes.is_empty() {
                self.more(&mut bytes)?;
            }
        }
        let total = begun.elapsed();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok((
            Reply { status, route, retry_after, body, first: first.unwrap_or(total), total },
            keep_alive,
        ))
    }

    fn more(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        match read(&mut self.stream, &mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                bytes.extend_from_slice(&piece[..n]);
                Ok(())
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client measures what a user would; it is no part of the gateway"
)]
fn now() -> Instant {
    Instant::now()
}

fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn bad(error: impl std::fmt::Debug) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{error:?}"))
}

/// Reads what has come. A ring that was closed on this thread a moment ago may interrupt the wait.
fn read(stream: &mut TcpStream, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
