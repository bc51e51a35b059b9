//! An answer that is kept, looked up before a request goes anywhere; and what is needed to keep the one that comes.
//!
//! In: a request whose way is known. Out: an answer to give again, or a [`Keeping`]. A request like one that is under way
//! waits for that one's answer. Nothing here is done for a workload that keeps nothing.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use faregate_adapters::{ratelimit::is_rate_limit, repeat};
use faregate_policy::{
    Nanos,
    cache::{
        answers::{Exact, Share},
        flight::{Follow, Join, Look},
        key::{CacheKey, KeyMaker},
        table::Entry,
    },
    exchange::Refusal,
    fault::Fault,
    units,
};
use faregate_wire::{Json, Method};

use super::{
    Hints, Walk,
    read::{Body, Stop},
};
use crate::{
    cache::{Cache, Kept, Leading},
    client::{News, Others},
    connection::Connection,
    worker::Core,
};

/// Head fields of an answer that are of one exchange and are not given again.
const OF_ONE_EXCHANGE: [&[u8]; 12] = [
    b"transfer-encoding",
    b"content-length",
    b"connection",
    b"keep-alive",
    b"age",
    b"x-request-id",
    b"request-id",
    b"x-amzn-requestid",
    b"x-should-retry",
    b"retry-after",
    b"retry-after-ms",
    b"server-timing",
];

/// What was found for a request.
pub(super) struct Found {
    /// The answer.
    pub(super) entry: Arc<Entry<Kept>>,
    /// How it was come by, as the log has it.
    pub(super) how: How,
}

/// How an answer of the cache was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was kept.
    Hit,
    /// It was under way.
    Joined,
    /// It was kept for the same question in other words.
    Semantic,
}

impl How {
    /// The word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Joined => "joined",
            Self::Semantic => "semantic",
        }
    }
}

/// What is needed to keep the answer that comes.
pub(super) struct Keeping {
    pub(super) cache: Arc<Cache>,
    pub(super) key: CacheKey,
    pub(super) epoch: u64,
    pub(super) ttl: Duration,
    pub(super) answer_bytes: usize,
    /// Of the answer's head what every client gets, once it is there.
    pub(super) fields: Vec<u8>,
    pub(super) workload: Box<str>,
    /// Nobody but the key that asks gets it.
    pub(super) is_private: bool,
    /// Others may wait for it.
    pub(super) lead: Option<Leading>,
}

/// What a request says of caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// Nothing that is kept is given.
    pub(super) is_fresh: bool,
    /// Nothing is kept.
    is_forgotten: bool,
    /// What is given is at most so old.
    pub(super) age_max: Option<Duration>,
}

impl Walk {
    /// Looks an answer up. Where there is none, notes what is needed to keep the one that comes.
    ///
    /// # Errors
    ///
    /// The client has gone, or what it says of caches is not what it must be.
    pub(super) async fn look_up(
        &mut self,
        connection: &mut Connection,
        body: &Body,
    ) -> Result<Option<Found>, Stop> {
        let Some((cache, exact)) = self.keeps() else { return Ok(None) };
        let mut wish = Wish::of(&self.forwarded);
        let mut ttl = exact.ttl;
        if let Some(asked) = self.asked_ttl(&exact).map_err(Stop::Refused)? {
            ttl = asked;
            wish.age_max = Some(wish.age_max.map_or(asked, |age| age.min(asked)));
        }
        let json = body.peek.as_ref().and_then(|_| Json::new(body.bytes()));
        let reason = json.and_then(|json| repeat::why_not(self.surface, json));
        let Some(json) = json.filter(|_| reason.is_none() && !wish.is_forgotten) else {
            self.note = Some("bypass");
            return Ok(None);
        };
        let key = self.cache_key(exact.share, json);
        let core = std::rc::Rc::clone(&connection.core);
        let find = || {
            let now = Nanos(core.now().nanos());
            let found = cache.answers.find(&key, now).filter(|_| !wish.is_fresh)?;
            let age = Duration::from_nanos(now.0.saturating_sub(found.made.0));
            wish.age_max.is_none_or(|most| age <= most).then_some(found)
        };
        if let Some(entry) = find() {
            core.metrics.cache.hits.add(1);
            return Ok(Some(Found { entry, how: How::Hit }));
        }
        let mut lead = None;
        if let Some(patience) = exact.coalesce.filter(|_| !wish.is_fresh) {
            match cache.flights.join(key) {
                Join::Lead(own) => lead = Some(Leading::new(own, &core)),
                Join::Alone => {}
                Join::Follow(follow) => match self.follow(connection, follow, patience).await? {
                    Followed::Landed(entry) => {
                        core.metrics.cache.joined.add(1);
                        return Ok(Some(Found { entry, how: How::Joined }));
                    }
                    Followed::Leads(own) => lead = Some(own),
                    Followed::Alone => {}
                },
            }
            // Another may have been answered between the two looks.
            if let Some(entry) = lead.as_ref().and_then(|_| find()) {
                if let Some(lead) = lead {
                    lead.land(Arc::clone(&entry));
                }
                core.metrics.cache.hits.add(1);
                return Ok(Some(Found { entry, how: How::Hit }));
            }
        }
        core.metrics.cache.misses.add(1);
        self.note = Some("miss");
        connection.client.others = lead.as_ref().and_then(Leading::followers).map(Others::new);
        self.keeping = Some(Box::new(Keeping {
            epoch: cache.epoch(),
            cache,
            key,
            ttl,
            fields: Vec::new(),
            answer_bytes: self.live.policy.answers.answer_bytes,
            workload: self.labels.workload.clone(),
            is_private: exact.share == Share::Key,
            lead,
        }));
        Box::pin(self.look_by_meaning(connection, body, (exact.share, wish))).await
    }

