//! Why a request went where it went, as data, and in the few words of `x-faregate-route-reason` and the log.

use std::borrow::Cow;

use crate::{fault::Fault, models::Strategy, policy::Target};

/// Why a target was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteReason {
    /// How the model's targets share the requests.
    pub strategy: Strategy,
    /// The target's place among them, from zero.
    pub place: usize,
    /// How many there are.
    pub of: usize,
    /// Why it was not another one, if that would have come before.
    pub cause: Option<Cause>,
    /// Whether the same target has failed in this request before.
    pub again: bool,
    /// What it was chosen by, where that is more than its place.
    pub score: Option<Score>,
}

/// What a target is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// It is the one that this user, session or key sticks to.
    Stuck,
    /// How long its answers take to begin, in microseconds; `None` when nothing is known.
    Delay(Option<u32>),
    /// Requests under way there.
    UnderWay(u64),
    /// What a usual request costs there, in nano-dollars.
    Cost(u64),
    /// What this turn and those to come cost there.
    Even {
        /// Nano-dollars.
        nanos: u64,
        /// Whether the conversation was answered there last; `None` where that is not known.
        home: Option<bool>,
    },
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stuck => f.write_str("sticky"),
            Self::Delay(None) => f.write_str("new"),
            Self::Delay(Some(us)) => write!(f, "{}.{} ms", us / 1000, us / 100 % 10),
            Self::UnderWay(count) => write!(f, "{count} under way"),
            Self::Cost(nanos) => faregate_price::NanoUsd(*nanos).fmt(f),
            Self::Even { nanos, home } => {
                let told = match home {
                    None => "new",
                    Some(true) => "stays",
                    Some(false) => "moves",
                };
                write!(f, "{} {told}", faregate_price::NanoUsd(*nanos))
            }
        }
    }
}

/// What kept a request from an earlier target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Index of the target in the policy.
    pub target: usize,
    /// What happened to it.
    pub why: Why,
}

/// What happened to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its breaker was open, or it was resting.
    Skipped,
    /// An attempt got no answer.
    Failed(Fault),
    /// An attempt was answered with this status.
    Status(u16),
}

/// `order 1/1` to `order 4/4`, the first of each: nearly every request, without an allocation.
const FIRST: [&str; 5] = ["", "order 1/1", "order 1/2", "order 1/3", "order 1/4"];

impl RouteReason {
    /// The reason in a few words: `order 1/2`, `order 2/2: openai/x open`, `latency 1/2 5.1 ms`,
    /// `failover: openai/x upstream_reset`, `retry: openai/x status_503`.
    #[must_use]
    pub fn text(&self, targets: &[Target]) -> Cow<'static, str> {
        if let Some(cause) = self.cause {
            return Cow::Owned(self.with_cause(cause, &targets[cause.target].name));
        }
        match (self.strategy, self.place) {
            (Strategy::Order, 0) if self.of < FIRST.len() => Cow::Borrowed(FIRST[self.of]),
            _ => Cow::Owned(self.rank()),
        }
    }

    fn with_cause(&self, cause: Cause, name: &str) -> String {
        let verb = if self.again { "retry" } else { "failover" };
        match cause.why {
            Why::Skipped => format!("{}: {name} open", self.rank()),
            Why::Failed(fault) => format!("{verb}: {name} {}", fault.code()),
            Why::Status(status) => format!("{verb}: {name} status_{status}"),
        }
    }

    fn rank(&self) -> String {
        let rank = format!("{} {}/{}", self.strategy.as_str(), self.place + 1, self.of);
        match self.score {
            Some(score) => format!("{rank} {score}"),
            None => rank,
        }
    }
}
