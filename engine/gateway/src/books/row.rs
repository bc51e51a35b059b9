//! One request as a row of the books.

use std::sync::Arc;

use faregate_adapters::chat::UsageSource;
use faregate_ledger::{
    Row, RowId,
    row::{RowKind, UsageSource as Source},
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
    let parts = &walk.live.parts;
    Row {
        id,
        kind: RowKind::Request,
        corrects: None,
        is_credit: false,
        reserved_at: exchange.reserved_at().unwrap_or(began),
        settled_at: wall,
        request_id: Arc::clone(&walk.id),
        payer: parts.payer(exchange.caller(), &walk.labels),
        session: parts.text(&walk.labels.session),
        work: parts.work(walk, ending.status, ending.code),
        usage: receipt.usage.or(ending.usage.copied()).unwrap_or_default(),
        usage_source: match ending.source {
            UsageSource::Provider => Source::Provider,
            UsageSource::Counted => Source::Counted,
            UsageSource::Estimated => Source::Estimated,
            UsageSource::Absent => Source::Absent,
        },
        price_id: parts.text(&receipt.price_id),
        cost: receipt.cost.unwrap_or_default(),
        reserved: receipt.reserved,
        saved_by_cache: receipt.saved_by_cache,
        saved_by_routing: receipt.saved_by_routing,
        wasted: receipt.wasted,
        scopes: parts.scopes(exchange),
        duration_us: micros(now.since(times.started)),
        ttft_us: times.first_content.map_or(0, |at| micros(at.since(times.started))),
        generation: walk.live.generation,
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
