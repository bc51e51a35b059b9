//! Every number we export: one row each, shared by the exposition and the documents.
//!
//! Names and units follow Prometheus (<https://prometheus.io/docs/practices/naming/>); names that begin with `gen_ai` and
//! labels that do follow the OpenTelemetry GenAI conventions, with underscores. A label's values are bounded: they come
//! from the policy, from a table, or from [`crate::fault::ALL`].

/// How a number behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by upper bound, a sum and a count.
    Histogram,
}

impl MetricKind {
    /// The word for it in the exposition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A number we export.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// The name, with the unit at its end where there is one.
    pub name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// What it counts.
    pub unit: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// Upper bounds of a histogram's buckets.
    pub buckets: &'static [f64],
}

/// Labels of everything that is told apart by what was asked for and where it went.
pub const BY_OPERATION: &[&str] =
    &["gen_ai_operation_name", "gen_ai_request_model", "gen_ai_provider_name", "target"];

/// [`BY_OPERATION`], and who asked.
pub const BY_CALLER: &[&str] =
    &["gen_ai_operation_name", "gen_ai_request_model", "gen_ai_provider_name", "target", "team"];

const BY_ENDING: &[&str] = &[
    "gen_ai_operation_name",
    "gen_ai_request_model",
    "gen_ai_provider_name",
    "target",
    "team",
    "status",
    "code",
];

const BY_TOKEN: &[&str] = &[
    "gen_ai_operation_name",
    "gen_ai_request_model",
    "gen_ai_provider_name",
    "target",
    "team",
    "gen_ai_token_type",
];

const BY_TARGET: &[&str] = &["target"];
const BY_MODEL: &[&str] = &["model"];
const BY_PROVIDER_KEY: &[&str] = &["target", "key"];
const BY_BUDGET: &[&str] = &["scope", "limit", "unit", "period"];

/// Buckets of `gen_ai.server.request.duration`.
pub const DURATION_BUCKETS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Buckets of `gen_ai.server.time_to_first_token`.
pub const TTFT_BUCKETS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Buckets of the time that the gateway itself takes.
pub const OVERHEAD_BUCKETS: [f64; 10] =
    [5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 5e-3, 25e-3];

macro_rules! metrics {
    ($($konst:ident $name:literal $kind:ident $unit:literal $labels:expr, $buckets:expr; $help:literal)+) => {
        $(
            #[doc = $help]
            pub const $konst: Metric = Metric {
                name: $name,
                kind: MetricKind::$kind,
                unit: $unit,
                help: $help,
                labels: $labels,
                buckets: $buckets,
            };
        )+

        /// Every number we export, in the order of the documents.
        pub const ALL: &[Metric] = &[$($konst,)+];
    };
}

