//! A request, written as a provider of this dialect reads it.
//!
//! Order of members: the model, then the prompt in its own order (tools, system, messages), then everything else, so that
//! two requests with the same beginning have the same first bytes.

use faregate_wire::{Json, JsonWriter};

use super::{
    marks::{MARKS_MAX, Marks},
    parts::{Cited, Writer, id_rule},
    schema::{write_exact, write_input_schema},
    thinking::Thinking,
    turns::{Block, Plan, plan},
};
use crate::{
    chat::{Format, Loss, PartBody, Request, Role, Sampling, Tier, Tool, ToolChoice, ToolKind},
    dialect::{Invalid, Terms},
};

/// Members of [`Request::rest`] that this dialect has, and that are written as they are.
const SHARED: &[&str] = &[
    "anthropic_beta",
    "billing_policy",
    "cache_control",
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "mcp_servers",
    "service_tier",
    "speed",
    "thread",
    "user_profile_id",
    "workspace_id",
];

/// Members of [`Request::rest`] that are written elsewhere, or say what is said anyway.
const ELSEWHERE: &[&str] = &[
    "anthropic_version",
    "document.citations",
    "messages.citations",
    "metadata",
    "output_config",
    "thinking",
];

/// Members of tools that are written back.
const TOOL_PREFIX: &str = "tools.";

/// Said to the model where any JSON object is asked for, which this dialect cannot ask for.
const ANY_OBJECT: &str = "Answer with one JSON object and nothing else.";

/// Writes a request.
pub(super) fn write_request(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    terms: &Terms<'_>,
    loss: &mut Loss,
) -> Result<(), Invalid> {
    if request.messages.is_empty() {
        let message = "messages must have at least one message".to_owned();
        return Err(Invalid { param: "messages".into(), message });
    }
    let quirks = terms.quirks;
    let has_system_role = quirks.version_in_body.is_none() && !quirks.refuses("system_role");
    let plan = plan(request, has_system_role, loss);
    let output_max = request.output_max.unwrap_or(terms.output_max);
    let thinking = Thinking::of(request, &plan, output_max, terms, loss);
    let mut json = JsonWriter::new(out);
    json.object();
    match quirks.version_in_body {
        Some(version) => json.member_str("anthropic_version", version),
        None => json.member_str("model", terms.model),
    };
    let mut body = Body { json, request, terms, loss };
    let has_tools = body.prompt(&plan);
    body.json.member_u64("max_tokens", output_max);
    body.choice(has_tools);
    thinking.write(&mut body.json);
    body.output_config(&thinking);
    body.sampling(&request.sampling, thinking.is_on());
    body.stop();
    body.labels();
    body.rest();
    if request.stream && !quirks.stream_in_path {
        body.json.member_bool("stream", true);
    }
    body.json.end();
    Ok(())
}

struct Body<'w, 'r, 'a> {
    json: JsonWriter<'w>,
    request: &'r Request<'a>,
    terms: &'r Terms<'r>,
    loss: &'w mut Loss,
}

