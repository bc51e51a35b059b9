//! What a request costs: set aside on the target that was chosen, in every budget of its caller or in none, and charged once.
//!
//! In: what the request asks for at most, the target, what became of each attempt, what was used. Out: a hold, a refusal, or
//! the word that the journal is behind; at the end a [`Receipt`].
//!
//! An attempt that ended without an answer though the provider may have worked stays held, and is charged at its most: nobody
//! knows what the provider will bill. Where the client sets no bound, a stream holds a slice and is extended as it goes on
//! ([`Exchange::extend`]); other answers are given a bound that fits ([`Exchange::output_cap`]).

use std::rc::Rc;

use faregate_adapters::chat::{Usage, UsageSource};
use faregate_adapters::media::image_tokens;
use faregate_price::{
    Ask, CacheWrites, NanoUsd, Price, Service, Services, Unit as Counts, Units as Counted,
};

use crate::{
    CorePolicy, Nanos, Priced, Wall,
    attribution::Labels,
    budget::{Budget, Cost, Denied, Hold, Purse, Short, Unit},
    caller::ScopeIndex,
    crowd::{NoRoom, Pin},
    fault::{Fault, Refusal},
};

use super::{Exchange, OUTPUT_TOKENS_SLICE, Settlement, say};

mod aside;
mod cost;

pub(super) use aside::Aside;
pub(super) use cost::priced_units;

/// Tokens of output that an answer without a bound is given, where a budget has them; half of it where not, and so on.
pub const OUTPUT_TOKENS_CAP: u64 = 8192;

/// Tokens that may be on their way from a provider when a stream is cut: charged for one that was, and kept back of what a
/// stream without a bound holds.
pub const CUT_TOKENS: u64 = 16;

/// The fewest that are worth asking for.
pub(super) const OUTPUT_TOKENS_LEAST: u64 = 64;

/// How long a request waits before it looks again whether the journal has caught up.
pub(super) const JOURNAL_LOOK: std::time::Duration = std::time::Duration::from_millis(1);

/// How often a request waits for the journal.
const JOURNAL_WAITS_MAX: u32 = 1000;

/// What a request may use beside its tokens, and how it is served.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra {
    /// It is a stream: more can be set aside while it goes on.
    pub streams: bool,
    /// Its answer comes as it is made, whether more can be set aside meanwhile or not: who stops reading stops the work.
    pub is_made_while_sent: bool,
    /// Nothing is made: vectors, ranks.
    pub makes_nothing: bool,
    /// How it asks to be served.
    pub service: Service,
    /// Whether its input may be written to a cache.
    pub cache_writes: CacheWrites,
    /// Whether there may be audio in the input.
    pub audio_input: bool,
    /// Whether there may be audio in the output.
    pub audio_output: bool,
    /// What is counted beside tokens, at most. Of images that are read and of searches, nothing is asked where they have no
    /// price of their own.
    pub units: Counted,
    /// A provider may charge for it though nobody can say how much before it has.
    pub is_unmetered: bool,
}

/// What a request has cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Nano-dollars; `None` where there is no price or nothing is known of what was used.
    pub cost: Option<NanoUsd>,
    /// The most that was set aside for it.
    pub reserved: NanoUsd,
    /// The part of the cost that went into attempts that gave no answer.
    pub wasted: NanoUsd,
    /// What prompt caches saved.
    pub saved_by_cache: NanoUsd,
    /// What the same usage would have cost more at the dearest target that the model asked for can lead to.
    pub saved_by_routing: NanoUsd,
    /// The price that was applied.
    pub price_id: Box<str>,
    /// What was priced: the usage, or what stands for it.
    pub usage: Option<Usage>,
}

/// The budgets of a request, the narrowest scope's first: its session's, its user's, its tags', its workload's, its model's, then its
/// caller's.
#[derive(Clone, Debug)]
pub(super) struct CallersPurse {
    policy: Rc<CorePolicy>,
    caller: usize,
    drawn: Option<Rc<DrawnOn>>,
}