metrics! {
    REQUESTS "faregate_requests_total" Counter "requests" BY_ENDING, &[];
        "Requests that ended."
    UPSTREAM_REQUESTS "faregate_upstream_requests_total" Counter "requests" BY_CALLER, &[];
        "Requests made to providers, retries included."
    UNMETERED_REQUESTS "faregate_unmetered_requests_total" Counter "requests" BY_CALLER, &[];
        "Answers whose token usage the provider did not give."
    TOKENS "faregate_tokens_total" Counter "tokens" BY_TOKEN, &[];
        "Tokens, in disjoint classes."
    COST "faregate_cost_nanousd_total" Counter "nano-dollars" BY_CALLER, &[];
        "What requests cost, as the books have it."
    REQUEST_DURATION "gen_ai_server_request_duration_seconds" Histogram "seconds" BY_OPERATION, &DURATION_BUCKETS;
        "From the request's head to the end of the answer."
    TIME_TO_FIRST_TOKEN "gen_ai_server_time_to_first_token_seconds" Histogram "seconds" BY_OPERATION, &TTFT_BUCKETS;
        "From the request's head to the first content token."
    OVERHEAD "faregate_overhead_seconds" Histogram "seconds" BY_OPERATION, &OVERHEAD_BUCKETS;
        "Time the gateway itself took: decisions before, head of the answer after."
    REQUESTS_IN_FLIGHT "faregate_requests_in_flight" Gauge "requests" &[], &[];
        "Requests being served."
    CONNECTIONS "faregate_connections" Gauge "connections" &["core"], &[];
        "Open client connections."
    CONNECTIONS_REFUSED "faregate_connections_refused_total" Counter "connections" &[], &[];
        "Client connections turned away at the limit."
    ACCEPT_ERRORS "faregate_accept_errors_total" Counter "errors" &[], &[];
        "Client connections that could not be accepted."
    TLS_HANDSHAKE_FAILURES "faregate_tls_handshake_failures_total" Counter "handshakes" &[], &[];
        "TLS handshakes of clients that failed."
    UPSTREAM_IDLE_CONNECTIONS "faregate_upstream_idle_connections" Gauge "connections" &[], &[];
        "Idle connections to providers."
    PANICS "faregate_panics_total" Counter "requests" &[], &[];
        "Requests that ended in a panic."
    BUILD_INFO "faregate_build_info" Gauge "" &["version", "driver"], &[];
        "Version and driver."
    CACHE_HITS "faregate_cache_hits_total" Counter "requests" &[], &[];
        "Requests that were answered by an answer that was kept."
    CACHE_JOINED "faregate_cache_joined_total" Counter "requests" &[], &[];
        "Requests that were answered by the answer to the same one, which was under way."
    CACHE_MISSES "faregate_cache_misses_total" Counter "requests" &[], &[];
        "Requests for which nothing was kept."
    SEMANTIC_HITS "faregate_semantic_hits_total" Counter "requests" &[], &[];
        "Requests that were answered by the answer to the same question in other words."
    SEMANTIC_VECTORS_MISSING "faregate_semantic_vectors_missing_total" Counter "requests" &[], &[];
        "Requests whose vectors were asked for and did not come, or not in time."
    SEMANTIC_LOOKED "faregate_semantic_looked_total" Counter "requests" &[], &[];
        "Questions that were looked up by their meaning."
    SEMANTIC_EXPLORED "faregate_semantic_explored_total" Counter "requests" &[], &[];
        "Questions to which an answer was kept and not given, to learn whether it would have been right."
    SEMANTIC_COMPARED "faregate_semantic_compared_total" Counter "requests" &[], &[];
        "Hits that were compared with what the model says."
    SEMANTIC_DIFFERENT "faregate_semantic_different_total" Counter "requests" &[], &[];
        "Of those, the ones that the model answered differently."
    SEMANTIC_LOST "faregate_semantic_lost_total" Counter "requests" &[], &[];
        "Answers that were not learned from because too much waited."
    SEMANTIC_ENTRIES "faregate_semantic_entries" Gauge "questions" &[], &[];
        "Questions that are remembered."
    SEMANTIC_BYTES "faregate_semantic_bytes" Gauge "bytes" &[], &[];
        "What they and their vectors take."
    SEMANTIC_OFF "faregate_semantic_off" Gauge "workloads" &[], &[];
        "Workloads whose semantic cache has put itself off because its hits were wrong too often."
    CACHE_STORED "faregate_cache_stored_total" Counter "answers" &[], &[];
        "Answers that were kept."
    CACHE_NOT_STORED "faregate_cache_not_stored_total" Counter "answers" &[], &[];
        "Answers that were not kept: too long, cut at a bound, filtered, or of one key alone."
    CACHE_SAVED "faregate_cache_saved_nanousd_total" Counter "nano-dollars" &[], &[];
        "What answers cost when they were made, for each time they were given again."
    CACHE_BYTES "faregate_cache_bytes" Gauge "bytes" &[], &[];
        "Answers that are kept, in bytes."
    CACHE_ENTRIES "faregate_cache_entries" Gauge "answers" &[], &[];
        "Answers that are kept."
    CACHE_EVICTED "faregate_cache_evicted_total" Counter "answers" &[], &[];
        "Answers that were dropped to make room."
    CACHE_EXPIRED "faregate_cache_expired_total" Counter "answers" &[], &[];
        "Answers that were dropped because their time was over."
    POLICY_GENERATION "faregate_policy_generation" Gauge "" &[], &[];
        "Generation of the policy in force."
    POLICY_RELOADS "faregate_policy_reloads_total" Counter "reloads" &[], &[];
        "Changed policies that took effect."
    POLICY_RELOADS_REFUSED "faregate_policy_reloads_refused_total" Counter "reloads" &[], &[];
        "Changed policies that were refused."
    POLICY_RELOAD_MICROS "faregate_policy_reload_micros" Gauge "microseconds" &[], &[];
        "Time the last change took until every core had it."
    ACCESS_LOG_BLOCKS_DROPPED "faregate_access_log_blocks_dropped_total" Counter "blocks" &[], &[];
        "Blocks of access-log lines dropped because the writer fell behind."
    BUDGET_LIMIT "faregate_budget_limit" Gauge "nano-dollars, tokens or requests" BY_BUDGET, &[];
        "What a budget allows in its window."
    BUDGET_SPENT "faregate_budget_spent" Gauge "nano-dollars, tokens or requests" BY_BUDGET, &[];
        "What is used of a budget in its window."
    BUDGET_HELD "faregate_budget_held" Gauge "nano-dollars, tokens or requests" BY_BUDGET, &[];
        "What requests under way hold of a budget."
    BUDGET_OVERRUN "faregate_budget_overrun_total" Counter "nano-dollars, tokens or requests" BY_BUDGET, &[];
        "What was used beyond what was held of a budget."
    BUDGETS_UNLISTED "faregate_budgets_unlisted" Gauge "budgets" &[], &[];
        "Budgets that are not among these numbers, because there are too many."
    TARGET_LIMIT "faregate_target_limit" Gauge "requests" BY_TARGET, &[];
        "Requests at a time that a target takes now, where its provider has concurrency_max."
    TARGET_UNDER_WAY "faregate_target_requests_in_flight" Gauge "requests" BY_TARGET, &[];
        "Requests under way at a target, where its provider has concurrency_max."
    TARGET_SHED "faregate_target_shed_total" Counter "requests" BY_TARGET, &[];
        "Requests that were refused because a target had no room."
    HEDGES "faregate_hedges_total" Counter "attempts" BY_MODEL, &[];
        "Second attempts that were made beside one that was late."
    HEDGES_WON "faregate_hedges_won_total" Counter "attempts" BY_MODEL, &[];
        "Second attempts whose first token came first."
    PROVIDER_KEY_RESTS "faregate_provider_key_rests" Gauge "" BY_PROVIDER_KEY, &[];
        "1 while a key of a provider is not shown at a target, because it was limited or refused."
    PROVIDER_KEY_LEFT "faregate_provider_key_left_ppm" Gauge "millionths" BY_PROVIDER_KEY, &[];
        "What is left of the tightest rate limit of a key of a provider, as its answers say."
    PROVIDER_KEY_LIMITED "faregate_provider_key_limited_total" Counter "answers" BY_PROVIDER_KEY, &[];
        "Answers that said a key of a provider has used up what it may (429)."
    PROVIDER_KEY_REFUSED "faregate_provider_key_refused_total" Counter "answers" BY_PROVIDER_KEY, &[];
        "Answers that refused a key of a provider (401, 403)."
    BUDGET_STORE_UP "faregate_budget_store_up" Gauge "" &[], &[];
        "1 while budgets can be leased from the store that gateways share, 0 when they cannot."
    BUDGET_STORE_FAILURES "faregate_budget_store_failures_total" Counter "calls" &[], &[];
        "Calls to the store of shared budgets that failed."
    BUDGET_STORE_ANSWERS "faregate_budget_store_answers_total" Counter "calls" &[], &[];
        "Calls that the store of shared budgets has answered."
    BUDGET_RECALLS "faregate_budget_recalls_total" Counter "leases" &[], &[];
        "Leases of which something was given back because another gateway needed it."
    BUDGET_REFUSALS "faregate_budget_lease_refusals_total" Counter "leases" &[], &[];
        "Leases that could not be had, with everything recalled that lay idle anywhere."
    BUDGET_STORE_GENERATION "faregate_budget_store_generation" Gauge "" &[], &[];
        "The generation of the store of shared budgets: another one after a failover or a restart."
    JOURNAL_WRITES "faregate_journal_writes" Gauge "" &[], &[];
        "1 while the journal takes rows, 0 when it does not and budgets are refused."
    JOURNAL_ROWS_WAITING "faregate_journal_rows_waiting" Gauge "rows" &[], &[];
        "Rows and grants that wait to be written to the journal."
    JOURNAL_ROWS_LOST "faregate_journal_rows_lost_total" Counter "rows" &[], &[];
        "Rows that the journal did not take: what they cost is in no books."
}

/// The row of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| metric.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_well_formed() {
        for (index, metric) in ALL.iter().enumerate() {
            let name = metric.name;
            assert!(ALL[..index].iter().all(|other| other.name != name), "{name} is there twice");
            let is_total = name.ends_with("_total");
            assert_eq!(metric.kind == MetricKind::Counter, is_total, "{name}");
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{name}");
            assert_eq!(metric.kind == MetricKind::Histogram, !metric.buckets.is_empty(), "{name}");
            assert!(metric.buckets.is_sorted(), "{name}");
            if metric.unit == "seconds" {
                assert!(name.ends_with("_seconds"), "{name}");
            }
        }
    }

    #[test]
    fn rows_are_found_by_name() {
        assert_eq!(find("faregate_tokens_total"), Some(&TOKENS));
        assert_eq!(find("faregate_tokens"), None);
    }
}