impl<'r, 'a> Body<'_, 'r, 'a> {
    /// Writes tools, system and messages, and tells whether tools are offered.
    fn prompt(&mut self, plan: &Plan<'_, '_>) -> bool {
        let tools = self.offered();
        let instruction = self.instruction();
        let mut writer = Writer {
            marks: self.marks(plan, &tools),
            loss: self.loss,
            id_rule: id_rule(self.terms.quirks.id_rule),
            document_citations: rest(self.request, "document.citations"),
            cited: rest(self.request, "messages.citations").map(Cited::of).unwrap_or_default(),
        };
        let json = &mut self.json;
        write_tools(json, &mut writer, self.request, &tools);
        if !plan.system.is_empty() || instruction.is_some() {
            json.name("system").array();
            plan.system.iter().for_each(|block| writer.block(json, block));
            if let Some(text) = instruction {
                json.object().member_str("type", "text").member_str("text", &text).end();
            }
            json.end();
        }
        json.name("messages").array();
        for turn in &plan.turns {
            let role = match turn.role {
                Role::User => "user",
                Role::Assistant => "assistant",
                Role::System | Role::Developer => "system",
            };
            json.object().member_str("role", role).name("content").array();
            writer.cited.is_answer = turn.role == Role::Assistant;
            turn.blocks.iter().for_each(|block| writer.block(json, block));
            json.end().end();
        }
        json.end();
        if writer.marks.is_lossy() {
            writer.loss.add("cache_control");
        }
        !tools.is_empty()
    }

    /// The tools that are offered; of an allowed list, those in it.
    fn offered(&mut self) -> Vec<&'r Tool<'a>> {
        let request = self.request;
        let allowed = |tool: &&Tool<'_>| match &request.tool_choice {
            Some(ToolChoice::Allowed { names, .. }) => names.contains(&tool.name),
            _ => true,
        };
        let mut tools = Vec::with_capacity(request.tools.len());
        for tool in request.tools.iter().filter(allowed) {
            let is_known = tool.kind != ToolKind::Other || tool.parameters.is_some_and(is_own_tool);
            if is_known {
                tools.push(tool);
            } else {
                self.loss.add("tools");
            }
        }
        tools
    }

    fn marks(&self, plan: &Plan<'_, '_>, tools: &[&Tool<'_>]) -> Marks {
        let blocks = plan.turns.iter().flat_map(|turn| &turn.blocks).chain(&plan.system);
        let tools = tools.iter().filter(|tool| tool.cache.is_some()).count();
        let total = tools + blocks.map(Block::marks).sum::<usize>();
        let at_top = usize::from(rest(self.request, "cache_control").is_some());
        let allowed = match self.terms.quirks.refuses("cache_control") {
            true => 0,
            false => MARKS_MAX - at_top,
        };
        Marks::new(total, allowed)
    }

    /// What is said of the form of the answer where there is no member for it.
    fn instruction(&mut self) -> Option<String> {
        match &self.request.format {
            Some(Format::JsonObject) => {
                self.loss.add("response_format");
                Some(ANY_OBJECT.to_owned())
            }
            Some(Format::JsonSchema { schema, .. }) if self.terms.quirks.no_json_schema => {
                self.loss.add("response_format");
                let schema = String::from_utf8_lossy(schema.raw());
                Some(format!("{ANY_OBJECT} It must follow this JSON schema:\n{schema}"))
            }
            Some(Format::JsonSchema { .. }) | None => None,
        }
    }

    fn choice(&mut self, has_tools: bool) {
        let request = self.request;
        if !has_tools {
            if calls_tools(request) {
                self.json.name("tool_choice").object().member_str("type", "none").end();
            }
            return;
        }
        let one_only = request.parallel_tools == Some(false);
        let (kind, name) = match &request.tool_choice {
            None if one_only => ("auto", None),
            None => return,
            Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => ("auto", None),
            Some(ToolChoice::Any | ToolChoice::Allowed { required: true, .. }) => ("any", None),
            Some(ToolChoice::Tool(name)) => ("tool", Some(name)),
            Some(ToolChoice::None) => ("none", None),
        };
        self.json.name("tool_choice").object().member_str("type", kind);
        if let Some(name) = name {
            self.json.member_str("name", name);
        }
        if one_only && kind != "none" {
            self.json.member_bool("disable_parallel_tool_use", true);
        }
        self.json.end();
    }

    fn output_config(&mut self, thinking: &Thinking<'_>) {
        let more = rest(self.request, "output_config").filter(|config| config.is_object());
        let effort = thinking.effort.filter(|_| self.allows("effort"));
        let schema = match &self.request.format {
            Some(Format::JsonSchema { schema, .. }) if !self.terms.quirks.no_json_schema => {
                Some(*schema)
            }
            _ => None,
        };
        if more.is_none() && effort.is_none() && schema.is_none() {
            return;
        }
        self.json.name("output_config").object();
        if let Some(effort) = effort {
            self.json.member_str("effort", effort);
        }
        if let Some(schema) = schema {
            self.json.name("format").object().member_str("type", "json_schema").name("schema");
            write_exact(&mut self.json, schema);
            self.json.end();
        }
        for (name, value) in more.into_iter().flat_map(Json::members) {
            if name != "effort" && name != "format" {
                self.json.member_json(&name, value);
            }
        }
        self.json.end();
    }

    fn sampling(&mut self, sampling: &Sampling<'_>, thinks: bool) {
        // Newer models refuse both at once; 1 is what they have by themselves.
        let is_one = |value: Option<Json<'_>>| value.and_then(Json::f64) == Some(1.0);
        let has_both = sampling.temperature.is_some() && sampling.top_p.is_some();
        let top_p = sampling.top_p.filter(|_| !has_both || !is_one(sampling.top_p));
        let temperature = sampling.temperature;
        let temperature =
            temperature.filter(|_| !has_both || top_p.is_none() || !is_one(temperature));
        self.temperature(temperature, thinks);
        let near_one = |value: Json<'_>| value.f64().is_some_and(|p| (0.95..=1.0).contains(&p));
        if let Some(top_p) = top_p.filter(|_| self.allows("top_p")) {
            match thinks && !near_one(top_p) {
                true => self.loss.add("top_p"),
                false => _ = self.json.member_json("top_p", top_p),
            }
        }
        if let Some(top_k) = sampling.top_k.filter(|_| self.allows("top_k")) {
            match thinks {
                true => self.loss.add("top_k"),
                false => _ = self.json.member_json("top_k", top_k),
            }
        }
        let is_lost = [
            ("seed", sampling.seed.is_some()),
            ("frequency_penalty", sampling.frequency_penalty.is_some_and(is_not_zero)),
            ("presence_penalty", sampling.presence_penalty.is_some_and(is_not_zero)),
            ("logit_bias", sampling.logit_bias.is_some_and(|bias| bias.members().next().is_some())),
            ("n", sampling.choices.is_some_and(|choices| choices > 1)),
            ("logprobs", sampling.logprobs == Some(true)),
            ("top_logprobs", sampling.top_logprobs.is_some_and(|most| most > 0)),
        ];
        is_lost
            .into_iter()
            .filter(|(_, is_lost)| *is_lost)
            .for_each(|(name, _)| self.loss.add(name));
    }

    /// From 0 to 1; a thinking model has 1.
    fn temperature(&mut self, temperature: Option<Json<'_>>, thinks: bool) {
        let Some(temperature) = temperature.filter(|_| self.allows("temperature")) else {
            return;
        };
        let value = temperature.f64().unwrap_or(1.0);
        if thinks {
            if value != 1.0 {
                self.loss.add("temperature");
            }
            return;
        }
        self.json.name("temperature");
        if (0.0..=1.0).contains(&value) {
            self.json.json(temperature);
        } else {
            self.loss.add("temperature");
            self.json.u64(u64::from(value > 1.0));
        }
    }

    fn stop(&mut self) {
        let stop = &self.request.stop;
        let is_said = |text: &&std::borrow::Cow<'_, str>| !text.trim().is_empty();
        if !stop.iter().all(|text| is_said(&text)) {
            self.loss.add("stop");
        }
        if stop.iter().any(|text| is_said(&text)) && self.allows("stop_sequences") {
            self.json.name("stop_sequences").array();
            stop.iter().filter(is_said).for_each(|text| _ = self.json.str(text));
            self.json.end();
        }
    }

    /// Who asks, and at what price.
    fn labels(&mut self) {
        let request = self.request;
        let more = rest(request, "metadata").filter(|metadata| metadata.is_object());
        if (request.end_user.is_some() || more.is_some()) && self.allows("metadata") {
            self.json.name("metadata").object();
            if let Some(user) = &request.end_user {
                self.json.member_str("user_id", user);
            }
            for (name, value) in more.into_iter().flat_map(Json::members) {
                if name != "user_id" {
                    self.json.member_json(&name, value);
                }
            }
            self.json.end();
        }
        let tier = match request.tier {
            None => None,
            Some(Tier::Auto) => Some("auto"),
            Some(Tier::Standard) => Some("standard_only"),
            Some(Tier::Flex | Tier::Priority | Tier::Scale) => {
                self.loss.add("service_tier");
                None
            }
        };
        if let Some(tier) = tier.filter(|_| self.allows("service_tier")) {
            self.json.member_str("service_tier", tier);
        }
        let is_lost = [
            ("metadata", request.metadata.is_some()),
            ("verbosity", request.verbosity.is_some()),
            ("store", request.store == Some(true)),
            ("name", request.messages.iter().any(|message| message.name.is_some())),
        ];
        is_lost
            .into_iter()
            .filter(|(_, is_lost)| *is_lost)
            .for_each(|(name, _)| self.loss.add(name));
    }

    fn rest(&mut self) {
        for (name, value) in &self.request.rest {
            let is_elsewhere = ELSEWHERE.contains(&&**name) || is_tool_member(name);
            if SHARED.contains(&&**name) {
                if self.allows_named(name) {
                    self.json.member_json(name, *value);
                }
            } else if !is_elsewhere {
                self.loss.add_named(name);
            }
        }
    }

    fn allows(&mut self, name: &'static str) -> bool {
        let refuses = self.terms.quirks.refuses(name);
        if refuses {
            self.loss.add(name);
        }
        !refuses
    }

    fn allows_named(&mut self, name: &str) -> bool {
        let refuses = self.terms.quirks.refuses(name);
        if refuses {
            self.loss.add_named(name);
        }
        !refuses
    }
}