    /// Where answers to this request are kept, if its workload has any kept.
    pub(super) fn keeps(&self) -> Option<(Arc<Cache>, Exact)> {
        let cache = self.live.cache.as_ref()?;
        let exact = self.live.policy.answers.exact(&self.labels.workload)?;
        let is_meant = self.method == Method::Post
            && repeat::is_repeatable(self.surface)
            && self.upload.is_none()
            && !self.coded
            && self.made.is_none();
        is_meant.then(|| (Arc::clone(cache), *exact))
    }

    /// The key of all that shapes the answer, and of whom it is for.
    pub(super) fn cache_key(&self, share: Share, body: Json<'_>) -> CacheKey {
        let tenant = self.exchange.caller().map(|caller| share.tenant(caller)).unwrap_or_default();
        let mut maker = KeyMaker::new("exact 1");
        maker.add("tenant", tenant.as_bytes());
        maker.add("workload", self.labels.workload.as_bytes());
        maker.add("surface", self.surface.name().as_bytes());
        maker.add("path", self.path.as_bytes());
        maker.add("query", self.query.as_deref().unwrap_or_default().as_bytes());
        maker.add("stream", &[u8::from(self.streams)]);
        maker.add("model", self.exchange.model().as_bytes());
        for (target, model) in self.exchange.candidates() {
            maker.add("target", target.name.as_bytes());
            maker.add("at", model.as_bytes());
        }
        maker.add_fields(&self.forwarded);
        maker.add_body(body, repeat::left_out(self.surface));
        maker.finish()
    }

    /// How long this answer is kept, where the request says so and may.
    fn asked_ttl(&self, exact: &Exact) -> Result<Option<Duration>, Refusal> {
        const FIELD: &str = "x-faregate-cache-ttl";
        let Some(text) = self.hints.as_deref().and_then(Hints::cache_ttl) else { return Ok(None) };
        let refused = |fault, message: String| Err(Refusal::new(fault, message).about(FIELD));
        if !exact.ttl_header {
            let message =
                format!("the policy lets no request say {FIELD}; it would by ttl_header = true");
            return refused(Fault::OverrideForbidden, message);
        }
        match units::duration(text) {
            Ok(ttl) => Ok(Some(ttl.min(exact.ttl))),
            Err(error) => refused(Fault::MalformedRequest, format!("{FIELD}: {}", error.reason)),
        }
    }

