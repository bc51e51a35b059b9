//! One request, performed: the walk of `policy::Phase`, with sockets.
//!
//! What is decided is decided by [`faregate_policy::exchange::Exchange`]; the files of this module read, send and wait,
//! and tell it what happened. Every way out settles the exchange, or drops it, which gives back what it holds.

mod back;
mod count;
mod embed;
mod finish;
mod hints;
pub(crate) mod look_up;
mod mark;
pub(crate) mod meaning;
mod obtain;
mod pay;
mod prompt;
mod query;
mod quote;
mod race;
mod read;
mod replay;
mod rest;
mod write;

use std::{net::IpAddr, rc::Rc, sync::Arc};

use faregate_adapters::{
    dialect::Form,
    surface::{Called, Family, NotServed, Surface, may_go_on},
};
use faregate_ledger::RowId;
use faregate_policy::{
    Nanos, Wall,
    attribution::Labels,
    cache::table::Entry,
    caller::ANONYMOUS,
    exchange::{Exchange, Receipt, Refusal},
    fault::Fault,
};
use faregate_wire::{
    FormScanner, Framing, HeadError, Method, RequestHead, Slots, Version, parse_request,
};

pub(crate) use hints::Hints;
pub(crate) use rest::Rest;

use crate::{
    affinity::Stay,
    allowance, answer,
    cache::Kept,
    connection::{Connection, Next},
    homes::Follow,
    live::View,
    local::{self, Local},
    realtime,
    record::Timeline,
    reply,
    stored::Maker,
    trace::{Random, Trace},
    upload::Upload,
    worker::Core,
};

/// A request whose head has been read.
pub(crate) enum Opened {
    /// It is refused by its head alone.
    Refused(Box<Refused>),
    /// The gateway answers it by itself.
    Local(Local),
    /// It goes on its walk.
    Walk(Box<Walk>),
}

/// A request that is refused before its body is read.
pub(crate) struct Refused {
    refusal: Refusal,
    head_len: usize,
    framing: Framing,
    close: bool,
    head_only: bool,
    id: RequestId,
    surface: &'static str,
    family: Family,
    exchange: Option<Exchange>,
}

/// `req_` and 32 hex digits, or what the client called it.
pub(crate) type RequestId = Arc<str>;

impl Walk {
    /// A request for vectors that this one needs, with the same caller and the same labels.
    fn beside(&self, core: &Core, model: &str) -> Self {
        let now = core.now();
        let mut forwarded = Vec::new();
        reply::write_field(&mut forwarded, b"content-type", b"application/json");
        Self {
            live: Rc::clone(&self.live),
            exchange: self.exchange.beside(Nanos(now.nanos())),
            head_len: 0,
            method: Method::Post,
            surface: Surface::Embeddings,
            family: Family::OpenAi,
            path: "/embeddings".into(),
            from_root: false,
            path_model: None,
            path_stream: None,
            has_version: false,
            query: None,
            provider: None,
            via: self.via.clone(),
            framing: Framing::None,
            keep_alive: true,
            http11: true,
            expects: false,
            json: true,
            coded: false,
            forwarded,
            trace: self.trace,
            id: format!("{}-vectors", self.id).into(),
            times: Timeline::new(now),
            labels: self.labels.clone(),
            model: Some(model.into()),
            made: None,
            stores: false,
            streams: false,
            adds_usage: false,
            protocols: None,
            upload: None,
            form_field: None,
            body_bytes: 0,
            lost: None,
            prompted: None,
            stay: None,
            follow: None,
            provider_key: None,
            is_marked: false,
            row: None,
            receipt: None,
            early: None,
            hints: None,
            keeping: None,
            found: None,
            note: None,
            meaning: None,
        }
    }

    /// How the client's chat is spelled; of paths that are no chat, how their API spells one.
    pub(crate) fn form(&self) -> Form {
        self.surface.form().unwrap_or_else(|| self.family.form())
    }
}

