//! The end of a walk: the answer goes to the client, what it cost is settled, what happened is recorded.

use std::{cell::OnceCell, rc::Rc};

use faregate_adapters::{
    chat::UsageSource,
    dialect::{AnswerTerms, Form},
    surface::Surface,
    tokens::Count,
};
use faregate_policy::{
    Nanos,
    exchange::{Exchange, More, Receipt, Refusal, Session, Settlement},
    fault::Fault,
    policy::Provider,
};
use faregate_wire::{JsonWriter, Method};

use super::{
    Hints, Refused, Rest, Walk,
    count::{Early, StandIn, Told},
    obtain::{Obtained, end_of},
    pay::Paying,
    read::Stop,
    write::Crossing,
};
use crate::{
    allowance,
    answer::{self, Telling},
    attempt::Info,
    carry::Carried,
    clock::Instant,
    connection::{Connection, Next},
    forward::{self, End, Forwarded, OwnFields, Pace, Terms},
    live::Target,
    local,
    realtime::{self, Ended},
    record::{self, Ending},
    relay::{
        Downstream, Plan,
        translate::{Coming, Pair, Translator},
    },
    reply,
    worker::Core,
};

impl Walk {
    /// Walks: read, decide, send, relay, settle, record.
    pub(super) async fn run(mut self: Box<Self>, connection: &mut Connection) -> Next {
        match self.prepare(connection).await {
            Ok(Some(obtained)) => self.relay(connection, obtained).await,
            Ok(None) => Box::pin(self.list_models(connection)).await,
            Err(stop) => Box::pin(self.stop(connection, stop)).await,
        }
    }

    /// From the body to the head of an answer; `None` when the gateway answers by itself. Behind a body that was not read
    /// to its end comes no other request.
    async fn prepare(&mut self, connection: &mut Connection) -> Result<Option<Obtained>, Stop> {
        let prepared = self.read_and_send(connection).await;
        if let Some(upload) = self.upload.take() {
            self.body_bytes = upload.bytes();
            self.keep_alive &= upload.is_ended();
        }
        prepared
    }

    /// Nothing of the request's body is kept while the answer passes.
    async fn read_and_send(
        &mut self,
        connection: &mut Connection,
    ) -> Result<Option<Obtained>, Stop> {
        let body = self.read(connection).await?;
        self.times.read = connection.core.now();
        if matches!(self.surface, Surface::Models | Surface::Model) && !self.asks_for_models() {
            return Ok(None);
        }
        self.hear_labels(&body);
        self.go_back(&connection.core.shared.stored, &body).map_err(Stop::Refused)?;
        self.resolve(&body, &connection.core).map_err(Stop::Refused)?;
        if self.live.cache.is_some()
            && !self.is_dry_run()
            && let Some(found) = Box::pin(self.look_up(connection, &body)).await?
        {
            body.release();
            return Err(Stop::Found(Box::new(found)));
        }
        if let Err(refusal) = self.draw(&connection.core) {
            let core = Rc::clone(&connection.core);
            let reserved = Box::pin(self.reserve_closer(&core, &body, refusal)).await;
            reserved.map_err(Stop::Refused)?;
        }
        if self.is_dry_run() {
            return Err(Stop::Quoted);
        }
        let obtained = self.obtain(connection, &body, end_of(self)).await;
        body.release();
        self.forwarded = Vec::new();
        obtained.map(Some)
    }

    /// Whether the list of models is the provider's: the policy names none, and the caller may use all of them.
    fn asks_for_models(&self) -> bool {
        let caller = self.exchange.caller();
        caller.is_none_or(|caller| caller.models.is_empty())
            && self.live.policy.models.offered(None).next().is_none()
    }

