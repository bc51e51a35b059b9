//! The head of a request, judged as the strictest provider would.
//!
//! In: the bytes received so far and what this provider expects. Out: the few facts an answer
//! depends on, or the [`Refusal`]. Nothing is remembered between calls.
//! Rules: <https://www.rfc-editor.org/rfc/rfc9112>; anything ambiguous is a breach.

use std::ops::Range;

use memchr::{memchr_iter, memmem};

use super::Settings;
use super::credential::Presented;
use super::dialect::Dialect;
use super::refusal::{Reason, Refusal};

/// Bytes of a request's head.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;

/// Fields of a request's head.
const FIELDS_MAX: usize = 128;

/// What a field's name says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Host,
    Script,
    Expect,
    Connection,
    ContentType,
    RequestId,
    Authorization,
    ApiKey,
    GoogleKey,
    AzureKey,
    Version,
    Replay,
    ContentLength,
    TransferEncoding,
    /// May occur once, means nothing here.
    Once,
    /// Ends at the next hop, and so must never arrive here.
    HopByHop,
    /// A credential of another dialect.
    Foreign,
    Other,
}

impl Field {
    fn of(name: &str) -> Field {
        let one = |known: &[(&str, Field)]| {
            let found = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map_or(Field::Other, |(_, field)| *field)
        };
        match name.len() {
            2 => one(&[("te", Field::HopByHop)]),
            4 => one(&[("host", Field::Host)]),
            5 => one(&[("x-sim", Field::Script)]),
            6 => one(&[
                ("accept", Field::Once),
                ("expect", Field::Expect),
                ("cookie", Field::Foreign),
            ]),
            7 => one(&[
                ("upgrade", Field::HopByHop),
                ("trailer", Field::HopByHop),
                ("api-key", Field::AzureKey),
            ]),
            8 => one(&[("x-replay", Field::Replay)]),
            9 => one(&[("x-api-key", Field::ApiKey)]),
            10 => one(&[
                ("user-agent", Field::Once),
                ("connection", Field::Connection),
                ("keep-alive", Field::HopByHop),
            ]),
            12 => one(&[("content-type", Field::ContentType), ("x-request-id", Field::RequestId)]),
            13 => one(&[("authorization", Field::Authorization)]),
            14 => one(&[
                ("content-length", Field::ContentLength),
                ("http2-settings", Field::HopByHop),
                ("x-goog-api-key", Field::GoogleKey),
            ]),
            16 => one(&[("content-encoding", Field::Once), ("proxy-connection", Field::HopByHop)]),
            17 => one(&[
                ("transfer-encoding", Field::TransferEncoding),
                ("anthropic-version", Field::Version),
            ]),
            18 => one(&[("proxy-authenticate", Field::HopByHop)]),
            19 => one(&[("proxy-authorization", Field::HopByHop)]),
            _ => Field::Other,
        }
    }

    /// The place of a field that may occur once in [`Seen::once`].
    fn once(self, name: &str) -> Option<u32> {
        match self {
            Field::Expect => Some(0),
            Field::ContentType => Some(1),
            Field::RequestId => Some(2),
            Field::Authorization => Some(3),
            Field::ApiKey => Some(4),
            Field::GoogleKey => Some(5),
            Field::AzureKey => Some(8),
            Field::Version => Some(7),
            // Their names differ in length.
            Field::Once => u32::try_from(name.len()).ok(),
            _ => None,
        }
    }
}

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// How the body of a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// What a head said, as ranges of the bytes it was read from.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) len: usize,
    pub(crate) method: Range<usize>,
    pub(crate) target: Range<usize>,
    pub(crate) framing: Framing,
    pub(crate) expects_continue: bool,
    pub(crate) closes: bool,
    pub(crate) is_json: bool,
    pub(crate) script: Option<Range<usize>>,
    pub(crate) request_id: Option<Range<usize>>,
    pub(crate) authorization: Option<Range<usize>>,
    pub(crate) replay: Option<Range<usize>>,
    /// In whose words the request is spelled.
    pub(crate) dialect: Dialect,
    api_key: Option<Range<usize>>,
    google_key: Option<Range<usize>>,
    azure_key: Option<Range<usize>>,
    has_version: bool,
}

