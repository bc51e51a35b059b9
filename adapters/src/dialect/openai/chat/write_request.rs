//! A request, written.
//!
//! In: a [`Request`]. Out: the body, and the names of what this provider cannot be told. Tools stand before messages and
//! everything else behind them, so that the bytes of a conversation's beginning are the same in each of its turns.

use std::borrow::Cow;

use faregate_wire::{Json, JsonWriter};

use super::{id_rule, name_rule, schema, write_messages, write_tools};
use crate::{
    chat::{Effort, Format, Loss, Request, Tier},
    dialect::{Invalid, Terms},
    quirks::Quirks,
};

/// Members of a client's request that are written as they were, where the reader found no place for them.
const SHARED: &[&str] = &[
    "audio",
    "modalities",
    "moderation",
    "prediction",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "service_tier",
    "user",
    "web_search_options",
];

/// The most bytes of an end user's id.
const USER_BYTES_MAX: usize = 64;

/// The most stop texts.
const STOPS_MAX: usize = 4;

/// The request that is written, and what it needs.
pub(super) struct Writing<'w, 'a> {
    pub(super) request: &'w Request<'a>,
    pub(super) quirks: &'w Quirks,
    pub(super) loss: &'w mut Loss,
}

/// Writes a request.
pub(super) fn write(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    terms: &Terms<'_>,
    loss: &mut Loss,
) -> Result<(), Invalid> {
    if request.messages.is_empty() {
        return Err(Invalid {
            param: Cow::Borrowed("messages"),
            message: "messages must hold at least one message".to_owned(),
        });
    }
    let mut writing = Writing { request, quirks: terms.quirks, loss };
    let mut json = JsonWriter::new(out);
    json.object().member_str("model", terms.model);
    writing.stream(&mut json);
    write_tools::write(&mut writing, &mut json);
    write_messages::write(&mut writing, &mut json);
    writing.bounds(&mut json);
    writing.sampling(&mut json);
    writing.format(&mut json);
    writing.reasoning(&mut json);
    writing.circumstances(&mut json);
    writing.rest(&mut json);
    json.end();
    Ok(())
}