/// A request on its walk.
pub(crate) struct Walk {
    /// The policy it sees from its first byte to its settlement.
    pub(crate) live: Rc<View>,
    /// The decisions.
    pub(crate) exchange: Exchange,
    /// Bytes of the head.
    pub(crate) head_len: usize,
    /// The method.
    pub(crate) method: Method,
    /// What is called.
    pub(crate) surface: Surface,
    /// Whose API it is part of.
    pub(crate) family: Family,
    /// The path as it goes to a provider.
    pub(crate) path: Box<str>,
    /// The path goes to the provider's root.
    pub(crate) from_root: bool,
    /// The model, where the path names it.
    pub(crate) path_model: Option<Box<str>>,
    /// Whether a stream is asked for, where the path tells it.
    pub(crate) path_stream: Option<bool>,
    /// The client's `anthropic-version`, so that none is made up where it says one.
    pub(crate) has_version: bool,
    /// The query, without the question mark.
    pub(crate) query: Option<Box<str>>,
    /// The provider that a path without a model is meant for.
    pub(crate) provider: Option<Box<str>>,
    /// The gateways that the request has passed before.
    pub(crate) via: Option<Box<str>>,
    /// How the body is framed.
    pub(crate) framing: Framing,
    /// Whether the client wants to go on.
    pub(crate) keep_alive: bool,
    /// Whether the client speaks HTTP/1.1.
    pub(crate) http11: bool,
    /// Whether the client waits for a 100.
    pub(crate) expects: bool,
    /// Whether the body says it is JSON, or says nothing.
    pub(crate) json: bool,
    /// Whether the body is in a content coding.
    pub(crate) coded: bool,
    /// The client's end-to-end fields.
    pub(crate) forwarded: Vec<u8>,
    /// Its place in a trace.
    pub(crate) trace: Trace,
    /// Its id.
    pub(crate) id: RequestId,
    /// When its head was complete, and what followed.
    pub(crate) times: Timeline,
    /// Whom and what it is for, as the client says.
    pub(crate) labels: Labels,
    /// The model asked for.
    pub(crate) model: Option<Box<str>>,
    /// Who had the response made that the request goes back to, and where.
    made: Option<Arc<Maker>>,
    /// Whether the provider stores its answer, if it can.
    stores: bool,
    /// Whether a stream was asked for.
    pub(crate) streams: bool,
    /// Whether the chunk with usage must be asked for, and taken out again.
    pub(crate) adds_usage: bool,
    /// The subprotocols of a WebSocket, when the request asks for one.
    pub(crate) protocols: Option<Box<[u8]>>,
    /// What has not arrived of a body that passes as it arrives.
    pub(crate) upload: Option<Upload>,
    /// What is looked for in a form.
    form_field: Option<FormScanner>,
    /// Bytes of the request's body.
    pub(crate) body_bytes: u64,
    /// What the dialect of the latest target cannot say, where there is such a thing.
    pub(crate) lost: Option<Box<str>>,
    /// Its prompt, where a replica is chosen by it.
    prompted: Option<Box<prompt::Prompted>>,
    /// Its place in its conversation, where the policy asks for that.
    follow: Option<Box<Follow>>,
    /// Its stay at the latest replica that was chosen by it.
    pub(crate) stay: Option<Stay>,
    /// What the key is called that the latest attempt showed, where its provider has several.
    pub(crate) provider_key: Option<Arc<str>>,
    /// Marks for the latest target's prompt cache were put in.
    pub(crate) is_marked: bool,
    /// Its row's name in the books, where they know of it before it has ended.
    pub(crate) row: Option<RowId>,
    /// What it has cost, once it is settled.
    pub(crate) receipt: Option<Receipt>,
    /// Its input as the gateway counts it, where it was translated for the latest target.
    early: Option<count::Early>,
    /// What the head says beside the request, where it says something that counts.
    pub(crate) hints: Option<Box<Hints>>,
    /// What is needed to keep its answer, where that is kept.
    keeping: Option<Box<look_up::Keeping>>,
    /// The answer that was kept, where it got one.
    pub(crate) found: Option<Arc<Entry<Kept>>>,
    /// What the cache of answers did for it, where its workload has one.
    pub(crate) note: Option<&'static str>,
    /// What the cache by meaning has found or is to be told, where its workload has one.
    pub(crate) meaning: Option<Box<meaning::Meant>>,
}

/// Reads the head of a request from what has been received. `None` when it is not complete.
pub(crate) fn open(connection: &Connection) -> Option<Opened> {
    let core = &connection.core;
    let received = &connection.client.received;
    if received.is_empty() {
        return None;
    }
    let live = core.live();
    let mut slots = Slots::new();
    match parse_request(received, &mut slots, &live.head_limits) {
        Ok(Some(head)) => Some(open_head(core, &live, &head)),
        Ok(None) => None,
        Err(error) => Some(malformed(error, &core.random)),
    }
}