/// Scopes of one request that are not its caller's.
#[derive(Debug)]
pub(super) struct DrawnOn {
    /// Its session, its user, its tags, its workload.
    pins: Vec<Pin>,
    /// The model's: index into the policy's.
    model: Option<ScopeIndex>,
}

impl CallersPurse {
    /// The scope of the model that was asked for, where it has budgets.
    pub(super) fn model_scope(&self) -> Option<&str> {
        let model = self.drawn.as_ref()?.model?;
        Some(&self.policy.scopes[model].name)
    }

    /// The budgets, each with its scope's name.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, &Budget)> {
        named(&self.policy, self.caller, self.drawn.as_deref())
    }
}

pub(super) fn named<'a>(
    policy: &'a CorePolicy,
    caller: usize,
    drawn: Option<&'a DrawnOn>,
) -> impl Iterator<Item = (&'a str, &'a Budget)> {
    let pins = drawn.map_or(&[][..], |drawn| &drawn.pins).iter().map(Pin::drawn);
    let pinned = pins.map(|drawn| (&*drawn.name, &drawn.budgets[..]));
    let model = drawn.and_then(|drawn| drawn.model);
    let scopes = policy.keys.callers[caller].scopes.iter().rev();
    let listed = model.into_iter().chain(scopes.copied()).map(|index| {
        let scope = &policy.scopes[index];
        (&*scope.name, &scope.budgets[..])
    });
    let all = pinned.chain(listed);
    all.flat_map(|(name, budgets)| budgets.iter().map(move |budget| (name, budget)))
}

impl Purse for CallersPurse {
    fn budgets(&self) -> impl Iterator<Item = &Budget> {
        self.named().map(|(_, budget)| budget)
    }
}

/// The money of one request.
#[derive(Debug, Default)]
pub(super) struct Money {
    /// What the monotonic clock must be given to say the time of day.
    offset: u64,
    /// What the request may use beside its tokens; `None`: it costs nothing.
    pub(super) extra: Option<Extra>,
    hold: Option<Hold<CallersPurse>>,
    pub(super) drawn: Option<Rc<DrawnOn>>,
    /// What is held: for this attempt, and for those that may yet be billed.
    pub(super) held: Cost,
    /// What the attempt under way may cost.
    pub(super) worst: NanoUsd,
    /// What attempts before it may have cost.
    pub(super) wasted: NanoUsd,
    /// Tokens of output that are held, each choice's.
    output: u64,
    /// The client has set no bound.
    is_open: bool,
    waits: u32,
    reserved_at: Option<u64>,
}

impl Money {
    fn streams(&self) -> bool {
        self.extra.is_some_and(|extra| extra.streams)
    }

    fn is_made_while_sent(&self) -> bool {
        self.extra.is_some_and(|extra| extra.streams || extra.is_made_while_sent)
    }
}

/// What became of the wish to set more aside for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// It is set aside.
    Held,
    /// The journal is behind: to be asked again, soon.
    Later,
    /// A budget has no more.
    Nothing,
}

/// Why nothing is set aside.
pub(super) enum NotHeld {
    /// The journal is behind: to be asked again.
    Later,
    /// There is no way.
    Refused(Box<Refusal>),
}

impl Exchange {
    pub(super) fn see_wall(&mut self, wall_nanos: u64) {
        self.money.offset = wall_nanos.wrapping_sub(self.now.0);
    }

    pub(super) fn wall(&self, now: Nanos) -> Wall {
        Wall(now.0.wrapping_add(self.money.offset))
    }

    pub(super) fn purse(&self) -> Option<CallersPurse> {
        let caller = self.caller?;
        let drawn = self.money.drawn.clone();
        let purse = CallersPurse { policy: Rc::clone(&self.policy), caller, drawn };
        let has_any = purse.budgets().next().is_some();
        has_any.then_some(purse)
    }

