//! One request of the simulation: performs what its exchange asks for, as far as the world lets it.

use std::rc::Rc;

use faregate_adapters::chat::Usage;
use faregate_policy::{
    Exchange, Nanos, Phase, Refusal,
    exchange::{Settlement, Step, Verdict, Wanted},
    fault::Fault,
};

use super::world::{CORES, KEYS, Kind, MS, World};

/// Where the request is, as the gateway sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Head,
    Body,
    Step,
    /// Waiting for the head of an answer.
    Attempt {
        target: usize,
        failing: Option<Kind>,
    },
    Relay,
}

pub(crate) struct Request {
    exchange: Exchange,
    team: usize,
    at: At,
    admitted: bool,
    reserved: u64,
}

/// What is to be done with a request after a moment of it.
type Next = Option<(u64, Request)>;

impl Request {
    pub(crate) fn begin(world: &mut World) -> Self {
        world.begun += 1;
        let core = world.index(CORES);
        let team = world.index(KEYS.len());
        let exchange = Exchange::open(Rc::clone(&world.policy), core, Nanos(world.now));
        Self { exchange, team, at: At::Head, admitted: false, reserved: 0 }
    }

    /// One effect, and what follows from it.
    pub(crate) fn go_on(mut self, world: &mut World) -> Next {
        match self.at {
            At::Head => self.head(world),
            At::Body => self.body(world),
            At::Step => self.step(world),
            At::Attempt { target, failing } => self.outcome(world, target, failing),
            At::Relay => self.relay(world),
        }
        .map(|at| (at, self))
    }

    fn head(&mut self, world: &mut World) -> Option<u64> {
        let key = if world.below(97) == 0 { b"sk-wrong" } else { KEYS[self.team] };
        let now = Nanos(world.now);
        let identified = self.exchange.identify(Some(key), 0);
        if let Err(refusal) = identified.and_then(|()| self.exchange.admit(now)) {
            return self.refused(world, &refusal);
        }
        self.admitted = true;
        world.books[self.team].slots += 1;
        world.books[self.team].admitted.push(world.now);
        self.at = At::Body;
        Some(world.now + world.below(3 * MS))
    }

    fn body(&mut self, world: &mut World) -> Option<u64> {
        match world.effect(None) {
            Some(Kind::ClientGone) => return self.gone(world),
            Some(Kind::Panic) => return self.panicked(world),
            _ => {}
        }
        let model = world.models[world.index(world.models.len())];
        let output = (world.below(3) > 0).then(|| world.below(3000));
        let wanted = Wanted {
            model: Some(model),
            needs_model: true,
            input_tokens_bound: 1 + world.below(2000),
            output_tokens_max: output,
            choices: 1,
            metered: true,
            ..Wanted::default()
        };
        let decided = self.exchange.decide(&wanted, Nanos(world.now));
        let counted = decided.or_else(|refusal| match refusal.fault {
            Fault::TokenRate | Fault::RequestExceedsLimit if world.below(2) == 0 => {
                let closer = wanted.input_tokens_bound / 4;
                self.exchange.reserve_closer(closer, Nanos(world.now))
            }
            _ => Err(refusal),
        });
        if let Err(refusal) = counted {
            return self.refused(world, &refusal);
        }
        self.reserved = self.exchange.reserved();
        world.books[self.team].reserved += self.reserved;
        self.at = At::Step;
        Some(world.now)
    }

    fn step(&mut self, world: &mut World) -> Option<u64> {
        let random = world.random();
        match self.exchange.step(Nanos(world.now), random) {
            Step::Send { target, try_number, .. } => {
                assert!(try_number <= 3, "attempt {try_number}");
                world.retries += u64::from(try_number > 1);
                world.check_send(target);
                let failing = world.effect(Some(target));
                self.at = At::Attempt { target, failing };
                let took = if failing == Some(Kind::Timeout) { 1500 } else { 1 + world.below(150) };
                Some(world.now + took * MS)
            }
            Step::Wait(until) => {
                assert!(until.0 >= world.now, "a wait into the past");
                match world.effect(None) {
                    Some(Kind::ClientGone) => self.gone(world),
                    Some(Kind::Panic) => self.panicked(world),
                    _ => Some(until.0),
                }
            }
            Step::Refuse(refusal) => self.refused(world, &refusal),
        }
    }

    fn outcome(&mut self, world: &mut World, target: usize, failing: Option<Kind>) -> Option<u64> {
        let served =
            faregate_policy::exchange::Outcome::Answered { status: 200, retry_after: None };
        let outcome = match failing {
            Some(Kind::ClientGone) => return self.gone(world),
            Some(Kind::Panic) => return self.panicked(world),
            Some(kind) => kind.outcome().unwrap_or(served),
            None => served,
        };
        world.tell(target, outcome);
        match self.exchange.report(outcome, Nanos(world.now)) {
            Verdict::Again => {
                assert_ne!(outcome, served);
                self.at = At::Step;
                Some(world.now)
            }
            Verdict::Relay if outcome == served => {
                self.at = At::Relay;
                Some(world.now + world.below(400) * MS)
            }
            Verdict::Relay => {
                self.finish(world, Settlement::default(), 0);
                world.end("error relayed");
                None
            }
        }
    }

    fn relay(&mut self, world: &mut World) -> Option<u64> {
        let mut settlement = Settlement { delivered: true, ..Settlement::default() };
        let name = match world.effect(None) {
            Some(Kind::Panic) => return self.panicked(world),
            Some(Kind::ClientGone) => {
                settlement.fault = Some(Fault::ClientGone);
                settlement.output_estimate = Some(world.below(500));
                "client gone"
            }
            Some(Kind::Cut) => {
                settlement.fault = Some(Fault::UpstreamCut);
                "upstream_cut"
            }
            Some(Kind::NoUsage) => "usage absent",
            _ => {
                let input = world.below(self.reserved + self.reserved / 8 + 2);
                settlement.usage = Some(Usage { input, ..Usage::default() });
                "relayed"
            }
        };
        let charged =
            settlement.usage.map_or(self.reserved, |usage| usage.total().min(self.reserved));
        self.finish(world, settlement, charged);
        world.end(name);
        None
    }

    fn refused(&mut self, world: &mut World, refusal: &Refusal) -> Option<u64> {
        assert!(refusal.fault.status() >= 400 && refusal.message.len() > 10, "{refusal:?}");
        assert!(!refusal.message.ends_with('.'), "{refusal:?}");
        let fault = Some(refusal.fault);
        self.finish(world, Settlement { fault, ..Settlement::default() }, 0);
        world.end(refusal.fault.code());
        None
    }

    fn gone(&mut self, world: &mut World) -> Option<u64> {
        let fault = Some(Fault::ClientGone);
        self.finish(world, Settlement { fault, ..Settlement::default() }, self.reserved);
        world.end("client gone");
        None
    }

    fn finish(&mut self, world: &mut World, settlement: Settlement, charged: u64) {
        self.exchange.settle(settlement, Nanos(world.now));
        assert_eq!(self.exchange.phase(), Phase::Record);
        self.close_book(world, charged);
    }

    /// The task unwinds: the exchange is dropped as it is.
    fn panicked(&mut self, world: &mut World) -> Option<u64> {
        self.close_book(world, self.reserved);
        world.end("panic");
        None
    }

    fn close_book(&mut self, world: &mut World, charged: u64) {
        let book = &mut world.books[self.team];
        book.slots -= u64::from(self.admitted);
        book.reserved -= self.reserved;
        book.charged += charged.min(self.reserved);
    }
}
