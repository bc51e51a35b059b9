//! The report of the demo.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use super::{client::Reply, stage::Stage};

/// Width of the column that says what came of a request.
const ANSWER_CHARS: usize = 51;

/// What the demo saw.
pub(super) struct Report {
    url: String,
    admin: String,
    key: String,
    books: String,
    rows: BTreeMap<(String, String), u32>,
    direct: Vec<Duration>,
    through: Vec<Duration>,
    first: Vec<Duration>,
}

impl Report {
    /// Nothing seen yet.
    pub(super) fn new(stage: &Stage) -> Self {
        Self {
            url: stage.url.clone(),
            admin: stage.admin.map(|a| a.to_string()).unwrap_or_default(),
            key: stage.search.clone(),
            books: stage.books().display().to_string(),
            rows: BTreeMap::new(),
            direct: Vec::new(),
            through: Vec::new(),
            first: Vec::new(),
        }
    }

    /// Counts an answer to `team`.
    pub(super) fn saw(&mut self, team: &str, reply: &Reply) {
        let what = match (reply.status, reply.code()) {
            (200, "") => format!("200 by {}", reply.route),
            (200, code) => format!("200, broken off: {code}"),
            (status, code) => format!("{status} {code}"),
        };
        *self.rows.entry((team.to_owned(), what)).or_default() += 1;
    }

    /// Takes the times of the same request, direct and through the gateway.
    pub(super) fn pair(&mut self, direct: Duration, through: Duration) {
        self.direct.push(direct);
        self.through.push(through);
    }

    /// Takes the time to the first byte of a stream.
    pub(super) fn first_token(&mut self, time: Duration) {
        self.first.push(time);
    }

    /// The report.
    pub(super) fn text(&self, spend: &str) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "\n  team        answer                                              requests"
        );
        let _ = writeln!(out, "  {}", "\u{2500}".repeat(72));
        for ((team, what), count) in &self.rows {
            let what: String = what.chars().take(ANSWER_CHARS).collect();
            let _ = writeln!(out, "  {team:<11} {what:<ANSWER_CHARS$} {count:>8}");
        }
        self.latency(&mut out);
        let _ = writeln!(out, "\n  what it cost, to the nano-dollar");
        let _ = writeln!(out, "  {}", "\u{2500}".repeat(72));
        for line in spend.lines() {
            let _ = writeln!(out, "  {line}");
        }
        self.next(&mut out);
        out
    }

    fn latency(&self, out: &mut String) {
        let _ = writeln!(out, "\n  latency, one connection, microseconds       p50       p99");
        let _ = writeln!(out, "  {}", "\u{2500}".repeat(58));
        let mut row = |name: &str, p50: i64, p99: i64| {
            let _ = writeln!(out, "  {name:<38} {p50:>9} {p99:>9}");
        };
        let (direct, through) = (Quantiles::of(&self.direct), Quantiles::of(&self.through));
        row("direct to the provider", direct.p50, direct.p99);
        row("through the gateway", through.p50, through.p99);
        // Request by request: the machine is as busy for one of a pair as for the other.
        let pairs = self.through.iter().zip(&self.direct);
        let added: Vec<Duration> =
            pairs.map(|(through, direct)| through.saturating_sub(*direct)).collect();
        let added = Quantiles::of(&added);
        row("added by the gateway, pair by pair", added.p50, added.p99);
        let first = Quantiles::of(&self.first);
        row("first byte of a stream", first.p50, first.p99);
    }

    fn next(&self, out: &mut String) {
        let (url, key, admin, books) = (&self.url, &self.key, &self.admin, &self.books);
        let _ = write!(
            out,
            "
  Try it (with `faregate demo --serve`, which stays up and shows its own key):

    curl {url}/chat/completions -H 'authorization: Bearer {key}' \\
      -H 'content-type: application/json' \\
      -d '{{\"model\":\"default\",\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}],\"stream\":true}}'

    python: OpenAI(base_url=\"{url}\", api_key=\"{key}\")
    node:   new OpenAI({{ baseURL: \"{url}\", apiKey: \"{key}\" }})
    metrics: curl http://{admin}/metrics
    money:   faregate spend --ledger {books}

  Then with your own provider:

    OPENAI_API_KEY=… faregate serve
    faregate init && faregate serve -c faregate.toml

"
        );
    }
}

struct Quantiles {
    p50: i64,
    p99: i64,
}

impl Quantiles {
    fn of(times: &[Duration]) -> Self {
        let mut micros: Vec<i64> =
            times.iter().map(|t| i64::try_from(t.as_micros()).unwrap_or(i64::MAX)).collect();
        micros.sort_unstable();
        let at =
            |percent: usize| micros.get(micros.len() * percent / 100).copied().unwrap_or_default();
        Self { p50: at(50), p99: at(99) }
    }
}
