//! Requests, written.
//!
//! In: a [`Request`]. Out: the body of `POST /responses`: settings first, then tools, then the input, so that bodies of
//! one conversation share their beginning. A first message of instructions becomes `instructions`. `store` is false
//! unless the client asked for it, and `strict` of a tool is false unless it did: the provider's own defaults are meant
//! for clients that speak this dialect.

use faregate_wire::{Json, JsonWriter, json::Kind};

use super::{
    read::{INCLUDE_ENCRYPTED, INCLUDE_LOGPROBS},
    write_items, write_tools,
};
use crate::{
    chat::{Effort, Format, Loss, PartBody, Request, Role, Tier},
    dialect::Terms,
};

/// Members of other requests that mean the same here, and what they must be: other dialects use some of the names too.
const SHARED: [(&str, &[Kind]); 19] = [
    ("access_programs", &[Kind::Object]),
    ("background", &[Kind::Bool]),
    ("background_options", &[Kind::Object]),
    ("client_metadata", &[Kind::Object]),
    ("context_management", &[Kind::Array]),
    ("conversation", &[Kind::String, Kind::Object]),
    ("image", &[Kind::Object]),
    ("include", &[Kind::Array]),
    ("max_tool_calls", &[Kind::Number]),
    ("moderation", &[Kind::Object]),
    ("previous_response_id", &[Kind::String]),
    ("prompt", &[Kind::Object]),
    ("prompt_cache_options", &[Kind::Object]),
    ("prompt_cache_retention", &[Kind::String]),
    ("service_tier", &[Kind::String]),
    ("stream_options", &[Kind::Object]),
    ("tool_choice", &[Kind::Object]),
    ("truncation", &[Kind::String]),
    ("user", &[Kind::String]),
];

/// The most characters of a user's name.
const USER_CHARS_MAX: usize = 64;

/// Appends the body of a request.
pub(super) fn write(out: &mut Vec<u8>, request: &Request<'_>, terms: &Terms<'_>, loss: &mut Loss) {
    let mut json = JsonWriter::new(out);
    json.object().member_str("model", terms.model);
    if request.stream {
        json.member_bool("stream", true);
    }
    let mut writer = Writer { json, request, terms, loss };
    writer.settings();
    writer.rest();
    writer.text();
    writer.reasoning();
    writer.lost();
    write_tools::write(&mut writer.json, request, writer.loss);
    let instructions = writer.instructions();
    write_items::write(&mut writer.json, request, instructions, terms, writer.loss);
    writer.json.end();
}

struct Writer<'w, 'b, 'a> {
    json: JsonWriter<'b>,
    request: &'w Request<'a>,
    terms: &'w Terms<'w>,
    loss: &'w mut Loss,
}

