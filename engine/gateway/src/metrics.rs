//! Counting on the cores, adding up at the scrape.
//!
//! In: one [`Sample`] a request. Out: Prometheus text (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//! A core counts in cells that only it writes; the admin thread reads them with relaxed loads. Nothing is locked and
//! nothing is allocated but for the first request of a new combination of labels; of those there are at most
//! [`SERIES_MAX`] a core, the rest is counted under `other`.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Write,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crossbeam_queue::SegQueue;
use faregate_policy::metric;
use hashbrown::HashTable;

/// Combinations of labels that one core tells apart.
pub(crate) const SERIES_MAX: usize = 4096;

/// `gen_ai.client.operation.duration`'s buckets, in seconds (OpenTelemetry GenAI conventions).
const DURATION_BUCKETS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// `gen_ai.server.time_to_first_token`'s buckets, in seconds (OpenTelemetry GenAI conventions).
const TTFT_BUCKETS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Buckets of the time the gateway itself took before the request was on its way, in seconds.
const OVERHEAD_BUCKETS: [f64; 10] =
    [5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 5e-3, 25e-3];

/// A number that one core writes and others read.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    /// Adds; only the owning core may.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Takes away; only the owning core may.
    pub(crate) fn sub(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    /// Sets; only the owning core may.
    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts by upper bound, the sum in nanoseconds beside them.
#[derive(Debug)]
struct Histogram<const N: usize> {
    buckets: [Cell; N],
    over: Cell,
    sum_nanos: Cell,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| Cell::default()),
            over: Cell::default(),
            sum_nanos: Cell::default(),
        }
    }
}

impl<const N: usize> Histogram<N> {
    #[expect(clippy::cast_precision_loss, reason = "a bucket is chosen, nothing is summed")]
    fn observe(&self, nanos: u64, bounds: &[f64; N]) {
        let seconds = nanos as f64 / 1e9;
        match bounds.iter().position(|bound| seconds <= *bound) {
            Some(n) => self.buckets[n].add(1),
            None => self.over.add(1),
        }
        self.sum_nanos.add(nanos);
    }
}

/// What the counts of a request are kept under.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Labels {
    surface: &'static str,
    team: Box<str>,
    model: Box<str>,
    target: Box<str>,
    status: u16,
    code: &'static str,
}

/// One combination of labels on one core.
#[derive(Debug)]
struct Series {
    labels: Labels,
    requests: Cell,
    attempts: Cell,
    input_tokens: Cell,
    cached_tokens: Cell,
    output_tokens: Cell,
    reasoning_tokens: Cell,
    audio_input_tokens: Cell,
    audio_output_tokens: Cell,
    unmetered: Cell,
    cost: Cell,
    duration: Histogram<14>,
    ttft: Histogram<16>,
    overhead: Histogram<10>,
}

/// What one request adds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample<'a> {
    /// The surface called.
    pub(crate) surface: &'static str,
    /// The team that called, or nothing.
    pub(crate) team: &'a str,
    /// The model asked for, as far as the policy knows it.
    pub(crate) model: &'a str,
    /// The target that answered, or nothing.
    pub(crate) target: &'a str,
    /// The status the client got; 499 when it had left.
    pub(crate) status: u16,
    /// The fault's code, or nothing.
    pub(crate) code: &'static str,
    /// Upstream requests made.
    pub(crate) attempts: u64,
    /// Tokens, when they are known.
    pub(crate) tokens: Option<Tokens>,
    /// Whether tokens should have been known.
    pub(crate) metered: bool,
    /// What it cost, in nano-dollars.
    pub(crate) cost: u64,
    /// From the head of the request to the end of the answer.
    pub(crate) duration_nanos: u64,
    /// From the head of the request to the first content.
    pub(crate) ttft_nanos: Option<u64>,
    /// From the complete request to the first byte upstream, plus from the answer's head to the client.
    pub(crate) overhead_nanos: Option<u64>,
}

/// Tokens of one request, in disjoint classes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tokens {
    /// Input that was not cached, but for audio.
    pub(crate) input: u64,
    /// Input read from the provider's cache.
    pub(crate) cached: u64,
    /// Output but for reasoning and audio.
    pub(crate) output: u64,
    /// Reasoning.
    pub(crate) reasoning: u64,
    /// Audio in the input.
    pub(crate) audio_input: u64,
    /// Audio in the output.
    pub(crate) audio_output: u64,
}

