//! The figures that are compared, and how rounds become one number.
//!
//! In: one measurement per rival, scenario and round. Out: for each figure and rival the median, the
//! least and the most, and the median of the rounds' ratios to the base. Ratios are taken within a
//! round, between measurements made minutes apart, so that a slow hour of the machine falls out.

use loadtest::load::Report;
use serde::Serialize;

/// What direct calls of the provider are called.
pub(crate) const DIRECT: &str = "direct";

/// One scenario, put on one rival, once.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measure {
    pub(crate) rival: String,
    pub(crate) round: usize,
    /// Milliseconds from start to first answer.
    pub(crate) ready_ms: Option<f64>,
    /// Resident bytes before the load.
    pub(crate) rss_idle: Option<u64>,
    /// Processors that something else used meanwhile.
    pub(crate) foreign_cpus: f64,
    pub(crate) report: Report,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    scenario: &'static str,
    /// Subtract what direct calls take.
    is_added: bool,
    pub(crate) digits: usize,
    /// Whether a ratio to the base says something.
    pub(crate) has_ratio: bool,
    value: fn(&Measure) -> Option<f64>,
}

/// All rows, in their order.
pub(crate) const FIGURES: &[Figure] = &[
    Figure {
        key: "cpu_per_request",
        title: "CPU per 1 KiB request, 2 KiB answer, us",
        scenario: "plain",
        is_added: false,
        digits: 2,
        has_ratio: true,
        value: cpu_per_request,
    },
    Figure {
        key: "requests_per_second",
        title: "requests/s, one core",
        scenario: "plain",
        is_added: false,
        digits: 0,
        has_ratio: true,
        value: |measure| Some(measure.report.rate()),
    },
    Figure {
        key: "busy_p50",
        title: "p50 at 64 busy connections, us",
        scenario: "plain",
        is_added: false,
        digits: 0,
        has_ratio: true,
        value: |measure| measure.report.latency.as_ref().map(|times| times.p50_us),
    },
    Figure {
        key: "busy_p99",
        title: "p99 at 64 busy connections, us",
        scenario: "plain",
        is_added: false,
        digits: 0,
        has_ratio: true,
        value: |measure| measure.report.latency.as_ref().map(|times| times.p99_us),
    },
    Figure {
        key: "cpu_per_chunk",
        title: "CPU per SSE chunk, 500 streams x 50/s, us",
        scenario: "sse",
        is_added: false,
        digits: 2,
        has_ratio: true,
        value: |measure| measure.report.cost.as_ref().and_then(|cost| cost.cpu_us_per_chunk),
    },
    Figure {
        key: "chunk_added_p50",
        title: "added way of a chunk, p50, us",
        scenario: "sse",
        is_added: true,
        digits: 0,
        has_ratio: true,
        value: |measure| measure.report.travel.as_ref().map(|times| times.p50_us),
    },
    Figure {
        key: "chunk_added_p99",
        title: "added way of a chunk, p99, us",
        scenario: "sse",
        is_added: true,
        digits: 0,
        has_ratio: false,
        value: |measure| measure.report.travel.as_ref().map(|times| times.p99_us),
    },
    Figure {
        key: "cpu_64k",
        title: "CPU per 64 KiB prompt, us",
        scenario: "prompt-64k",
        is_added: false,
        digits: 1,
        has_ratio: true,
        value: cpu_per_request,
    },
    Figure {
        key: "cpu_1m",
        title: "CPU per 1 MiB prompt, us",
        scenario: "prompt-1m",
        is_added: false,
        digits: 0,
        has_ratio: true,
        value: cpu_per_request,
    },
    Figure {
        key: "added_p50",
        title: "added p50 at 200 requests/s, us",
        scenario: "open-200",
        is_added: true,
        digits: 0,
        has_ratio: true,
        value: |measure| measure.report.latency.as_ref().map(|times| times.p50_us),
    },
    Figure {
        key: "added_p99",
        title: "added p99 at 200 requests/s, us",
        scenario: "open-200",
        is_added: true,
        digits: 0,
        has_ratio: false,
        value: |measure| measure.report.latency.as_ref().map(|times| times.p99_us),
    },
    Figure {
        key: "added_ttft_p50",
        title: "added time to first token, p50, us",
        scenario: "open-200",
        is_added: true,
        digits: 0,
        has_ratio: true,
        value: |measure| measure.report.first.as_ref().map(|times| times.p50_us),
    },
    Figure {
        key: "kib_per_stream",
        title: "KiB per open stream, 5,000 streams",
        scenario: "idle-5000",
        is_added: false,
        digits: 1,
        has_ratio: true,
        value: |measure| {
            let cost = measure.report.cost.as_ref()?;
            cost.bytes_per_stream.map(|bytes| bytes / 1024.0)
        },
    },
    Figure {
        key: "rss_idle",
        title: "resident memory before any load, MiB",
        scenario: "",
        is_added: false,
        digits: 1,
        has_ratio: true,
        #[expect(clippy::cast_precision_loss, reason = "memory stays far below 2^52 bytes")]
        value: |measure| measure.rss_idle.map(|bytes| bytes as f64 / 1_048_576.0),
    },
    Figure {
        key: "ready",
        title: "from start to first answer, ms",
        scenario: "",
        is_added: false,
        digits: 0,
        has_ratio: false,
        value: |measure| measure.ready_ms,
    },
];