fn open_head(core: &Core, live: &Rc<View>, head: &RequestHead<'_, '_>) -> Opened {
    if let Some(local) = local::route(head, core) {
        return Opened::Local(local);
    }
    let started = core.now();
    let id = request_id(head.request_id, &core.random);
    let family = family_of(head);
    let refused = |refusal, id, surface, exchange| {
        Opened::Refused(Box::new(Refused {
            refusal,
            head_len: head.len,
            framing: head.framing,
            close: !head.keep_alive || head.expect_continue,
            head_only: head.method == Method::Head,
            id,
            surface,
            family,
            exchange,
        }))
    };
    if head.path == allowance::ME_PATH {
        return match me(core, live, head) {
            Ok(local) => Opened::Local(local),
            Err(refusal) => refused(refusal, id, "none", None),
        };
    }
    let (path, quotes) = match head.path {
        hints::QUOTE_PATH => (hints::QUOTED_PATH, true),
        path => (path, false),
    };
    let called = match Called::of(head.method, path) {
        Ok(called) => called,
        Err(error) => return refused(not_served(error, head.path), id, "none", None),
    };
    let surface = called.surface;
    if loops(head, &core.shared.via) {
        let refusal =
            Refusal::new(Fault::LoopDetected, "the request has passed this gateway before");
        return refused(refusal, id, surface.name(), None);
    }
    if surface == Surface::Realtime && !is_handshake(head) {
        let refusal = Refusal::new(
            Fault::MalformedRequest,
            "realtime is spoken over a WebSocket of version 13; the request asks for none, or with a wrong key",
        );
        return refused(refusal, id, surface.name(), None);
    }
    let now = Nanos(started.nanos());
    let mut exchange = Exchange::open(Rc::clone(&live.policy), core.index, now);
    let wall = core.wall();
    if let Err(refusal) =
        exchange.identify(credential(head), wall).and_then(|()| exchange.admit(now))
    {
        return refused(refusal, id, surface.name(), Some(exchange));
    }
    if let Some(refusal) = cross_site(&exchange, live, head) {
        return refused(refusal, id, surface.name(), Some(exchange));
    }
    let mut forwarded = Vec::with_capacity(head.len);
    let has_ours = reply::write_forwarded(&mut forwarded, head);
    let hints = Hints::of(head, &live.policy.watch, has_ours, quotes);
    Opened::Walk(Box::new(Walk {
        exchange,
        head_len: head.len,
        method: head.method,
        surface,
        family,
        path: called.path.into(),
        from_root: called.from_root,
        path_model: match surface {
            Surface::Realtime => head.query.and_then(model_in),
            _ => called.model.map(Into::into),
        },
        path_stream: called.stream,
        has_version: head.header(b"anthropic-version").is_some(),
        query: head.query.and_then(without_key),
        provider: text(head.header(b"x-faregate-provider")),
        via: text(head.header(b"via")),
        framing: head.framing,
        keep_alive: head.keep_alive,
        http11: head.version == Version::Http11,
        expects: head.expect_continue,
        // What may go on from a stored response is looked into whatever its body is said to be.
        json: head.content_type.is_none_or(is_json) || may_go_on(called.path),
        coded: head
            .content_encoding
            .is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")),
        forwarded,
        trace: Trace::continue_from(head.traceparent, &core.random),
        id,
        times: Timeline::new(started),
        labels: live.policy.attribution.of_head(head.all_fields()),
        model: None,
        made: None,
        stores: false,
        streams: false,
        adds_usage: false,
        protocols: (surface == Surface::Realtime)
            .then(|| realtime::without_key(protocols_in(head)).into()),
        upload: None,
        form_field: head.content_type.and_then(|kind| FormScanner::of(kind, "model")),
        body_bytes: 0,
        lost: None,
        prompted: None,
        follow: None,
        stay: None,
        provider_key: None,
        is_marked: false,
        early: None,
        row: None,
        receipt: None,
        hints,
        keeping: None,
        found: None,
        note: None,
        meaning: None,
        live: Rc::clone(live),
    }))
}

/// What the caller may still use. Looking is not counted: who is out of requests can see when there are some again.
fn me(core: &Core, live: &Rc<View>, head: &RequestHead<'_, '_>) -> Result<Local, Refusal> {
    if !matches!(head.method, Method::Get | Method::Head) {
        return Err(not_served(NotServed::Method("GET"), head.path));
    }
    let now = Nanos(core.now().nanos());
    let wall = core.wall();
    let mut exchange = Exchange::open(Rc::clone(&live.policy), core.index, now);
    exchange.identify(credential(head), wall)?;
    if let Some(refusal) = cross_site(&exchange, live, head) {
        return Err(refusal);
    }
    let mut body = Vec::with_capacity(1024);
    if let Some(caller) = exchange.caller() {
        let overdraft = allowance::overdraft(&live.policy);
        let at = allowance::At { wall: Wall(wall), now, generation: live.generation, overdraft };
        let labels = live.policy.attribution.of_head(head.all_fields());
        allowance::write_me(&mut body, &live.policy, (caller, &labels), at);
    }
    Ok(Local::private(head, core, body))
}