fn write_tools(
    json: &mut JsonWriter<'_>,
    writer: &mut Writer<'_, '_>,
    request: &Request<'_>,
    tools: &[&Tool<'_>],
) {
    if tools.is_empty() {
        return write_tools_of_calls(json, request);
    }
    json.name("tools").array();
    for tool in tools {
        match (tool.kind, tool.parameters) {
            (ToolKind::Other, Some(raw)) => writer.marks.write_raw(json, raw, tool.cache),
            _ => write_tool(json, writer, request, tool),
        }
    }
    json.end();
}

fn write_tool(
    json: &mut JsonWriter<'_>,
    writer: &mut Writer<'_, '_>,
    request: &Request<'_>,
    tool: &Tool<'_>,
) {
    json.object().member_str("name", &tool.name);
    if let Some(description) = tool.description.as_deref().filter(|text| !text.is_empty()) {
        json.member_str("description", description);
    }
    json.name("input_schema");
    if tool.kind == ToolKind::Custom {
        writer.loss.add("tools.custom");
        json.raw(
            br#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#,
        );
    } else {
        write_input_schema(json, tool.parameters, tool.strict == Some(true));
    }
    if tool.strict == Some(true) {
        json.member_bool("strict", true);
    }
    for (name, tools) in request.rest.iter().filter(|(name, _)| is_tool_member(name)) {
        let same = |other: &Json<'_>| other.get_str("name").is_some_and(|name| name == tool.name);
        let member = name.strip_prefix(TOOL_PREFIX).unwrap_or_default();
        if let Some(value) = tools.items().find(same).and_then(|other| other.get(member)) {
            json.member_json(member, value);
        }
    }
    writer.marks.write(json, tool.cache);
    json.end();
}

/// A conversation with calls must have tools: those that were called, where the client no longer offers any.
fn write_tools_of_calls(json: &mut JsonWriter<'_>, request: &Request<'_>) {
    if !calls_tools(request) {
        return;
    }
    let mut names: Vec<&str> = Vec::new();
    json.name("tools").array();
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        if let PartBody::ToolCall { name, .. } = &part.body
            && !names.contains(&&**name)
        {
            names.push(name);
            json.object().member_str("name", name).name("input_schema");
            write_input_schema(json, None, false);
            json.end();
        }
    }
    json.end();
}

fn calls_tools(request: &Request<'_>) -> bool {
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    parts.any(|part| matches!(part.body, PartBody::ToolCall { .. }))
}

/// Tools of this dialect's providers have a date in their type, or are a set of tools.
fn is_own_tool(tool: Json<'_>) -> bool {
    let kind = tool.get_str("type").unwrap_or_default();
    let date = kind.rsplit('_').next().unwrap_or_default();
    (date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())) || kind == "mcp_toolset"
}

fn is_tool_member(name: &str) -> bool {
    name.starts_with(TOOL_PREFIX)
}

fn is_not_zero(number: Json<'_>) -> bool {
    number.f64() != Some(0.0)
}

fn rest<'a>(request: &Request<'a>, name: &str) -> Option<Json<'a>> {
    request.rest.iter().find(|(found, _)| found == name).map(|(_, value)| *value)
}
