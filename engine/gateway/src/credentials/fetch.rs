//! A blocking HTTP client for the few small answers of token services and webhooks: one connection, one request, one deadline.
//!
//! In: a method, a URL, fields, a body. Out: the status and the body. Heads and bodies are read by the same strict code as
//! providers' answers. It must never run on a core.

use std::{
    cell::OnceCell,
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    sync::Arc,
    time::Duration,
};

use faregate_adapters::auth::Seconds;
use faregate_wire::{BodyReader, Framing, HeadLimits, Method, Slots, parse_response};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

use crate::{
    clock::{Clock, Instant},
    reply::{write_field, write_number_field},
    tls,
};

/// The longest that a service of the machine itself, or of its network, may take to accept a connection.
const CONNECT_NEAR: Duration = Duration::from_secs(1);

/// The same for a service elsewhere.
const CONNECT_FAR: Duration = Duration::from_secs(5);

/// The longest that one exchange may take.
const EXCHANGE: Duration = Duration::from_secs(10);

/// The largest answer, its head included.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Names authorities for AWS's services, in place of the system's.
pub(crate) const CA_VARIABLE: &str = "AWS_CA_BUNDLE";

/// What credentials are fetched with: sockets, files, variables, clocks.
pub(crate) struct Fetcher {
    /// Monotonic, and the wall's.
    pub(crate) clock: Clock,
    variables: Box<dyn Fn(&str) -> Option<String>>,
    tls: OnceCell<Result<Arc<ClientConfig>, String>>,
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// `GET`, `PUT` or `POST`.
    pub(crate) method: Method,
    /// `http` or `https`.
    pub(crate) url: &'a str,
    /// Head fields beside the host and the length.
    pub(crate) fields: &'a [(&'a str, &'a str)],
    /// The body.
    pub(crate) body: &'a [u8],
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Told {
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// The parts of a URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// Whether TLS is spoken.
    pub(crate) secured: bool,
    /// With the port, where it says one.
    pub(crate) authority: &'a str,
    /// Without brackets.
    pub(crate) host: &'a str,
    /// The scheme's, unless it says one.
    pub(crate) port: u16,
    /// The path and the query.
    pub(crate) path: &'a str,
}

impl Fetcher {
    /// What fetches with these variables.
    pub(crate) fn new(clock: Clock, variables: impl Fn(&str) -> Option<String> + 'static) -> Self {
        Self { clock, variables: Box::new(variables), tls: OnceCell::new() }
    }

    /// An environment variable; an empty one counts as none.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.trim().is_empty())
    }

    /// Now, on the wall clock.
    pub(super) fn wall(&self) -> Seconds {
        super::seconds(self.clock.wall())
    }

    /// Asks, and gives back an answer of any status.
    ///
    /// # Errors
    ///
    /// A sentence without what was sent.
    pub(crate) fn ask(&self, ask: &Ask<'_>) -> Result<Told, String> {
        let parts = parts(ask.url).ok_or("the address is no URL of http or https")?;
        self.exchange(ask, &parts).map_err(|error| format!("{}: {error}", parts.authority))
    }

    /// Asks, and gives back the body of a 200.
    ///
    /// # Errors
    ///
    /// A sentence without what was sent or received.
    pub(super) fn body(&self, ask: &Ask<'_>) -> Result<Vec<u8>, String> {
        let told = self.ask(ask)?;
        match told.status {
            200 => Ok(told.body),
            status => Err(format!("{} answers {status}", ask.method.as_str())),
        }
    }

    fn exchange(&self, ask: &Ask<'_>, parts: &Parts<'_>) -> Result<Told, String> {
        let end = self.clock.now().after(EXCHANGE);
        let socket = connect(parts).map_err(|error| error.to_string())?;
        let mut wire: Box<dyn Wire> = match parts.secured {
            false => Box::new(socket),
            true => {
                let config = self.tls.get_or_init(|| self.authorities()).clone()?;
                let name = ServerName::try_from(parts.host.to_owned())
                    .map_err(|error| error.to_string())?;
                let connection =
                    ClientConnection::new(config, name).map_err(|error| error.to_string())?;
                Box::new(StreamOwned::new(connection, socket))
            }
        };
        wire.write_all(&request(ask, parts)).map_err(|error| error.to_string())?;
        wire.flush().map_err(|error| error.to_string())?;
        self.answer(&mut *wire, ask.method, end)
    }

    fn authorities(&self) -> Result<Arc<ClientConfig>, String> {
        tls::client_config(self.variable(CA_VARIABLE).as_deref().map(Path::new), false)
    }