    /// Waits for another's answer, as long as the client stays and `patience` lasts.
    async fn follow(
        &mut self,
        connection: &mut Connection,
        follow: Follow<Entry<Kept>>,
        patience: Duration,
    ) -> Result<Followed, Stop> {
        let core = std::rc::Rc::clone(&connection.core);
        let client = &mut connection.client;
        client.watch(self.streams);
        client.slot.arm(core.now().after(patience).min(super::obtain::end_of(self)));
        let mut look = |cx: &mut Context<'_>| {
            follow.watch(core.index);
            match follow.look() {
                Look::Landed(entry) => return Poll::Ready(Ok(Followed::Landed(entry))),
                Look::Lead(lead) => {
                    return Poll::Ready(Ok(Followed::Leads(Leading::new(lead, &core))));
                }
                Look::Alone => return Poll::Ready(Ok(Followed::Alone)),
                Look::Wait => {}
            }
            if let Poll::Ready(News::Gone) = client.poll_news(cx) {
                return Poll::Ready(Err(Stop::ClientGone));
            }
            client.slot.poll_expired(cx).map(|()| Ok(Followed::Alone))
        };
        poll_fn(|cx| {
            core.parked.park(cx);
            let looked = look(cx);
            if looked.is_ready() {
                core.parked.leave(cx);
            }
            looked
        })
        .await
    }
}

/// What became of a wait.
enum Followed {
    Landed(Arc<Entry<Kept>>),
    Leads(Leading),
    Alone,
}

impl Wish {
    /// What `cache-control` says in the client's lines (RFC 9111 section 5.2.1).
    fn of(lines: &[u8]) -> Self {
        let mut wish = Self::default();
        for line in lines.split(|byte| *byte == b'\n') {
            let Some((name, value)) = split_field(line) else { continue };
            if !name.eq_ignore_ascii_case(b"cache-control") {
                continue;
            }
            for directive in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                let directive = directive.to_ascii_lowercase();
                match directive.strip_prefix(b"max-age=") {
                    Some(seconds) => {
                        let text = std::str::from_utf8(seconds).unwrap_or_default();
                        // What is no number is taken for the strictest.
                        let seconds = text.trim_matches('"').parse().unwrap_or(0);
                        wish.age_max = Some(Duration::from_secs(seconds));
                    }
                    None => {
                        wish.is_fresh |= directive.starts_with(b"no-cache");
                        wish.is_forgotten |= directive.starts_with(b"no-store");
                    }
                }
            }
        }
        wish
    }
}

fn split_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((&line[..colon], line[colon + 1..].trim_ascii()))
}

/// Of the head of an answer what every client gets: without the status line, and what is of one exchange.
pub(super) fn kept_fields(head: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(head.len());
    for line in head.split_inclusive(|byte| *byte == b'\n').skip(1) {
        let Some((name, _)) = split_field(line) else { continue };
        let is_of_one = OF_ONE_EXCHANGE.iter().any(|own| name.eq_ignore_ascii_case(own));
        let is_ours = name.get(..11).is_some_and(|n| n.eq_ignore_ascii_case(b"x-faregate-"));
        if !is_of_one && !is_ours && !is_rate_limit(name) {
            kept.extend_from_slice(line);
        }
    }
    kept
}

/// Counts what the cache did on one core.
pub(super) fn note_kept(core: &Core, is_kept: bool) {
    match is_kept {
        true => core.metrics.cache.stored.add(1),
        false => core.metrics.cache.refused.add(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_says_of_caches_is_heard() {
        let check = |lines: &str, is_fresh, is_forgotten, age: Option<u64>| {
            let age_max = age.map(Duration::from_secs);
            assert_eq!(
                Wish::of(lines.as_bytes()),
                Wish { is_fresh, is_forgotten, age_max },
                "{lines}"
            );
        };
        check("", false, false, None);
        check("accept: no-cache\r\n", false, false, None);
        check("Cache-Control: No-Cache\r\n", true, false, None);
        check("cache-control: max-age=60, no-store\r\n", false, true, Some(60));
        check("cache-control: max-age=x\r\n", false, false, Some(0));
        check("cache-control: max-age=5\r\ncache-control: no-cache\r\n", true, false, Some(5));
    }

    #[test]
    fn what_is_of_one_exchange_is_not_kept() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nX-Request-Id: a\r\n\
            x-ratelimit-remaining-requests: 7\r\ntransfer-encoding: chunked\r\nopenai-version: 1\r\n";
        let kept = kept_fields(head);
        assert_eq!(kept, b"content-type: application/json\r\nopenai-version: 1\r\n");
    }
}
