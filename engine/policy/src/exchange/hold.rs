//! What one request has of the limits on its caller's path: all of what it asked for, or nothing.
//!
//! Limits are taken in one order, from the organisation down to the key. When one of them refuses, what was taken before
//! it goes back at once.

use crate::{
    Nanos,
    fault::{Fault, Refusal},
    policy::{Limit, LimitKind, Policy, Scope},
    rate::Empty,
};

use super::say;

/// The limits on a caller's path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits<'p> {
    policy: &'p Policy,
    scopes: &'p [usize],
    core: usize,
}

impl<'p> Limits<'p> {
    pub(super) fn new(policy: &'p Policy, scopes: &'p [usize], core: usize) -> Self {
        Self { policy, scopes, core }
    }

    /// Takes a request and a slot of every limit on them.
    pub(super) fn admit(self, now: Nanos) -> Result<(), Refusal> {
        self.take(now, |kind| u64::from(kind != LimitKind::Tokens))?;
        for (_, limit) in self.all().filter(|(_, limit)| limit.kind == LimitKind::Requests) {
            limit.pool.spend(self.core, 1, 1, now);
        }
        Ok(())
    }

    /// Sets `tokens` aside of every limit on tokens.
    pub(super) fn reserve(self, tokens: u64, now: Nanos) -> Result<(), Refusal> {
        self.take(now, |kind| if kind == LimitKind::Tokens { tokens } else { 0 })
    }

    /// Ends the hold on `reserved` tokens of which `used` were used.
    pub(super) fn settle(self, reserved: u64, used: u64, now: Nanos) {
        for (_, limit) in self.of(LimitKind::Tokens) {
            limit.pool.spend(self.core, reserved, used, now);
        }
    }

    /// Gives the slots back.
    pub(super) fn leave(self) {
        for (_, limit) in self.of(LimitKind::Concurrent) {
            limit.pool.release(self.core, 1);
        }
    }

    /// The smallest amount of all limits on tokens; `None` when there are none.
    pub(super) fn tokens_max(self) -> Option<u64> {
        self.of(LimitKind::Tokens).map(|(_, limit)| limit.pool.amount()).min()
    }

    /// The limits of one kind, each with its scope.
    pub(super) fn of(self, kind: LimitKind) -> impl Iterator<Item = (&'p Scope, &'p Limit)> {
        self.all().filter(move |(_, limit)| limit.kind == kind)
    }

    fn all(self) -> impl Iterator<Item = (&'p Scope, &'p Limit)> {
        let scopes = self.scopes.iter().map(move |index| &self.policy.scopes[*index]);
        scopes.flat_map(|scope| scope.limits.iter().map(move |limit| (scope, limit)))
    }

    fn take(self, now: Nanos, wanted: impl Fn(LimitKind) -> u64) -> Result<(), Refusal> {
        for (index, (scope, limit)) in self.all().enumerate() {
            let asked = wanted(limit.kind);
            if asked == 0 {
                continue;
            }
            if let Err(empty) = limit.pool.take(self.core, asked, now) {
                for (_, taken) in self.all().take(index) {
                    let held = wanted(taken.kind);
                    if held > 0 {
                        taken.pool.give_back(self.core, held);
                    }
                }
                return Err(say::limit(scope, limit, asked, fault(limit.kind, empty), empty));
            }
        }
        Ok(())
    }
}

fn fault(kind: LimitKind, empty: Empty) -> Fault {
    match kind {
        _ if empty.never => Fault::RequestExceedsLimit,
        LimitKind::Requests => Fault::RequestRate,
        LimitKind::Tokens => Fault::TokenRate,
        LimitKind::Concurrent => Fault::Concurrency,
    }
}
