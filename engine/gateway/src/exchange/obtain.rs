//! From a request that was read to the head of an answer: decide, then try targets until one answers.

use std::{task::Poll, time::Duration};

use faregate_adapters::{
    declined::{self, Declined},
    dialect::{Asked, Call, Form, gemini, openai},
    shape::Shape,
    surface::Surface,
};
use faregate_policy::{
    Nanos,
    exchange::{Asks, Outcome, Refusal, Step, TurnedBy, Verdict, Wanted},
    fault::Fault,
    policy::Provider,
    retry,
};
use faregate_price::NanoUsd;
use faregate_wire::{BodyReader, Framing, Method, chunk::CHUNK_HEAD_BYTES_MAX, write_chunk_head};

use super::{
    Hints, Walk, back,
    read::{Body, Stop},
    write::{self, Crossing, Written},
};
use crate::{
    answer,
    attempt::{self, Answer, Deadlines, Failure, Info, Order},
    books,
    buffer::{self, LANDING_BYTES},
    client::News,
    clock::Instant,
    connection::Connection,
    credentials::Unsent,
    homes::Follow,
    keys::{Key, Shown},
    live::Target,
    replica::Choice,
    reply::{self, Outgoing},
    upload::Upload,
    upstream::Upstream,
    worker::Core,
};

/// Bytes of a request that are copied into one buffer with its head; larger bodies are sent from where they lie.
pub(super) const COPY_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a body that rules take for a token: English text in JSON has about as many.
const BYTES_PER_TOKEN: u64 = 4;

/// An answer, and the place it comes from.
pub(super) struct Obtained {
    /// The answer.
    pub(super) answer: Box<Answer>,
    /// Index of the target in the policy.
    pub(super) target: usize,
    /// Which of its places.
    pub(super) replica: usize,
    /// The dialect it comes in, where that is not the client's.
    pub(super) crossing: Option<Crossing>,
}

impl Walk {
    /// Finds the way of a request: the first of the decisions that need no provider.
    pub(super) fn resolve(&mut self, body: &Body, core: &Core) -> Result<(), Refusal> {
        let hints = self.hints.take();
        let none = Hints::default();
        let given = hints.as_deref().unwrap_or(&none).asks()?;
        let path_model = self.path_model.clone();
        let call = Call { model: path_model.as_deref(), stream: self.path_stream };
        let asked = ask(body, self.surface, &call)?;
        self.streams = asked.stream && self.surface.can_stream();
        let says_usage = !matches!(self.surface, Surface::ChatCompletions | Surface::Completions);
        self.adds_usage =
            self.streams && self.surface.is_metered() && !asked.tells_usage && !says_usage;
        let model = asked.model.as_deref();
        let policy = &self.live.policy;
        let branches =
            given.instead.is_some() || model.is_some_and(|model| policy.models.may_branch(model));
        let needs_shape = branches && policy.watch.needs.any() && body.peek.is_some();
        let shape = needs_shape.then(|| Shape::of(body.bytes()));
        let made = self.made.clone();
        let input_tokens = self.body_bytes.div_ceil(BYTES_PER_TOKEN);
        self.find_conversation(body, input_tokens, now_of(core));
        let follow = self.follow.take();
        let wanted = Wanted {
            model,
            provider: self.provider.as_deref(),
            family: self.family,
            needs_model: self.surface.has_model(),
            input_tokens_bound: faregate_adapters::tokens::input_upper_bound(self.body_bytes),
            output_tokens_max: asked.output_max,
            choices: asked.choices,
            metered: self.surface.is_metered() || self.protocols.is_some(),
            pinned: back::pin(made.as_deref(), self.surface),
            extra: self.extra(body, asked.choices),
            labels: Some(&self.labels),
            asks: Asks {
                surface: self.surface.name(),
                stream: self.streams,
                input_tokens,
                homes: follow.as_deref().map(Follow::known),
                warm: follow.as_deref().map_or(0.0, Follow::warm),
                shape: shape.as_ref(),
                wall_nanos: core.wall(),
                ..given
            },
        };
        let resolved = self.exchange.resolve(&wanted, now_of(core));
        self.hints = hints;
        if let Some(follow) = follow.as_deref().filter(|_| resolved.is_ok() && !self.is_dry_run()) {
            follow.came(self.exchange.model());
        }
        self.follow = follow;
        self.model = model.map(Box::from);
        resolved
    }