impl Head {
    /// Reads a head from the front of `bytes`; `None` until it is complete.
    pub(crate) fn read(bytes: &[u8], settings: &Settings) -> Result<Option<Head>, Refusal> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut request = httparse::Request::new(&mut fields);
        let len = match request.parse(bytes) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Ok(None),
            Ok(httparse::Status::Partial) => {
                return Err(Refusal::new(Reason::HeadTooLarge, "head longer than 64 KiB"));
            }
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Refusal::new(Reason::HeadTooLarge, "more than 128 fields"));
            }
            Err(error) => return Err(malformed(&error.to_string())),
        };
        let bare = |at: usize| at == 0 || bytes[at - 1] != b'\r';
        if bytes.starts_with(b"\r\n") || memchr_iter(b'\n', &bytes[..len]).any(bare) {
            return Err(malformed("bare line feed"));
        }
        let mut head = first_line(bytes, len, &request)?;
        let mut seen = Seen::default();
        for field in request.headers.iter() {
            head.note(bytes, field, &mut seen, settings)
                .map_err(|refusal| refusal.told_by(head.dialect))?;
        }
        let outcome = head.conclude(&seen, settings, &bytes[..len]);
        outcome.map_err(|refusal| refusal.told_by(head.dialect))?;
        Ok(Some(head))
    }

    fn note(
        &mut self,
        bytes: &[u8],
        field: &httparse::Header<'_>,
        seen: &mut Seen,
        settings: &Settings,
    ) -> Result<(), Refusal> {
        let place = || Some(place_of(bytes, field.value));
        let known = Field::of(field.name);
        seen.once(known, field.name)?;
        match known {
            Field::Host => seen.host(field.value, settings)?,
            Field::Script => self.script = place(),
            Field::Expect => self.expects_continue = expectation(field.value)?,
            Field::Connection => self.closes = connection(field.value)?,
            Field::ContentType => self.is_json = is_json(field.value),
            Field::RequestId => self.request_id = place(),
            Field::Authorization => self.authorization = place(),
            Field::ApiKey => self.api_key = place(),
            Field::GoogleKey => self.google_key = place(),
            Field::AzureKey => self.azure_key = place(),
            Field::Version => self.has_version = true,
            Field::Replay => self.replay = place(),
            Field::ContentLength => seen.length(field.value)?,
            Field::TransferEncoding => seen.chunked(field.value)?,
            Field::HopByHop => {
                return Err(Refusal::new(
                    Reason::HopByHop,
                    format!("field {} arrived", field.name),
                ));
            }
            Field::Foreign => {
                let message = format!("credential in field {}", field.name);
                return Err(Refusal::new(Reason::ForeignCredential, message));
            }
            Field::Once | Field::Other => {}
        }
        Ok(())
    }

    fn conclude(&mut self, seen: &Seen, settings: &Settings, head: &[u8]) -> Result<(), Refusal> {
        if !seen.host {
            return Err(Refusal::new(Reason::HostMissing, "no host field"));
        }
        self.framing = match (seen.length, seen.chunked) {
            (Some(_), true) => {
                let message = "content-length beside transfer-encoding";
                return Err(Refusal::new(Reason::LengthAndChunked, message));
            }
            (None, true) => Framing::Chunked,
            (Some(length), false) => Framing::Length(length),
            (None, false) if matches!(&head[self.method.clone()], b"POST" | b"PUT" | b"PATCH") => {
                return Err(Refusal::new(Reason::LengthMissing, "request without a length"));
            }
            (None, false) => Framing::Length(0),
        };
        let leaked = |canary: &&String| memmem::find(head, canary.as_bytes()).is_some();
        if let Some(canary) = settings.canaries.iter().find(leaked) {
            let message = format!("a client's key ({canary}…) reached the provider");
            return Err(Refusal::new(Reason::ClientKey, message));
        }
        self.authorize(settings, head)
    }

    /// Judges the credential: one, under the name that the dialect uses, and known.
    fn authorize(&mut self, settings: &Settings, head: &[u8]) -> Result<(), Refusal> {
        let text = |place: &Range<usize>| std::str::from_utf8(&head[place.clone()]).unwrap_or("");
        let target = text(&self.target);
        self.dialect = Dialect::of(target, self.has_version, self.google_key.is_some());
        let presented = Presented {
            authorization: self.authorization.as_ref().map(text),
            api_key: self.api_key.as_ref().map(text),
            google_key: self.google_key.as_ref().map(text),
            azure_key: self.azure_key.as_ref().map(text),
            target,
        };
        presented.judge(self.dialect, &settings.keys)
    }
}