/// One core's counters.
#[derive(Debug)]
pub(crate) struct CoreMetrics {
    /// Connections that could not be accepted.
    pub(crate) accept_errors: Arc<Cell>,
    /// Connections turned away at the limit.
    pub(crate) connections_refused: Arc<Cell>,
    /// TLS handshakes of clients that failed.
    pub(crate) tls_handshake_failures: Arc<Cell>,
    /// Idle upstream connections.
    pub(crate) idle_upstream_connections: Arc<Cell>,
    /// Requests being served.
    pub(crate) in_flight: Arc<Cell>,
    /// Requests that ended in a panic.
    pub(crate) panics: Arc<Cell>,
    /// What the cache of answers did.
    pub(crate) cache: CacheCells,
    series: RefCell<HashTable<Arc<Series>>>,
    hasher: hashbrown::DefaultHashBuilder,
    fresh: Arc<SegQueue<Arc<Series>>>,
}

/// What the cache of answers did on one core.
#[derive(Debug)]
pub(crate) struct CacheCells {
    /// Requests that got an answer that was kept.
    pub(crate) hits: Arc<Cell>,
    /// Requests that got another one's answer, which they waited for.
    pub(crate) joined: Arc<Cell>,
    /// Requests that got the answer to the same question in other words.
    pub(crate) semantic: Arc<Cell>,
    /// Questions whose vectors were asked for and did not come.
    pub(crate) vectorless: Arc<Cell>,
    /// Requests that a provider was asked for.
    pub(crate) misses: Arc<Cell>,
    /// Answers that were kept.
    pub(crate) stored: Arc<Cell>,
    /// Answers that came and were not kept.
    pub(crate) refused: Arc<Cell>,
    /// What answers cost that were given again, in nano-dollars.
    pub(crate) saved: Arc<Cell>,
}

/// Every core's counters, for the admin thread.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    fresh: Arc<SegQueue<Arc<Series>>>,
    plain: SegQueue<(&'static str, Arc<Cell>)>,
}

/// What the admin thread has collected of the registry.
#[derive(Debug, Default)]
pub(crate) struct Scraper {
    series: Vec<Arc<Series>>,
    plain: Vec<(&'static str, Arc<Cell>)>,
}

impl Registry {
    /// Counters for one more core.
    pub(crate) fn core(&self) -> CoreMetrics {
        let plain = |name| {
            let cell = Arc::new(Cell::default());
            self.plain.push((name, Arc::clone(&cell)));
            cell
        };
        CoreMetrics {
            accept_errors: plain("faregate_accept_errors_total"),
            connections_refused: plain("faregate_connections_refused_total"),
            tls_handshake_failures: plain("faregate_tls_handshake_failures_total"),
            idle_upstream_connections: plain("faregate_upstream_idle_connections"),
            in_flight: plain("faregate_requests_in_flight"),
            panics: plain("faregate_panics_total"),
            cache: CacheCells {
                hits: plain("faregate_cache_hits_total"),
                joined: plain("faregate_cache_joined_total"),
                semantic: plain("faregate_semantic_hits_total"),
                vectorless: plain("faregate_semantic_vectors_missing_total"),
                misses: plain("faregate_cache_misses_total"),
                stored: plain("faregate_cache_stored_total"),
                refused: plain("faregate_cache_not_stored_total"),
                saved: plain("faregate_cache_saved_nanousd_total"),
            },
            series: RefCell::new(HashTable::new()),
            hasher: hashbrown::DefaultHashBuilder::default(),
            fresh: Arc::clone(&self.fresh),
        }
    }
}

impl CoreMetrics {
    /// Counts one request.
    pub(crate) fn count(&self, sample: &Sample<'_>) {
        let series = self.series(sample);
        series.requests.add(1);
        series.attempts.add(sample.attempts);
        if sample.cost > 0 {
            series.cost.add(sample.cost);
        }
        match sample.tokens {
            Some(tokens) => {
                series.input_tokens.add(tokens.input);
                series.cached_tokens.add(tokens.cached);
                series.output_tokens.add(tokens.output);
                series.reasoning_tokens.add(tokens.reasoning);
                series.audio_input_tokens.add(tokens.audio_input);
                series.audio_output_tokens.add(tokens.audio_output);
            }
            None if sample.metered => series.unmetered.add(1),
            None => {}
        }
        series.duration.observe(sample.duration_nanos, &DURATION_BUCKETS);
        if let Some(nanos) = sample.ttft_nanos {
            series.ttft.observe(nanos, &TTFT_BUCKETS);
        }
        if let Some(nanos) = sample.overhead_nanos {
            series.overhead.observe(nanos, &OVERHEAD_BUCKETS);
        }
    }

