//! The cache by meaning for operators: its numbers, how often hits were wrong, and putting it on again.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use faregate_policy::metric::{self, Metric};
use faregate_wire::JsonWriter;

use super::{Desk, cache::decoded};
use crate::{metrics::Gauge, worker::Shared};

/// The numbers of the cache, where a workload has one.
pub(super) fn figures(shared: &Shared) -> Vec<Gauge> {
    if !shared.live.load().policy.answers.has_semantic() {
        return Vec::new();
    }
    let figures = shared.meaning.figures();
    let one = |metric: &'static Metric, value: &AtomicU64| Gauge {
        name: metric.name,
        kind: metric.kind.as_str(),
        help: metric.help,
        values: vec![(String::new(), value.load(Ordering::Relaxed))],
    };
    vec![
        one(&metric::SEMANTIC_LOOKED, &figures.looked),
        one(&metric::SEMANTIC_EXPLORED, &figures.explored),
        one(&metric::SEMANTIC_COMPARED, &figures.compared),
        one(&metric::SEMANTIC_DIFFERENT, &figures.different),
        one(&metric::SEMANTIC_LOST, &figures.lost),
        one(&metric::SEMANTIC_ENTRIES, &figures.entries),
        one(&metric::SEMANTIC_BYTES, &figures.bytes),
        one(&metric::SEMANTIC_OFF, &figures.off),
    ]
}

/// `GET /cache/semantic`: of each workload of which hits were compared, how many, how many of them were wrong, what share may be
/// wrong at most with 95 %, and whether it has put itself off.
pub(super) async fn standings(State(desk): State<Desk>) -> Response {
    let mut body = Vec::with_capacity(256);
    let mut json = JsonWriter::new(&mut body);
    json.object().name("workloads").array();
    for (workload, standing) in desk.shared.meaning.standings().iter() {
        json.object()
            .member_str("workload", workload)
            .member_u64("compared", standing.compared.into())
            .member_u64("different", standing.different.into())
            .name("wrong_max")
            .raw(format!("{:.4}", standing.wrong_max).as_bytes())
            .member_bool("off", standing.is_off)
            .end();
    }
    json.end().end();
    body.push(b'\n');
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// `DELETE /cache/semantic?workload=NAME`: forgets how often hits of the workload were wrong, so that it is on again.
pub(super) async fn reset(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let name = query.strip_prefix("workload=").and_then(decoded).filter(|name| !name.is_empty());
    match name {
        Some(name) if desk.shared.meaning.reset(&name) => {
            ([(header::CONTENT_TYPE, "application/json")], "{}\n").into_response()
        }
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "too much waits; ask again\n").into_response(),
        None => (StatusCode::BAD_REQUEST, "takes workload=NAME\n").into_response(),
    }
}