    /// Finds the scopes beside its caller's that have budgets, and draws on them until it ends.
    pub(super) fn draw_on(&mut self, labels: Option<&Labels>, now: Nanos) -> Result<(), Refusal> {
        let crowd = &self.policy.crowd;
        let model = crowd.models.get(self.model()).copied();
        let wall = self.wall(now);
        let pins = labels.map_or(Ok(Vec::new()), |labels| crowd.draw(labels, wall));
        let pins = pins.map_err(|NoRoom(scope)| no_room(&scope, crowd.room))?;
        if model.is_some() || !pins.is_empty() {
            self.money.drawn = Some(Rc::new(DrawnOn { pins, model }));
        }
        Ok(())
    }

    /// The most that it is charged if nothing more is heard of it.
    #[must_use]
    pub fn money_held(&self) -> NanoUsd {
        self.money.held.money
    }

    /// When its money was set aside, in nanoseconds since 1970 UTC: the moment that says which windows pay.
    #[must_use]
    pub fn reserved_at(&self) -> Option<u64> {
        self.money.reserved_at
    }

    /// The scopes that pay, for the books: all on the caller's path, whether they have budgets today or not, and of model,
    /// tags, user and session those that have.
    #[must_use]
    pub fn paying_scopes(&self) -> Vec<String> {
        let Some(caller) = self.caller() else { return Vec::new() };
        let mut scopes = vec!["organisation".to_owned()];
        let mut path = String::new();
        let levels =
            [("team", &caller.team), ("project", &caller.project), ("agent", &caller.agent)];
        for (level, name) in levels {
            if let Some(name) = name {
                path.push('/');
                path.push_str(name);
                scopes.push(format!("{level}{path}"));
            }
        }
        scopes.push(format!("key/{}", caller.key));
        scopes.extend(self.drawn_scopes().map(str::to_owned));
        scopes
    }

    /// The last of [`paying_scopes`](Self::paying_scopes): those that are not on its caller's path.
    pub fn drawn_scopes(&self) -> impl Iterator<Item = &str> {
        let drawn = self.money.drawn.as_deref();
        let model = drawn.and_then(|drawn| drawn.model);
        let model = model.map(|index| &*self.policy.scopes[index].name);
        let pins = drawn.map_or(&[][..], |drawn| &drawn.pins);
        model.into_iter().chain(pins.iter().map(|pin| &*pin.drawn().name))
    }

    /// Whether anything that the request pays from is limited.
    #[must_use]
    pub fn has_budgets(&self) -> bool {
        self.purse().is_some()
    }

    /// Whether it may come to be limited, by what is known before it is decided.
    #[must_use]
    pub fn may_have_budgets(&self) -> bool {
        let crowd = &self.policy.crowd;
        !crowd.is_empty() || !crowd.models.is_empty() || self.has_budgets()
    }

    /// The budgets that it pays from whose use is to be warned of, with their scopes and the percent of them that are used.
    pub fn warnings(&self) -> impl Iterator<Item = (&str, &Budget, u64)> {
        let wall = self.wall(self.now);
        let caller = self.caller.into_iter();
        let drawn = self.money.drawn.as_deref();
        let budgets = caller.flat_map(move |caller| named(&self.policy, caller, drawn));
        budgets.filter_map(move |(scope, one)| Some((scope, one, one.warning(wall)?)))
    }

    /// Sets aside what an attempt at `target`, index into the policy's targets, may cost there.
    pub(super) fn set_aside(&mut self, target: usize, now: Nanos) -> Result<(), NotHeld> {
        let Some(purse) = self.purse() else { return Ok(()) };
        let (bound, choices) = self.output;
        let Some(extra) = self.money.extra else { return Ok(()) };
        let open = bound.is_none() && !extra.makes_nothing && !extra.is_unmetered;
        let mut output = match (bound, open) {
            (Some(bound), _) => bound,
            (None, false) => 0,
            (None, true) if extra.streams => OUTPUT_TOKENS_SLICE,
            (None, true) => OUTPUT_TOKENS_CAP,
        };
        loop {
            let worst = self.worst_case(target, output, &purse)?;
            let input = self.input_tokens(&self.model_at(target));
            let tokens = input.saturating_add(output.saturating_mul(choices));
            let cost = Cost { money: worst, tokens, requests: 1 };
            match self.hold(&purse, cost, now) {
                Ok(()) => {
                    self.money.worst = worst;
                    self.money.output = output;
                    self.money.is_open = open;
                    return Ok(());
                }
                Err(Denied { short: Short::Ungranted, .. }) => {
                    self.money.waits += 1;
                    if self.money.waits > JOURNAL_WAITS_MAX {
                        return Err(behind());
                    }
                    return Err(NotHeld::Later);
                }
                Err(_) if open && output / 2 >= OUTPUT_TOKENS_LEAST => output /= 2,
                Err(denied) => return Err(self.denied(&purse, denied, target, now)),
            }
        }
    }

