//! What is held while two attempts are under way, and when a request goes on with another model.
//!
//! In: the targets, which of two attempts has won. Out: whether both are paid for, and what of that stays. Nothing is sent
//! before it is held; what is held for an attempt that is over goes back but for what may be billed.

use std::rc::Rc;

use faregate_price::NanoUsd;

use super::{CUT_TOKENS, Cost, DrawnOn, Exchange, NotHeld, OUTPUT_TOKENS_SLICE};
use crate::Nanos;

/// What is held for one of two attempts.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::exchange) struct Aside {
    worst: NanoUsd,
    output: u64,
    is_open: bool,
}

impl Aside {
    /// The most that the attempt may cost.
    pub(in crate::exchange) fn worst(self) -> NanoUsd {
        self.worst
    }
}

impl Exchange {
    /// Draws on the budgets of another model in the place of those of the one before. False where that cannot be, because what
    /// was held of them is not free.
    pub(in crate::exchange) fn draw_anew(&mut self, model: &str, now: Nanos) -> bool {
        let next = self.policy.crowd.models.get(model).copied();
        let before = self.money.drawn.as_ref().and_then(|drawn| drawn.model);
        if next == before || self.money.extra.is_none() {
            return true;
        }
        if self.money.wasted != NanoUsd::ZERO {
            return false;
        }
        let wall = self.wall(now);
        if let Some(hold) = self.money.hold.take() {
            hold.release(wall);
        }
        self.money.held = Cost::default();
        let pins = match self.money.drawn.take().map(Rc::try_unwrap) {
            None => Vec::new(),
            Some(Ok(drawn)) => drawn.pins,
            Some(Err(shared)) => {
                self.money.drawn = Some(shared);
                return false;
            }
        };
        if next.is_some() || !pins.is_empty() {
            self.money.drawn = Some(Rc::new(DrawnOn { pins, model: next }));
        }
        true
    }

    /// Sets aside what a second attempt may cost beside the one under way. Out: what is held for that one.
    pub(in crate::exchange) fn set_aside_beside(
        &mut self,
        target: usize,
        now: Nanos,
    ) -> Result<Aside, NotHeld> {
        let money = &mut self.money;
        let first = Aside { worst: money.worst, output: money.output, is_open: money.is_open };
        money.wasted = money.wasted.saturating_add(first.worst);
        let held = self.set_aside(target, now);
        if held.is_err() {
            let money = &mut self.money;
            money.wasted = money.wasted.saturating_sub(first.worst);
            (money.worst, money.output, money.is_open) = (first.worst, first.output, first.is_open);
        }
        held.map(|()| first)
    }

    /// The other of two attempts becomes the one under way. Out: what is held for the one that was.
    pub(in crate::exchange) fn swap_aside(&mut self, other: Aside) -> Aside {
        let money = &mut self.money;
        let current = Aside { worst: money.worst, output: money.output, is_open: money.is_open };
        money.wasted = money.wasted.saturating_sub(other.worst).saturating_add(current.worst);
        (money.worst, money.output, money.is_open) = (other.worst, other.output, other.is_open);
        current
    }

    /// The other of two attempts is over, and has cost no more than `waste`.
    pub(in crate::exchange) fn drop_aside(&mut self, other: Aside, waste: NanoUsd) {
        let wall = self.wall(self.now);
        let money = &mut self.money;
        money.wasted = money.wasted.saturating_sub(other.worst).saturating_add(waste);
        let total = money.worst.saturating_add(money.wasted);
        if let Some(hold) = &mut money.hold {
            money.held.money = money.held.money.min(total);
            hold.shrink_to(money.held, wall);
        }
    }

    /// What a provider may bill for an attempt that was cancelled before its first token: no more than `worst` where that was
    /// held, and an estimate where nothing was.
    pub(in crate::exchange) fn waste_at(&self, target: usize, worst: NanoUsd) -> NanoUsd {
        let is_held = self.money.hold.is_some();
        if self.money.extra.is_none() || is_held && !self.money.is_made_while_sent() {
            return worst;
        }
        let output = match self.money.is_made_while_sent() {
            true => CUT_TOKENS,
            false => self.output.0.unwrap_or(OUTPUT_TOKENS_SLICE),
        };
        let model = self.model_at(target);
        let waste = self.policy.with_price(target, &model, |priced| {
            let Some(priced) = priced else { return NanoUsd::ZERO };
            let mut ask = self.ask(output, &model, &priced.price);
            if !is_held {
                ask.input /= 4; // a body has about four bytes to a token, and the bound is one
            }
            priced.price.worst_case(&ask).unwrap_or(NanoUsd::ZERO)
        });
        if is_held { waste.min(worst) } else { waste }
    }
}