/// What the fields seen so far have said.
#[derive(Default)]
struct Seen {
    host: bool,
    length: Option<usize>,
    chunked: bool,
    once: u32,
}

impl Seen {
    fn once(&mut self, field: Field, name: &str) -> Result<(), Refusal> {
        let Some(place) = field.once(name) else { return Ok(()) };
        if self.once & 1 << place != 0 {
            return Err(Refusal::new(Reason::FieldRepeated, format!("field {name} twice")));
        }
        self.once |= 1 << place;
        Ok(())
    }

    fn host(&mut self, value: &[u8], settings: &Settings) -> Result<(), Refusal> {
        if self.host {
            return Err(Refusal::new(Reason::HostRepeated, "field host twice"));
        }
        self.host = true;
        if settings.hosts.is_empty() || settings.hosts.iter().any(|host| host.as_bytes() == value) {
            return Ok(());
        }
        let message = format!("host {} is not this provider", String::from_utf8_lossy(value));
        Err(Refusal::new(Reason::HostWrong, message))
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(value).ok().filter(|_| digits);
        let number = number.and_then(|text| text.parse().ok()).ok_or_else(|| {
            Refusal::new(Reason::LengthMalformed, "content-length is not a decimal number")
        })?;
        if self.length.replace(number).is_some() {
            return Err(Refusal::new(Reason::LengthRepeated, "field content-length twice"));
        }
        Ok(())
    }

    fn chunked(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            let message = "transfer-encoding is not one chunked";
            return Err(Refusal::new(Reason::TransferCoding, message));
        }
        self.chunked = true;
        Ok(())
    }
}

fn first_line(
    bytes: &[u8],
    len: usize,
    request: &httparse::Request<'_, '_>,
) -> Result<Head, Refusal> {
    let method = request.method.unwrap_or_default();
    let target = request.path.unwrap_or_default();
    if request.version != Some(1) {
        return Err(Refusal::new(Reason::Version, "only HTTP/1.1 is spoken here"));
    }
    if !METHODS.contains(&method) {
        return Err(Refusal::new(Reason::Method, format!("method {method}")));
    }
    if !target.starts_with('/') || target.contains('#') {
        return Err(Refusal::new(Reason::TargetForm, format!("target {target} is not a path")));
    }
    Ok(Head {
        len,
        method: place_of(bytes, method.as_bytes()),
        target: place_of(bytes, target.as_bytes()),
        framing: Framing::Length(0),
        expects_continue: false,
        closes: false,
        is_json: false,
        script: None,
        request_id: None,
        authorization: None,
        replay: None,
        dialect: Dialect::of(target, false, false),
        api_key: None,
        google_key: None,
        azure_key: None,
        has_version: false,
    })
}

