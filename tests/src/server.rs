//! Servers for what the scripted provider does not speak: TLS, Unix sockets, and any bytes that a test makes up.
//!
//! They give every request the same answer and keep what they have seen.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixListener,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};

use crate::wire::find;

const BODY: &str = r#"{"id":"x","object":"chat.completion","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;

/// What a server saw of one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The name that the client asked for by SNI.
    pub name: Option<String>,
    /// Whether an earlier session was taken up again.
    pub resumed: bool,
    /// The protocol agreed on.
    pub alpn: Option<String>,
    /// The head of the request; nothing when the handshake failed.
    pub head: Option<String>,
}

/// A server that runs until the test ends.
#[derive(Debug)]
pub struct Server {
    /// Where it listens, unless that is a Unix socket.
    pub address: SocketAddr,
    seen: Receiver<Seen>,
}

impl Server {
    /// A server that speaks TLS and closes each connection after one answer.
    pub fn tls(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let (tell, seen) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (config, tell) = (Arc::clone(&config), tell.clone());
                thread::spawn(move || serve_tls(stream, config, &tell));
            }
        });
        Self { address, seen }
    }

    /// A server that answers each request with these bytes, so many at a time, and keeps the connection unless `closes`.
    pub fn canned(answer: Vec<u8>, pieces: usize, closes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let (tell, seen) = channel();
        let answer: Arc<[u8]> = answer.into();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (answer, tell) = (Arc::clone(&answer), tell.clone());
                thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    while let Some(head) = read_request(&mut stream) {
                        let _ = tell.send(Seen { head: Some(head), ..Seen::default() });
                        let sent =
                            answer.chunks(pieces).try_for_each(|piece| stream.write_all(piece));
                        if sent.is_err() || closes {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// A server behind a Unix socket.
    pub fn unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("the folder can be written");
        let (tell, seen) = channel();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let head = answer(&mut stream);
                let _ = tell.send(Seen { head, ..Seen::default() });
            }
        });
        Self { address: SocketAddr::from(([0, 0, 0, 0], 0)), seen }
    }

    /// The next connection, once it is over.
    pub fn next(&self) -> Seen {
        self.seen.recv_timeout(crate::wait::LONG).expect("somebody connects")
    }

    /// Whether nobody else has connected.
    pub fn is_quiet(&self) -> bool {
        self.seen.recv_timeout(Duration::from_millis(50)).is_err()
    }
}

fn serve_tls(stream: TcpStream, config: Arc<ServerConfig>, tell: &Sender<Seen>) {
    let connection = ServerConnection::new(config).expect("the configuration is right");
    let mut stream = StreamOwned::new(connection, stream);
    let head = answer(&mut stream);
    let connection = &mut stream.conn;
    let seen = Seen {
        name: connection.server_name().map(str::to_owned),
        resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        alpn: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        head,
    };
    connection.send_close_notify();
    let _ = stream.flush();
    let _ = tell.send(seen);
}

/// Reads one request whole and answers it; its head.
fn answer<S: Read + Write>(stream: &mut S) -> Option<String> {
    let head = read_request(stream)?;
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{BODY}",
        BODY.len()
    );
    stream.write_all(answer.as_bytes()).and_then(|()| stream.flush()).ok()?;
    Some(head)
}

/// Reads one request whole; its head.
fn read_request<S: Read>(stream: &mut S) -> Option<String> {
    let mut received = Vec::new();
    let head_end = fill(stream, &mut received, |bytes| find(bytes, b"\r\n\r\n"))? + 4;
    let head = String::from_utf8_lossy(&received[..head_end]).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    fill(stream, &mut received, |bytes| (bytes.len() >= head_end + length).then_some(0))?;
    Some(head)
}

fn fill<S: Read>(
    stream: &mut S,
    received: &mut Vec<u8>,
    enough: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(found) = enough(received) {
            return Some(found);
        }
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => received.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
    }
}
