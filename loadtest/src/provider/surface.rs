//! From a whole request to the reply it deserves.
//!
//! In: head and body as they were received. Out: a [`Reply`]. Remembered: bodies judged before (a
//! load test sends the same ones over and over), the prefix cache, the number of the next answer.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::json;

use super::ask::{Ask, Last, Surface};
use super::counters::Counters;
use super::dialect::servers::Offer;
use super::dialect::{Dialect, cloud, words};
use super::head::Head;
use super::plain::{self, Identity, Used, Whole};
use super::pool::Pool;
use super::prefix::PrefixCache;
use super::refusal::{Reason, Refusal};
use super::reply::Reply;
use super::script::Script;
use super::stream::Stream;
use super::text::hash;
use super::{Captured, Settings, Shared};
use crate::clock::{Nanos, unix_seconds};

/// Judged bodies that are remembered, and the longest of them.
const JUDGED_MAX: usize = 64;
const JUDGED_BYTES_MAX: usize = 2 << 20;

/// Bytes of a body that are repeated in an echo.
const ECHO_BYTES_MAX: usize = 1 << 20;

/// One thread's share of the provider.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) shared: Arc<Shared>,
    /// Buffers of connections on which nothing happens.
    pub(crate) pool: Pool,
    script: Rc<Script>,
    /// Which one that is; scripts laid over it are worth nothing once it changes.
    epoch: u64,
    judged: HashMap<(Surface, u64), Judged>,
    pub(crate) prefixes: PrefixCache,
    serial: u64,
    stride: u64,
}

#[derive(Debug)]
struct Judged {
    body: Box<[u8]>,
    verdict: Result<Rc<Ask>, Refusal>,
}

/// A request as its parts lie in the connection's buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) head: &'a Head,
    pub(crate) bytes: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Request<'_> {
    pub(crate) fn method(&self) -> &str {
        self.text(&self.head.method)
    }

    pub(crate) fn target(&self) -> &str {
        self.text(&self.head.target)
    }

    /// The target as OpenAI's own API has it, when it is one of Azure's.
    pub(crate) fn own_target(&self) -> Cow<'_, str> {
        let target = self.target();
        cloud::behind_azure(target).unwrap_or(Cow::Borrowed(target))
    }

    fn text(&self, place: &std::ops::Range<usize>) -> &str {
        std::str::from_utf8(&self.bytes[place.clone()]).unwrap_or("")
    }

    pub(crate) fn script(&self) -> Option<&str> {
        self.head.script.as_ref().map(|place| self.text(place))
    }

    pub(crate) fn replay(&self) -> Option<&str> {
        self.head.replay.as_ref().map(|place| self.text(place))
    }

    pub(crate) fn request_id(&self) -> Option<String> {
        self.head.request_id.as_ref().map(|place| self.text(place).to_owned())
    }
}