    fn answer(&self, wire: &mut dyn Wire, method: Method, end: Instant) -> Result<Told, String> {
        let mut received = Vec::new();
        loop {
            if let Some(told) = read(&received, method, false)? {
                return Ok(told);
            }
            if received.len() > ANSWER_BYTES_MAX {
                return Err("the answer is too long".to_owned());
            }
            let left = Duration::from_nanos(end.since(self.clock.now()));
            if left.is_zero() {
                return Err("no whole answer in time".to_owned());
            }
            wire.patience(left).map_err(|error| error.to_string())?;
            let mut piece = [0; 4096];
            match wire.read(&mut piece) {
                Ok(0) => {
                    let cut = || "the connection was closed before an answer".to_owned();
                    return read(&received, method, true)?.ok_or_else(cut);
                }
                Ok(n) => received.extend_from_slice(&piece[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// A connection, in the clear or by TLS.
trait Wire: Read + Write {
    /// How long a read may take.
    fn patience(&mut self, most: Duration) -> io::Result<()>;
}

impl Wire for TcpStream {
    fn patience(&mut self, most: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(most))
    }
}

impl Wire for StreamOwned<ClientConnection, TcpStream> {
    fn patience(&mut self, most: Duration) -> io::Result<()> {
        self.sock.set_read_timeout(Some(most))
    }
}

/// The parts of a URL of `http` or `https`; `None` for others.
pub(crate) fn parts(url: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let secured = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let (authority, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let port_usual = if secured { 443 } else { 80 };
    let (host, port) = match authority.strip_prefix('[') {
        Some(inside) => {
            let (host, rest) = inside.split_once(']')?;
            (host, rest.strip_prefix(':').map_or(Some(port_usual), |port| port.parse().ok())?)
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, port_usual),
        },
    };
    let is_plain = |text: &str| text.bytes().all(|b| (0x21..0x7f).contains(&b));
    (!host.is_empty() && is_plain(url) && !authority.contains('@')).then_some(Parts {
        secured,
        authority,
        host,
        port,
        path,
    })
}

fn connect(parts: &Parts<'_>) -> io::Result<TcpStream> {
    let patience = if parts.secured { CONNECT_FAR } else { CONNECT_NEAR };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (parts.host, parts.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                socket.set_read_timeout(Some(EXCHANGE))?;
                socket.set_write_timeout(Some(EXCHANGE))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn request(ask: &Ask<'_>, parts: &Parts<'_>) -> Vec<u8> {
    let slash = if parts.path.starts_with('/') { "" } else { "/" };
    let method = ask.method.as_str();
    let mut out = format!("{method} {slash}{} HTTP/1.1\r\n", parts.path).into_bytes();
    write_field(&mut out, b"host", parts.authority.as_bytes());
    write_field(&mut out, b"user-agent", b"faregate");
    write_field(&mut out, b"accept", b"*/*");
    write_field(&mut out, b"connection", b"close");
    for (name, value) in ask.fields {
        write_field(&mut out, name.as_bytes(), value.as_bytes());
    }
    if !matches!(ask.method, Method::Get) {
        write_number_field(&mut out, b"content-length", ask.body.len() as u64);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(ask.body);
    out
}

/// Reads an answer; `None` while it is not whole. `closed` says that nothing follows.
fn read(received: &[u8], method: Method, closed: bool) -> Result<Option<Told>, String> {
    let mut slots = Slots::new();
    let head = parse_response(received, &mut slots, &HeadLimits::default(), method)
        .map_err(|error| error.reason().to_owned())?;
    let Some(head) = head else { return Ok(None) };
    if head.status < 200 {
        return read(&received[head.len..], method, closed);
    }
    let (mut reader, mut body) = (BodyReader::new(head.framing), Vec::new());
    let mut rest = &received[head.len..];
    while !reader.is_ended() && !rest.is_empty() {
        let piece = reader.next(rest).map_err(|_| "the answer's chunks are malformed")?;
        body.extend_from_slice(piece.data);
        rest = &rest[piece.consumed..];
    }
    let whole = reader.is_ended() || (closed && matches!(head.framing, Framing::UntilClose));
    Ok(whole.then_some(Told { status: head.status, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let check = |url, host, port, path| {
            let parts = parts(url).unwrap();
            assert_eq!((parts.host, parts.port, parts.path), (host, port, path), "{url}");
        };
        check("https://sts.us-east-1.amazonaws.com", "sts.us-east-1.amazonaws.com", 443, "/");
        check("http://169.254.170.2/v2/x?a=b", "169.254.170.2", 80, "/v2/x?a=b");
        check("http://[fd00:ec2::23]:81/v1", "fd00:ec2::23", 81, "/v1");
        for wrong in ["", "ftp://a/", "http://", "http://u:p@h/", "http://h:x/", "http://h/a b"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_answer_is_whole_or_none() {
        let wire =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
            2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        for cut in 0..wire.len() {
            assert!(read(&wire[..cut], Method::Get, true).unwrap().is_none(), "cut at {cut}");
        }
        let told = read(wire, Method::Get, false).unwrap().unwrap();
        assert_eq!((told.status, &told.body[..]), (200, &b"abc"[..]));
        let open = b"HTTP/1.1 404 Not Found\r\n\r\nx";
        assert!(read(open, Method::Get, false).unwrap().is_none());
        assert_eq!(read(open, Method::Get, true).unwrap().unwrap().status, 404);
        assert!(read(b"SSH-2.0-x\r\n", Method::Get, false).is_err());
    }
}