    async fn relay(mut self: Box<Self>, connection: &mut Connection, obtained: Obtained) -> Next {
        if obtained.answer.info.status == 101 {
            return Box::pin(self.switch(connection, obtained)).await;
        }
        let Obtained { mut answer, target, replica, crossing } = obtained;
        let crossing = crossing.filter(|crossing| !(crossing.unwraps && is_whole(&answer.info)));
        let live = Rc::clone(&self.live);
        let place = &live.targets[target];
        let core = Rc::clone(&connection.core);
        let plan = self.plan(&answer.info);
        let provider = &live.policy.providers[live.policy.targets[target].provider];
        let crossed = crossing.as_ref().map(|crossing| crossing.target);
        let early = self.early.take();
        let input = early.as_ref().map(Early::count);
        let translator = crossing
            .map(|crossing| self.translator(&core, crossing, provider, &answer.info, input));
        let delivered = (200..300).contains(&answer.info.status);
        let named = &live.policy.targets[target].name;
        let maker = self.maker(&provider.name, named, &place.upstreams[replica]);
        let maker = maker.filter(|_| delivered && crossed.is_none());
        if delivered {
            self.forget(&core.shared.stored);
        }
        let close = !self.keep_alive || plan.downstream == Downstream::Close || core.is_draining();
        let capture = self.capture(&answer);
        self.write_fields(&mut answer.out, &answer.info, close, input);
        connection.answered = true;
        // Boxed: every open stream has it.
        let info = Box::new(answer.info.clone());
        let pace = self.pace(place, plan.events, end_of(&self));
        let client = &mut connection.client;
        let walk = &mut *self;
        // A stream that passes as one array is more JSON than text, and what is ranked makes no tokens.
        let is_array = walk.streams && !plan.events && crossed.is_none();
        let request_id = &*walk.id;
        let model = walk.model.as_deref().unwrap_or_default();
        let (family, generation) = (walk.family, live.generation);
        let tells_cost = walk.wants_cost(&plan);
        let mut paying = Box::new(Paying {
            held: walk.exchange.output_held(),
            exchange: &mut walk.exchange,
            core: &core,
            plan,
            surface: walk.surface,
            body_bytes: walk.body_bytes,
            early,
            delivered,
            is_estimated: plan.metered && walk.surface != Surface::Rerank && !is_array,
            known: OnceCell::new(),
            receipt: None,
            capture,
            keeping: walk.keeping.as_deref_mut(),
        });
        let till = &mut *paying;
        let terms = Terms {
            plan,
            translator,
            pace,
            request_id,
            family,
            generation,
            close,
            maker,
            till,
            tells_cost,
            model,
        };
        let mut forwarded = forward::forward(&core, client, answer, terms).await;
        let stand_in = paying.stand_in(&forwarded.learned);
        let (receipt, captured) = (paying.receipt.take(), paying.capture.take());
        self.receipt = receipt;
        if let Some(stream) = forwarded.upstream.take() {
            core.pool.put(place.upstreams[replica].id, stream, core.now());
        }
        let is_carried = forwarded.carried.as_ref().is_some_and(Carried::is_needed);
        if let (Some(form), Some(carried)) = (crossed, forwarded.carried.take()) {
            let caller = self.exchange.caller().map_or("", |caller| &caller.key);
            core.shared.memory.keep(caller, form, carried);
        }
        if let (Some(stay), Some(usage)) = (&self.stay, &forwarded.learned.usage) {
            stay.learn(usage);
        }
        if let (Some(follow), Some(usage)) = (&self.follow, &forwarded.learned.usage)
            && delivered
        {
            follow.told(self.exchange.model(), usage);
        }
        if let Some(keeping) = self.keeping.take() {
            let sent = captured.filter(|_| forwarded.is_whole);
            self.keep(&core, *keeping, (info.status, sent), (&plan, is_carried));
        }
        if connection.client.has_left() {
            forwarded.end = End::ClientGone; // others have waited for it
        }
        self.record_answer(&core, &info, &plan, &forwarded, stand_in.as_ref());
        match (forwarded.reusable, close) {
            (true, false) => {
                connection.client.consume(0);
                Next::Continue
            }
            (true, true) => Next::Finish,
            (false, _) if forwarded.end == End::ClientGone => Next::Close,
            (false, _) if plan.downstream == Downstream::Close => Next::Finish,
            (false, _) => Next::Close,
        }
    }

