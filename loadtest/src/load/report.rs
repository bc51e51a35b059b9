//! What a run has shown, as JSON and as one row of a Markdown table.
//!
//! In: counts and histograms while the load runs. Out: a [`Report`]. Times are in microseconds and
//! counted from the intended send time.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::check::Fault;

/// The longest time a histogram tells apart.
const NANOS_MAX: u64 = 600_000_000_000;

/// Times of one kind.
#[derive(Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Times {
        let histogram = Histogram::new_with_bounds(100, NANOS_MAX, 3);
        Times(histogram.expect("the bounds are in order and the digits few"))
    }

    pub(crate) fn add(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn summary(&self) -> Option<Summary> {
        if self.0.is_empty() {
            return None;
        }
        let micros = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64() * 1e6;
        let at = |quantile: f64| micros(self.0.value_at_quantile(quantile));
        Some(Summary {
            count: self.0.len(),
            mean_us: self.0.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: micros(self.0.max()),
        })
    }
}

/// How times are spread.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it: quantiles in microseconds")]
pub struct Summary {
    pub count: u64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

/// What one run has shown. Rates and costs are those of the measured time.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// Seconds measured.
    pub seconds: f64,
    /// Requests answered in that time.
    pub requests: u64,
    /// Pieces of text received in that time.
    pub chunks: u64,
    /// Requests answered over the whole run.
    pub requests_total: u64,
    /// Failed requests over the whole run, by kind.
    pub errors: BTreeMap<String, u64>,
    /// Requests sent again because a kept connection had just been closed.
    pub stale: u64,
    /// Connections opened over the whole run.
    pub connects: u64,
    /// From the intended send time to the last byte.
    pub latency: Option<Summary>,
    /// From the intended send time to the first piece of text of a stream.
    pub first: Option<Summary>,
    /// Between two pieces of text.
    pub gap: Option<Summary>,
    /// From the provider's send to the generator's receive, where the script stamps chunks.
    pub travel: Option<Summary>,
    /// What the observed processes cost.
    pub cost: Option<CostReport>,
    /// Share of one processor that the generator itself used; near one, it was the limit.
    pub generator_cpu: f64,
    /// How late the generator was with a request at worst.
    pub late_us_max: f64,
    /// Policy changes made.
    pub reloads: u64,
}

/// What the observed processes cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostReport {
    /// Processor time per request answered.
    pub cpu_us_per_request: Option<f64>,
    /// Processor time per piece of text.
    pub cpu_us_per_chunk: Option<f64>,
    /// Processors used on average.
    pub cpus: f64,
    /// Resident bytes before the first request, at the end of the measured time, and the most seen.
    pub rss_before: u64,
    /// See above.
    pub rss_after: u64,
    /// See above.
    pub rss_max: u64,
    /// Growth of resident memory over the measured time, fitted, in bytes a second.
    pub rss_slope: f64,
    /// With `hold`: bytes of resident memory per open stream.
    pub bytes_per_stream: Option<f64>,
    /// Descriptors before the first request and after the last connection is closed.
    pub fds_before: u64,
    /// See above.
    pub fds_after: u64,
}

impl Report {
    /// Requests that failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Requests answered a second.
    pub fn rate(&self) -> f64 {
        per(self.requests, self.seconds)
    }

    /// The two lines above the rows.
    pub fn markdown_head() -> &'static str {
        "| scenario | req/s | chunks/s | p50 us | p99 us | p99.9 us | first p50 us | first p99 us | gap p99 us | CPU us/req | CPU us/chunk | CPUs | RSS MiB | KiB/stream | failed |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    }

    /// This report as a row.
    pub fn markdown_row(&self) -> String {
        let time = |times: &Option<Summary>, pick: fn(&Summary) -> f64| {
            number(times.as_ref().map(pick), 0)
        };
        let cost = self.cost.as_ref();
        let mut cells = vec![
            self.scenario.clone(),
            number(Some(self.rate()), 0),
            number(Some(per(self.chunks, self.seconds)).filter(|rate| *rate > 0.0), 0),
            time(&self.latency, |times| times.p50_us),
            time(&self.latency, |times| times.p99_us),
            time(&self.latency, |times| times.p999_us),
            time(&self.first, |times| times.p50_us),
            time(&self.first, |times| times.p99_us),
            time(&self.gap, |times| times.p99_us),
            number(cost.and_then(|cost| cost.cpu_us_per_request), 2),
            number(cost.and_then(|cost| cost.cpu_us_per_chunk), 2),
            number(cost.map(|cost| cost.cpus), 2),
            number(cost.map(|cost| mib(cost.rss_after)), 1),
            number(cost.and_then(|cost| cost.bytes_per_stream).map(|bytes| bytes / 1024.0), 1),
        ];
        cells.push(self.failed().to_string());
        format!("| {} |", cells.join(" | "))
    }
}

/// Errors by kind.
#[derive(Debug, Default)]
pub(crate) struct Errors(BTreeMap<Fault, u64>);

impl Errors {
    pub(crate) fn add(&mut self, fault: Fault) {
        *self.0.entry(fault).or_default() += 1;
    }

    pub(crate) fn names(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|(fault, count)| (fault.name(), *count)).collect()
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.values().sum()
    }
}

/// `count` per unit of `amount`, zero if there is none.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(crate) fn per(count: u64, amount: f64) -> f64 {
    if amount > 0.0 { count as f64 / amount } else { 0.0 }
}

/// The slope of the line that fits best through `points`, zero for fewer than two.
pub(crate) fn slope(points: &[(f64, f64)]) -> f64 {
    let count = per(points.len() as u64, 1.0);
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
    let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let together: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    if points.len() < 2 || spread == 0.0 { 0.0 } else { together / spread }
}

fn mib(bytes: u64) -> f64 {
    per(bytes, 1_048_576.0)
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_times() {
        let mut times = Times::new();
        assert_eq!(times.summary(), None);
        (1..=1000).for_each(|micros| times.add(Duration::from_micros(micros)));
        let summary = times.summary().unwrap();
        assert_eq!(summary.count, 1000);
        assert!((summary.p50_us - 500.0).abs() < 2.0, "{summary:?}");
        assert!((summary.p99_us - 990.0).abs() < 2.0);
        assert!((summary.max_us - 1000.0).abs() < 2.0);
    }

    #[test]
    fn a_line_has_its_slope() {
        let points: Vec<(f64, f64)> = (0..10).map(f64::from).map(|x| (x, 3.0 * x + 7.0)).collect();
        assert!((slope(&points) - 3.0).abs() < 1e-9);
        assert_eq!(slope(&points[..1]), 0.0);
    }
}