/// Where `part`, a slice of `whole`, lies in it.
fn place_of(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

fn expectation(value: &[u8]) -> Result<bool, Refusal> {
    if value.eq_ignore_ascii_case(b"100-continue") {
        return Ok(true);
    }
    Err(Refusal::new(Reason::Expectation, "expectation other than 100-continue"))
}

fn connection(value: &[u8]) -> Result<bool, Refusal> {
    if value.eq_ignore_ascii_case(b"close") {
        return Ok(true);
    }
    if value.eq_ignore_ascii_case(b"keep-alive") {
        return Ok(false);
    }
    Err(Refusal::new(Reason::HopByHop, "field connection nominates fields"))
}

fn is_json(value: &[u8]) -> bool {
    const JSON: &[u8] = b"application/json";
    value.get(..JSON.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(JSON))
        && matches!(value.get(JSON.len()), None | Some(b';' | b' '))
}

fn malformed(what: &str) -> Refusal {
    Refusal::new(Reason::HeadMalformed, format!("malformed head: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n";

    fn settings() -> Settings {
        Settings {
            keys: vec!["sk-good".into()],
            canaries: vec!["fg-".into()],
            hosts: vec!["a".into()],
            ..Settings::default()
        }
    }

    #[track_caller]
    fn check(wire: &str, expected: Option<Reason>) {
        let outcome = Head::read(wire.as_bytes(), &settings());
        assert_eq!(outcome.err().map(|refusal| refusal.reason), expected, "{wire}");
    }

    fn with(fields: &str) -> String {
        format!("{GOOD}Authorization: Bearer sk-good\r\n{fields}\r\n")
    }

    #[test]
    fn a_plain_request_is_taken() {
        check(&with(""), None);
        check(&with("Connection: keep-alive\r\nExpect: 100-continue\r\nVia: 1.1 x\r\n"), None);
        let wire = with("X-Sim: tokens=3\r\n");
        let head = Head::read(wire.as_bytes(), &settings()).unwrap().unwrap();
        assert_eq!(&wire[head.target], "/v1/chat/completions");
        assert_eq!(&wire[head.script.unwrap()], "tokens=3");
        assert_eq!(head.framing, Framing::Length(2));
    }

    #[test]
    fn what_a_gateway_must_not_send_is_a_breach() {
        check(&with("Host: a\r\n"), Some(Reason::HostRepeated));
        check("GET / HTTP/1.1\r\n\r\n", Some(Reason::HostMissing));
        check("GET / HTTP/1.1\r\nHost: b\r\n\r\n", Some(Reason::HostWrong));
        check("GET / HTTP/1.0\r\nHost: a\r\n\r\n", Some(Reason::Version));
        check("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Some(Reason::TargetForm));
        check("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", Some(Reason::Method));
        check("POST / HTTP/1.1\r\nHost: a\r\n\r\n", Some(Reason::LengthMissing));
        check(&with("Content-Length: 2\r\n"), Some(Reason::LengthRepeated));
        check(&with("Transfer-Encoding: chunked\r\n"), Some(Reason::LengthAndChunked));
        check(&with("Transfer-Encoding: gzip, chunked\r\n"), Some(Reason::TransferCoding));
        check(&with("Keep-Alive: timeout=5\r\n"), Some(Reason::HopByHop));
        check(&with("TE: trailers\r\n"), Some(Reason::HopByHop));
        check(&with("Connection: x-foo\r\n"), Some(Reason::HopByHop));
        check(&with("Expect: 200-ok\r\n"), Some(Reason::Expectation));
        check(&with("X-Api-Key: k\r\n"), Some(Reason::ForeignCredential));
        check(&with("X-Note: fg-secret\r\n"), Some(Reason::ClientKey));
        check(&with("Authorization: Bearer x\r\n"), Some(Reason::FieldRepeated));
        check(&format!("{GOOD}\r\n"), Some(Reason::KeyMissing));
        check(&format!("{GOOD}Authorization: Bearer sk-bad\r\n\r\n"), Some(Reason::KeyWrong));
    }

    #[test]
    fn loose_spellings_are_malformed() {
        check("GET / HTTP/1.1\nHost: a\n\n", Some(Reason::HeadMalformed));
        check("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Some(Reason::HeadMalformed));
        check("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Some(Reason::HeadMalformed));
        check("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", Some(Reason::HeadMalformed));
        let signed = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n";
        check(signed, Some(Reason::LengthMalformed));
    }
}
