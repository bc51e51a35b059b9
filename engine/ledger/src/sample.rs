//! Rows that look like a company's traffic, from a seed: for tests and measurements.

use std::sync::Arc;

use faregate_adapters::chat::Usage;
use faregate_price::NanoUsd;

use crate::row::{Payer, Row, RowId, RowKind, UsageSource, Work};

/// Makes rows, one after the other.
#[derive(Clone, Debug)]
pub struct Sample {
    state: u64,
    number: u64,
    at: u64,
    /// Nanoseconds between rows, on average.
    step: u64,
    users: usize,
}

/// Provider, model, nano-dollars a thousand tokens of input and of output.
const MODELS: [(&str, &str, u64, u64); 6] = [
    ("openai", "gpt-5.5-mini", 250_000, 2_000_000),
    ("openai", "gpt-5.5", 5_000_000, 30_000_000),
    ("anthropic", "claude-sonnet-5-5", 2_000_000, 10_000_000),
    ("anthropic", "claude-opus-5-5", 4_000_000, 20_000_000),
    ("gemini", "gemini-3-flash", 300_000, 2_500_000),
    ("fleet", "qwen3-32b", 100_000, 100_000),
];

const TEAMS: [(&str, &str, &str); 8] = [
    ("search", "ranking", "reranker"),
    ("search", "ranking", ""),
    ("search", "indexing", "tagger"),
    ("support", "helpdesk", "first-line"),
    ("support", "helpdesk", "summaries"),
    ("platform", "ci", "reviewer"),
    ("growth", "", ""),
    ("", "", ""),
];

impl Sample {
    /// Rows from this seed, the first at `start`, in nanoseconds since 1970 UTC, then one each `step` on average, of
    /// `users` people.
    #[must_use]
    pub const fn new(seed: u64, start: u64, step: u64, users: usize) -> Self {
        Self { state: seed, number: 0, at: start, step, users }
    }

    /// The next number that looks random (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
    pub fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random() % end.max(1)
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or(0)
    }

    /// The next row.
    pub fn row(&mut self) -> Row {
        self.number += 1;
        self.at += self.below(2 * self.step) + 1;
        let user = self.index(self.users);
        // Each has a model they mostly use, and another one.
        let other = usize::from(self.below(4) == 0);
        let (provider, model, price_in, price_out) = MODELS[(user / 3 + other) % MODELS.len()];
        let usage = self.usage();
        let cost = NanoUsd(
            (usage.total_input() * price_in + usage.total_output() * price_out).div_ceil(1000),
        );
        let failed = self.below(50) == 0;
        Row {
            id: RowId { node: 0xfeed_0000_0000_0001, boot: 7, number: self.number },
            kind: if self.below(500) == 0 { RowKind::Unsettled } else { RowKind::Request },
            reserved_at: self.at - 1,
            settled_at: self.at,
            request_id: format!("req_{:016x}", self.random()).into(),
            payer: self.payer(user).into(),
            session: format!("session-{}", self.below(1_000)).into(),
            work: Arc::new(Work {
                surface: if provider == "anthropic" { "messages" } else { "chat" }.into(),
                model_asked: if user.is_multiple_of(3) { "default".into() } else { model.into() },
                provider: provider.into(),
                model: model.into(),
                route_reason: "first in order".into(),
                region: if provider == "fleet" { "eu" } else { "us" }.into(),
                status: if failed { 502 } else { 200 },
                fault: if failed { "upstream_unreachable".into() } else { String::new() },
                attempts: 1,
                cache_hit: false,
            }),
            usage,
            usage_source: if failed { UsageSource::Estimated } else { UsageSource::Provider },
            price_id: format!("catalogue/2026-11/{provider}/{model}").into(),
            cost,
            reserved: NanoUsd(cost.0 * 3),
            saved_by_cache: NanoUsd(usage.cache_read * price_in * 9 / 10_000),
            scopes: ["organisation/acme".into()].into(),
            duration_us: 1_200_000,
            ttft_us: 300_000,
            generation: 3,
            ..Row::default()
        }
    }

    fn usage(&mut self) -> Usage {
        Usage {
            input: 200 + self.below(4_000),
            cache_read: if self.below(2) == 0 { self.below(20_000) } else { 0 },
            output: 20 + self.below(900),
            reasoning: if self.below(4) == 0 { self.below(2_000) } else { 0 },
            ..Usage::default()
        }
    }

    fn payer(&mut self, user: usize) -> Payer {
        let (team, project, agent) = TEAMS[user % TEAMS.len()];
        Payer {
            organisation: "acme".into(),
            team: team.into(),
            project: project.into(),
            agent: agent.into(),
            key: if team.is_empty() { String::new() } else { format!("{team}-{}", user % 3) },
            user: format!("user-{user}"),
            tags: match user % 5 {
                0 | 1 => vec![("env".into(), "prod".into())],
                2 => vec![("cost-centre".into(), "4711".into()), ("env".into(), "dev".into())],
                _ => Vec::new(),
            },
        }
    }
}