    /// Sets aside what the request may use.
    pub(super) fn draw(&mut self, core: &Core) -> Result<(), Refusal> {
        self.exchange.draw(Some(&self.labels), now_of(core))
    }

    /// Tries targets until one answers.
    pub(super) async fn obtain(
        &mut self,
        connection: &mut Connection,
        body: &Body,
        end: Instant,
    ) -> Result<Obtained, Stop> {
        let core = std::rc::Rc::clone(&connection.core);
        let now = || Nanos(core.now().nanos());
        let (mut tried, mut shown) = (Tried::default(), Shown::default());
        let mut missing = String::new();
        let mut counted = false;
        if let Some(books) = core.shared.books.as_ref().filter(|books| books.is_behind())
            && self.exchange.has_budgets()
        {
            let why =
                books.trouble().unwrap_or_else(|| "too much waits for the journal".to_owned());
            let message = format!("no budget is drawn on while nothing can be written down: {why}");
            return Err(Stop::Refused(Refusal::new(Fault::BooksBehind, message)));
        }
        if self.exchange.wants_hedge() && self.is_harmless(body) {
            self.exchange.deem_harmless();
        }
        loop {
            match self.exchange.step(Nanos(core.now().nanos()), core.random.next()) {
                Step::Refuse(refusal)
                    if is_of_budget(refusal.fault) && !std::mem::replace(&mut counted, true) =>
                {
                    Box::pin(self.bound_closer(&core, body, refusal)).await?;
                }
                Step::Refuse(mut refusal) => {
                    if refusal.fault == Fault::CredentialsMissing {
                        refusal.message = missing;
                    }
                    return Err(Stop::Refused(refusal));
                }
                Step::Wait(until) => {
                    if let Some(books) = &core.shared.books {
                        books.hurry();
                    }
                    Box::pin(self.wait(connection, Instant::at(until.0), end)).await?;
                }
                Step::Send { target, replica_hint, .. } => {
                    let live = std::rc::Rc::clone(&self.live);
                    let place = &live.targets[target];
                    let only = self.made.as_ref().and_then(|maker| maker.place_in(place));
                    self.find_prompt(body, target);
                    let asked = self.asked();
                    let before = tried.at(target);
                    let choice = place.choose(only, before, replica_hint, now(), asked.as_ref());
                    let (replica, upstream) = (choice.index, choice.upstream);
                    let key = place.key(target, &mut shown, now(), core.random.next());
                    self.stay = asked.map(|asked| asked.stay(place, replica, now()));
                    self.provider_key = key.map(|key| std::sync::Arc::clone(&key.name));
                    if place.upstreams.len() > 1 {
                        tried.add(replica);
                    }
                    let provider = &live.policy.providers[live.policy.targets[target].provider];
                    if self.surface.counts_tokens() && !self.form_is_spoken(provider) {
                        return Err(Box::pin(self.count_here(&core, body, provider)).await);
                    }
                    let mut written = Box::new(self.written(&core, body, provider)?);
                    let crossing = written.crossing.take();
                    self.tell_books(&core);
                    self.ask_home(target, core.now());
                    let way = Way { written: &written, target: place, upstream, key, end };
                    let (mut target, mut place, mut choice) = (target, place, choice);
                    let (mut key, mut crossing) = (key, crossing);
                    let mut sent = if self.exchange.may_hedge() {
                        let at = (&live, target, replica);
                        let raced = Box::pin(self.raced(connection, body, way, at)).await;
                        if let Some(second) = raced.second {
                            (target, place) = (second.target, &live.targets[second.target]);
                            (choice, key, crossing) = (second.choice, second.key, second.crossing);
                        }
                        raced.result
                    } else {
                        self.attempt(connection, body, way).await
                    };
                    let (replica, upstream) = (choice.index, choice.upstream);
                    let provider = &live.policy.providers[live.policy.targets[target].provider];
                    let mut declined = None;
                    if let Ok(answer) = &mut sent {
                        match self.hear_out(connection, place, answer, end).await {
                            Ok(why) => declined = why,
                            Err(failure) => sent = Err(failure),
                        }
                    }
                    if self.upload.as_ref().is_some_and(Upload::has_begun) {
                        self.exchange.forbid_retries();
                    }
                    match sent {
                        Err(Failure::ClientGone) => return Err(Stop::ClientGone),
                        Err(Failure::Body(refusal)) => {
                            self.exchange.report(Outcome::Failed(refusal.fault), now());
                            return Err(Stop::Refused(*refusal));
                        }
                        Err(failure) => {
                            if matches!(failure, Failure::Credentials) {
                                missing = without_credentials(provider, upstream);
                            }
                            tracing::debug!(target = &*self.live.policy.targets[target].name, %failure, "attempt failed");
                            let fault = answer::fault(&failure);
                            choice.failed(fault, now());
                            self.leave(true);
                            self.exchange.report(Outcome::Failed(fault), now());
                        }
                        Ok(mut answer) => {
                            hear_delay(provider, &mut answer);
                            choice.answered(answer.info.status, now());
                            self.arrive(answer.info.status, core.now());
                            let retry_after = retry_after(&core, &answer.info);
                            if let Some(key) = key {
                                let info = &answer.info;
                                key.hear(info.status, info.limits.as_deref(), retry_after, now());
                                if place.has_other_key(&shown, now())
                                    && self.exchange.other_key(info.status, now())
                                {
                                    recycle(&core, upstream, answer);
                                    continue;
                                }
                            }
                            if let Some(why) = declined
                                && self.exchange.declined(why, now())
                            {
                                recycle(&core, upstream, answer);
                                continue;
                            }
                            // Where all keys rest, the target does until the first of them wakes.
                            let retry_after = place.keys_rest(now()).or(retry_after);
                            match self.report(&answer, retry_after, now()) {
                                Verdict::Relay => {
                                    self.times.answered = Some(core.now());
                                    let answer = Box::new(answer);
                                    return Ok(Obtained { answer, target, replica, crossing });
                                }
                                Verdict::Again => recycle(&core, upstream, answer),
                            }
                        }
                    }
                }
            }
        }
    }