impl Desk {
    /// The desk of the thread with that number.
    pub(crate) fn new(shared: Arc<Shared>, index: usize) -> Desk {
        let settings = &shared.settings;
        Desk {
            script: Rc::new(settings.script.clone()),
            epoch: 0,
            pool: Pool::default(),
            judged: HashMap::new(),
            prefixes: PrefixCache::new(settings.prefix_blocks),
            serial: index as u64,
            stride: settings.threads.max(1) as u64,
            shared,
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// The reply to a whole request.
    pub(crate) fn answer(&mut self, request: Request<'_>, now: Nanos) -> Reply {
        self.capture(request, now);
        let named = cloud::named_by_deployment(request.target(), request.body);
        let request = Request { body: named.as_deref().unwrap_or(request.body), ..request };
        let dialect = request.head.dialect;
        if dialect != Dialect::OpenAi {
            let outcome = self.native(dialect, request, now);
            let told = outcome.map_err(|refusal| refusal.told_by(dialect));
            return told.unwrap_or_else(|refusal| self.refuse(&refusal, now));
        }
        let own_target = request.own_target();
        let (path, _) = own_target.split_once('?').unwrap_or((&own_target, ""));
        if own_target != request.target()
            && let Err(refusal) = cloud::azure_version(request.target())
        {
            return self.refuse(&refusal, now);
        }
        let surface = match path {
            "/v1/chat/completions" => Some(Surface::Chat),
            "/v1/completions" => Some(Surface::Completion),
            "/v1/embeddings" => Some(Surface::Embedding),
            _ => None,
        };
        let outcome = match surface {
            Some(surface) if request.method() == "POST" => self.judged(surface, request, now),
            Some(_) => {
                let message = format!("Not allowed to {} on {path}.", request.method());
                Err(Refusal::new(Reason::MethodWrong, message))
            }
            None => match Offer::at(path).filter(|_| request.method() == "POST") {
                Some(offer) => self.offered(offer, request, now),
                None => self.other(path, request, now),
            },
        };
        outcome.unwrap_or_else(|refusal| self.refuse(&refusal, now))
    }

    /// The reply to a request that is turned down.
    pub(crate) fn refuse(&mut self, refusal: &Refusal, now: Nanos) -> Reply {
        self.counters().note_refusal(refusal);
        let script = Rc::new(Script { status: refusal.status(), ..Script::default() });
        let identity = self.identity(refusal.dialect);
        Reply::whole(script, identity, refusal.body(), now)
    }

    /// An error as the script wants it, before the body was read.
    pub(crate) fn early(&mut self, dialect: Dialect, mut script: Script, now: Nanos) -> Reply {
        if script.status < 400 {
            script.status = 413;
        }
        let identity = self.identity(dialect);
        let body = words::scripted(dialect, script.status, script.retry_after.as_deref());
        Reply::whole(Rc::new(script), identity, body, now)
    }

    /// From now on, requests that bring no script follow this one.
    pub(crate) fn set_script(&mut self, script: Script) {
        self.script = Rc::new(script);
        self.epoch += 1;
    }

    /// The script that holds before the body is read, if it says anything about reading.
    pub(crate) fn reading_script(&self, request: Request<'_>) -> Result<Option<Script>, Refusal> {
        let concerns = |text: &str| text.contains("read_") || text.contains("early");
        if self.script.read_bytes.is_none() && !request.script().is_some_and(concerns) {
            return Ok(None);
        }
        self.script_of(request).map(Some)
    }

    /// The script of requests that bring none.
    pub(crate) fn own_script(&self) -> Script {
        Script::clone(&self.script)
    }

    /// The script of a request whose body brings none.
    pub(crate) fn script_of(&self, request: Request<'_>) -> Result<Script, Refusal> {
        let mut script = Script::clone(&self.script);
        if let Some(text) = request.script() {
            script.apply(text).map_err(|message| Refusal::new(Reason::Script, message))?;
        }
        Ok(script)
    }

    fn judged(
        &mut self,
        surface: Surface,
        request: Request<'_>,
        now: Nanos,
    ) -> Result<Reply, Refusal> {
        if !request.head.is_json {
            let message = "Unsupported content type. This API method only accepts \
                           'application/json' requests.";
            return Err(Refusal::new(Reason::ContentType, message));
        }
        let ask = self.judge(surface, request.body)?;
        let script = self.overlaid(&ask, request)?;
        let identity = self.identity(Dialect::OpenAi);
        if let Some(reply) = self.recorded(&script, ask.stream, request, identity, now) {
            return reply;
        }
        if script.status >= 400 {
            let body =
                words::scripted(Dialect::OpenAi, script.status, script.retry_after.as_deref());
            return Ok(Reply::whole(script, identity, body, now));
        }
        if self.settings().context_tokens.is_some_and(|most| ask.prompt_tokens > most) {
            let message = format!(
                "This model's maximum context length is {} tokens. However, your messages resulted \
                 in {} tokens. Please reduce the length of the messages.",
                self.settings().context_tokens.unwrap_or(0),
                ask.prompt_tokens,
            );
            return Err(Refusal::of(Reason::ContextLength, "messages", message));
        }
        if let Some(question) = &ask.question {
            return Ok(self.steered(question, script, identity, now));
        }
        let cached = self.prefixes.visit(&ask.blocks).min(ask.prompt_tokens);
        let cached = script.cached.unwrap_or(cached);
        let used = Used { prompt: ask.prompt_tokens, cached, completion: 0 };
        Ok(compose(ask, script, identity, used, now))
    }

    /// The verdict on `body`, from memory if it was seen before.
    fn judge(&mut self, surface: Surface, body: &[u8]) -> Result<Rc<Ask>, Refusal> {
        let key = (surface, sketch(body));
        if let Some(known) = self.judged.get(&key).filter(|known| *known.body == *body) {
            return known.verdict.clone();
        }
        let verdict = Ask::read(surface, body, &self.settings().models).map(Rc::new);
        if body.len() <= JUDGED_BYTES_MAX {
            if self.judged.len() >= JUDGED_MAX {
                self.judged.clear();
            }
            self.judged.insert(key, Judged { body: body.into(), verdict: verdict.clone() });
        }
        verdict
    }

    /// The script of a request, with all that is laid over it.
    fn overlaid(&mut self, ask: &Ask, request: Request<'_>) -> Result<Rc<Script>, Refusal> {
        let queued = self.shared.queued.pop();
        let same =
            |last: &&Last| last.epoch == self.epoch && last.header.as_deref() == request.script();
        if let (None, Some(last)) = (&queued, ask.last.borrow().as_ref().filter(same)) {
            return Ok(Rc::clone(&last.script));
        }
        let is_queued = queued.is_some();
        let mut script = queued.unwrap_or_else(|| Script::clone(&self.script));
        let mut overlay = || {
            script.apply_model(&ask.model)?;
            if let Some(text) = &ask.script {
                script.apply(text)?;
            }
            request.script().map_or(Ok(()), |text| script.apply(text))
        };
        overlay().map_err(|message| Refusal::new(Reason::Script, message))?;
        let script = Rc::new(script);
        if !is_queued {
            *ask.last.borrow_mut() = Some(Last {
                header: request.script().map(Into::into),
                epoch: self.epoch,
                script: Rc::clone(&script),
                whole: None,
            });
        }
        Ok(script)
    }

    fn other(&mut self, path: &str, request: Request<'_>, now: Nanos) -> Result<Reply, Refusal> {
        let identity = self.identity(Dialect::OpenAi);
        let get = matches!(request.method(), "GET" | "HEAD");
        if let Some(control) = path.strip_prefix("/sim/") {
            let body = self.control(control, request)?;
            return Ok(Reply::whole(Rc::default(), identity, body, now));
        }
        let script = Rc::new(self.script_of(request)?);
        let reply = |body: Vec<u8>| match script.status {
            400.. => {
                let body =
                    words::scripted(Dialect::OpenAi, script.status, script.retry_after.as_deref());
                Reply::whole(script, identity, body, now)
            }
            _ => Reply::whole(script, identity, body, now),
        };
        let models = &self.settings().models;
        if get && path == "/v1/models" {
            return Ok(reply(plain::models(models, None, identity.created)));
        }
        if let Some(name) = path.strip_prefix("/v1/models/").filter(|_| get) {
            if !models.iter().any(|known| known == name) {
                let message = format!("The model '{name}' does not exist");
                return Err(Refusal::of(Reason::ModelUnknown, "model", message));
            }
            return Ok(reply(plain::models(models, Some(name), identity.created)));
        }
        Ok(reply(echo(request)))
    }

    /// What `/sim/…` is for: looking at the provider and steering it from outside.
    fn control(&mut self, path: &str, request: Request<'_>) -> Result<Vec<u8>, Refusal> {
        let wrong = |message: String| Refusal::new(Reason::Script, message);
        match (request.method(), path) {
            ("GET" | "HEAD", "counters") => {}
            ("POST", "script" | "queue") => {
                let text = std::str::from_utf8(request.body).unwrap_or("not UTF-8");
                let script = Script::parse(text).map_err(wrong)?;
                if path == "script" {
                    self.set_script(script);
                } else if self.shared.queued.push(script).is_err() {
                    return Err(wrong("the queue is full".to_owned()));
                }
            }
            (method, _) => return Err(wrong(format!("nothing is done by {method} /sim/{path}"))),
        }
        Ok(self.counters().to_json().to_string().into_bytes())
    }

    pub(crate) fn identity(&mut self, dialect: Dialect) -> Identity {
        self.serial += self.stride;
        Identity { serial: self.serial, created: unix_seconds(), dialect }
    }

    fn capture(&self, request: Request<'_>, now: Nanos) {
        if self.settings().capture == 0 {
            return;
        }
        self.shared.captured.force_push(Captured {
            at: now,
            method: request.method().to_owned(),
            target: request.target().to_owned(),
            headers: headers(request),
            body: request.body.to_vec(),
        });
    }
}

fn compose(ask: Rc<Ask>, script: Rc<Script>, identity: Identity, used: Used, now: Nanos) -> Reply {
    if ask.surface == Surface::Embedding {
        let body = plain::embeddings(&ask, &script);
        let mut reply = Reply::whole(script, identity, body, now);
        reply.prompt = used.prompt;
        return reply;
    }
    if ask.stream {
        let used = Used { completion: ask.tokens(&script).0 * ask.choices, ..used };
        let first_at = Reply::first_at(&script, now);
        let stream = Stream::new(ask, identity, used, first_at);
        let mut reply = Reply::stream(script, identity, stream, now);
        reply.tokens = used.completion;
        reply.prompt = used.prompt;
        return reply;
    }
    let (body, tokens) = whole(&ask, &script, identity, used);
    let mut reply = Reply::whole(script, identity, body, now);
    reply.tokens = tokens;
    reply.prompt = used.prompt;
    reply
}

/// The body of a plain answer and its tokens, from memory if the same was answered last.
fn whole(ask: &Ask, script: &Rc<Script>, identity: Identity, used: Used) -> (Vec<u8>, u64) {
    let mut last = ask.last.borrow_mut();
    let mut memory = last.as_mut().filter(|last| Rc::ptr_eq(&last.script, script));
    if let Some(Last { whole: Some(whole), .. }) = &memory
        && whole.used.cached == used.cached
    {
        return (whole.body(identity), whole.used.completion);
    }
    let whole = Whole::new(ask, script, identity, used);
    let answer = (whole.body(identity), whole.used.completion);
    if let Some(memory) = &mut memory {
        memory.whole = Some(whole);
    }
    answer
}

/// A number that tells different bodies apart most of the time, at a cost that does not grow.
fn sketch(body: &[u8]) -> u64 {
    const END_BYTES: usize = 256;
    if body.len() <= 2 * END_BYTES {
        return hash(0, body);
    }
    let middle = body.len() / 2;
    let parts = [&body[..END_BYTES], &body[middle..middle + 64], &body[body.len() - END_BYTES..]];
    parts.iter().fold(body.len() as u64, |state, part| hash(state, part))
}

fn echo(request: Request<'_>) -> Vec<u8> {
    let shown = &request.body[..request.body.len().min(ECHO_BYTES_MAX)];
    let headers: Vec<_> = headers(request).into_iter().map(|(name, value)| [name, value]).collect();
    let echo = json!({
        "object": "echo",
        "method": request.method(),
        "target": request.target(),
        "headers": headers,
        "body_bytes": request.body.len(),
        "body": String::from_utf8_lossy(shown),
    });
    echo.to_string().into_bytes()
}

pub(crate) fn headers(request: Request<'_>) -> Vec<(String, String)> {
    let head = String::from_utf8_lossy(&request.bytes[..request.head.len]);
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect()
}