    pub(super) fn hold(
        &mut self,
        purse: &CallersPurse,
        cost: Cost,
        now: Nanos,
    ) -> Result<(), Denied> {
        let wall = self.wall(now);
        let core = self.core;
        let money = &mut self.money;
        let total = Cost { money: cost.money.saturating_add(money.wasted), ..cost };
        match &mut money.hold {
            Some(hold) => {
                let more = Cost {
                    money: total.money.saturating_sub(money.held.money),
                    tokens: total.tokens.saturating_sub(money.held.tokens),
                    requests: 0,
                };
                hold.extend(more, wall)?;
                hold.shrink_to(total, wall);
            }
            None => {
                let hold = Hold::reserve(purse.clone(), core, total, wall);
                money.hold = Some(hold.map_err(|(denied, _)| denied)?);
            }
        }
        money.held = total;
        money.reserved_at.get_or_insert(wall.0);
        Ok(())
    }

    fn worst_case(
        &self,
        target: usize,
        output: u64,
        purse: &CallersPurse,
    ) -> Result<NanoUsd, NotHeld> {
        if purse.budgets().all(|budget| budget.unit != Unit::Money) {
            return Ok(NanoUsd::ZERO);
        }
        let model = self.model_at(target);
        self.policy
            .with_price(target, &model, |priced| self.worst_at(target, &model, priced, output))
    }

    fn worst_at(
        &self,
        target: usize,
        model: &str,
        priced: Option<Priced<'_>>,
        output: u64,
    ) -> Result<NanoUsd, NotHeld> {
        let Some(priced) = priced else {
            if self.policy.lets_unpriced_pass() {
                return Ok(NanoUsd::ZERO);
            }
            let message = self.policy.price_wanted(target, model);
            let mut refusal = Refusal::new(Fault::Unpriced, message).about("model");
            refusal.should_retry = Some(false);
            return Err(NotHeld::Refused(Box::new(refusal)));
        };
        let extra = self.money.extra.unwrap_or_default();
        let mut ask = self.ask(output, model, &priced.price);
        if extra.is_unmetered {
            // Its answer does not tell tokens: what bounds it is a price of something that can be counted beforehand.
            let counts =
                |unit: &Counts| priced.price.unit(*unit).is_some() && extra.units.count(*unit) > 0;
            if !priced.price.is_free() && !Counts::ALL.iter().any(counts) {
                let name = &self.policy.targets[target].name;
                let message = format!(
                    "what {name} charges for this path is not told by its answers, so no budget can hold it; give it a price for \
                     each request in the policy: [prices.{name:?}] with request = \"$0.05\""
                );
                let mut refusal = Refusal::new(Fault::Unpriced, message).about("model");
                refusal.should_retry = Some(false);
                return Err(NotHeld::Refused(Box::new(refusal)));
            }
            (ask.input, ask.output) = (0, 0);
        }
        priced.price.worst_case(&ask).map_err(|error| {
            let message = format!(
                "what this request may cost at {} is not known: {error}",
                self.policy.targets[target].name
            );
            NotHeld::Refused(Box::new(Refusal::new(Fault::Unpriced, message).about("model")))
        })
    }

    /// How it asks to be served.
    pub(super) fn service_asked(&self) -> Service {
        self.money.extra.unwrap_or_default().service
    }

