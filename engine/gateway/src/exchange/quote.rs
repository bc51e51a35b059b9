//! The answer to who asks where a request would go: the route, and why, without calling anybody.

use std::rc::Rc;

use faregate_adapters::tokens;
use faregate_policy::{
    Nanos,
    exchange::{Candidate, Estimate, Exchange, Instead, Quote},
    route::{Difficulty, FEATURES, Score},
};
use faregate_wire::JsonWriter;

use super::{Hints, Rest, Walk};
use crate::{
    allowance,
    connection::{Connection, Next},
    local,
};

impl Walk {
    /// Whether only a route is asked for.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.hints.as_deref().is_some_and(Hints::is_dry_run)
    }

    /// Answers with the route, and gives back what was set aside.
    pub(super) async fn tell_quote(&mut self, connection: &mut Connection) -> Next {
        let core = Rc::clone(&connection.core);
        let mut body = Vec::with_capacity(1024);
        let now = Nanos(core.now().nanos());
        let quote = self.exchange.quote(now, core.random.next());
        self.write_quote(&quote, now, &mut body);
        self.settle_unanswered(&core, None);
        let mut rest = Rest::none(!self.keep_alive || core.is_draining());
        let mut out = Vec::with_capacity(body.len() + 256);
        local::write_json_answer(&mut out, &body, &self.id, rest.closes(), false);
        self.record_stop(&core, 200, "", body.len());
        rest.answer(connection, &out).await
    }

    fn write_quote(&self, quote: &Quote<'_>, now: Nanos, body: &mut Vec<u8>) {
        let exchange = &self.exchange;
        let mut json = JsonWriter::new(body);
        json.object().member_str("object", "faregate.quote").member_str("id", &self.id);
        json.member_u64("generation", self.live.generation);
        json.member_str("surface", self.surface.name());
        json.member_str("model", self.model.as_deref().unwrap_or_default());
        write_way(&mut json, exchange);
        json.member_str("strategy", quote.strategy.as_str()).member_bool("sticky", quote.is_stuck);
        if let Some(follow) = &self.follow {
            json.name("warm").raw(decimal(follow.warm()).as_bytes());
        }
        json.name("candidates").array();
        let estimates: Vec<_> =
            quote.candidates.iter().map(|candidate| self.estimate(candidate, now)).collect();
        for (candidate, estimate) in quote.candidates.iter().zip(&estimates) {
            self.write_candidate(&mut json, candidate, estimate.as_ref());
        }
        json.end().name("winner");
        match quote.winner.and_then(|place| quote.candidates.get(place)) {
            Some(winner) => json.str(&winner.target.name),
            None => json.null(),
        };
        json.name("reason");
        match &quote.reason {
            Some(reason) => json.str(reason),
            None => json.null(),
        };
        json.member_u64("tokens_reserved", exchange.reserved());
        let estimate = quote.winner.and_then(|place| estimates.get(place)?.as_ref());
        write_budgets(&mut json, estimate);
        json.end();
    }

    fn estimate(&self, candidate: &Candidate<'_>, now: Nanos) -> Option<Estimate<'_>> {
        self.exchange.estimate(candidate.index, tokens::estimated(self.body_bytes), now)
    }

    fn write_candidate(
        &self,
        json: &mut JsonWriter<'_>,
        candidate: &Candidate<'_>,
        estimate: Option<&Estimate<'_>>,
    ) {
        let target = candidate.target;
        json.object().member_str("target", &target.name);
        json.member_str("provider", &self.live.policy.providers[target.provider].name);
        json.member_str("model", &candidate.model);
        json.member_str("health", candidate.health.as_str());
        json.member_u64("weight", u64::from(target.weight));
        json.member_u64("under_way", target.gauge.under_way());
        if let Some((side, is_home)) = candidate.side {
            json.member_u64("warm_tokens", side.warm_tokens);
            json.name("warm_odds").raw(share(side.warm_odds).as_bytes());
            json.member_u64("prompt_tokens", side.prompt_tokens).member_bool("home", is_home);
        }
        if let Some(Score::Delay(Some(us))) = candidate.score {
            json.member_u64("delay_us", u64::from(us));
        }
        json.name("cost");
        write_cost(json, estimate);
        json.end();
    }
}

/// What the request may cost at a target: `null` where nobody can say.
fn write_cost(json: &mut JsonWriter<'_>, estimate: Option<&Estimate<'_>>) {
    let Some((estimate, sum)) = estimate.and_then(|one| Some((one, one.priced.as_ref()?))) else {
        json.null();
        return;
    };
    json.object().member_str("price", &sum.price_id);
    json.member_u64("worst_nanousd", sum.worst.0).name("typical_nanousd");
    match sum.typical {
        Some(typical) => json.u64(typical.0),
        None => json.null(),
    };
    json.member_u64("output_tokens", estimate.output).end();
}

/// The budgets that the request would draw on at the winner, and whether they suffice.
fn write_budgets(json: &mut JsonWriter<'_>, estimate: Option<&Estimate<'_>>) {
    json.name("budgets").array();
    for drawn in estimate.map_or(&[][..], |estimate| &estimate.budgets) {
        json.object().member_str("scope", drawn.scope);
        json.member_str("limit", &drawn.budget.text);
        json.member_str("unit", allowance::unit_of(drawn.budget.unit));
        json.member_u64("asked", drawn.asked).member_u64("left", drawn.level.left());
        json.member_bool("soft", drawn.budget.is_soft);
        json.member_bool("suffices", drawn.suffices()).end();
    }
    json.end().name("budgets_suffice");
    match estimate {
        Some(estimate) => json.bool(estimate.suffices),
        None => json.null(),
    };
}

/// How the request came to the model that has targets.
fn write_way(json: &mut JsonWriter<'_>, exchange: &Exchange) {
    let (way, models) = (exchange.way(), exchange.policy().models.list());
    json.member_str("routed_model", exchange.model());
    json.name("instead");
    match way.instead {
        Some(Instead::Default) => json.str("default_model"),
        Some(Instead::Override) => json.str("x-faregate-model"),
        None => json.null(),
    };
    json.name("rules").array();
    for turn in &way.turns {
        let Some(model) = models.get(turn.model) else { continue };
        let Some(branch) = model.branches.get(turn.rule) else { continue };
        json.object().member_str("model", &model.name);
        json.member_u64("rule", turn.rule as u64 + 1);
        if let Some(when) = &branch.when {
            json.member_str("when", when.text());
        }
        json.member_str("use", &branch.to).end();
    }
    json.end().name("difficulty");
    match way.difficulty {
        Some(difficulty) => write_difficulty(json, difficulty, exchange.policy().difficulty.bias),
        None => {
            json.null();
        }
    }
}

fn write_difficulty(json: &mut JsonWriter<'_>, difficulty: Difficulty, bias: f64) {
    json.object().name("value").raw(decimal(difficulty.value).as_bytes());
    let Some(terms) = difficulty.terms else {
        json.member_str("source", "x-faregate-difficulty").end();
        return;
    };
    json.member_str("source", "computed").name("log_odds").object();
    json.name("bias").raw(decimal(bias).as_bytes());
    for (feature, term) in FEATURES.iter().zip(terms).filter(|(_, term)| *term != 0.0) {
        json.name(feature.name).raw(decimal(term).as_bytes());
    }
    json.end().end();
}

/// Millionths as a number from 0 to 1.
fn share(millionths: u64) -> String {
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

fn decimal(number: f64) -> String {
    format!("{number:.4}")
}