    fn series(&self, sample: &Sample<'_>) -> Arc<Series> {
        let mut table = self.series.borrow_mut();
        let full = table.len() >= SERIES_MAX;
        let hash =
            self.hash(sample.surface, sample.team, sample.model, sample.target, sample.status);
        let same = |series: &Arc<Series>| {
            let l = &series.labels;
            (l.status, l.surface, l.code) == (sample.status, sample.surface, sample.code)
                && *l.team == *sample.team
                && *l.model == *sample.model
                && *l.target == *sample.target
        };
        if let Some(series) = table.find(hash, same) {
            return Arc::clone(series);
        }
        let (team, model, target) = if full {
            ("other", "other", "other")
        } else {
            (sample.team, sample.model, sample.target)
        };
        let series = Arc::new(Series {
            labels: Labels {
                surface: sample.surface,
                team: team.into(),
                model: model.into(),
                target: target.into(),
                status: sample.status,
                code: sample.code,
            },
            requests: Cell::default(),
            attempts: Cell::default(),
            input_tokens: Cell::default(),
            cached_tokens: Cell::default(),
            output_tokens: Cell::default(),
            reasoning_tokens: Cell::default(),
            audio_input_tokens: Cell::default(),
            audio_output_tokens: Cell::default(),
            unmetered: Cell::default(),
            cost: Cell::default(),
            duration: Histogram::default(),
            ttft: Histogram::default(),
            overhead: Histogram::default(),
        });
        if full {
            let hash = self.hash(sample.surface, team, model, target, sample.status);
            if let Some(known) = table.find(hash, |s| s.labels == series.labels) {
                return Arc::clone(known);
            }
        }
        let hash = self.hash(sample.surface, team, model, target, sample.status);
        table.insert_unique(hash, Arc::clone(&series), |s| {
            let l = &s.labels;
            self.hash(l.surface, &l.team, &l.model, &l.target, l.status)
        });
        self.fresh.push(Arc::clone(&series));
        series
    }

    fn hash(&self, surface: &str, team: &str, model: &str, target: &str, status: u16) -> u64 {
        self.hasher.hash_one((surface.len(), team, model, target, status))
    }
}

impl Scraper {
    /// Renders everything that has been counted, and `gauges` (name, help, labels, value) beside it.
    pub(crate) fn render(&mut self, registry: &Registry, gauges: &[Gauge]) -> String {
        self.series.extend(std::iter::from_fn(|| registry.fresh.pop()));
        self.plain.extend(std::iter::from_fn(|| registry.plain.pop()));
        let mut out = String::with_capacity(16 * 1024);
        self.counters(&mut out);
        self.tokens(&mut out);
        self.histograms(&mut out);
        self.plain(&mut out);
        for gauge in gauges {
            head(&mut out, gauge.name, gauge.kind, gauge.help);
            for (labels, value) in &gauge.values {
                let _ = writeln!(out, "{}{labels} {value}", gauge.name);
            }
        }
        out
    }

    fn counters(&self, out: &mut String) {
        let by_all = |s: &Series| {
            let l = &s.labels;
            let mut labels = by_caller(l);
            let _ = write!(labels, ",status=\"{}\",code=\"{}\"", l.status, l.code);
            labels
        };
        self.sum(out, "faregate_requests_total", "Requests that ended.", by_all, |s| {
            s.requests.get()
        });
        self.sum(
            out,
            "faregate_upstream_requests_total",
            "Requests made to providers, retries included.",
            |s| by_caller(&s.labels),
            |s| s.attempts.get(),
        );
        self.sum(
            out,
            "faregate_unmetered_requests_total",
            "Answers whose token usage the provider did not give.",
            |s| by_caller(&s.labels),
            |s| s.unmetered.get(),
        );
        let by = |s: &Series| by_caller(&s.labels);
        self.sum(out, metric::COST.name, metric::COST.help, by, |s| s.cost.get());
    }