    pub(super) fn ask(&self, output: u64, model: &str, price: &Price) -> Ask {
        let extra = self.money.extra.unwrap_or_default();
        let services = match extra.service {
            Service::Standard => Services::default(),
            asked => Services::default().or(asked),
        };
        Ask {
            input: self.input_tokens(model),
            output,
            answers: self.output.1,
            cache_writes: extra.cache_writes,
            audio_input: extra.audio_input,
            audio_output: extra.audio_output,
            services,
            units: priced_units(extra.units, price),
            ..Ask::default()
        }
    }

    /// The most tokens of input: of an image, its place in the body says nothing.
    pub(super) fn input_tokens(&self, model: &str) -> u64 {
        let images = self.money.extra.map_or(0, |extra| extra.units.count(Counts::ImageInput));
        self.input_bound.saturating_add(images.saturating_mul(image_tokens(model)))
    }

    pub(super) fn model_at(&self, target: usize) -> std::borrow::Cow<'_, str> {
        self.policy.targets[target].model_for(self.asked())
    }

    fn denied(&self, purse: &CallersPurse, denied: Denied, target: usize, now: Nanos) -> NotHeld {
        let Denied { index, asked, short } = denied;
        if let (Short::Away, Some((scope, budget))) = (short, purse.named().nth(index)) {
            return NotHeld::Refused(Box::new(say::store_away(scope, budget)));
        }
        let (Short::Exhausted(level), Some((scope, budget))) = (short, purse.named().nth(index))
        else {
            return behind();
        };
        let fits = self.output_that_fits(purse, target, self.wall(now));
        let refused = say::Refused {
            scope,
            budget,
            asked,
            level,
            output_fits: fits.filter(|fits| *fits > 0),
            model_fits: self.model_that_fits(purse, self.wall(now)),
        };
        NotHeld::Refused(Box::new(say::budget(&refused, self.wall(now))))
    }

    /// The most tokens of output that every budget has room for; `None` where less of them is no help.
    fn output_that_fits(&self, purse: &CallersPurse, target: usize, wall: Wall) -> Option<u64> {
        let (asked, choices) = (self.output.0.unwrap_or(OUTPUT_TOKENS_CAP), self.output.1);
        let (held, wasted) = (self.money.held, self.money.wasted.0);
        let mut most = asked;
        for budget in purse.budgets().filter(|budget| !budget.is_soft) {
            // What it holds already is its own.
            let left = budget.level(wall).left().saturating_add(held.of(budget.unit));
            let fits = match budget.unit {
                Unit::Money => self.output_for(target, left.saturating_sub(wasted), most)?,
                Unit::Tokens => {
                    left.checked_sub(self.input_tokens(&self.model_at(target)))? / choices.max(1)
                }
                Unit::Requests if left == 0 => return None,
                Unit::Requests => most,
            };
            most = most.min(fits);
        }
        Some(most)
    }

    /// The most tokens of output, up to `most`, whose worst case is no more than `left`.
    fn output_for(&self, target: usize, left: u64, most: u64) -> Option<u64> {
        let model = self.model_at(target);
        // What has no price passes, or was refused for that.
        let Some(priced) = self.policy.price(target, &model) else { return Some(most) };
        let fits = |output: u64| {
            let ask = self.ask(output, &model, &priced.price);
            priced.price.worst_case(&ask).is_ok_and(|worst| worst.0 <= left)
        };
        let (mut low, mut high) = (0, most);
        if !fits(low) {
            return None;
        }
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if fits(middle) { low = middle } else { high = middle - 1 }
        }
        Some(low)
    }

    /// The bound that the provider must be given, where the client gave none and a budget must hold: tokens of each choice.
    #[must_use]
    pub fn output_cap(&self) -> Option<u64> {
        let money = &self.money;
        (money.hold.is_some() && money.is_open && !money.streams()).then_some(money.output)
    }

    /// Tokens of each choice that a stream without a bound may have before more must be set aside; `None`: there is no such end.
    #[must_use]
    pub fn output_held(&self) -> Option<u64> {
        let money = &self.money;
        (money.hold.is_some() && money.is_open && money.streams()).then_some(money.output)
    }

    /// Sets another slice aside for a stream.
    pub fn extend(&mut self, now: Nanos) -> More {
        self.see(now);
        let (Some(purse), Some(target)) =
            (self.purse(), self.last.as_ref().map(|last| last.target))
        else {
            return More::Held;
        };
        let mut slice = OUTPUT_TOKENS_SLICE;
        while slice >= OUTPUT_TOKENS_LEAST {
            let output = self.money.output.saturating_add(slice);
            let Ok(worst) = self.worst_case(target, output, &purse) else { return More::Nothing };
            let input = self.input_tokens(&self.model_at(target));
            let tokens = input.saturating_add(output.saturating_mul(self.output.1));
            match self.hold(&purse, Cost { money: worst, tokens, requests: 1 }, now) {
                Ok(()) => {
                    self.money.worst = worst;
                    self.money.output = output;
                    return More::Held;
                }
                Err(Denied { short: Short::Ungranted, .. }) => return More::Later,
                Err(Denied { short: Short::Exhausted(_) | Short::Away, .. }) => slice /= 2,
            }
        }
        More::Nothing
    }

    /// The attempt is on its way.
    pub(super) fn money_sent(&mut self) {
        if let Some(hold) = &mut self.money.hold {
            hold.sent();
        }
    }

    /// The attempt ended without an answer; `billed`: the provider may have worked.
    pub(super) fn money_failed(&mut self, billed: bool) {
        let money = &mut self.money;
        if billed {
            money.wasted = money.wasted.saturating_add(money.worst);
        } else if money.wasted == NanoUsd::ZERO
            && let Some(hold) = &mut money.hold
        {
            hold.unsent();
        }
        money.worst = NanoUsd::ZERO;
    }

    /// Charges what was used and lets the rest go.
    pub(super) fn pay(&mut self, settlement: &Settlement) -> Receipt {
        let wall = self.wall(self.now);
        let usage = self.priced_usage(settlement);
        // Where nobody knows, all that was held.
        let tokens = usage.map_or(self.money.held.tokens, |usage| usage.total());
        let mut receipt = self.price_of(settlement, usage);
        let wasted = self.money.wasted;
        receipt.wasted = wasted;
        receipt.reserved = self.money.held.money;
        let worked = self.has_begun(settlement);
        let unknown = match worked {
            true => self.money.worst,
            false => NanoUsd::ZERO,
        };
        let mut cost = receipt.cost.unwrap_or(unknown);
        // What the provider has not told is no more than the bound it was given.
        let is_told = settlement.usage_source == UsageSource::Provider;
        if self.money.hold.is_some() && worked && !self.money.is_open && !is_told {
            cost = cost.min(self.money.worst);
        }
        if let Some(hold) = self.money.hold.take() {
            let total = cost.saturating_add(wasted);
            let requests = u64::from(worked || wasted > NanoUsd::ZERO);
            hold.settle(Cost { money: total, tokens, requests }, wall);
            receipt.cost = Some(total);
        } else if wasted > NanoUsd::ZERO {
            receipt.cost = Some(cost.saturating_add(wasted));
        }
        receipt
    }
}

#[cold]
fn no_room(scope: &str, room: u64) -> Refusal {
    let message = format!(
        "{scope} has a budget, and there is no room for another one: budgets.scopes_max is {room}; room is made when \
         windows of others end"
    );
    let mut refusal = Refusal::new(Fault::ScopesFull, message);
    refusal.retry_after = Some(std::time::Duration::from_secs(60));
    refusal
}

fn behind() -> NotHeld {
    let mut refusal = Refusal::new(
        Fault::BooksBehind,
        "the journal of what is spent does not keep up, and no budget is spent before that is written down",
    );
    refusal.retry_after = Some(std::time::Duration::from_secs(1));
    NotHeld::Refused(Box::new(refusal))
}
