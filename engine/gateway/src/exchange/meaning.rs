//! An answer that is kept for the same question in other words, looked up when none is kept for the same request.
//!
//! In: a request for which nothing is kept. Out: an answer to give, or what is to be told once one has come: the question, its
//! vector, and the answer that might have been given, so that the two are compared. Whatever fails or takes too long is a miss.
//!
//! Where a hit is to be compared, the client gets what the model says, and nothing is asked twice.

use std::{sync::Arc, time::Duration};

use faregate_adapters::question::Question;
use faregate_policy::{
    Nanos,
    cache::{
        answers::Share,
        key::CacheKey,
        semantic::{Embeddings, Semantic},
        table::Entry,
    },
};
use faregate_semantic::{
    Decision, Partition, Settings, Vector,
    store::{EntryId, Match},
};
use faregate_wire::Json;

use super::{
    Walk,
    look_up::{Found, How, Wish},
    read::{Body, Stop},
};
use crate::{
    cache::Kept,
    connection::Connection,
    semantic::{Answered, Asking, Looked, Tried},
    worker::Core,
};

/// Members of a request that offer tools: what is answered with one may do something.
const TOOLS: [&str; 5] = ["tools", "functions", "toolConfig", "tool_choice", "mcp_servers"];

/// What was found, or is to be told.
pub(crate) enum Meant {
    /// An answer was given.
    Given {
        /// How alike the two questions are.
        similarity: f64,
        /// The name of the answer.
        answer: [u8; 32],
    },
    /// None was.
    Open(Box<Open>),
}

/// A question whose answer is to come.
pub(crate) struct Open {
    asking: Asking,
    vector: Option<Vector>,
    tried: Option<Tried>,
    ttl: Duration,
}

impl Walk {
    /// Looks for the same question in other words, and gives its answer where that is allowed.
    ///
    /// # Errors
    ///
    /// The client has gone.
    pub(super) async fn look_by_meaning(
        &mut self,
        connection: &mut Connection,
        body: &Body,
        (share, wish): (Share, Wish),
    ) -> Result<Option<Found>, Stop> {
        let live = std::rc::Rc::clone(&self.live);
        let Some(semantic) = live.policy.answers.semantic(&self.labels.workload) else {
            return Ok(None);
        };
        let core = std::rc::Rc::clone(&connection.core);
        let Some(asking) = self.asking(body, share, semantic, &core) else { return Ok(None) };
        let meaning = &core.shared.meaning;
        let mut looked = meaning.look(&core, asking.clone()).await;
        if let (Some(Looked::Needs(bare)), Embeddings::Model(model)) =
            (&looked, &semantic.embeddings)
        {
            let (ids, mut texts): (Vec<EntryId>, Vec<&str>) =
                bare.iter().map(|bare| (bare.entry, &*bare.text)).unzip();
            texts.insert(0, &asking.text);
            let end = core.now().after(semantic.patience);
            let vectors =
                Box::pin(self.embed(connection, model, &texts, end)).await?.unwrap_or_default();
            let ids = std::iter::once(None).chain(ids.into_iter().map(Some));
            let vectors: Vec<_> = ids.zip(vectors).collect();
            looked = match vectors.is_empty() {
                true => None,
                false => meaning.decide(&core, asking.clone(), vectors).await,
            };
        }
        let mut open = Open { asking, vector: None, tried: None, ttl: semantic.ttl };
        match looked {
            // What cannot be compared, or was not in time, is not kept by its meaning either.
            None | Some(Looked::Unfit | Looked::Needs(_)) => return Ok(None),
            Some(Looked::New) => {}
            Some(Looked::Decided(decision, vector)) => {
                open.vector = Some(vector);
                if let Some(found) = self.take(decision, &mut open, (wish, &core)) {
                    connection.client.others = None;
                    return Ok(Some(found));
                }
            }
        }
        self.meaning = Some(Box::new(Meant::Open(Box::new(open))));
        Ok(None)
    }

    /// Takes what was decided: the answer to give, or what it is compared with.
    fn take(
        &mut self,
        decision: Decision,
        open: &mut Open,
        (wish, core): (Wish, &Core),
    ) -> Option<Found> {
        let (found, is_hit, is_given) = match decision {
            Decision::Miss | Decision::Off => return None,
            Decision::Explore(found) => (found, false, false),
            Decision::Hit { found, compare } => (found, true, !compare),
        };
        let entry = self.answer_of(&found, core)?;
        let is_wanted = !wish.is_fresh
            && wish.age_max.is_none_or(|most| Duration::from_millis(found.age_ms) <= most);
        if is_given && is_wanted {
            core.metrics.cache.semantic.add(1);
            if let Some(lead) = self.keeping.take().and_then(|keeping| keeping.lead) {
                lead.free();
            }
            let Match { similarity, answer, .. } = found;
            self.meaning = Some(Box::new(Meant::Given { similarity, answer }));
            return Some(Found { entry, how: How::Semantic });
        }
        let Match { entry: id, similarity, .. } = found;
        // A hit that its client did not want tells as much as one that is compared.
        open.tried = Some(Tried { entry: id, similarity, answer: entry, is_hit });
        None
    }

    /// The answer that was found, if it is still kept.
    fn answer_of(&self, found: &Match, core: &Core) -> Option<Arc<Entry<Kept>>> {
        let now = Nanos(core.now().nanos());
        let key = CacheKey::from_bytes(found.answer);
        let entry = self.live.cache.as_ref().and_then(|cache| cache.answers.find(&key, now));
        if entry.is_none() {
            core.shared.meaning.forget(found.entry);
        }
        entry
    }

    /// The question, with all that must be the same.
    fn asking(
        &self,
        body: &Body,
        share: Share,
        semantic: &Semantic,
        core: &Core,
    ) -> Option<Asking> {
        let json = Json::new(body.bytes())?;
        if TOOLS.iter().any(|name| json.get(name).is_some()) {
            return None;
        }
        let question = Question::of(self.surface, body.bytes())?;
        let rest = question.without(body.bytes());
        let key = self.cache_key(share, Json::new(&rest)?);
        let percent = |percent: u8| f64::from(percent) / 100.0;
        Some(Asking {
            partition: Partition(*key.bytes()),
            text: question.text.into(),
            workload: self.labels.workload.clone(),
            settings: Settings {
                error: percent(semantic.error_percent),
                compare: percent(semantic.compare_percent),
                similarity_min: percent(semantic.similarity_percent),
            },
            built_in: semantic.embeddings == Embeddings::BuiltIn,
            now_ms: core.now().nanos() / 1_000_000,
        })
    }

    /// Tells that the answer to an open question is kept now.
    pub(super) fn tell_meaning(&mut self, core: &Core, key: CacheKey, answer: &Arc<Entry<Kept>>) {
        let Some(meant) = self.meaning.take() else { return };
        let Meant::Open(open) = *meant else { return };
        let Open { asking, vector, tried, ttl } = *open;
        core.shared.meaning.keep(Answered {
            asking,
            vector,
            answer: Arc::clone(answer),
            key: *key.bytes(),
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            form: self.form(),
            tried,
        });
    }

    /// How alike the question is to the one whose answer was given, and the first digits of that answer's name.
    pub(crate) fn likeness(&self) -> Option<(f64, String)> {
        match self.meaning.as_deref() {
            Some(Meant::Given { similarity, answer }) => {
                let name = answer[..8].iter().map(|byte| format!("{byte:02x}")).collect();
                Some((*similarity, name))
            }
            _ => None,
        }
    }
}
