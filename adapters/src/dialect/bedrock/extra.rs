//! What Converse leaves to each family of models: thinking, `top_k`, one call at a time.
//!
//! In: a request and the model's family. Out: the members of `additionalModelRequestFields`, the effort, and which of the
//! usual members must be left out beside them (Claude takes no temperature while it thinks).

use std::borrow::Cow;

use faregate_wire::{Json, JsonWriter};

use super::family::Family;
use crate::{
    chat::{Effort, Loss, Request, ToolChoice},
    dialect::Terms,
};

/// The member that these fields are in.
pub(super) const MEMBER: &str = "additionalModelRequestFields";

/// The least tokens of thinking that Claude takes.
const THINKING_MIN: u64 = 1024;

/// What is said beside the usual members.
#[derive(Debug, Default)]
pub(super) struct Extra<'r> {
    /// `outputConfig.effort`
    pub(super) effort: Option<&'static str>,
    pub(super) takes_temperature: bool,
    pub(super) takes_top_p: bool,
    /// The client's own object.
    own: Option<Json<'r>>,
    thinking: Option<Thinking>,
    top_k: Option<Json<'r>>,
    top_k_name: &'static str,
    tool_choice: Option<Cow<'r, str>>,
    /// Efforts of families that are not Claude.
    reasoning: Option<(&'static str, &'static str)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thinking {
    Disabled,
    Adaptive,
    /// At most so many tokens.
    Within(u64),
}

impl<'r> Extra<'r> {
    pub(super) fn of(
        request: &'r Request<'_>,
        family: Family,
        terms: &Terms<'_>,
        loss: &mut Loss,
    ) -> Self {
        let own = request.rest.iter().find(|(name, _)| name == MEMBER).map(|(_, own)| *own);
        let own = own.filter(|own| own.is_object());
        let mut extra = Self { takes_temperature: true, takes_top_p: true, own, ..Self::default() };
        if own.and_then(|own| own.get("thinking")).is_none() {
            extra.think(request, family, terms, loss);
        }
        extra.draw(request, family, loss);
        if request.parallel_tools == Some(false) && !request.tools.is_empty() {
            extra.call_one(request, family, loss);
        }
        extra
    }

    pub(super) fn write(&self, json: &mut JsonWriter<'_>) {
        let is_empty = self.thinking.is_none()
            && self.top_k.is_none()
            && self.tool_choice.is_none()
            && self.reasoning.is_none();
        if is_empty && self.own.is_none() {
            return;
        }
        json.name(MEMBER).object();
        for (name, value) in self.own.map(Json::members).into_iter().flatten() {
            json.member_json(&name, value);
        }
        let is_free = |name: &str| self.own.and_then(|own| own.get(name)).is_none();
        match self.thinking {
            Some(Thinking::Disabled) => {
                json.name("thinking").object().member_str("type", "disabled").end();
            }
            Some(Thinking::Adaptive) => {
                json.name("thinking").object().member_str("type", "adaptive").end();
            }
            Some(Thinking::Within(tokens)) => {
                json.name("thinking").object().member_str("type", "enabled");
                json.member_u64("budget_tokens", tokens).end();
            }
            None => {}
        }
        if let Some(top_k) = self.top_k.filter(|_| is_free(self.top_k_name)) {
            match self.top_k_name {
                "inferenceConfig" => {
                    json.name("inferenceConfig").object().member_json("topK", top_k).end();
                }
                name => {
                    json.member_json(name, top_k);
                }
            }
        }
        if let Some(choice) = self.tool_choice.as_deref().filter(|_| is_free("tool_choice")) {
            json.name("tool_choice").raw(choice.as_bytes());
        }
        match self.reasoning {
            Some((effort, "reasoningConfig")) if is_free("reasoningConfig") => {
                json.name("reasoningConfig").object().member_str("type", "enabled");
                json.member_str("maxReasoningEffort", effort).end();
            }
            Some((effort, name)) if is_free(name) => {
                json.member_str(name, effort);
            }
            _ => {}
        }
        json.end();
    }

