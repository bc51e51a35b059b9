//! What the provider has seen, readable from any thread while it runs.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;

use super::refusal::{Reason, Refusal};
use crate::clock::Nanos;

/// Breaches and aborts that are kept with their particulars; the oldest give way.
const DETAILS_MAX: usize = 1024;

macro_rules! counters {
    ($($(#[$doc:meta])+ $name:ident)+) => {
        /// The counters of one provider. They only grow, but for `open` and `in_flight`.
        #[derive(Debug)]
        pub struct Counters {
            $(pub(crate) $name: Cell,)+
            refusals: [Cell; Reason::ALL.len()],
            breaches: ArrayQueue<Breach>,
            aborts: ArrayQueue<Abort>,
        }

        impl Counters {
            pub(crate) fn new() -> Counters {
                Counters {
                    $($name: Cell::default(),)+
                    refusals: std::array::from_fn(|_| Cell::default()),
                    breaches: ArrayQueue::new(DETAILS_MAX),
                    aborts: ArrayQueue::new(DETAILS_MAX),
                }
            }

            $($(#[$doc])+ pub fn $name(&self) -> u64 { self.$name.get() })+

            fn members(&self) -> serde_json::Map<String, serde_json::Value> {
                let mut members = serde_json::Map::new();
                $(members.insert(stringify!($name).into(), self.$name.get().into());)+
                members
            }
        }
    };
}

counters! {
    /// Connections accepted.
    accepted
    /// Connections open now.
    open
    /// Requests whose head was read, well-formed or not.
    requests
    /// Requests that are being read or answered now.
    in_flight
    /// Answers sent whole.
    answered
    /// Tokens sent, plain or streamed.
    tokens_out
    /// Tokens of prompts that it worked on: what it would bill of them, whatever became of the answers.
    billed_in
    /// Tokens of output that it made: of plain answers all, from when the request is there; of streams those that were
    /// written when they ended or were cut.
    billed_out
    /// Chunks of streams sent.
    chunks_out
    /// Bytes of requests read.
    bytes_in
    /// Bytes of answers written.
    bytes_out
    /// Answers the peer did not wait for.
    aborted
    /// When the last of them was noticed, in nanoseconds of the machine's monotonic clock.
    aborted_at_ns
    /// Answers cut on purpose, by a script.
    faults
    /// Requests that arrived before the answer to the one before them on the same connection.
    pipelined
}

impl Counters {
    /// Requests turned down for `reason`.
    pub fn refused(&self, reason: Reason) -> u64 {
        self.refusals[reason.index()].get()
    }

    /// Requests no correct gateway would have sent.
    pub fn breached(&self) -> u64 {
        let breaches = Reason::ALL.iter().filter(|reason| reason.is_breach());
        breaches.map(|reason| self.refused(*reason)).sum()
    }

    /// Takes the particulars of the breaches noticed since the last call, at most the last 1024.
    pub fn take_breaches(&self) -> Vec<Breach> {
        std::iter::from_fn(|| self.breaches.pop()).collect()
    }

    /// Takes the particulars of the aborts noticed since the last call, at most the last 1024.
    pub fn take_aborts(&self) -> Vec<Abort> {
        std::iter::from_fn(|| self.aborts.pop()).collect()
    }

    /// All counters as a JSON object, as `GET /sim/counters` shows them.
    pub fn to_json(&self) -> serde_json::Value {
        let mut members = self.members();
        let count = |reasons: &mut dyn Iterator<Item = &Reason>| -> serde_json::Value {
            let seen = reasons.filter(|reason| self.refused(**reason) > 0);
            seen.map(|reason| (reason.code().to_owned(), self.refused(*reason).into()))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let violations = count(&mut Reason::ALL.iter().filter(|reason| reason.is_breach()));
        let refusals = count(&mut Reason::ALL.iter().filter(|reason| !reason.is_breach()));
        members.insert("violations".into(), violations);
        members.insert("refusals".into(), refusals);
        members.into()
    }

    pub(crate) fn note_refusal(&self, refusal: &Refusal) {
        self.refusals[refusal.reason.index()].add(1);
        if refusal.reason.is_breach() {
            let message = refusal.message.clone();
            self.breaches.force_push(Breach { reason: refusal.reason, message });
        }
    }

    pub(crate) fn note_abort(&self, abort: Abort) {
        self.aborted.add(1);
        self.aborted_at_ns.set(abort.at.0);
        self.aborts.force_push(abort);
    }
}

/// One request that no correct gateway would have sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// What was wrong.
    pub reason: Reason,
    /// The particulars.
    pub message: String,
}

/// One answer that the peer did not wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abort {
    /// When it was noticed.
    pub at: Nanos,
    /// The request's `x-request-id`, if it had one.
    pub request_id: Option<String>,
    /// Bytes of the body that were sent, framing included.
    pub sent_bytes: u64,
}

/// One number. It orders nothing, so relaxed accesses suffice.
#[derive(Debug, Default)]
pub(crate) struct Cell(AtomicU64);

impl Cell {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, amount: u64) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaches_and_mistakes_are_told_apart() {
        let counters = Counters::new();
        counters.note_refusal(&Refusal::new(Reason::HostMissing, "no host field"));
        counters.note_refusal(&Refusal::new(Reason::Json, "not JSON"));
        assert_eq!(counters.breached(), 1);
        let json = counters.to_json();
        assert_eq!(json["violations"], serde_json::json!({"host_missing": 1}));
        assert_eq!(json["refusals"], serde_json::json!({"invalid_json": 1}));
        assert_eq!(counters.take_breaches().len(), 1);
    }
}
