//! The cache of answers for operators: its numbers, and dropping what is in it.

use axum::{
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use faregate_policy::metric::{self, Metric};

use super::Desk;
use crate::{cache::Kept, metrics::Gauge, worker::Shared};

/// The numbers of the cache, where there is one.
pub(super) fn figures(shared: &Shared) -> Vec<Gauge> {
    let live = shared.live.load();
    let Some(cache) = &live.cache else { return Vec::new() };
    let figures = cache.answers.figures();
    let one = |metric: &'static Metric, value| Gauge {
        name: metric.name,
        kind: metric.kind.as_str(),
        help: metric.help,
        values: vec![(String::new(), value)],
    };
    vec![
        one(&metric::CACHE_BYTES, figures.bytes),
        one(&metric::CACHE_ENTRIES, figures.entries),
        one(&metric::CACHE_EVICTED, figures.evicted),
        one(&metric::CACHE_EXPIRED, figures.expired),
    ]
}

/// `DELETE /cache`, all of it, or what was made for `?workload=`, `?team=` and `?key=`. Answers under way are not kept either.
pub(super) async fn drop_all(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let mut wanted: [Option<String>; 3] = [None, None, None];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = ["workload", "team", "key"].iter().position(|own| *own == name);
        match (place.and_then(|at| wanted.get_mut(at)), decoded(value)) {
            (Some(place @ None), Some(value)) if !value.is_empty() => *place = Some(value),
            _ => {
                let help = "takes workload=NAME, team=NAME and key=NAME, each once\n";
                return (StatusCode::BAD_REQUEST, help).into_response();
            }
        }
    }
    let [workload, team, key] = wanted;
    let is = |wanted: &Option<String>, own: &str| wanted.as_deref().is_none_or(|name| name == own);
    let is_meant =
        |kept: &Kept| is(&workload, &kept.workload) && is(&team, &kept.team) && is(&key, &kept.key);
    let live = desk.shared.live.load();
    let dropped = live.cache.as_ref().map_or(0, |cache| cache.drop_all(is_meant));
    let body = format!("{{\"dropped\":{dropped}}}\n");
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What a value of a query stands for; `None` where it is spelled wrongly.
pub(super) fn decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn values_of_a_query_are_decoded() {
        assert_eq!(decoded("a+b%2fc").as_deref(), Some("a b/c"));
        assert_eq!(decoded("").as_deref(), Some(""));
        for wrong in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }
}
