//! A request whose answer is late is sent to a second place: the first token wins.
//!
//! In: the first attempt, as it is to be sent. Out: the answer of whichever is first, and where it comes from. Whether there
//! is a second attempt, where it goes and what it may cost is decided by the exchange. The loser is dropped at once: its
//! connection closes, and a provider that is still at work learns it.

use std::{rc::Rc, sync::Arc, task::Poll};

use faregate_adapters::{dialect::Form, surface::Surface};
use faregate_policy::{Nanos, exchange::Outcome, policy::Provider, retry::Class};
use faregate_price::NanoUsd;
use faregate_wire::{Json, Method};

use super::{
    Walk,
    obtain::{Run, Way, retry_after},
    read::Body,
    write::Written,
};
use crate::{
    affinity::Stay,
    answer,
    attempt::{self, Answer, Failure, Order},
    client::News,
    connection::Connection,
    exchange::count::Early,
    hedge::{Ear, ask_alone, first_token},
    live::View,
    worker::Core,
};

/// What became of the attempts.
pub(super) struct Raced<'a> {
    /// The answer that counts.
    pub(super) result: Result<Answer, Failure>,
    /// Where it comes from, when that is the second attempt.
    pub(super) second: Option<Run<'a>>,
}

/// What the walk keeps of the attempt that is sent.
struct Kept {
    early: Option<Early>,
    is_marked: bool,
    lost: Option<Box<str>>,
    stay: Option<Stay>,
    provider_key: Option<Arc<str>>,
}

/// Which of two attempts has ended.
enum Ended {
    First(Result<Answer, Failure>),
    Second(Result<Answer, Failure>),
}