    /// Says in the books that the request is under way, where budgets hold money for it.
    pub(super) fn tell_books(&mut self, core: &Core) {
        let Some(books) = &core.shared.books else { return };
        if self.surface.may_cost() && self.exchange.money_held() > NanoUsd::ZERO {
            let id = *self.row.get_or_insert_with(|| books.name());
            books.begin(books::under_way(id, core, self));
        }
    }

    /// Writes the request for a provider, or ends the walk.
    fn written(&mut self, core: &Core, body: &Body, provider: &Provider) -> Result<Written, Stop> {
        self.write(body, provider, core).map_err(|refusal| {
            self.exchange.report(Outcome::Failed(refusal.fault), now_of(core));
            Stop::Refused(refusal)
        })
    }

    /// Counts tokens for a provider that cannot.
    async fn count_here(&mut self, core: &Core, body: &Body, provider: &Provider) -> Stop {
        let counted = self.count(core, body, provider).await;
        self.exchange.report(Outcome::Failed(Fault::Untranslatable), now_of(core));
        counted.map_or_else(Stop::Refused, Stop::Counted)
    }

    fn form_is_spoken(&self, provider: &Provider) -> bool {
        // Where nothing counts tokens, what would be asked for is an answer.
        if self.surface == Surface::CountTokens && provider.kind.count_path().is_none() {
            return false;
        }
        self.surface.form().is_none_or(|form| provider.forms.contains(&form))
    }