fn cpu_per_request(measure: &Measure) -> Option<f64> {
    measure.report.cost.as_ref().and_then(|cost| cost.cpu_us_per_request)
}

/// One cell of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Cell {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// The median of the rounds' ratios to the base.
    pub(crate) ratio: Option<f64>,
}

impl Figure {
    /// The cell of `rival`; `None` if nothing was measured.
    pub(crate) fn cell(&self, measures: &[Measure], rival: &str, base: &str) -> Option<Cell> {
        let values: Vec<(usize, f64)> = self.rounds(measures, rival);
        let spread: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        let bases = self.rounds(measures, base);
        let ratio = |(round, value): &(usize, f64)| {
            let (_, base) = bases.iter().find(|(other, _)| other == round)?;
            (*base > 0.0).then(|| value / base)
        };
        let ratios: Vec<f64> = values.iter().filter_map(ratio).collect();
        Some(Cell {
            median: median(&spread)?,
            least: spread.iter().copied().fold(f64::INFINITY, f64::min),
            most: spread.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ratio: median(&ratios).filter(|_| self.has_ratio && rival != DIRECT),
        })
    }

    /// One value a round: the median, where a round has several.
    fn rounds(&self, measures: &[Measure], rival: &str) -> Vec<(usize, f64)> {
        let last = measures.iter().map(|measure| measure.round).max().unwrap_or(0);
        (0..=last)
            .filter_map(|round| {
                let value = self.value_in(measures, rival, round)?;
                if !self.is_added {
                    return Some((round, value));
                }
                Some((round, value - self.value_in(measures, DIRECT, round)?))
            })
            .collect()
    }

    fn value_in(&self, measures: &[Measure], rival: &str, round: usize) -> Option<f64> {
        let here = |measure: &&Measure| {
            measure.round == round
                && measure.rival == rival
                && (self.scenario.is_empty() || measure.report.scenario == self.scenario)
        };
        let values: Vec<f64> = measures.iter().filter(here).filter_map(self.value).collect();
        median(&values)
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use loadtest::load::Summary;

    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    fn measure(rival: &str, round: usize, p50_us: f64, requests: u64) -> Measure {
        let times = Summary {
            count: 1,
            mean_us: 0.0,
            p50_us,
            p90_us: 0.0,
            p99_us: 0.0,
            p999_us: 0.0,
            max_us: 0.0,
        };
        let report = Report {
            scenario: "open-200".into(),
            seconds: 1.0,
            requests,
            latency: Some(times),
            ..Report::default()
        };
        let rival = rival.to_owned();
        Measure { rival, round, ready_ms: None, rss_idle: None, foreign_cpus: 0.0, report }
    }

    #[test]
    fn ratios_are_taken_within_a_round_and_direct_is_subtracted() {
        let rows = [("direct", 100.0), ("nginx", 300.0), ("faregate", 200.0)];
        let mut measures = Vec::new();
        for round in 0..3_u32 {
            // Each round the machine is slower.
            let slower = f64::from(round + 1);
            let round = round as usize;
            measures.extend(rows.map(|(rival, p50)| measure(rival, round, p50 * slower, 5)));
        }
        let added = FIGURES.iter().find(|figure| figure.key == "added_p50");
        let cell = added.and_then(|figure| figure.cell(&measures, "faregate", "nginx"));
        let ratio = Some(0.5);
        assert_eq!(cell, Some(Cell { median: 200.0, least: 100.0, most: 300.0, ratio }));
        let plain = FIGURES.iter().find(|figure| figure.key == "requests_per_second");
        assert_eq!(plain.and_then(|figure| figure.cell(&measures, "faregate", "nginx")), None);
    }

    #[test]
    fn keys_are_unique() {
        for figure in FIGURES {
            assert_eq!(FIGURES.iter().filter(|other| other.key == figure.key).count(), 1);
        }
    }
}