/// The refusal of a page of another site, where callers need no key.
fn cross_site(exchange: &Exchange, live: &View, head: &RequestHead<'_, '_>) -> Option<Refusal> {
    let is_anonymous = exchange.caller().is_some_and(|caller| &*caller.key == ANONYMOUS);
    (is_anonymous && live.is_private && is_cross_site(head)).then(|| {
        Refusal::new(
            Fault::OriginForbidden,
            "callers need no key here, so pages of other sites are not served; add a key to the policy",
        )
    })
}

/// The answer to a head that did not arrive in time.
pub(crate) fn head_timed_out(random: &Random) -> Opened {
    let refusal = Refusal::new(
        Fault::HeadTimeout,
        "the head of the request did not arrive within server.deadlines.head",
    );
    unreadable(refusal, random)
}

fn malformed(error: HeadError, random: &Random) -> Opened {
    unreadable(answer::malformed(error), random)
}

fn unreadable(refusal: Refusal, random: &Random) -> Opened {
    Opened::Refused(Box::new(Refused {
        refusal,
        head_len: usize::MAX,
        framing: Framing::None,
        close: true,
        head_only: false,
        id: request_id(None, random),
        surface: "none",
        family: Family::OpenAi,
        exchange: None,
    }))
}

/// Whose API is called. Lists of models lie at the same path in three of them: the head tells whose is meant.
fn family_of(head: &RequestHead<'_, '_>) -> Family {
    let called = Called::of(head.method, head.path);
    let family = called.as_ref().map_or(Family::OpenAi, |called| called.family);
    let is_list = called.is_ok_and(|c| matches!(c.surface, Surface::Models | Surface::Model));
    if !is_list || family != Family::OpenAi {
        return family;
    }
    if head.header(b"anthropic-version").is_some() {
        Family::Anthropic
    } else if head.header(b"x-goog-api-key").is_some() {
        Family::Gemini
    } else {
        Family::OpenAi
    }
}

/// The key that the client shows, wherever its dialect has the place: a bearer token, `x-api-key`, `api-key`,
/// `x-goog-api-key`, `?key=`, or the access key id of an AWS signature (the signature itself proves nothing here: the id
/// is the secret).
fn credential<'b>(head: &RequestHead<'b, '_>) -> Option<&'b [u8]> {
    let filled = |value: &&[u8]| !value.is_empty();
    head.bearer()
        .or_else(|| head.header(b"x-goog-api-key").filter(filled))
        .or_else(|| head.header(b"authorization").and_then(access_key_id))
        .or_else(|| head.query.and_then(key_in).map(str::as_bytes).filter(filled))
        .or_else(|| {
            Some(head).filter(|head| head.websocket).and_then(|h| realtime::key_in(protocols_in(h)))
        })
}

fn protocols_in<'b>(head: &RequestHead<'b, '_>) -> &'b [u8] {
    head.header(b"sec-websocket-protocol").unwrap_or_default()
}

/// Whether all is there that the start of a WebSocket needs (RFC 6455 section 4.2.1).
fn is_handshake(head: &RequestHead<'_, '_>) -> bool {
    let key = head.header(b"sec-websocket-key").unwrap_or_default();
    let digit = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    let is_key = key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(digit);
    head.websocket && is_key && head.header(b"sec-websocket-version") == Some(b"13")
}

/// The model that a query names, when it names one that needs no decoding but of bytes.
fn model_in(query: &str) -> Option<Box<str>> {
    let mut named = query.split('&').filter_map(|pair| pair.strip_prefix("model="));
    let model = named.next().filter(|model| !model.is_empty())?;
    if named.next().is_some() {
        return None;
    }
    let mut bytes = Vec::with_capacity(model.len());
    let mut rest = model.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        let hex = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, hex.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            (b'%', None) => return None,
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).ok().filter(|name| !name.contains(char::is_control)).map(Into::into)
}