impl<'a> Writing<'_, 'a> {
    /// Whether the provider may be told this; if not, it is noted.
    pub(super) fn may(&mut self, name: &'static str) -> bool {
        let refuses = self.quirks.refuses(name);
        if refuses {
            self.loss.add(name);
        }
        !refuses
    }

    fn member(&mut self, json: &mut JsonWriter<'_>, name: &'static str, value: Option<Json<'_>>) {
        if let Some(value) = value
            && self.may(name)
        {
            json.member_json(name, value);
        }
    }

    /// Usage is always asked for: what a client sees of it is its writer's matter.
    fn stream(&mut self, json: &mut JsonWriter<'_>) {
        if !self.request.stream {
            return;
        }
        json.member_bool("stream", true);
        let more = self.request.rest.iter().find(|(name, _)| name == "stream_options");
        if self.quirks.refuses("stream_options") {
            return;
        }
        json.name("stream_options").object().member_bool("include_usage", true);
        for (name, value) in more.iter().flat_map(|(_, options)| options.members()) {
            if !matches!(&*name, "include_usage" | "include_obfuscation") {
                json.member_json(&name, value);
            }
        }
        json.end();
    }

    fn bounds(&mut self, json: &mut JsonWriter<'_>) {
        if let Some(most) = self.request.output_max {
            json.member_u64(self.quirks.output_max_name.unwrap_or("max_completion_tokens"), most);
        }
        let stops = &self.request.stop;
        if stops.is_empty() || !self.may("stop") {
            return;
        }
        if stops.len() > STOPS_MAX {
            self.loss.add("stop");
        }
        json.name("stop").array();
        for stop in stops.iter().take(STOPS_MAX) {
            json.str(stop);
        }
        json.end();
    }

    fn sampling(&mut self, json: &mut JsonWriter<'_>) {
        let sampling = &self.request.sampling;
        self.member(json, "temperature", sampling.temperature);
        self.member(json, "top_p", sampling.top_p);
        match sampling.top_k {
            Some(top_k) if self.quirks.takes("top_k") => {
                json.member_json("top_k", top_k);
            }
            Some(_) => self.loss.add("top_k"),
            None => {}
        }
        self.member(json, "seed", sampling.seed);
        self.member(json, "frequency_penalty", sampling.frequency_penalty);
        self.member(json, "presence_penalty", sampling.presence_penalty);
        self.member(json, "logit_bias", sampling.logit_bias);
        if let Some(choices) = sampling.choices.filter(|choices| *choices > 1)
            && self.may("n")
        {
            json.member_u64("n", choices);
        }
        if let Some(logprobs) = sampling.logprobs
            && (!logprobs || self.may("logprobs"))
            && !self.quirks.refuses("logprobs")
        {
            json.member_bool("logprobs", logprobs);
        }
        if let Some(alternatives) = sampling.top_logprobs
            && self.may("top_logprobs")
        {
            json.member_u64("top_logprobs", alternatives);
        }
    }

    fn format(&mut self, json: &mut JsonWriter<'_>) {
        let (name, description, schema, strict) = match &self.request.format {
            None => return,
            Some(_) if !self.may("response_format") => return,
            Some(Format::JsonSchema { name, description, schema, strict })
                if !self.quirks.no_json_schema =>
            {
                (name, description, *schema, *strict)
            }
            Some(Format::JsonObject | Format::JsonSchema { .. }) => {
                json.name("response_format").object().member_str("type", "json_object").end();
                return;
            }
        };
        json.name("response_format").object().member_str("type", "json_schema");
        json.name("json_schema").object();
        json.member_str("name", &name_rule().fit(name.as_deref().unwrap_or("answer")));
        if let Some(description) = description {
            json.member_str("description", description);
        }
        json.member_json("schema", schema);
        if let Some(strict) = self.strict(strict, Some(schema)) {
            json.member_bool("strict", strict);
        }
        json.end().end();
    }

    /// Whether to say `strict`. OpenAI refuses a strict schema that leaves anything open, which other dialects allow: such
    /// a schema is sent without, and that is noted.
    pub(super) fn strict(
        &mut self,
        strict: Option<bool>,
        schema: Option<Json<'_>>,
    ) -> Option<bool> {
        let strict = strict.filter(|_| !self.quirks.refuses("strict"))?;
        if strict && schema.is_some_and(|schema| !schema::is_closed(schema)) {
            self.loss.add("strict");
            return None;
        }
        Some(strict)
    }

    fn reasoning(&mut self, json: &mut JsonWriter<'_>) {
        let (reasoning, quirks) = (self.request.reasoning, self.quirks);
        let effort = reasoning.effort();
        if quirks.takes("reasoning") {
            self.reasoning_object(json);
        } else if quirks.takes("thinking") {
            let enabled = reasoning.enabled.or(effort.map(|effort| effort != Effort::None));
            if let Some(enabled) = enabled {
                let kind = if enabled { "enabled" } else { "disabled" };
                json.name("thinking").object().member_str("type", kind).end();
            }
            if let Some(effort) = effort.filter(|effort| *effort != Effort::None)
                && !quirks.refuses("reasoning_effort")
            {
                json.member_str("reasoning_effort", self.effort_name(effort));
            }
        } else if let Some(effort) = effort
            && self.may("reasoning_effort")
        {
            json.member_str("reasoning_effort", self.effort_name(effort));
        }
        if let Some(verbosity) = &self.request.verbosity
            && self.may("verbosity")
        {
            json.member_str("verbosity", verbosity);
        }
    }

    fn effort_name(&self, effort: Effort) -> &'static str {
        match effort {
            Effort::Max if !self.quirks.takes("max_effort") => Effort::XHigh.name(),
            effort => effort.name(),
        }
    }

    /// OpenRouter's spelling, which takes an effort or a number of tokens.
    fn reasoning_object(&self, json: &mut JsonWriter<'_>) {
        let reasoning = self.request.reasoning;
        if reasoning == crate::chat::Reasoning::default() {
            return;
        }
        json.name("reasoning").object();
        match (reasoning.budget, reasoning.effort) {
            (Some(tokens), _) => {
                json.member_u64("max_tokens", tokens);
            }
            (None, Some(effort)) => {
                json.member_str("effort", self.effort_name(effort));
            }
            (None, None) => {}
        }
        if let Some(enabled) = reasoning.enabled {
            json.member_bool("enabled", enabled);
        }
        if let Some(shown) = reasoning.shown {
            json.member_bool("exclude", !shown);
        }
        json.end();
    }

    /// Whose request it is, and how it shall be served.
    fn circumstances(&mut self, json: &mut JsonWriter<'_>) {
        let request = self.request;
        let has_user = request.rest.iter().any(|(name, _)| name == "user");
        let name = if has_user { "safety_identifier" } else { "user" };
        if let Some(user) = &request.end_user
            && self.may(name)
        {
            let rule = crate::chat::NameRule { bytes_max: USER_BYTES_MAX, ..name_rule() };
            let fits = user.len() <= USER_BYTES_MAX;
            let fitted = if fits { Cow::Borrowed(&**user) } else { rule.fit(user) };
            json.member_str(name, &fitted);
        }
        self.member(json, "metadata", request.metadata);
        let tier = request.tier.map(|tier| match tier {
            Tier::Auto => "auto",
            Tier::Standard => "default",
            Tier::Flex => "flex",
            Tier::Priority => "priority",
            Tier::Scale => "scale",
        });
        if let Some(tier) = tier
            && !(tier == "auto" && self.quirks.refuses("service_tier"))
            && self.may("service_tier")
        {
            json.member_str("service_tier", tier);
        }
        if let Some(key) = &request.cache_key
            && !self.quirks.refuses("prompt_cache_key")
        {
            json.member_str("prompt_cache_key", key);
        }
        if let Some(store) = request.store
            && (self.may("store") || !store)
            && !self.quirks.refuses("store")
        {
            json.member_bool("store", store);
        }
    }

    fn rest(&mut self, json: &mut JsonWriter<'_>) {
        for (name, value) in &self.request.rest {
            let is_shared = SHARED.contains(&&**name) && !self.quirks.refuses(name);
            let is_said = match &**name {
                "service_tier" => self.request.tier.is_some(),
                "reasoning_effort" => self.request.reasoning.effort().is_some(),
                "response_format" => self.request.format.is_some(),
                "safety_identifier" => {
                    self.request.end_user.is_some()
                        && self.request.rest.iter().any(|(name, _)| name == "user")
                }
                _ => false,
            };
            if (is_shared || self.quirks.takes(name)) && !is_said {
                json.member_json(name, *value);
            } else if &**name != "stream_options" || self.quirks.refuses("stream_options") {
                self.loss.add_named(name);
            }
        }
    }

    /// The id of a call as the provider takes it.
    pub(super) fn id<'i>(&self, id: &'i str) -> Cow<'i, str> {
        crate::chat::fit_id(id, &self.quirks.id_rule.unwrap_or(id_rule()))
    }
}