    /// Reads on, where a provider may have declined the request for a reason for which the policy has another model to go on
    /// with, and says which.
    async fn hear_out(
        &self,
        connection: &mut Connection,
        place: &Target,
        answer: &mut Answer,
        end: Instant,
    ) -> Result<Option<TurnedBy>, Failure> {
        let status = answer.info.status;
        if !(400..500).contains(&status) || answer.info.coded || !self.exchange.hears_declined() {
            return Ok(None);
        }
        let core = std::rc::Rc::clone(&connection.core);
        let deadlines = self.deadlines(place, end);
        let body =
            Box::pin(attempt::whole(&core, &mut connection.client, answer, &deadlines)).await?;
        Ok(body.and_then(|body| declined::declined(status, &body)).map(|why| match why {
            Declined::ContextWindow => TurnedBy::ContextWindow,
            Declined::ContentPolicy => TurnedBy::ContentPolicy,
        }))
    }

    fn report(&mut self, answer: &Answer, retry_after: Option<Duration>, now: Nanos) -> Verdict {
        let outcome = Outcome::Answered { status: answer.info.status, retry_after };
        self.exchange.report(outcome, now)
    }

    /// Waits before the next attempt, and watches the client meanwhile.
    async fn wait(
        &mut self,
        connection: &mut Connection,
        until: Instant,
        end: Instant,
    ) -> Result<(), Stop> {
        let client = &mut connection.client;
        client.watch(true);
        client.slot.arm(until.min(end));
        std::future::poll_fn(|cx| {
            if let Poll::Ready(News::Gone) = client.poll_news(cx) {
                return Poll::Ready(Err(Stop::ClientGone));
            }
            client.slot.poll_expired(cx).map(Ok)
        })
        .await?;
        match connection.core.now() >= end {
            false => Ok(()),
            true => Err(Stop::Refused(Refusal::new(
                Fault::TotalTimeout,
                "the request took longer than server.deadlines.total",
            ))),
        }
    }

    /// One attempt; a connection that had been idle and turns out dead is replaced by a fresh one.
    async fn attempt(
        &mut self,
        connection: &mut Connection,
        body: &Body,
        way: Way<'_>,
    ) -> Result<Answer, Failure> {
        let Way { written, target, upstream, key, end } = way;
        let core = std::rc::Rc::clone(&connection.core);
        if let Some(credential) = &upstream.credential
            && !Box::pin(credential.ready(core.wall())).await
        {
            return Err(Failure::Credentials);
        }
        let head = self.head(body, written, (upstream, key), &core);
        let mut parts: Vec<&[u8]> = Vec::with_capacity(8);
        parts.push(&head);
        let mut upload = self.upload.take();
        let start_len = written.body.len(body.bytes());
        let mut size = [0; CHUNK_HEAD_BYTES_MAX];
        let is_chunk = upload.is_some() && self.framing == Framing::Chunked && start_len > 0;
        if is_chunk {
            let n = write_chunk_head(&mut size, start_len);
            parts.push(&size[..n]);
        }
        if upload.is_some() || start_len > COPY_BYTES_MAX {
            written.body.parts(body.bytes(), &mut parts);
        }
        if is_chunk {
            parts.push(b"\r\n");
        }
        // What passes once must not meet a connection that is closing.
        let mut fresh = upload.is_some();
        let mut order = Order {
            parts: &parts,
            upload: upload.as_mut(),
            is_paid: self.exchange.money_held() > NanoUsd::ZERO,
            method: self.method,
            client_is_http11: self.http11,
            rewrites: true,
            streams: self.streams,
            switches: self.protocols.is_some(),
            translated: written.crossing_type(self),
            tells: (self.form(), core.wall()),
            hears_limits: key.is_some(),
        };
        let deadlines = self.deadlines(target, end);
        let client = &mut connection.client;
        let result = loop {
            let connected = attempt::connect(&core, client, upstream, &deadlines, fresh).await;
            let (stream, reused) = match connected {
                Ok(connected) => connected,
                Err(failure) => break Err(failure),
            };
            self.times.sent.get_or_insert(core.shared.clock.now());
            match attempt::ask(&core, client, stream, reused, &mut order, &deadlines).await {
                Err(Failure::Reset { reused: true }) => fresh = true,
                // Both may be billed, so both are set aside.
                Err(Failure::Taken) => match self.exchange.pay_again(Nanos(core.now().nanos())) {
                    true => fresh = true,
                    false => break Err(Failure::Reset { reused: false }),
                },
                result => break result,
            }
        };
        self.upload = upload;
        buffer::give_back(head);
        result
    }