    fn think(&mut self, request: &Request<'_>, family: Family, terms: &Terms<'_>, loss: &mut Loss) {
        let asked = request.reasoning;
        let effort = asked.effort();
        let is_off = asked.enabled == Some(false) || effort == Some(Effort::None);
        if asked.enabled.is_none() && effort.is_none() {
            return;
        }
        match family {
            Family::ClaudeAdaptive | Family::ClaudeCounted if is_off => {
                self.thinking = Some(Thinking::Disabled);
            }
            Family::ClaudeAdaptive | Family::ClaudeCounted if forces_a_tool(request) => {
                loss.add("reasoning"); // it takes no thinking where it must call a tool
            }
            Family::ClaudeAdaptive => {
                self.thinking = Some(Thinking::Adaptive);
                self.effort = effort
                    .map(claude_effort)
                    .filter(|_| asked.effort.is_some() || asked.budget.is_some());
            }
            Family::ClaudeCounted => {
                let most = request.output_max.unwrap_or(terms.output_max);
                let wanted = asked.budget.or(effort.map(Effort::budget)).unwrap_or(8192);
                let within = wanted.max(THINKING_MIN).min(most.saturating_sub(1));
                if within < THINKING_MIN {
                    loss.add("reasoning"); // no room beside the answer
                } else {
                    self.thinking = Some(Thinking::Within(within));
                }
            }
            Family::NovaThinking if !is_off => {
                self.reasoning = Some((three(effort), "reasoningConfig"));
            }
            Family::GptOss if !is_off => self.reasoning = Some((three(effort), "reasoning_effort")),
            _ if is_off => {}
            _ => loss.add("reasoning"),
        }
    }

    /// Which of the numbers by which tokens are drawn can be said.
    fn draw(&mut self, request: &'r Request<'_>, family: Family, loss: &mut Loss) {
        let sampling = &request.sampling;
        let thinks = matches!(self.thinking, Some(Thinking::Adaptive | Thinking::Within(_)));
        let is_one = |number: Json<'_>| number.f64() == Some(1.0);
        if thinks && sampling.temperature.is_some_and(|number| !is_one(number)) {
            self.takes_temperature = false;
            loss.add("temperature");
        }
        if thinks && sampling.top_p.and_then(Json::f64).is_some_and(|top_p| top_p < 0.95) {
            self.takes_top_p = false;
            loss.add("top_p");
        }
        let Some(top_k) = sampling.top_k else { return };
        self.top_k_name = match family {
            Family::ClaudeAdaptive | Family::ClaudeCounted | Family::ClaudePlain if !thinks => {
                "top_k"
            }
            Family::Mistral => "top_k",
            Family::Cohere => "k",
            Family::Nova | Family::NovaThinking => "inferenceConfig",
            _ => return loss.add("top_k"),
        };
        self.top_k = Some(top_k);
    }

    fn call_one(&mut self, request: &'r Request<'_>, family: Family, loss: &mut Loss) {
        if !family.is_claude() {
            return loss.add("parallel_tool_calls");
        }
        let mut text = Vec::new();
        let mut json = JsonWriter::new(&mut text);
        json.object();
        match &request.tool_choice {
            Some(ToolChoice::Any | ToolChoice::Allowed { required: true, .. }) => {
                json.member_str("type", "any");
            }
            Some(ToolChoice::Tool(name)) => {
                json.member_str("type", "tool").member_str("name", name);
            }
            Some(ToolChoice::None) => return,
            Some(ToolChoice::Auto | ToolChoice::Allowed { .. }) | None => {
                json.member_str("type", "auto");
            }
        }
        json.member_bool("disable_parallel_tool_use", true).end();
        self.tool_choice = Some(String::from_utf8_lossy(&text).into_owned().into());
    }
}

fn forces_a_tool(request: &Request<'_>) -> bool {
    let choice = &request.tool_choice;
    let forces = matches!(
        choice,
        Some(ToolChoice::Any | ToolChoice::Tool(_) | ToolChoice::Allowed { required: true, .. })
    );
    forces && !request.tools.is_empty()
}

/// Claude's word for an effort.
const fn claude_effort(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh => "xhigh",
        Effort::Max => "max",
    }
}

/// The nearest of three efforts.
const fn three(effort: Option<Effort>) -> &'static str {
    match effort {
        Some(Effort::None | Effort::Minimal | Effort::Low) => "low",
        Some(Effort::Medium) | None => "medium",
        Some(Effort::High | Effort::XHigh | Effort::Max) => "high",
    }
}