    /// Goes on with WebSocket frames, to their end.
    async fn switch(mut self: Box<Self>, connection: &mut Connection, obtained: Obtained) -> Next {
        let Obtained { mut answer, .. } = obtained;
        let core = Rc::clone(&connection.core);
        answer.out.extend_from_slice(b"connection: Upgrade\r\nupgrade: websocket\r\n");
        self.write_fields(&mut answer.out, &answer.info, false, None);
        connection.answered = true;
        connection.arm(self.live.policy.server.deadlines.stall);
        let mut ended = Ended { end: End::ClientGone, usage: None, untold: None, bytes: 0 };
        if connection.client.send(&[&answer.out]).await.is_ok() {
            let received = answer.buf.split_off(answer.info.len);
            let idle = self.live.policy.server.deadlines.idle;
            let client = &mut connection.client;
            let (exchange, core) = (&mut self.exchange, &core);
            let mut hold = |session: &Session| {
                let held = exchange.hold_session(session, Nanos(core.now().nanos()));
                if held == Err(More::Later)
                    && let Some(books) = &core.shared.books
                {
                    books.hurry();
                }
                held
            };
            let stream = &mut answer.stream;
            ended = Box::pin(realtime::pass(core, client, stream, received, idle, &mut hold)).await;
        }
        let fault = ended.end.fault();
        let told = Told { usage: ended.usage, is_short: ended.untold.is_some() };
        let usage_source = told.source(None);
        // Of an answer that was cut off, what came of it is added.
        let usage = realtime::together(ended.usage, ended.untold);
        let settlement = Settlement {
            usage,
            usage_source,
            delivered: true,
            output_estimate: Some(0),
            fault,
            ..Settlement::default()
        };
        self.receipt = Some(settle(&mut self.exchange, &core, settlement));
        let code = fault.map_or("", Fault::code);
        let (usage, bytes) = (usage.as_ref(), ended.bytes);
        let source = usage_source;
        let ending = Ending { status: 101, code, usage, source, bytes, delivered: true };
        record::record(&core, &self, &ending);
        if ended.end == End::ClientGone { Next::Close } else { Next::Finish }
    }

    fn plan(&self, info: &Info) -> Plan {
        let answers = (200..300).contains(&info.status);
        Plan {
            upstream: info.framing,
            downstream: info.downstream,
            events: (info.events || info.frames && self.surface.form().is_some()) && !info.coded,
            array: answers
                && self.streams
                && self.wants_array()
                && !(info.events || info.frames || info.coded),
            drop_usage_chunk: self.adds_usage && info.events && !info.coded,
            metered: answers && self.surface.is_metered() && !info.coded,
            form: self.form(),
        }
    }

    fn translator(
        &self,
        core: &Core,
        crossing: Crossing,
        provider: &Provider,
        info: &Info,
        input: Option<Count>,
    ) -> Box<Translator> {
        let coming = match info.status {
            200..300 if info.events || info.frames => Coming::Stream,
            200..300 => Coming::Whole,
            status => Coming::Error(status),
        };
        let pair = Pair {
            target: crossing.target,
            client: self.form(),
            quirks: &provider.quirks,
            wrapped: provider.kind.wraps_events(),
            unwraps: crossing.unwraps,
            streams: self.streams,
            names: crossing.names,
            customs: crossing.customs,
            input: input.map(|count| count.tokens).filter(|_| self.says_usage()),
            vectors: crossing.vectors,
            seed: core.random.next(),
            terms: AnswerTerms {
                model: self.model.as_deref().unwrap_or_default(),
                include_usage: !self.adds_usage,
                request_id: &self.id,
                created: core.wall() / 1_000_000_000,
                input_estimate: input.map(|count| count.tokens),
                json_array: self.wants_array(),
            },
        };
        Box::new(Translator::new(pair, coming))
    }

    fn pace(&self, target: &Target, events: bool, end: Instant) -> Pace {
        let deadlines = &self.live.policy.server.deadlines;
        Pace {
            first_token: target.deadlines.first_token,
            between_tokens: target.deadlines.between_tokens,
            stall: deadlines.stall,
            keep_alive: deadlines.keep_alive_comment.filter(|_| events),
            end,
        }
    }

