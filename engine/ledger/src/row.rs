//! One line of the books.
//!
//! A row says what one request cost and who answers for it. Rows are never changed: a mistake is put right by a further row
//! that names the one it corrects.

use std::{fmt, str::FromStr, sync::Arc};

use faregate_adapters::chat::Usage;
use faregate_price::NanoUsd;

/// What makes a row the only one of its kind: a row that comes a second time under the same id is the same row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId {
    /// The node that served the request: random, made once for a journal.
    pub node: u64,
    /// The process that served it: random, made at each start.
    pub boot: u64,
    /// Counts the rows of the process, from 1.
    pub number: u64,
}

/// Node and process in sixteen hexadecimal digits each, then the number: `00c0ffee…/…/17`.
impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}/{:016x}/{}", self.node, self.boot, self.number)
    }
}

impl FromStr for RowId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SPELLING: &str = "rows are called node/process/number";
        let mut parts = text.splitn(3, '/');
        let mut hex = || {
            let digits = parts.next().filter(|part| part.len() == 16).ok_or(SPELLING)?;
            u64::from_str_radix(digits, 16).map_err(|_| SPELLING)
        };
        let (node, boot) = (hex()?, hex()?);
        let number = parts.next().ok_or(SPELLING)?.parse().map_err(|_| SPELLING)?;
        Ok(Self { node, boot, number })
    }
}

/// Why there is a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RowKind {
    /// A request was settled.
    #[default]
    Request,
    /// A request was under way when the process ended: charged with all that was set aside for it.
    Unsettled,
    /// An earlier row was wrong; `cost` is to be added, or taken off where `is_credit` says so.
    Correction,
    /// Money that was leased and of which nobody can say what became: charged to the scope alone.
    LostLease,
}

/// Where the counts of tokens come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UsageSource {
    /// The provider said so.
    Provider,
    /// The text was counted with the model's own tokenizer.
    Counted,
    /// The text was measured and its tokens estimated from above.
    Estimated,
    /// There is nothing that could be counted.
    #[default]
    Absent,
}

/// One line of the books. Text that is not known is empty.
///
/// What recurs from row to row is shared, so that a row is made, handed to another thread and dropped without touching the
/// allocator for any of its texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub id: RowId,
    /// Why it is there.
    pub kind: RowKind,
    /// The row that it corrects.
    pub corrects: Option<RowId>,
    /// A correction that gives back.
    pub is_credit: bool,
    /// When the money was set aside, in nanoseconds since 1970 UTC: the moment that says which windows of budgets pay.
    pub reserved_at: u64,
    /// When it was settled, in nanoseconds since 1970 UTC.
    pub settled_at: u64,
    /// The request's id, as the client saw it.
    pub request_id: Arc<str>,
    /// Who pays.
    pub payer: Arc<Payer>,
    /// The session, as the client names it.
    pub session: Arc<str>,
    /// What was asked for and what was used.
    pub work: Arc<Work>,
    /// Tokens by class.
    pub usage: Usage,
    /// Where `usage` comes from.
    pub usage_source: UsageSource,
    /// The price that was applied: `catalogue/<version>/<provider>/<model>`, or `policy/<generation>/<name>`.
    pub price_id: Arc<str>,
    /// What it cost.
    pub cost: NanoUsd,
    /// What was set aside for it.
    pub reserved: NanoUsd,
    /// What prompt caches saved, against reading all input anew.
    pub saved_by_cache: NanoUsd,
    /// What routing saved, against the model asked for.
    pub saved_by_routing: NanoUsd,
    /// The part of `cost` that went into attempts and hedges whose answer nobody got.
    pub wasted: NanoUsd,
    /// The scopes whose budgets pay: `team/search`, `key/search-ci`, …
    pub scopes: Arc<[Arc<str>]>,
    /// From the request's head to its settlement, in microseconds.
    pub duration_us: u64,
    /// From the request's head to the first content, in microseconds; 0 where there was none.
    pub ttft_us: u64,
    /// The generation of the policy that decided.
    pub generation: u64,
}

/// Who pays for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Payer {
    /// The organisation.
    pub organisation: String,
    /// The team.
    pub team: String,
    /// The project.
    pub project: String,
    /// The agent.
    pub agent: String,
    /// The key's name.
    pub key: String,
    /// The end user, as the client names it.
    pub user: String,
    /// Names and values that the policy takes from heads and metadata, sorted by name.
    pub tags: Vec<(String, String)>,
}

/// What a request asked for and what it got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Work {
    /// What was called: `chat`, `messages`, `embeddings`, …
    pub surface: String,
    /// The model, as the client asked for it.
    pub model_asked: String,
    /// The provider that answered.
    pub provider: String,
    /// The provider's name for the model that answered.
    pub model: String,
    /// Why it went there.
    pub route_reason: String,
    /// Where the provider works, when the policy says so.
    pub region: String,
    /// The status that the client got.
    pub status: u16,
    /// The fault's code, where one ended it.
    pub fault: String,
    /// Attempts made.
    pub attempts: u32,
    /// Whether it was answered by a cache of ours.
    pub cache_hit: bool,
}