    fn tokens(&self, out: &mut String) {
        type Read = fn(&Series) -> u64;
        let classes: [(&str, Read); 6] = [
            ("input", |s| s.input_tokens.get()),
            ("cached_input", |s| s.cached_tokens.get()),
            ("output", |s| s.output_tokens.get()),
            ("reasoning", |s| s.reasoning_tokens.get()),
            ("audio_input", |s| s.audio_input_tokens.get()),
            ("audio_output", |s| s.audio_output_tokens.get()),
        ];
        let name = "faregate_tokens_total";
        head(out, name, "counter", "Tokens, in disjoint classes.");
        for (class, read) in classes {
            for (labels, value) in self.sums(|s| by_caller(&s.labels), read) {
                let _ = writeln!(out, "{name}{{{labels},gen_ai_token_type=\"{class}\"}} {value}");
            }
        }
    }

    fn histograms(&self, out: &mut String) {
        self.histogram(
            out,
            (
                "gen_ai_server_request_duration_seconds",
                "From the request's head to the end of the answer.",
            ),
            &DURATION_BUCKETS,
            |s| &s.duration,
        );
        self.histogram(
            out,
            (
                "gen_ai_server_time_to_first_token_seconds",
                "From the request's head to the first content token.",
            ),
            &TTFT_BUCKETS,
            |s| &s.ttft,
        );
        self.histogram(
            out,
            (
                "faregate_overhead_seconds",
                "Time the gateway itself took: decisions before, head of the answer after.",
            ),
            &OVERHEAD_BUCKETS,
            |s| &s.overhead,
        );
    }

    fn histogram<const N: usize>(
        &self,
        out: &mut String,
        (name, help): (&str, &str),
        bounds: &[f64; N],
        read: impl Fn(&Series) -> &Histogram<N>,
    ) {
        head(out, name, "histogram", help);
        let mut sums: BTreeMap<String, ([u64; N], u64, u64)> = BTreeMap::new();
        for series in &self.series {
            let sum = sums.entry(by_operation(&series.labels)).or_insert(([0; N], 0, 0));
            let histogram = read(series);
            for (n, bucket) in histogram.buckets.iter().enumerate() {
                sum.0[n] += bucket.get();
            }
            sum.1 += histogram.over.get();
            sum.2 += histogram.sum_nanos.get();
        }
        for (labels, (buckets, over, nanos)) in sums {
            let mut total = 0;
            for (bound, count) in bounds.iter().zip(buckets) {
                total += count;
                let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {total}");
            }
            total += over;
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {total}");
            let _ = writeln!(
                out,
                "{name}_sum{{{labels}}} {}.{:09}",
                nanos / 1_000_000_000,
                nanos % 1_000_000_000
            );
            let _ = writeln!(out, "{name}_count{{{labels}}} {total}");
        }
    }

    fn plain(&self, out: &mut String) {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, cell) in &self.plain {
            *sums.entry(name).or_default() += cell.get();
        }
        for (name, value) in sums {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            let _ = writeln!(out, "# TYPE {name} {kind}\n{name} {value}");
        }
    }

    fn sum(
        &self,
        out: &mut String,
        name: &str,
        help: &str,
        labels: impl Fn(&Series) -> String,
        read: impl Fn(&Series) -> u64,
    ) {
        head(out, name, "counter", help);
        for (labels, value) in self.sums(labels, read) {
            let _ = writeln!(out, "{name}{{{labels}}} {value}");
        }
    }

    fn sums(
        &self,
        labels: impl Fn(&Series) -> String,
        read: impl Fn(&Series) -> u64,
    ) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for series in &self.series {
            *sums.entry(labels(series)).or_default() += read(series);
        }
        sums
    }
}

/// A value read at the scrape.
#[derive(Debug)]
pub(crate) struct Gauge {
    /// Prometheus name.
    pub(crate) name: &'static str,
    /// `gauge` or `counter`.
    pub(crate) kind: &'static str,
    /// What it counts.
    pub(crate) help: &'static str,
    /// Labels with their braces, and the value.
    pub(crate) values: Vec<(String, u64)>,
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn by_caller(labels: &Labels) -> String {
    let mut text = by_operation(labels);
    let _ = write!(text, ",team=\"{}\"", Escaped(&labels.team));
    text
}

fn by_operation(labels: &Labels) -> String {
    let provider = labels.target.split('/').next().unwrap_or_default();
    format!(
        "gen_ai_operation_name=\"{}\",gen_ai_request_model=\"{}\",gen_ai_provider_name=\"{}\",target=\"{}\"",
        labels.surface,
        Escaped(&labels.model),
        Escaped(provider),
        Escaped(&labels.target)
    )
}

/// A value of a label.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