    fn write_fields(&self, out: &mut Vec<u8>, info: &Info, close: bool, input: Option<Count>) {
        let spent = self.exchange.attempts() > 1 && (info.status >= 500 || info.status == 429);
        if spent {
            reply::write_field(out, b"x-should-retry", b"false");
        }
        allowance::write_warnings(out, self.exchange.warnings());
        if let Some(note) = self.note {
            reply::write_field(out, b"x-faregate-cache", note.as_bytes());
        }
        let count = input.filter(|_| info.status < 300 && self.tells_input_first());
        let route = self.exchange.target().map(|t| &*t.name).unwrap_or_default();
        forward::write_own_fields(
            out,
            &OwnFields {
                id: &self.id,
                has_request_id: info.has_request_id,
                route,
                reason: &self.reason(),
                generation: self.live.generation,
                events: info.events,
                close,
                lost: self.lost.as_deref(),
                count: count.map(|count| count.how.name()),
                is_marked: self.is_marked,
                is_http10: !self.http11,
            },
        );
    }

    /// Whether the stream says at its end what it has cost: a comment in it, which frames and arrays have no place for.
    fn wants_cost(&self, plan: &Plan) -> bool {
        self.hints.as_deref().is_some_and(Hints::wants_cost)
            && plan.events
            && self.form() != Form::Converse
            && !self.wants_array()
    }

    /// Why the request went where it went.
    fn reason(&self) -> String {
        let reason = self.exchange.route_reason();
        match &self.stay {
            Some(stay) => format!("{reason}; {stay}"),
            None => reason.into_owned(),
        }
    }

    /// Whether the client is told usage in any case, in its dialect or as it asked for.
    fn says_usage(&self) -> bool {
        self.form() != Form::Chat || self.streams && !self.adds_usage
    }

    fn record_answer(
        &mut self,
        core: &Core,
        info: &Info,
        plan: &Plan,
        forwarded: &Forwarded,
        stand_in: Option<&StandIn>,
    ) {
        let learned = &forwarded.learned;
        self.times.first_content = forwarded.first_content;
        let fault = forwarded.end.fault();
        let status = match forwarded.end {
            End::ClientGone => 499,
            _ => forwarded.refused.unwrap_or(info.status),
        };
        let delivered = (200..300).contains(&info.status);
        let code = match fault {
            Some(fault) => fault.code(),
            None if info.status >= 400 => "upstream_status",
            None => "",
        };
        let told = Told::of(learned, plan);
        let source = told.source(stand_in);
        let usage = told.usage.as_ref().or(stand_in.map(|stand_in| &stand_in.usage));
        let bytes = learned.bytes;
        record::record(core, self, &Ending { status, code, usage, source, bytes, delivered });
    }

    pub(super) fn settle_unanswered(&mut self, core: &Core, fault: Option<Fault>) {
        let settlement = Settlement { fault, ..Settlement::default() };
        self.receipt = Some(settle(&mut self.exchange, core, settlement));
    }

    /// Ends the walk without an answer of a provider.
    pub(super) async fn stop(mut self: Box<Self>, connection: &mut Connection, stop: Stop) -> Next {
        let core = Rc::clone(&connection.core);
        self.keeping = None; // who waits need not wait for this client
        match stop {
            Stop::ClientGone => {
                self.settle_unanswered(&core, Some(Fault::ClientGone));
                self.record_stop(&core, 499, Fault::ClientGone.code(), 0);
                Next::Close
            }
            Stop::Counted(count) => self.tell_count(connection, count).await,
            Stop::Quoted => self.tell_quote(connection).await,
            Stop::Found(found) => self.replay(connection, *found).await,
            Stop::Refused(refusal) => {
                let rest = Rest::none(!self.keep_alive || core.is_draining());
                self.refuse(connection, &refusal, rest).await
            }
            Stop::Unread(refusal) => {
                // A body that did not come in time may come yet (RFC 9110 section 15.5.9).
                let late = refusal.fault == Fault::BodyTimeout;
                let close = !self.keep_alive || self.expects || late || core.is_draining();
                let rest = Rest::of(connection, self.head_len, self.framing, close);
                self.refuse(connection, &refusal, rest).await
            }
        }
    }