impl Walk {
    /// Whether the request does nothing but make an answer: nothing is stored, and no tool of the provider's runs.
    pub(super) fn is_harmless(&self, body: &Body) -> bool {
        if self.method != Method::Post || self.upload.is_some() || self.protocols.is_some() {
            return false;
        }
        let Some(whole) = Json::new(body.bytes()).filter(|_| body.peek.is_some()) else {
            return false;
        };
        let is_there = |name: &str| whole.get(name).is_some_and(|value| !value.is_null());
        let tools = || whole.get("tools").into_iter().flat_map(Json::items);
        let of_type = |tool: Json<'_>, types: &[&str]| {
            tool.get_str("type").is_some_and(|kind| types.contains(&&*kind))
        };
        match self.surface {
            Surface::ChatCompletions => {
                !is_there("web_search_options")
                    && whole.get_bool("store") != Some(true)
                    && tools().all(|tool| of_type(tool, &["function", "custom"]))
            }
            Surface::Responses => {
                whole.get_bool("store") == Some(false)
                    && !["previous_response_id", "conversation", "background", "prompt"]
                        .iter()
                        .any(|name| is_there(name))
                    && tools().all(|tool| of_type(tool, &["function", "custom"]))
            }
            Surface::Messages => {
                !is_there("mcp_servers")
                    && !is_there("container")
                    && tools().all(|tool| tool.get("input_schema").is_some())
            }
            Surface::GenerateContent => tools().all(|tool| {
                tool.members().all(|(name, _)| {
                    matches!(&*name, "functionDeclarations" | "function_declarations")
                })
            }),
            Surface::Completions | Surface::Embeddings => true,
            _ => false,
        }
    }

    /// Sends the request, and once more elsewhere when it is late.
    pub(super) async fn raced<'a>(
        &mut self,
        connection: &mut Connection,
        body: &Body,
        way: Way<'_>,
        (live, target, replica): (&'a Rc<View>, usize, usize),
    ) -> Raced<'a> {
        let core = Rc::clone(&connection.core);
        let now = || Nanos(core.now().nanos());
        let Way { written, target: place, upstream, key, end } = way;
        let failed = |failure| Raced { result: Err(failure), second: None };
        if let Some(credential) = &upstream.credential
            && !Box::pin(credential.ready(core.wall())).await
        {
            return failed(Failure::Credentials);
        }
        let head = self.head(body, written, (upstream, key), &core);
        let parts = parts_of(&head, written, body);
        let mut order = self.order(&parts, written, key.is_some(), &core);
        let deadlines = self.deadlines(place, end);
        let form = self.form_at(&live.policy.providers[live.policy.targets[target].provider]);
        let within = place.deadlines.first_token;
        self.times.sent.get_or_insert(core.shared.clock.now());
        let client = &mut connection.client;
        let mut first = Box::pin(async {
            let mut fresh = false;
            let answer = loop {
                let (stream, reused) =
                    attempt::connect(&core, client, upstream, &deadlines, fresh).await?;
                match attempt::ask(&core, client, stream, reused, &mut order, &deadlines).await {
                    Err(Failure::Reset { reused: true }) => fresh = true,
                    answered => break answered?,
                }
            };
            first_token(&core, Ear::Client(client), answer, form, (within, &deadlines)).await
        });
        let slot = core.timers.slot();
        if let Some(after) = self.exchange.late_after() {
            slot.arm(core.now().after(after));
        }
        let in_time = std::future::poll_fn(|cx| match first.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => slot.poll_expired(cx).map(|()| None),
        });
        if let Some(result) = in_time.await {
            if is_answer(&result) {
                self.exchange.first_token(now());
            }
            return Raced { result, second: None };
        }
        let has_places = place.upstreams.len() > 1;
        let Some(second) = self.exchange.hedge(has_places, now(), core.random.next()) else {
            let result = first.await;
            if is_answer(&result) {
                self.exchange.first_token(now());
            }
            return Raced { result, second: None };
        };
        let kept = self.take_kept();
        let tried: &[usize] = if second.target == target { &[replica] } else { &[] };
        let other = &live.targets[second.target];
        let choice = other.choose(None, tried, second.replica_hint, now(), None);
        let other_key =
            other.key(second.target, &mut Default::default(), now(), core.random.next());
        self.provider_key = other_key.map(|key| Arc::clone(&key.name));
        let provider = &live.policy.providers[live.policy.targets[second.target].provider];
        let ready = match &choice.upstream.credential {
            Some(credential) => Box::pin(credential.ready(core.wall())).await,
            None => true,
        };
        let other_written = self.write(body, provider, &core).ok().filter(|_| ready);
        let Some(mut other_written) = other_written.map(Box::new) else {
            self.give_up_second(
                kept,
                Some(Outcome::Failed(faregate_policy::Fault::Untranslatable)),
                now(),
            );
            return Raced { result: first.await, second: None };
        };
        let crossing = other_written.crossing.take();
        self.tell_books(&core);
        let other_head = self.head(body, &other_written, (choice.upstream, other_key), &core);
        let other_parts = parts_of(&other_head, &other_written, body);
        let other_order = self.order(&other_parts, &other_written, other_key.is_some(), &core);
        let other_deadlines = self.deadlines(other, end);
        let other_form = self.form_at(provider);
        let other_within = other.deadlines.first_token;
        let alone = core.timers.slot();
        let mut late = Box::pin(async {
            let upstream = choice.upstream;
            let answer = ask_alone(&core, &alone, upstream, &other_order, &other_deadlines).await?;
            let terms = (other_within, &other_deadlines);
            first_token(&core, Ear::Alone(&alone), answer, other_form, terms).await
        });
        let ended = std::future::poll_fn(|cx| {
            if let Poll::Ready(result) = first.as_mut().poll(cx) {
                return Poll::Ready(Ended::First(result));
            }
            late.as_mut().poll(cx).map(Ended::Second)
        });
        match ended.await {
            Ended::First(result) if is_answer(&result) || is_gone(&result) => {
                drop(late);
                self.give_up_second(kept, None, now());
                self.exchange.first_token(now());
                Raced { result, second: None }
            }
            Ended::First(result) => {
                drop(first);
                let outcome = outcome(&core, &result);
                if let (Some(key), Outcome::Answered { status, retry_after }) = (key, outcome) {
                    key.hear(status, None, retry_after, now());
                }
                self.exchange.drop_other(Some(outcome), now());
                let client = &mut connection.client;
                let result = std::future::poll_fn(|cx| {
                    if let Poll::Ready(result) = late.as_mut().poll(cx) {
                        return Poll::Ready(result);
                    }
                    match client.poll_news(cx) {
                        Poll::Ready(News::Gone) => Poll::Ready(Err(Failure::ClientGone)),
                        _ => Poll::Pending,
                    }
                })
                .await;
                drop(late);
                if is_answer(&result) {
                    self.exchange.first_token(now());
                }
                let run = Run { target: second.target, choice, key: other_key, crossing };
                Raced { result, second: Some(run) }
            }
            Ended::Second(result) if is_answer(&result) => {
                drop((first, late));
                self.exchange.drop_other(None, now());
                self.exchange.first_token(now());
                let run = Run { target: second.target, choice, key: other_key, crossing };
                Raced { result, second: Some(run) }
            }
            Ended::Second(result) => {
                drop(late);
                let outcome = outcome(&core, &result);
                match &result {
                    Ok(answer) => choice.answered(answer.info.status, now()),
                    Err(failure) => choice.failed(answer::fault(failure), now()),
                }
                self.give_up_second(kept, Some(outcome), now());
                let result = first.await;
                if is_answer(&result) {
                    self.exchange.first_token(now());
                }
                Raced { result, second: None }
            }
        }
    }

    fn take_kept(&mut self) -> Kept {
        Kept {
            early: self.early.take(),
            is_marked: self.is_marked,
            lost: self.lost.take(),
            stay: self.stay.take(),
            provider_key: self.provider_key.take(),
        }
    }

    /// The first attempt is the one under way again.
    fn give_up_second(&mut self, kept: Kept, outcome: Option<Outcome>, now: Nanos) {
        self.exchange.swap();
        self.exchange.drop_other(outcome, now);
        self.early = kept.early;
        self.is_marked = kept.is_marked;
        self.lost = kept.lost;
        self.stay = kept.stay;
        self.provider_key = kept.provider_key;
    }

    /// The dialect of a provider's answers to this request.
    fn form_at(&self, provider: &Provider) -> Form {
        match self.surface.form() {
            Some(form) if provider.forms.contains(&form) => form,
            Some(_) => provider.forms.first().copied().unwrap_or_else(|| self.form()),
            None => self.form(),
        }
    }

    fn order<'o>(
        &self,
        parts: &'o [&'o [u8]],
        written: &Written,
        hears_limits: bool,
        core: &Core,
    ) -> Order<'o> {
        Order {
            parts,
            upload: None,
            is_paid: self.exchange.money_held() > NanoUsd::ZERO,
            method: self.method,
            client_is_http11: self.http11,
            rewrites: true,
            streams: self.streams,
            switches: false,
            translated: written.crossing_type(self),
            tells: (self.form(), core.wall()),
            hears_limits,
        }
    }
}

/// The head of a request, and its body where that is not copied behind it.
fn parts_of<'p>(head: &'p [u8], written: &'p Written, body: &'p Body) -> Vec<&'p [u8]> {
    let mut parts = Vec::with_capacity(8);
    parts.push(head);
    if written.body.len(body.bytes()) > super::obtain::COPY_BYTES_MAX {
        written.body.parts(body.bytes(), &mut parts);
    }
    parts
}

/// Whether it is an answer for the client.
fn is_answer(result: &Result<Answer, Failure>) -> bool {
    result.as_ref().is_ok_and(|answer| Class::of_status(answer.info.status) == Class::Served)
}

fn is_gone(result: &Result<Answer, Failure>) -> bool {
    matches!(result, Err(Failure::ClientGone))
}

fn outcome(core: &Core, result: &Result<Answer, Failure>) -> Outcome {
    match result {
        Ok(answer) => Outcome::Answered {
            status: answer.info.status,
            retry_after: retry_after(core, &answer.info),
        },
        Err(failure) => Outcome::Failed(answer::fault(failure)),
    }
}
