//! A client's end of a connection: bytes out as given, answers in as strictly as the RFC reads.
//!
//! Format: <https://www.rfc-editor.org/rfc/rfc9112>. Anything a lenient client would forgive fails the test.

use std::{
    fmt,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

use crate::wait::LONG;

/// Both directions of a byte stream.
pub trait Duplex: Read + Write + Send {}

impl<T: Read + Write + Send> Duplex for T {}

/// One connection.
pub struct Wire {
    stream: Box<dyn Duplex>,
    socket: Option<TcpStream>,
    /// Received and not yet read.
    pending: Vec<u8>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

/// One whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The fields, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Answer {
    /// The only field of that name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        only(&self.headers, name)
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The `error.code` of the body.
    #[track_caller]
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or("").to_owned()
    }
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// So many bytes.
    Length(usize),
    /// By the last chunk.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// The fields, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// How its body is framed.
    pub framing: Framing,
}

impl Head {
    /// The only field of that name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        only(&self.headers, name)
    }
}

impl Wire {
    /// Connects to `address` in the clear.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("the gateway accepts connections")
    }

    /// Connects to `address` in the clear.
    ///
    /// # Errors
    ///
    /// Those of connecting.
    pub fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LONG))?;
        stream.set_write_timeout(Some(LONG))?;
        let socket = stream.try_clone()?;
        Ok(Self { stream: Box::new(stream), socket: Some(socket), pending: Vec::new() })
    }

    /// A connection over a stream of another kind.
    pub fn over(stream: Box<dyn Duplex>) -> Self {
        Self { stream, socket: None, pending: Vec::new() }
    }

    /// The socket below, where there is one.
    pub fn socket(&self) -> &TcpStream {
        self.socket.as_ref().expect("the connection is in the clear")
    }

    /// Sends these bytes.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("the gateway takes bytes");
    }

    /// Sends these bytes.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Sends these bytes, one piece a write.
    #[track_caller]
    pub fn send_pieces<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) {
        for piece in pieces {
            self.send(piece);
        }
    }

    /// Says that no more will be sent.
    pub fn half_close(&self) {
        self.socket().shutdown(std::net::Shutdown::Write).expect("the connection is open");
    }

    /// Closes with RST instead of FIN.
    pub fn reset(self) {
        set_linger_zero(self.socket());
    }

    /// Waits so long for bytes from now on.
    pub fn patience(&self, time: Duration) {
        self.socket().set_read_timeout(Some(time)).expect("the connection is open");
    }

    /// The next whole answer to a request that was not HEAD, interim ones passed over.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        self.try_answer().unwrap_or_else(|error| panic!("no whole answer: {error}"))
    }

    /// The next whole answer to a request that was not HEAD, interim ones passed over.
    ///
    /// # Errors
    ///
    /// A sentence that says where the answer broke off.
    pub fn try_answer(&mut self) -> Result<Answer, String> {
        let mut head = self.try_head()?;
        while head.status < 200 {
            head = self.try_head()?;
        }
        let body = self.try_body(head.framing)?;
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// The next head, which may be an interim one.
    #[track_caller]
    pub fn head(&mut self) -> Head {
        self.try_head().unwrap_or_else(|error| panic!("no head: {error}"))
    }

    /// The next head, which may be an interim one.
    ///
    /// # Errors
    ///
    /// A sentence that says where it broke off.
    pub fn try_head(&mut self) -> Result<Head, String> {
        let end = self.fill_until(b"\r\n\r\n")?;
        let text = String::from_utf8(self.pending.drain(..end).collect())
            .map_err(|_| "the head is not UTF-8".to_owned())?;
        Ok(read_head(&text))
    }

    /// The rest of a body.
    ///
    /// # Errors
    ///
    /// A sentence that says where it broke off.
    pub fn try_body(&mut self, framing: Framing) -> Result<Vec<u8>, String> {
        match framing {
            Framing::None => Ok(Vec::new()),
            Framing::Length(length) => self.take(length),
            Framing::UntilClose => Ok(self.rest()),
            Framing::Chunked => {
                let mut body = Vec::new();
                while let Some(chunk) = self.try_chunk()? {
                    body.extend(chunk);
                }
                Ok(body)
            }
        }
    }

    /// The next chunk of a chunked body; `None` when the last one has come.
    ///
    /// # Errors
    ///
    /// A sentence that says where it broke off.
    pub fn try_chunk(&mut self) -> Result<Option<Vec<u8>>, String> {
        let end = self.fill_until(b"\r\n")?;
        let line: Vec<u8> = self.pending.drain(..end).collect();
        let digits = std::str::from_utf8(&line[..end - 2]).unwrap_or("?");
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(plain, "a chunk's size must be hex digits alone: {digits:?}");
        let size = usize::from_str_radix(digits, 16).map_err(|error| error.to_string())?;
        let data = self.take(size)?;
        let end = self.take(2)?;
        assert_eq!(end, b"\r\n", "a chunk ends with CRLF, and nothing lies behind the last one");
        Ok((size > 0).then_some(data))
    }

    /// All that comes until the gateway closes; what breaks the connection ends it too.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill().is_ok_and(|n| n > 0) {}
        std::mem::take(&mut self.pending)
    }

    /// Whether the gateway closes the connection without another byte.
    pub fn is_closed(&mut self) -> bool {
        if !self.pending.is_empty() {
            return false;
        }
        match self.fill() {
            Ok(n) => n == 0,
            Err(error) => !would_block(&error),
        }
    }

    /// Bytes that have arrived and were not read yet, after one more look at the socket.
    pub fn arrived(&mut self) -> usize {
        self.socket().set_nonblocking(true).expect("the connection is open");
        while self.fill().is_ok_and(|n| n > 0) {}
        self.socket().set_nonblocking(false).expect("the connection is open");
        self.pending.len()
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, String> {
        while self.pending.len() < length {
            self.fill_some(length)?;
        }
        Ok(self.pending.drain(..length).collect())
    }

    fn fill_until(&mut self, mark: &[u8]) -> Result<usize, String> {
        let mut from = 0;
        loop {
            if let Some(at) = find(&self.pending[from..], mark) {
                return Ok(from + at + mark.len());
            }
            from = self.pending.len().saturating_sub(mark.len() - 1);
            self.fill_some(0)?;
        }
    }

    fn fill_some(&mut self, wanted: usize) -> Result<(), String> {
        let have = self.pending.len();
        match self.fill() {
            Ok(0) => Err(format!("closed after {have} of {wanted} bytes")),
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{error} after {have} of {wanted} bytes")),
        }
    }

    fn fill(&mut self) -> std::io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let n = loop {
            match self.stream.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                outcome => break outcome?,
            }
        };
        self.pending.extend_from_slice(&buffer[..n]);
        Ok(n)
    }
}

