//! Records to test with.

use std::sync::Arc;

use faregate_adapters::chat::Usage;
use faregate_price::NanoUsd;

use crate::{
    journal::{Boot, Grant, Part, QUARTER_NS, Record, Window},
    row::{Payer, Row, RowId, RowKind, UsageSource, Work},
};

/// 2026-11-25 12:00 UTC, on a quarter of an hour.
pub(crate) const NOON: u64 = 1_795_608_000_000_000_000;

/// The hour that begins at [`NOON`].
pub(crate) const HOUR: Window = Window { start: NOON, end: NOON + 4 * QUARTER_NS };

/// What a busy gateway writes all day.
pub(crate) fn typical(number: u64) -> Row {
    Row {
        id: RowId { node: 0x0123_4567_89ab_cdef, boot: 0xfedc_ba98_7654_3210, number },
        reserved_at: NOON + number % 1_000_000 * 1_000_003,
        settled_at: NOON + number % 1_000_000 * 1_000_003 + 2_345_678_901,
        request_id: format!("req_{number:024x}").into(),
        payer: Arc::new(Payer {
            organisation: "acme".into(),
            team: "search".into(),
            project: "ranking".into(),
            agent: "indexer".into(),
            key: "search-ci".into(),
            user: format!("user-{}", number % 50),
            tags: vec![("cost_centre".into(), "4711".into()), ("env".into(), "prod".into())],
        }),
        session: format!("session-{}", number % 200).into(),
        work: Arc::new(Work {
            surface: "chat".into(),
            model_asked: "fast".into(),
            provider: "openai".into(),
            model: "gpt-5-mini".into(),
            route_reason: "first healthy".into(),
            region: "eu".into(),
            status: 200,
            attempts: 1,
            ..Work::default()
        }),
        usage: Usage { input: 1234, cache_read: 40_960, output: 321, ..Usage::default() },
        usage_source: UsageSource::Provider,
        price_id: "catalogue/2026-11-20/openai/gpt-5-mini".into(),
        cost: NanoUsd(1_234_567 + number % 1_000),
        reserved: NanoUsd(9_876_543),
        saved_by_cache: NanoUsd(456_789),
        scopes: ["organisation/acme", "team/search", "project/ranking", "key/search-ci"]
            .map(Into::into)
            .into(),
        duration_us: 2_345_678,
        ttft_us: 345_678,
        generation: 17,
        ..Row::default()
    }
}

/// Every kind of record, each with something unusual.
pub(crate) fn one_of_each() -> Vec<Record> {
    let scope: Arc<str> = "team/search".into();
    let grant = Grant { scope: Arc::clone(&scope), window: HOUR, total: NanoUsd(u64::MAX) };
    let other = RowId { node: 1, boot: u64::MAX, number: u64::MAX };
    let correction = Row {
        kind: RowKind::Correction,
        corrects: Some(other),
        is_credit: true,
        settled_at: 0,
        usage_source: UsageSource::Absent,
        ..typical(u64::MAX)
    };
    let full = Usage {
        input: 1,
        cache_read: 2,
        cache_write: 3,
        cache_write_long: 4,
        audio_input: 5,
        output: 6,
        reasoning: 7,
        audio_output: u64::MAX,
    };
    let cached = Work { cache_hit: true, fault: "timeout".into(), ..Work::default() };
    let odd =
        Row { usage: full, work: cached.into(), usage_source: UsageSource::Counted, ..typical(3) };
    let lost = Row { kind: RowKind::LostLease, cost: NanoUsd(5), ..Row::default() };
    let intent =
        Row { kind: RowKind::Unsettled, usage_source: UsageSource::Estimated, ..typical(4) };
    vec![
        Record::Boot(Boot { node: 1, boot: 2, at: NOON, taken: 300 }),
        Record::Row(Box::default()),
        Record::Row(Box::new(typical(1))),
        Record::Row(Box::new(typical(2))),
        Record::Row(Box::new(correction)),
        Record::Row(Box::new(odd)),
        Record::Intent(Box::new(intent)),
        Record::Grant(grant.clone()),
        Record::Grant(Grant { window: Window::ALL, total: NanoUsd(0), ..grant.clone() }),
        Record::Return(grant),
        Record::Lost { row: Box::new(lost), window: HOUR },
        Record::Part(Part::Quarter { scope: Arc::clone(&scope), quarter: None, sum: -7 }),
        Record::Part(Part::Quarter { scope: Arc::clone(&scope), quarter: Some(0), sum: 1 << 100 }),
        Record::Part(Part::Since(12)),
        Record::Part(Part::Charged { scope, window: HOUR, sum: 12 }),
        Record::Part(Part::LostRow { id: other, window: Window::ALL }),
        Record::Part(Part::Settled { first: 1, last: 9 }),
        Record::Close { at: NOON },
    ]
}
