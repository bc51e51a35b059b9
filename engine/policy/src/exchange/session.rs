//! Money beyond one attempt: of a request that is sent twice, and of a session that goes on: what it has used so far and what its next answer may use is set aside, slice by slice.
//!
//! In: the usage that its answers have told, and how far the present one has come. Out: how much of it may come before this is
//! asked again, or that nothing more is to be had. Remembered: what is held.

use faregate_adapters::chat::Usage;
use faregate_price::{Circumstances, NanoUsd};

use crate::{
    Nanos,
    budget::{Cost, Denied, Purse, Short, Unit},
};

use super::{
    Exchange,
    money::{More, OUTPUT_TOKENS_CAP},
};

/// The fewest tokens, of input and of output each, with which a session goes on.
const LEAST: u64 = 1024;

/// How far a session has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// What its answers have told, added up.
    pub used: Usage,
    /// Tokens of input that the next answer begins with: all of the conversation so far.
    pub input: u64,
    /// Tokens of output of an answer that has not told its usage yet.
    pub output: u64,
}

impl Exchange {
    /// Sets aside what a session has used and what may come next. How many tokens may come, of input and of output each,
    /// before this is to be asked again; no money is held where none is limited.
    ///
    /// # Errors
    ///
    /// [`More::Later`] when the journal is behind, [`More::Nothing`] when a budget has no more.
    pub fn hold_session(&mut self, session: &Session, now: Nanos) -> Result<u64, More> {
        self.see(now);
        let target = self.last.as_ref().map(|last| last.target);
        let (Some(purse), Some(target)) = (self.purse(), target) else { return Ok(u64::MAX) };
        let of_money = purse.budgets().any(|budget| budget.unit == Unit::Money);
        let mut slice = OUTPUT_TOKENS_CAP;
        while slice >= LEAST {
            let (input, output) =
                (session.input.saturating_add(slice), session.output.saturating_add(slice));
            let money = match of_money {
                true => self.session_cost(target, session, (input, output)).ok_or(More::Nothing)?,
                false => NanoUsd::ZERO,
            };
            let tokens = session.used.total().saturating_add(input).saturating_add(output);
            match self.hold(&purse, Cost { money, tokens, requests: 1 }, now) {
                Ok(()) => {
                    self.money.worst = money;
                    return Ok(slice);
                }
                Err(Denied { short: Short::Ungranted, .. }) => return Err(More::Later),
                Err(Denied { short: Short::Exhausted(_) | Short::Away, .. }) => slice /= 2,
            }
        }
        Err(More::Nothing)
    }

    /// Sets the attempt under way aside once more, because what was sent is sent again and both may be billed: the first one is
    /// charged at its most. Whether there was enough; where not, nothing has changed.
    pub fn pay_again(&mut self, now: Nanos) -> bool {
        self.see(now);
        let Some(purse) = self.purse() else { return true };
        let (worst, before) = (self.money.worst, self.money.wasted);
        self.money.wasted = before.saturating_add(worst);
        let again = Cost { money: worst, tokens: self.money.held.tokens, requests: 1 };
        let held = self.hold(&purse, again, now).is_ok();
        if !held {
            self.money.wasted = before;
        }
        held
    }

    /// What it has cost, and may come to cost; `None` where nobody can say.
    fn session_cost(
        &self,
        target: usize,
        session: &Session,
        (input, output): (u64, u64),
    ) -> Option<NanoUsd> {
        let model = self.model_at(target);
        self.policy.with_price(target, &model, |priced| {
            // One without a price was refused before, or is let pass.
            let Some(priced) = priced else { return Some(NanoUsd::ZERO) };
            let mut ask = self.ask(output, &model, &priced.price);
            (ask.input, ask.audio_input) = (input, true);
            let at = Circumstances { service: self.service_asked(), ..Circumstances::default() };
            let used = priced.price.cost(&session.used, &at).ok()?;
            Some(used.saturating_add(priced.price.worst_case(&ask).ok()?))
        })
    }
}