/// The place of `needle` in `hay`.
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

fn would_block(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

fn only<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let first = found.next();
    assert_eq!(found.next(), None, "the field {name} occurs twice");
    first
}

/// Reads a head whose blank line is there.
fn read_head(text: &str) -> Head {
    let mut lines = text.strip_suffix("\r\n\r\n").expect("a head ends").split("\r\n");
    let first = lines.next().unwrap_or("");
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| {
        let (status, reason) = rest.split_once(' ')?;
        (status.len() == 3 && !reason.contains(char::is_control)).then(|| status.parse().ok())?
    });
    let status: u16 = status.unwrap_or_else(|| panic!("not a status line: {first:?}"));
    let headers: Vec<_> = lines.map(read_field).collect();
    let framing = framing(status, &headers);
    Head { status, headers, framing }
}

fn read_field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("not a field: {line:?}"));
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    assert!(!name.is_empty() && name.bytes().all(token), "not a field's name: {line:?}");
    assert!(!value.contains(['\r', '\n', '\0']), "not a field's value: {line:?}");
    (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned())
}

fn framing(status: u16, headers: &[(String, String)]) -> Framing {
    let length = only(headers, "content-length");
    let coding = only(headers, "transfer-encoding");
    assert!(length.is_none() || coding.is_none(), "a length beside a transfer coding: {headers:?}");
    match (status, length, coding) {
        (100..200 | 204 | 304, _, None) => Framing::None,
        (_, Some(length), _) => Framing::Length(length.parse().expect("a length is a number")),
        (_, None, Some("chunked")) => Framing::Chunked,
        (_, None, Some(other)) => panic!("the transfer coding {other}"),
        (_, None, None) => Framing::UntilClose,
    }
}

#[expect(unsafe_code, reason = "std has no SO_LINGER yet")]
pub(crate) fn set_linger_zero(socket: &TcpStream) {
    use std::os::fd::AsRawFd;
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let length = u32::try_from(size_of::<libc::linger>()).expect("it is small");
    // SAFETY: the pointer and the length are those of `linger`, which outlives the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            std::ptr::from_ref(&linger).cast(),
            length,
        )
    };
    assert_eq!(set, 0, "SO_LINGER");
}