/// `AWS4-HMAC-SHA256 Credential=ID/date/region/service/aws4_request, …`
fn access_key_id(authorization: &[u8]) -> Option<&[u8]> {
    const START: &[u8] = b"AWS4-HMAC-SHA256 Credential=";
    let rest = authorization.strip_prefix(START)?;
    rest.split(|b| *b == b'/').next().filter(|id| !id.is_empty())
}

fn key_in(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("key="))
}

/// The query without the key that it may hold.
fn without_key(query: &str) -> Option<Box<str>> {
    if key_in(query).is_none() {
        return Some(query.into());
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("key=")).collect();
    (!kept.is_empty()).then(|| kept.join("&").into())
}

fn not_served(error: NotServed, path: &str) -> Refusal {
    match error {
        NotServed::Path => Refusal::new(
            Fault::PathUnknown,
            format!(
                "nothing is served at {path}; the OpenAI API is at /v1, as in /v1/chat/completions"
            ),
        ),
        NotServed::Method(allow) => {
            let mut refusal = Refusal::new(
                Fault::MethodNotAllowed,
                format!("{path} takes {allow}, not the method of this request"),
            );
            refusal.allow = Some(allow);
            refusal
        }
        NotServed::Unclean => Refusal::new(
            Fault::MalformedRequest,
            "the path holds dot segments, double slashes, encoded slashes or control bytes",
        ),
    }
}

/// Whether one of our own requests has come back to us: `base_url` points at this gateway.
fn loops(head: &RequestHead<'_, '_>, our_name: &str) -> bool {
    head.header(b"via").is_some_and(|via| {
        via.split(|b| *b == b',').any(|hop| hop.trim_ascii() == our_name.as_bytes())
    })
}

/// Whether a web page of another site may be behind this: its origin, or the name it has for us, is not of this machine.
fn is_cross_site(head: &RequestHead<'_, '_>) -> bool {
    let foreign = |origin: &[u8]| {
        let at = origin.windows(3).position(|w| w == b"://").map_or(origin.len(), |at| at + 3);
        let host = host_of(&origin[at..]);
        host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    // A name with a dot in it may be a foreign one that was made to lead here.
    let rebound = |host: &str| host.contains('.') && host.parse::<IpAddr>().is_err();
    head.header(b"origin").is_some_and(foreign) || rebound(host_of(head.host))
}

/// The host of an authority, without port and brackets; empty when it is none.
fn host_of(authority: &[u8]) -> &str {
    let text = std::str::from_utf8(authority).unwrap_or_default();
    match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => text.split(':').next().unwrap_or_default(),
    }
}

fn is_json(content_type: &[u8]) -> bool {
    const JSON: &[u8] = b"application/json";
    content_type.len() >= JSON.len() && content_type[..JSON.len()].eq_ignore_ascii_case(JSON)
}

fn text(value: Option<&[u8]>) -> Option<Box<str>> {
    value.and_then(|v| std::str::from_utf8(v).ok()).map(Box::from)
}

/// The client's own id when it is a plain token, else a new one.
fn request_id(given: Option<&[u8]>, random: &Random) -> RequestId {
    const GIVEN_BYTES_MAX: usize = 128;
    if let Some(given) = given
        && (1..=GIVEN_BYTES_MAX).contains(&given.len())
        && given.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
        && let Ok(text) = std::str::from_utf8(given)
    {
        return text.into();
    }
    let mut id = *b"req_00000000000000000000000000000000";
    let mut number = (u128::from(random.next()) << 64) | u128::from(random.next());
    for digit in id[4..].iter_mut().rev() {
        *digit = b"0123456789abcdef"[usize::from(number.to_le_bytes()[0] & 0xf)];
        number >>= 4;
    }
    std::str::from_utf8(&id).unwrap_or_default().into()
}

/// Serves what [`open`] has read, to the end of its answer.
pub(crate) async fn serve(connection: &mut Connection, opened: Opened) -> Next {
    match opened {
        Opened::Refused(refused) => refused.serve(connection).await,
        Opened::Local(local) => local::serve(connection, local).await,
        Opened::Walk(walk) => {
            let counted = InFlight::enter(&connection.core);
            let next = walk.run(connection).await;
            connection.client.others = None;
            drop(counted);
            next
        }
    }
}

/// Counts a request for as long as it is served, also when it panics.
struct InFlight(Rc<Core>);

impl InFlight {
    fn enter(core: &Rc<Core>) -> Self {
        core.metrics.in_flight.add(1);
        Self(Rc::clone(core))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.metrics.in_flight.sub(1);
    }
}
