//! How the model shall think, and what that leaves for other parameters.
//!
//! Thinking with a budget is strict: the budget is smaller than the bound of output, no tool may be forced, and every
//! answer of the current tool loop that calls tools begins with its thought. Where that cannot be, thinking is switched
//! off. Adaptive thinking demands none of it. With either, how tokens are drawn cannot be chosen.
//!
//! Format: <https://platform.claude.com/docs/en/build-with-claude/extended-thinking>

use faregate_wire::{Json, JsonWriter};

use super::turns::{Block, Plan};
use crate::{
    chat::{Effort, Loss, PartBody, Request, Role, ToolChoice},
    dialect::Terms,
};

/// The smallest budget.
const BUDGET_MIN: u64 = 1024;

/// How the model thinks.
#[derive(Debug)]
pub(super) struct Thinking<'a> {
    mode: Mode<'a>,
    shown: Option<bool>,
    /// `output_config.effort`
    pub(super) effort: Option<&'static str>,
}

#[derive(Debug, PartialEq, Eq)]
enum Mode<'a> {
    /// As the model does by itself.
    Unsaid,
    /// As the client said, in a way that only this dialect has.
    Raw(Json<'a>),
    Off,
    Adaptive,
    Budget(u64),
}

impl<'a> Thinking<'a> {
    /// What is said of thinking where `output_max` bounds the output.
    pub(super) fn of(
        request: &Request<'a>,
        plan: &Plan<'_, '_>,
        output_max: u64,
        terms: &Terms<'_>,
        loss: &mut Loss,
    ) -> Self {
        let mut reasoning = request.reasoning;
        let raw = request.rest.iter().find(|(name, _)| name == "thinking");
        if let Some((_, json)) = raw {
            match super::read::read_thinking(*json) {
                Ok(Some(read)) => {
                    reasoning = crate::chat::Reasoning { effort: reasoning.effort, ..read }
                }
                _ => {
                    let effort = reasoning.effort.and_then(effort_name);
                    return Self { mode: Mode::Raw(*json), shown: None, effort };
                }
            }
        }
        let wants_thought = reasoning.effort.is_some_and(|effort| effort != Effort::None);
        let mode = match (reasoning.enabled, reasoning.budget) {
            (Some(false), _) => Mode::Off,
            (_, Some(0)) => Mode::Off,
            (_, Some(budget)) if !terms.quirks.refuses("budget_tokens") => Mode::Budget(budget),
            (_, Some(_)) => Mode::Adaptive,
            (Some(true), None) => Mode::Adaptive,
            (None, None) if reasoning.effort == Some(Effort::None) => Mode::Off,
            (None, None) if wants_thought => Mode::Adaptive,
            (None, None) => Mode::Unsaid,
        };
        let mut thinking =
            Self { mode, shown: reasoning.shown, effort: reasoning.effort.and_then(effort_name) };
        if thinking.mode == Mode::Adaptive && terms.quirks.refuses("adaptive") {
            thinking.mode = Mode::Budget(reasoning.effort.unwrap_or(Effort::Medium).budget());
        }
        if thinking.mode == Mode::Adaptive && reasoning.effort.is_none() {
            thinking.effort = reasoning.budget.map(Effort::of_budget).and_then(effort_name);
        }
        thinking.fit_budget(request, plan, output_max, loss);
        thinking
    }

    /// Whether the model thinks.
    pub(super) fn is_on(&self) -> bool {
        match &self.mode {
            Mode::Unsaid | Mode::Off => false,
            Mode::Raw(_) | Mode::Adaptive | Mode::Budget(_) => true,
        }
    }

    /// Writes the member `thinking`.
    pub(super) fn write(&self, json: &mut JsonWriter<'_>) {
        match self.mode {
            Mode::Unsaid => return,
            Mode::Raw(raw) => {
                json.member_json("thinking", raw);
                return;
            }
            Mode::Off => {
                json.name("thinking").object().member_str("type", "disabled").end();
                return;
            }
            Mode::Adaptive => json.name("thinking").object().member_str("type", "adaptive"),
            Mode::Budget(budget) => {
                json.name("thinking").object().member_str("type", "enabled");
                json.member_u64("budget_tokens", budget)
            }
        };
        if let Some(shown) = self.shown {
            json.member_str("display", if shown { "summarized" } else { "omitted" });
        }
        json.end();
    }

    /// A budget that cannot be is made smaller, or given up.
    fn fit_budget(
        &mut self,
        request: &Request<'_>,
        plan: &Plan<'_, '_>,
        output_max: u64,
        loss: &mut Loss,
    ) {
        let Mode::Budget(wanted) = self.mode else { return };
        if output_max <= BUDGET_MIN || is_forced(request) || !loop_has_thoughts(plan) {
            loss.add("thinking");
            self.mode = Mode::Off;
            return;
        }
        let mut budget = wanted.max(BUDGET_MIN);
        if budget >= output_max {
            // A quarter is left for what comes after the thought.
            budget = (output_max - output_max / 4).clamp(BUDGET_MIN, output_max - 1);
            loss.add("thinking.budget_tokens");
        }
        self.mode = Mode::Budget(budget);
    }
}

/// The name of an effort here; `None` for none.
fn effort_name(effort: Effort) -> Option<&'static str> {
    match effort {
        Effort::None => None,
        Effort::Minimal => Some(Effort::Low.name()),
        Effort::Low | Effort::Medium | Effort::High | Effort::XHigh | Effort::Max => {
            Some(effort.name())
        }
    }
}

fn is_forced(request: &Request<'_>) -> bool {
    let forces = match request.tool_choice {
        Some(ToolChoice::Any | ToolChoice::Tool(_)) => true,
        Some(ToolChoice::Allowed { required, .. }) => required,
        Some(ToolChoice::Auto | ToolChoice::None) | None => false,
    };
    forces && !request.tools.is_empty()
}

/// Whether every answer that calls tools, since the user last said something, begins with a thought.
fn loop_has_thoughts(plan: &Plan<'_, '_>) -> bool {
    let is_users_word =
        |role, blocks: &[Block<'_, '_>]| role == Role::User && !blocks.iter().any(Block::is_result);
    let turns = plan.turns.iter().rev();
    let current = turns.take_while(|turn| !is_users_word(turn.role, &turn.blocks));
    let mut answers = current.filter(|turn| turn.role == Role::Assistant);
    answers.all(|turn| begins_with_thought(&turn.blocks) || !turn.blocks.iter().any(is_call))
}

fn begins_with_thought(blocks: &[Block<'_, '_>]) -> bool {
    let Some(Block::Part(first)) = blocks.first() else { return false };
    matches!(first.body, PartBody::Reasoning(_))
}

fn is_call(block: &Block<'_, '_>) -> bool {
    let Block::Part(part) = block else { return false };
    match &part.body {
        PartBody::ToolCall { .. } => true,
        PartBody::Other { kind, .. } => kind == "tool_use",
        PartBody::Text(_)
        | PartBody::Media(_)
        | PartBody::Reasoning(_)
        | PartBody::ToolResult { .. }
        | PartBody::Refusal(_) => false,
    }
}
