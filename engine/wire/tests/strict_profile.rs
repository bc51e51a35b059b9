//! The strict profile of HTTP/1.1, row by row: whole connections in, what was served and how it
//! ended out.
//!
//! Each row is read once in one piece and once for each place where the network may cut it in two,
//! and byte by byte.
//! Format: <https://www.rfc-editor.org/rfc/rfc9112>

use faregate_wire::{BodyReader, HeadLimits, Slots, parse_request};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// Between two messages.
    Between,
    /// In the middle of one.
    Waiting,
    /// A head was refused with this status.
    Refused(u16),
    /// A body was malformed.
    BadBody,
}
use End::{BadBody, Between, Refused, Waiting};

/// What a server saw: the path and the body of each message, then the end.
#[derive(Debug, PartialEq)]
struct Seen {
    served: Vec<(String, Vec<u8>)>,
    end: End,
}

/// A connection as a server reads it: heads from all that is there, bodies as they come.
struct Server {
    received: Vec<u8>,
    body: Option<BodyReader>,
    closing: bool,
    seen: Seen,
}

impl Server {
    fn receive(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
        while matches!(self.seen.end, Between | Waiting) && !self.received.is_empty() && self.step()
        {
        }
    }

    /// Reads one head or one run of a body; false when more bytes are needed.
    fn step(&mut self) -> bool {
        if self.body.is_none() { self.head() } else { self.run() }
    }

    fn head(&mut self) -> bool {
        if self.closing {
            self.received.clear();
            return false;
        }
        self.seen.end = Waiting;
        let mut slots = Slots::new();
        let len = match parse_request(&self.received, &mut slots, &HeadLimits::default()) {
            Ok(None) => return false,
            Err(error) => {
                self.seen.end = Refused(error.status());
                return false;
            }
            Ok(Some(head)) => {
                self.seen.served.push((head.path.to_owned(), Vec::new()));
                self.closing = !head.keep_alive;
                self.body = Some(BodyReader::new(head.framing));
                head.len
            }
        };
        self.received.drain(..len);
        self.end_body_if_ended();
        true
    }

    fn run(&mut self) -> bool {
        let Some(body) = &mut self.body else { return false };
        match body.next(&self.received) {
            Err(_) => {
                self.seen.end = BadBody;
                return false;
            }
            Ok(piece) => {
                let (_, served) = self.seen.served.last_mut().expect("a body follows its head");
                served.extend_from_slice(piece.data);
                let consumed = piece.consumed;
                self.received.drain(..consumed);
            }
        }
        self.end_body_if_ended();
        true
    }

    fn end_body_if_ended(&mut self) {
        if self.body.as_ref().is_some_and(BodyReader::is_ended) {
            self.body = None;
            self.seen.end = Between;
        }
    }
}

fn serve<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let seen = Seen { served: Vec::new(), end: Between };
    let mut server = Server { received: Vec::new(), body: None, closing: false, seen };
    for piece in pieces {
        server.receive(piece);
    }
    server.seen
}

/// One connection: `served` as `path body`.
fn check(row: &str, wire: &str, served: &[&str], end: End) {
    let wire = wire.as_bytes();
    let whole = serve([wire]);
    let shown: Vec<_> =
        whole.served.iter().map(|(path, body)| format!("{path} {}", body.escape_ascii())).collect();
    assert_eq!(
        (shown.iter().map(String::as_str).collect::<Vec<_>>(), whole.end),
        (served.to_vec(), end),
        "{row}"
    );
    assert_eq!(serve(wire.chunks(1)), whole, "{row}, byte by byte");
    for at in 1..wire.len() {
        assert_eq!(serve([&wire[..at], &wire[at..]]), whole, "{row}, cut at {at}");
    }
}

/// A POST to `/a` with `fields`, `body`, and a request behind it that must never be served if the
/// first is refused.
fn post(fields: &str, body: &str) -> String {
    format!(
        "POST /a HTTP/1.1\r\nHost: gate.test\r\n{fields}\r\n{body}GET /next HTTP/1.1\r\nHost: gate.test\r\n\r\n"
    )
}

fn check_refused(row: &str, fields: &str, status: u16) {
    check(row, &post(fields, ""), &[], Refused(status));
}

fn check_bad_chunk(row: &str, body: &str, data: &str) {
    let wire = post("Transfer-Encoding: chunked\r\n", body);
    check(row, &wire, &[&format!("/a {data}")], BadBody);
}

#[test]
fn a_message_ends_where_its_framing_says_and_the_next_begins_there() {
    check("length", &post("Content-Length: 5\r\n", "hello"), &["/a hello", "/next "], Between);
    check("no framing", &post("", ""), &["/a ", "/next "], Between);
    check("length 0", &post("Content-Length: 0\r\n", ""), &["/a ", "/next "], Between);
    let chunks =
        post("Transfer-Encoding: chunked\r\n", "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nT: t\r\n\r\n");
    check("chunks", &chunks, &["/a hello!", "/next "], Between);
    check(
        "a request in a body",
        &post("Content-Length: 5\r\n", "GET /"),
        &["/a GET /", "/next "],
        Between,
    );
    check(
        "an open body",
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
        &["/a hell"],
        Waiting,
    );
    check("an open head", "POST /a HTTP/1.1\r\nHost: a\r\n", &[], Waiting);
    check("close", &post("Connection: close\r\n", ""), &["/a "], Between);
}