    pub(super) fn deadlines(&self, target: &Target, end: Instant) -> Deadlines {
        Deadlines {
            connect: target.deadlines.connect,
            first_byte: target.deadlines.first_byte,
            stall: self.live.policy.server.deadlines.stall,
            end,
        }
    }

    /// The head of the request, with the body behind it when that is small.
    pub(super) fn head(
        &self,
        body: &Body,
        written: &Written,
        (upstream, key): (&Upstream, Option<&Key>),
        core: &Core,
    ) -> Vec<u8> {
        let length = written.body.len(body.bytes());
        let copied = if self.upload.is_none() && length <= COPY_BYTES_MAX { length } else { 0 };
        let wanted = 512 + written.fields.len() + copied;
        let mut out = match wanted <= LANDING_BYTES {
            true => buffer::landing(),
            false => Vec::with_capacity(wanted),
        };
        // What may carry a body says that it carries none (RFC 9110 section 8.6); others need not.
        let framing = match (self.framing, self.method) {
            _ if self.upload.is_some() => {
                self.upload.as_ref().map_or(Framing::None, |upload| upload.framing(length as u64))
            }
            (Framing::None, Method::Get | Method::Head | Method::Delete | Method::Options) => {
                Framing::None
            }
            _ => Framing::Length(length as u64),
        };
        let query = written.query(self.query.as_deref(), &upstream.path_prefix);
        let mut outgoing = Outgoing {
            method: self.method.as_str(),
            path: &written.path,
            from_root: written.from_root,
            query: query.as_deref(),
            proof: b"",
            forwarded: &written.fields,
            framing,
            via: &core.shared.via,
            passed: self.via.as_deref(),
            trace: self.trace,
            request_id: &self.id,
        };
        let proof = proof(body, written, upstream, &outgoing, core.wall());
        outgoing.proof = key.map_or(&proof, |key| &key.line);
        reply::write_request(&mut out, upstream, &outgoing);
        if copied > 0 {
            written.body.write(body.bytes(), &mut out);
        }
        out
    }
}

/// The fields that prove who pays, where they depend on the request or change with time.
fn proof(
    body: &Body,
    written: &Written,
    upstream: &Upstream,
    outgoing: &Outgoing<'_>,
    wall_nanos: u64,
) -> Vec<u8> {
    let mut proof = Vec::new();
    let Some(credential) = &upstream.credential else { return proof };
    let (mut target, mut parts, mut forwarded) = (Vec::new(), Vec::new(), Vec::new());
    reply::write_target(&mut target, upstream, outgoing);
    reply::write_all_but(&mut forwarded, outgoing.forwarded, &upstream.field_names);
    written.body.parts(body.bytes(), &mut parts);
    let target = String::from_utf8_lossy(&target);
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let request = Unsent {
        method: outgoing.method,
        path,
        query,
        host: &upstream.host,
        fields: [&upstream.fields, &forwarded],
        body: &parts,
    };
    credential.prove(&mut proof, &request, wall_nanos);
    proof
}

/// How long the provider asks to be left alone.
pub(super) fn retry_after(core: &Core, info: &Info) -> Option<Duration> {
    match &info.retry_after {
        None if info.retry_after_ms.is_none() => None,
        after => retry::retry_after(
            after.as_deref().map(str::as_bytes).unwrap_or_default(),
            info.retry_after_ms.as_deref().map(str::as_bytes),
            core.wall(),
        ),
    }
}