impl Writer<'_, '_, '_> {
    /// Whether the provider takes a member; noted as lost if not.
    fn takes(&mut self, name: &'static str) -> bool {
        let takes = !self.terms.quirks.refuses(name);
        if !takes {
            self.loss.add(name);
        }
        takes
    }

    fn settings(&mut self) {
        let request = self.request;
        let sampling = &request.sampling;
        if let Some(output_max) = request.output_max {
            let name = self.terms.quirks.output_max_name.unwrap_or("max_output_tokens");
            self.json.member_u64(name, output_max);
        }
        for (name, value) in [("temperature", sampling.temperature), ("top_p", sampling.top_p)] {
            if let Some(value) = value
                && self.takes(name)
            {
                self.json.member_json(name, value);
            }
        }
        if let Some(top_logprobs) = sampling.top_logprobs
            && self.takes("top_logprobs")
        {
            self.json.member_u64("top_logprobs", top_logprobs);
        }
        if self.takes_silently("store") {
            self.json.member_bool("store", request.store.unwrap_or(false));
        }
        if let Some(tier) = request.tier
            && self.takes("service_tier")
        {
            self.json.member_str("service_tier", tier_name(tier));
        }
        if let Some(key) = &request.cache_key
            && self.takes_silently("prompt_cache_key")
        {
            self.json.member_str("prompt_cache_key", key);
        }
        self.metadata();
        self.end_user();
        self.include();
    }

    /// As [`takes`](Self::takes), for what the client may not have said.
    fn takes_silently(&self, name: &str) -> bool {
        !self.terms.quirks.refuses(name)
    }

    fn metadata(&mut self) {
        let Some(metadata) = self.request.metadata else { return };
        let is_plain = metadata.members().all(|(_, value)| value.is_string());
        if !is_plain {
            self.loss.add("metadata");
        } else if self.takes("metadata") {
            self.json.member_json("metadata", metadata);
        }
    }

    fn end_user(&mut self) {
        let Some(user) = &self.request.end_user else { return };
        if user.chars().count() > USER_CHARS_MAX || self.terms.quirks.refuses("safety_identifier") {
            self.loss.add("user");
        } else {
            self.json.member_str("safety_identifier", user);
        }
    }

    /// Thoughts that can be sent back are asked for only with thinking: models that do not think refuse to include them.
    fn include(&mut self) {
        if self.request.rest.iter().any(|(name, _)| name == "include") || self.refuses_include() {
            return;
        }
        let thinks = self.thinks();
        let logprobs = self.request.sampling.logprobs == Some(true)
            || self.request.sampling.top_logprobs.is_some();
        if !thinks && !logprobs {
            return;
        }
        self.json.name("include").array();
        if thinks {
            self.json.str(INCLUDE_ENCRYPTED);
        }
        if logprobs {
            self.json.str(INCLUDE_LOGPROBS);
        }
        self.json.end();
    }

    fn refuses_include(&mut self) -> bool {
        let refuses = self.terms.quirks.refuses("include");
        if refuses && self.request.sampling.logprobs == Some(true) {
            self.loss.add("logprobs");
        }
        refuses
    }

    fn thinks(&self) -> bool {
        let reasoning = &self.request.reasoning;
        let asks = reasoning.effort().is_some_and(|effort| effort != Effort::None);
        let has_thoughts = || {
            let mut parts = self.request.messages.iter().flat_map(|message| &message.parts);
            parts.any(|part| matches!(&part.body, PartBody::Reasoning(thought) if thought.signature.is_some()))
        };
        asks || reasoning.enabled == Some(true) || reasoning.shown == Some(true) || has_thoughts()
    }

    /// What the client's dialect has in common with this one. Members of `text`, `reasoning` and tools are written there.
    fn rest(&mut self) {
        for (name, value) in &self.request.rest {
            let shared = shared(name, *value);
            match shared {
                Some(name) if !self.terms.quirks.refuses(name) => {
                    self.json.member_json(name, *value);
                }
                None if is_written_inside(self.request, name) => {}
                _ => self.loss.add_named(name),
            }
        }
    }

    fn text(&mut self) {
        let request = self.request;
        let verbosity = request.verbosity.as_deref().filter(|_| self.takes("text.verbosity"));
        let more = || request.rest.iter().filter(|(name, _)| name.starts_with("text."));
        if request.format.is_none() && verbosity.is_none() && more().next().is_none() {
            return;
        }
        self.json.name("text").object();
        if let Some(format) = &request.format {
            self.json.name("format");
            write_format(&mut self.json, format, self.terms.quirks.no_json_schema);
        }
        if let Some(verbosity) = verbosity {
            self.json.member_str("verbosity", verbosity);
        }
        for (name, value) in more() {
            self.json.member_json(&name["text.".len()..], *value);
        }
        self.json.end();
    }

    fn reasoning(&mut self) {
        let request = self.request;
        let effort = request.reasoning.effort();
        let more = || request.rest.iter().filter(|(name, _)| name.starts_with("reasoning."));
        let has_summary = more().any(|(name, _)| name == "reasoning.summary");
        let shown = request.reasoning.shown == Some(true) && !has_summary;
        if (effort.is_none() && !shown && more().next().is_none()) || !self.takes("reasoning") {
            return;
        }
        self.json.name("reasoning").object();
        if let Some(effort) = effort {
            self.json.member_str("effort", effort.name());
        }
        if shown {
            self.json.member_str("summary", "auto");
        }
        for (name, value) in more() {
            self.json.member_json(&name["reasoning.".len()..], *value);
        }
        self.json.end();
    }

    /// What this dialect has no words for.
    fn lost(&mut self) {
        let sampling = &self.request.sampling;
        for (name, is_said) in [
            ("top_k", sampling.top_k.is_some()),
            ("seed", sampling.seed.is_some()),
            ("frequency_penalty", sampling.frequency_penalty.is_some()),
            ("presence_penalty", sampling.presence_penalty.is_some()),
            ("logit_bias", sampling.logit_bias.is_some()),
            ("n", sampling.choices.is_some_and(|choices| choices > 1)),
            ("stop", !self.request.stop.is_empty()),
        ] {
            if is_said {
                self.loss.add(name);
            }
        }
    }

    /// Writes the first message as instructions if it is one text of them and not all there is. How many messages that
    /// takes.
    fn instructions(&mut self) -> usize {
        let [first, _, ..] = &self.request.messages[..] else { return 0 };
        let is_plain = first.role == Role::System && first.name.is_none();
        let [part] = &first.parts[..] else { return 0 };
        match &part.body {
            PartBody::Text(text) if is_plain && part.cache.is_none() => {
                self.json.member_str("instructions", text);
                1
            }
            _ => 0,
        }
    }
}

/// The member of this dialect that a member of another has both name and meaning in common with.
fn shared(name: &str, value: Json<'_>) -> Option<&'static str> {
    let (name, kinds) = SHARED.iter().find(|(known, _)| *known == name)?;
    // Chat completions have one more option there.
    let is_other = *name == "stream_options" && value.get("include_usage").is_some();
    (kinds.contains(&value.kind()) && !is_other).then_some(name)
}

/// Whether a member of `rest` finds its place within another member.
fn is_written_inside(request: &Request<'_>, name: &str) -> bool {
    if name.starts_with("text.") || name.starts_with("reasoning.") {
        return true;
    }
    let Some(rest) = name.strip_prefix("tools.") else { return false };
    let is_of = |tool: &str| rest.strip_prefix(tool).is_some_and(|more| more.starts_with('.'));
    request.tools.iter().any(|tool| is_of(&tool.name))
}

fn write_format(json: &mut JsonWriter<'_>, format: &Format<'_>, no_schema: bool) {
    json.object();
    match format {
        Format::JsonSchema { name, description, schema, strict } if !no_schema => {
            json.member_str("type", "json_schema");
            json.member_str("name", name.as_deref().unwrap_or("answer"));
            if let Some(description) = description {
                json.member_str("description", description);
            }
            json.member_json("schema", *schema);
            if let Some(strict) = strict {
                json.member_bool("strict", *strict);
            }
        }
        Format::JsonSchema { .. } | Format::JsonObject => {
            json.member_str("type", "json_object");
        }
    }
    json.end();
}

const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Auto => "auto",
        Tier::Standard => "default",
        Tier::Flex => "flex",
        Tier::Priority => "priority",
        Tier::Scale => "scale",
    }
}