    async fn refuse(
        &mut self,
        connection: &mut Connection,
        refusal: &Refusal,
        mut rest: Rest,
    ) -> Next {
        let core = Rc::clone(&connection.core);
        self.settle_unanswered(&core, Some(refusal.fault));
        let mut out = Vec::with_capacity(1024);
        let head_only = self.method == Method::Head;
        let telling = Telling {
            family: self.family,
            id: &self.id,
            generation: self.live.generation,
            close: rest.closes(),
            head_only,
        };
        answer::write_refusal(&mut out, refusal, &telling);
        self.record_stop(&core, refusal.fault.status(), refusal.fault.code(), out.len());
        rest.answer(connection, &out).await
    }

    pub(super) fn record_stop(&self, core: &Core, status: u16, code: &'static str, bytes: usize) {
        let (usage, source, bytes) = (None, UsageSource::Absent, bytes as u64);
        let ending = Ending { status, code, usage, source, bytes, delivered: false };
        record::record(core, self, &ending);
    }

    /// Answers a request whose tokens were to be counted, where no provider can.
    async fn tell_count(&mut self, connection: &mut Connection, count: Count) -> Next {
        let core = Rc::clone(&connection.core);
        self.settle_unanswered(&core, None);
        let mut body = Vec::with_capacity(64);
        let mut json = JsonWriter::new(&mut body);
        json.object();
        match self.surface {
            Surface::CountContent => json.member_u64("totalTokens", count.tokens),
            Surface::CountResponse => json
                .member_str("object", "response.input_tokens")
                .member_u64("input_tokens", count.tokens),
            _ => json.member_u64("input_tokens", count.tokens),
        };
        json.end();
        let mut rest = Rest::none(!self.keep_alive || core.is_draining());
        let mut out = Vec::with_capacity(256);
        local::write_count(&mut out, &body, &self.id, count.how.name(), rest.closes());
        self.record_stop(&core, 200, "", body.len());
        rest.answer(connection, &out).await
    }

    async fn list_models(mut self: Box<Self>, connection: &mut Connection) -> Next {
        let Some(body) = local::models(&self) else {
            let refusal = Refusal::new(
                Fault::ModelUnknown,
                "no model of that name is offered to this key; GET /v1/models lists those that are",
            );
            return self.stop(connection, Stop::Refused(refusal)).await;
        };
        let core = Rc::clone(&connection.core);
        self.settle_unanswered(&core, None);
        let mut rest = Rest::none(!self.keep_alive || core.is_draining());
        let mut out = Vec::with_capacity(body.len() + 256);
        let head_only = self.method == Method::Head;
        local::write_json_answer(&mut out, &body, &self.id, rest.closes(), head_only);
        self.record_stop(&core, 200, "", body.len());
        rest.answer(connection, &out).await
    }
}

fn settle(exchange: &mut Exchange, core: &Core, settlement: Settlement) -> Receipt {
    exchange.settle(settlement, Nanos(core.now().nanos()))
}

impl Refused {
    /// Answers a request that was refused by its head.
    pub(super) async fn serve(mut self: Box<Self>, connection: &mut Connection) -> Next {
        let core = Rc::clone(&connection.core);
        if let Some(exchange) = &mut self.exchange {
            let settlement =
                Settlement { fault: Some(self.refusal.fault), ..Settlement::default() };
            exchange.settle(settlement, Nanos(core.now().nanos()));
        }
        let known_head = self.head_len != usize::MAX;
        let close = self.close || !known_head || core.is_draining();
        let mut rest = match known_head {
            true => Rest::of(connection, self.head_len, self.framing, close),
            false => Rest::none(true),
        };
        let mut out = Vec::with_capacity(1024);
        let generation = core.live().generation;
        let telling = Telling {
            family: self.family,
            id: &self.id,
            generation,
            close: rest.closes(),
            head_only: self.head_only,
        };
        answer::write_refusal(&mut out, &self.refusal, &telling);
        record::record_refused(
            &core,
            &self.refusal,
            &self.id,
            self.surface,
            self.exchange.as_ref(),
        );
        rest.answer(connection, &out).await
    }
}

/// Whether this is an answer, and no stream.
fn is_whole(info: &Info) -> bool {
    (200..300).contains(&info.status) && !info.events && !info.frames
}