/// What a client is told where no target is left because of this.
fn without_credentials(provider: &Provider, upstream: &Upstream) -> String {
    let tried = upstream.credential.as_ref().map_or("nothing", |credential| credential.tried());
    let name = &provider.name;
    format!("no credentials for provider {name}: tried {tried}; the gateway's log says why")
}

/// Where one attempt goes, and with what.
pub(super) struct Way<'a> {
    /// The request.
    pub(super) written: &'a Written,
    /// The target.
    pub(super) target: &'a Target,
    /// Which of its places.
    pub(super) upstream: &'a Upstream,
    /// Its key, where it has several.
    pub(super) key: Option<&'a Key>,
    /// When the request's time is over.
    pub(super) end: Instant,
}

/// An attempt that was made beside another one.
pub(super) struct Run<'a> {
    /// Index of the target in the policy.
    pub(super) target: usize,
    /// Which of its places.
    pub(super) choice: Choice<'a>,
    /// The key that it showed.
    pub(super) key: Option<&'a Key>,
    /// The dialect of its answer, where that is not the client's.
    pub(super) crossing: Option<Crossing>,
}

/// The places of one target that a request has tried; another target begins anew.
#[derive(Default)]
struct Tried {
    target: usize,
    places: Vec<usize>,
}

impl Tried {
    /// Those of `target`, which is the one that is tried next.
    fn at(&mut self, target: usize) -> &[usize] {
        if self.target != target {
            self.target = target;
            self.places.clear();
        }
        &self.places
    }

    fn add(&mut self, place: usize) {
        self.places.push(place);
    }
}

/// What a request asks, as far as a decision depends on it.
fn ask<'b>(body: &'b Body, surface: Surface, call: &Call<'b>) -> Result<Asked<'b>, Refusal> {
    let asked = match (&body.peek, surface.form()) {
        (Some(peek), Some(form)) => form.passage().ask(peek, body.bytes(), call),
        (Some(peek), None) => openai::ask(peek, body.bytes(), surface, call),
        (None, _) => {
            let named = body.model.as_ref().map(|field| &*field.value);
            Ok(Asked { model: call.model.or(named).map(Into::into), ..Asked::default() })
        }
    };
    asked.map_err(|invalid| write::refusal(&invalid))
}

/// Whether less to set aside may help.
fn is_of_budget(fault: Fault) -> bool {
    matches!(fault, Fault::BudgetExceeded | Fault::BudgetSpent)
}

fn now_of(core: &Core) -> Nanos {
    Nanos(core.now().nanos())
}

/// Keeps the connection of an answer that nobody gets, when all of it has arrived.
fn recycle(core: &Core, upstream: &Upstream, answer: Answer) {
    if !answer.info.keep_alive || answer.early {
        return;
    }
    let mut reader = BodyReader::new(answer.info.framing);
    let mut rest = &answer.buf[answer.info.len..];
    while !reader.is_ended() {
        match reader.next(rest) {
            Ok(piece) if piece.consumed > 0 || piece.end => rest = &rest[piece.consumed..],
            _ => return,
        }
    }
    if rest.is_empty() {
        core.pool.put(upstream.id, answer.stream, core.now());
    }
}

/// The longest that a request may take.
pub(super) fn end_of(walk: &Walk) -> Instant {
    let total: Duration = walk.live.policy.server.deadlines.total;
    walk.times.started.after(total)
}

/// Makes a head field of the delay that a provider asks for in the body of its error, where its dialect has no field for it
/// and the body has come with the head.
fn hear_delay(provider: &Provider, answer: &mut Answer) {
    let info = &mut answer.info;
    let is_told = info.retry_after.is_some() || info.retry_after_ms.is_some();
    if !matches!(info.status, 429 | 503) || is_told || !provider.forms.contains(&Form::Gemini) {
        return;
    }
    let body = answer.buf.get(info.len..).unwrap_or_default();
    if let Some(delay) = gemini::told_delay(body) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        reply::write_number_field(&mut answer.out, b"retry-after", millis.div_ceil(1000));
        reply::write_number_field(&mut answer.out, b"retry-after-ms", millis);
        info.retry_after_ms = Some(millis.to_string().into());
    }
}
