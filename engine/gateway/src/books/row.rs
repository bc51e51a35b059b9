//! One request as a row of the books.

use faregate_adapters::chat::UsageSource;
use faregate_ledger::{
    Row, RowId,
    row::{Payer, UsageSource as Source, Work},
};
use faregate_policy::exchange::Receipt;

use super::Books;
use crate::{exchange::Walk, record::Ending, worker::Core};

/// What a request that has ended is in the books.
pub(crate) fn row(books: &Books, core: &Core, walk: &Walk, ending: &Ending<'_>) -> Box<Row> {
    let id = walk.row.unwrap_or_else(|| books.name());
    Box::new(described(id, core, walk, ending))
}

fn described(id: RowId, core: &Core, walk: &Walk, ending: &Ending<'_>) -> Row {
    let nothing = Receipt::default();
    let receipt = walk.receipt.as_ref().unwrap_or(&nothing);
    let exchange = &walk.exchange;
    let times = &walk.times;
    let (now, wall) = (core.now(), core.wall());
    let micros = |nanos: u64| nanos / 1000;
    let began = wall.saturating_sub(now.since(times.started));
    let target = exchange.target();
    let found = walk.found.as_ref().map(|found| &found.value);
    Row {
        id,
        reserved_at: exchange.reserved_at().unwrap_or(began),
        settled_at: wall,
        request_id: walk.id.to_string(),
        payer: payer(walk),
        work: Work {
            surface: walk.surface.name().to_owned(),
            model_asked: walk.model.as_deref().unwrap_or_default().to_owned(),
            provider: target
                .map(|target| walk.live.policy.providers[target.provider].name.to_string())
                .or_else(|| found.map(|kept| kept.made_by.0.to_string()))
                .unwrap_or_default(),
            model: match found {
                Some(kept) => kept.made_by.1.to_string(),
                None => exchange.upstream_model().to_owned(),
            },
            route_reason: match found {
                Some(_) => format!("cache; {}", walk.note.unwrap_or_default()),
                None => exchange.route_reason().into_owned(),
            },
            region: String::new(),
            status: ending.status,
            fault: ending.code.to_owned(),
            attempts: exchange.attempts(),
            cache_hit: found.is_some(),
        },
        usage: receipt.usage.or(ending.usage.copied()).unwrap_or_default(),
        usage_source: match ending.source {
            UsageSource::Provider => Source::Provider,
            UsageSource::Counted => Source::Counted,
            UsageSource::Estimated => Source::Estimated,
            UsageSource::Absent => Source::Absent,
        },
        price_id: receipt.price_id.to_string(),
        cost: receipt.cost.unwrap_or_default(),
        reserved: receipt.reserved,
        saved_by_cache: receipt.saved_by_cache,
        wasted: receipt.wasted,
        scopes: exchange.paying_scopes(),
        duration_us: micros(now.since(times.started)),
        ttft_us: times.first_content.map_or(0, |at| micros(at.since(times.started))),
        generation: walk.live.generation,
        ..Row::default()
    }
}

/// What a request that is being sent is in the books, should nothing more be heard of it.
pub(crate) fn under_way(id: RowId, core: &Core, walk: &Walk) -> Box<Row> {
    let ending = Ending {
        status: 0,
        code: "",
        usage: None,
        source: UsageSource::Absent,
        bytes: 0,
        delivered: false,
    };
    Box::new(Row { reserved: walk.exchange.money_held(), ..described(id, core, walk, &ending) })
}

fn payer(walk: &Walk) -> Payer {
    let caller = walk.exchange.caller();
    let name = |of: fn(&faregate_policy::Caller) -> Option<&str>| {
        caller.and_then(of).unwrap_or_default().to_owned()
    };
    let labels = &walk.labels;
    Payer {
        organisation: name(|caller| caller.organisation.as_deref()),
        team: name(|caller| caller.team.as_deref()),
        project: name(|caller| caller.project.as_deref()),
        agent: name(|caller| caller.agent.as_deref()),
        key: name(|caller| Some(&caller.key)),
        user: labels.user.to_string(),
        session: labels.session.to_string(),
        tags: labels
            .tags
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
    }
}