#[test]
fn nothing_is_read_behind_a_refused_head() {
    let clte = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    check("CL.TE", &post(clte, "0\r\n\r\n"), &[], Refused(400));
    let tecl = "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n";
    check("TE.CL", &post(tecl, "1\r\nZ\r\n0\r\n\r\n"), &[], Refused(400));
    let second = format!("GET /first HTTP/1.1\r\nHost: a\r\n\r\n{}", post(clte, ""));
    check("a bad message behind a good one", &second, &["/first "], Refused(400));
}

#[test]
fn transfer_encoding_in_disguise_is_refused() {
    for te in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding:\u{b}chunked",
        "X: x\r\n Transfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding:\u{a0}chunked",
        "Transfer-Encoding: chunked\0",
        "Transfer-Encoding: chun\u{212a}ed",
        "Transfer-Encoding: chunked;a=b",
        "Transfer_Encoding: chunked",
        "X: a\nTransfer-Encoding: chunked",
        "X: a\rTransfer-Encoding: chunked",
        "X: a\r\rTransfer-Encoding: chunked",
    ] {
        check_refused(te, &format!("{te}\r\n"), 400);
        check_refused(te, &format!("Content-Length: 5\r\n{te}\r\n"), 400);
    }
    check_refused("a coding that is not implemented", "Transfer-Encoding: gzip, chunked\r\n", 501);
    check(
        "in HTTP/1.0",
        "POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[],
        Refused(400),
    );
}

#[test]
fn a_length_with_two_readings_is_refused() {
    for cl in [
        "5\r\nContent-Length: 5",
        "5\r\nContent-Length: 6",
        "5, 5",
        "+5",
        "-5",
        "0x5",
        "5_0",
        "",
        "99999999999999999999",
    ] {
        check_refused(cl, &format!("Content-Length: {cl}\r\n"), 400);
    }
}

#[test]
fn lines_that_are_not_ended_by_crlf_are_refused() {
    check("LF behind the request line", "GET /a HTTP/1.1\nHost: a\r\n\r\n", &[], Refused(400));
    check_refused("LF behind a field", "X: y\n", 400);
    check("LF as the blank line", "GET /a HTTP/1.1\r\nHost: a\r\n\n", &[], Refused(400));
    check_refused("CR in a value", "X: y\rz\r\n", 400);
    check_refused("NUL in a value", "X: y\0z\r\n", 400);
    check_refused("NUL in a name", "X\0: y\r\n", 400);
}

#[test]
fn bad_chunks_end_the_connection_behind_the_data_that_were_sound() {
    for size in ["0x5", "+5", "-5", "5_0", "", " 5", "5 ", "11111111111111111", "G"] {
        check_bad_chunk(size, &format!("{size}\r\nhello\r\n0\r\n\r\n"), "");
    }
    check_bad_chunk("no CRLF behind data", "5\r\nhello0\r\n\r\n", "hello");
    check_bad_chunk("overrun", "3\r\nhello\r\n0\r\n\r\n", "hel");
    check_bad_chunk("LF in an extension, CVE-2025-55315", "2;\nxx\r\n2\r\nhe\r\n0\r\n\r\n", "");
    check_bad_chunk("CR in an extension", "2;a\rb\r\nhe\r\n0\r\n\r\n", "");
    check_bad_chunk("NUL in an extension", "2;\0\r\nhe\r\n0\r\n\r\n", "");
    check_bad_chunk("LF behind a size, CVE-2025-22871", "2\nhe\r\n0\r\n\r\n", "");
    check_bad_chunk("LF behind data", "2\r\nhe\n0\r\n\r\n", "he");
    check_bad_chunk("LF behind the last chunk", "2\r\nhe\r\n0\n\r\n", "he");
    check_bad_chunk("LF as the end", "2\r\nhe\r\n0\r\n\n", "he");
    check_bad_chunk("a trailer that is none", "0\r\nGET / HTTP/1.1\r\n\r\n", "");
}

#[test]
fn a_body_without_framing_is_no_body_in_http_1_0_either() {
    // Pingora CVE-2026-2835: what follows is not read as a body until close, nor as a request.
    check(
        "HTTP/1.0",
        "POST /a HTTP/1.0\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
        &["/a "],
        Between,
    );
}

#[test]
fn an_upgrade_changes_nothing() {
    // Pingora CVE-2026-2833, nghttpx CVE-2026-58055: the bytes behind the head stay HTTP, framed as
    // the fields say.
    let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n";
    check("with a body", &post(fields, "hello"), &["/a hello", "/next "], Between);
    check(
        "h2c",
        &post("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n", ""),
        &["/a ", "/next "],
        Between,
    );
}

#[test]
fn hosts_versions_and_methods_are_refused_with_their_status() {
    check("no host", "GET /a HTTP/1.1\r\n\r\n", &[], Refused(400));
    check_refused("two hosts", "Host: gate.test\r\n", 400);
    check("a host with a path", "GET /a HTTP/1.1\r\nHost: x/#@y\r\n\r\n", &[], Refused(400)); // CVE-2026-49468
    check("absolute form", "GET http://b/a HTTP/1.1\r\nHost: a\r\n\r\n", &["/a "], Between);
    check("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", &[], Refused(405));
    check("TRACE", "TRACE /a HTTP/1.1\r\nHost: a\r\n\r\n", &[], Refused(405));
    check("unknown", "BREW /a HTTP/1.1\r\nHost: a\r\n\r\n", &[], Refused(501));
    check("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[], Refused(505));
    check("TLS", "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03", &[], Refused(400));
    check_refused("expectation", "Expect: x\r\nContent-Length: 5\r\n", 417);
    check_refused("two principals", "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", 400);
}
