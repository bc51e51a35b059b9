//! Providers' keys, limits of targets and second attempts among the metrics.
//!
//! In: what is in force, the present. Out: numbers that are read at each scrape. Nothing of a key but its name is here.

use std::collections::HashSet;

use faregate_policy::{
    Nanos,
    metric::{self, Metric},
};

use crate::{
    keys::Key,
    live::Live,
    metrics::{Escaped, Gauge},
};

/// Keys at targets that have numbers.
const KEYS_MAX: usize = 500;

/// The numbers of providers' keys; none where no provider has several.
pub(super) fn keys(live: &Live, now: Nanos) -> Vec<Gauge> {
    let mut seen = HashSet::new();
    let targets = live.policy.targets.iter().zip(&live.targets);
    let all = targets.flat_map(|(target, at)| at.keys.iter().map(move |key| (&target.name, key)));
    // Targets of one name are one.
    let own = all.filter(|(target, key)| seen.insert(((*target).clone(), key.name.clone())));
    let label = |target: &str, key: &Key| {
        format!("{{target=\"{}\",key=\"{}\"}}", Escaped(target), Escaped(&key.name))
    };
    let listed: Vec<(String, &Key)> =
        own.take(KEYS_MAX).map(|(target, key)| (label(target, key), key)).collect();
    if listed.is_empty() {
        return Vec::new();
    }
    let of = |metric: &'static Metric, read: &dyn Fn(&Key) -> u64| Gauge {
        name: metric.name,
        kind: metric.kind.as_str(),
        help: metric.help,
        values: listed.iter().map(|(labels, key)| (labels.clone(), read(key))).collect(),
    };
    vec![
        of(&metric::PROVIDER_KEY_RESTS, &|key| u64::from(key.quota.rest(now).is_some())),
        of(&metric::PROVIDER_KEY_LEFT, &|key| key.quota.left_ppm(now)),
        of(&metric::PROVIDER_KEY_LIMITED, &|key| key.quota.counts().0),
        of(&metric::PROVIDER_KEY_REFUSED, &|key| key.quota.counts().1),
    ]
}

/// The numbers of second attempts; none where no model has any.
pub(super) fn hedges(live: &Live) -> Vec<Gauge> {
    let models = live.policy.models.list().iter().filter(|model| model.hedge_percent > 0);
    let counts: Vec<_> = models
        .take(KEYS_MAX)
        .map(|model| (format!("{{model=\"{}\"}}", Escaped(&model.name)), model.hedges.counts()))
        .collect();
    if counts.is_empty() {
        return Vec::new();
    }
    let of = |metric: &'static Metric, read: fn(&(u64, u64)) -> u64| Gauge {
        name: metric.name,
        kind: metric.kind.as_str(),
        help: metric.help,
        values: counts.iter().map(|(labels, count)| (labels.clone(), read(count))).collect(),
    };
    vec![of(&metric::HEDGES, |(made, _)| *made), of(&metric::HEDGES_WON, |(_, won)| *won)]
}

/// The numbers of limits of targets; none where no provider has any.
pub(super) fn limits(live: &Live) -> Vec<Gauge> {
    let mut seen = HashSet::new();
    let limited = live.policy.targets.iter().filter(|target| {
        target.gauge.limiter.limit().is_some() && seen.insert(target.name.clone())
    });
    let listed: Vec<_> = limited
        .take(KEYS_MAX)
        .map(|target| (format!("{{target=\"{}\"}}", Escaped(&target.name)), &target.gauge))
        .collect();
    if listed.is_empty() {
        return Vec::new();
    }
    let of = |metric: &'static Metric, read: fn(&faregate_policy::route::Gauge) -> u64| Gauge {
        name: metric.name,
        kind: metric.kind.as_str(),
        help: metric.help,
        values: listed.iter().map(|(labels, gauge)| (labels.clone(), read(gauge))).collect(),
    };
    vec![
        of(&metric::TARGET_LIMIT, |gauge| gauge.limiter.limit().unwrap_or(0)),
        of(&metric::TARGET_UNDER_WAY, faregate_policy::route::Gauge::under_way),
        of(&metric::TARGET_SHED, |gauge| gauge.limiter.shed_count()),
    ]
}
