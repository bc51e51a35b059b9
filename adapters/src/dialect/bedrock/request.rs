//! A chat request as Converse spells it.
//!
//! In: a request, the provider's name for the model. Out: the body. Members come in an order that lets the beginning of a
//! conversation keep its bytes: tools, instructions, messages, then the rest.
//! Format: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>

use std::borrow::Cow;

use faregate_wire::{Json, JsonWriter, Scanner};

use super::{
    ID_RULE,
    extra::{self, Extra},
    family::Family,
    media::{self, DocumentNames},
    opaque, tools,
    turns::{Block, Conversation, Turn, is_sayable_in_result},
};
use crate::{
    chat::{CacheMark, Format, Loss, Part, PartBody, ReasoningPart, Request, Tier, fit_id},
    dialect::{Invalid, Terms},
};

/// The most cache points of one request.
const CACHE_POINTS_MAX: usize = 4;

/// Members of Converse's own that pass as they are, when the client speaks it too.
const OWN_MEMBERS: [&str; 5] = [
    "guardrailConfig",
    "projectIdentifier",
    "promptVariables",
    "additionalModelResponseFieldPaths",
    "performanceConfig",
];

/// What a schema in Converse's own spelling is kept under; there it is a text in the JSON, and no part of it.
pub(super) const TEXT_FORMAT: &str = "outputConfig.textFormat";

/// What is known while a body is written.
pub(super) struct Body<'w> {
    pub(super) json: JsonWriter<'w>,
    pub(super) family: Family,
    documents: DocumentNames,
    /// Cache points that are left out, the earliest first, since there are too many.
    skip: usize,
    /// A cache point was left out of these, or is said for a shorter time.
    is_lossy: bool,
}

/// Appends the body of a request.
pub(super) fn write(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    terms: &Terms<'_>,
    loss: &mut Loss,
) -> Result<(), Invalid> {
    let talk = Conversation::of(request, loss);
    if talk.turns.is_empty() {
        return Err(Invalid {
            param: Cow::Borrowed("messages"),
            message: "messages must say something".to_owned(),
        });
    }
    let mut body = Body {
        json: JsonWriter::new(out),
        family: Family::of(terms.model),
        documents: DocumentNames::default(),
        skip: marks(request, &talk).saturating_sub(CACHE_POINTS_MAX),
        is_lossy: false,
    };
    let extra = Extra::of(request, body.family, terms, loss);
    note_losses(request, loss);
    body.json.object();
    tools::write(&mut body, request, &talk, loss);
    body.system(&talk);
    body.messages(&talk);
    body.inference(request, &extra, terms);
    body.output(request, &extra, loss);
    extra.write(&mut body.json);
    body.rest(request, loss);
    body.json.end();
    if body.is_lossy {
        loss.add("cachePoint");
    }
    Ok(())
}

/// Fields that Converse has no word for.
fn note_losses(request: &Request<'_>, loss: &mut Loss) {
    let sampling = &request.sampling;
    for (name, is_said) in [
        ("seed", sampling.seed.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
        ("n", sampling.choices.is_some_and(|choices| choices > 1)),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", sampling.top_logprobs.is_some_and(|top| top > 0)),
        ("verbosity", request.verbosity.is_some()),
        ("store", request.store == Some(true)),
    ] {
        if is_said {
            loss.add(name);
        }
    }
    for (name, _) in request.rest.iter().filter(|(name, _)| !is_own_member(name)) {
        loss.add_named(name);
    }
}

fn is_own_member(name: &str) -> bool {
    OWN_MEMBERS.contains(&name) || name == extra::MEMBER || name == TEXT_FORMAT
}

/// Cache points that the request asks for.
fn marks(request: &Request<'_>, talk: &Conversation<'_>) -> usize {
    let tools = request.tools.iter().filter(|tool| tool.cache.is_some()).count();
    tools
        + talk
            .system
            .iter()
            .copied()
            .chain(talk.parts())
            .filter(|part| part.cache.is_some())
            .count()
}

impl Body<'_> {
    fn system(&mut self, talk: &Conversation<'_>) {
        if talk.system.is_empty() {
            return;
        }
        self.json.name("system").array();
        for part in &talk.system {
            match &part.body {
                PartBody::Text(text) => self.text(text),
                PartBody::Other { json, .. } => {
                    self.json.json(*json);
                }
                _ => continue,
            }
            self.cache_point(part.cache);
        }
        self.json.end();
    }

    fn messages(&mut self, talk: &Conversation<'_>) {
        self.json.name("messages").array();
        for turn in &talk.turns {
            self.turn(turn);
        }
        self.json.end();
    }

    fn turn(&mut self, turn: &Turn<'_>) {
        let role = if turn.is_user { "user" } else { "assistant" };
        self.json.object().member_str("role", role).name("content").array();
        for block in turn.results.iter().chain(&turn.blocks) {
            match block {
                Block::Text(text) => self.text(text),
                Block::Part(part) => self.part(part),
            }
        }
        self.json.end().end();
    }

    fn text(&mut self, text: &str) {
        self.json.object().member_str("text", text).end();
    }

    fn part(&mut self, part: &Part<'_>) {
        match &part.body {
            PartBody::Text(text) | PartBody::Refusal(text) => self.text(text),
            PartBody::Media(media) => {
                if let Some(format) = media::format(media) {
                    media::write(&mut self.json, media, format, &mut self.documents);
                }
            }
            PartBody::Reasoning(thought) => return self.thought(thought),
            PartBody::ToolCall { id, name, arguments, .. } => {
                self.json.object().name("toolUse").object();
                self.json.member_str("toolUseId", &fit_id(id, &ID_RULE)).member_str("name", name);
                self.arguments(arguments);
                self.json.end().end();
            }
            PartBody::ToolResult { id, content, is_error, .. } => {
                self.result(id, content, *is_error);
            }
            PartBody::Other { json, .. } => {
                self.json.json(*json);
            }
        }
        self.cache_point(part.cache);
    }

    fn thought(&mut self, thought: &ReasoningPart<'_>) {
        let Some(signature) = thought.signature.as_deref() else { return };
        self.json.object().name("reasoningContent").object();
        if thought.redacted {
            self.json.member_str("redactedContent", &opaque::to_blob(signature));
        } else {
            self.json.name("reasoningText").object();
            self.json.member_str("text", &thought.text).member_str("signature", signature).end();
        }
        self.json.end().end();
    }

    /// Arguments are an object; what a model wrote that is none is kept as a text in one.
    fn arguments(&mut self, arguments: &str) {
        self.json.name("input");
        match object(arguments) {
            Some(object) => self.json.json(object),
            None if arguments.trim().is_empty() => self.json.raw(b"{}"),
            None => self.json.object().member_str("input", arguments).end(),
        };
    }

    fn result(&mut self, id: &str, content: &[Part<'_>], is_error: bool) {
        self.json.object().name("toolResult").object();
        self.json.member_str("toolUseId", &fit_id(id, &ID_RULE)).name("content").array();
        let mut is_empty = true;
        for part in content.iter().filter(|part| is_sayable_in_result(part)) {
            is_empty = false;
            match &part.body {
                PartBody::Text(text) | PartBody::Refusal(text) => self.text(text),
                PartBody::Media(media) => {
                    let format = media::format(media).unwrap_or_default();
                    media::write(&mut self.json, media, format, &mut self.documents);
                }
                PartBody::Other { json, .. } => {
                    self.json.json(*json);
                }
                _ => {}
            }
        }
        if is_empty {
            self.text("(no output)"); // a blank text is refused
        }
        self.json.end().member_str("status", if is_error { "error" } else { "success" });
        self.json.end().end();
        let inner = content.iter().rev().find_map(|part| part.cache);
        self.cache_point(inner);
    }

    /// A cache point, unless the model does not know them or there are too many.
    pub(super) fn cache_point(&mut self, mark: Option<CacheMark>) {
        let Some(mark) = mark.filter(|_| self.family.caches()) else { return };
        if self.skip > 0 {
            self.skip -= 1;
            self.is_lossy = true;
            return;
        }
        self.json.object().name("cachePoint").object().member_str("type", "default");
        if mark.minutes.is_some_and(|minutes| minutes >= 60) {
            match self.family.caches_tools() {
                true => _ = self.json.member_str("ttl", "1h"),
                false => self.is_lossy = true,
            }
        }
        self.json.end().end();
    }

    fn inference(&mut self, request: &Request<'_>, extra: &Extra<'_>, terms: &Terms<'_>) {
        let sampling = &request.sampling;
        let output_max = request.output_max.or((terms.output_max > 0).then_some(terms.output_max));
        let temperature = sampling.temperature.filter(|_| extra.takes_temperature);
        let top_p = sampling.top_p.filter(|_| extra.takes_top_p);
        let stop = request.stop.iter().filter(|stop| !stop.is_empty());
        if output_max.is_none()
            && temperature.is_none()
            && top_p.is_none()
            && stop.clone().count() == 0
        {
            return;
        }
        self.json.name("inferenceConfig").object();
        if let Some(most) = output_max {
            self.json.member_u64("maxTokens", most);
        }
        if let Some(temperature) = temperature {
            self.json.member_json("temperature", temperature);
        }
        if let Some(top_p) = top_p {
            self.json.member_json("topP", top_p);
        }
        if stop.clone().count() > 0 {
            self.json.name("stopSequences").array();
            for stop in stop {
                self.json.str(stop);
            }
            self.json.end();
        }
        self.json.end();
    }

    fn output(&mut self, request: &Request<'_>, extra: &Extra<'_>, loss: &mut Loss) {
        let format = match &request.format {
            Some(Format::JsonObject) => {
                loss.add("response_format");
                None
            }
            Some(Format::JsonSchema { name, description, schema, .. }) => {
                Some((name, description, schema))
            }
            None => None,
        };
        let own = request.rest.iter().find(|(name, _)| name == TEXT_FORMAT).map(|(_, own)| *own);
        if format.is_none() && own.is_none() && extra.effort.is_none() {
            return;
        }
        self.json.name("outputConfig").object();
        if let Some(own) = own {
            self.json.member_json("textFormat", own);
        }
        if let Some((name, description, schema)) = format {
            self.json.name("textFormat").object().member_str("type", "json_schema");
            self.json.name("structure").object().name("jsonSchema").object();
            self.json.member_str("schema", &String::from_utf8_lossy(schema.raw()));
            if let Some(name) = name {
                self.json.member_str("name", name);
            }
            if let Some(description) = description {
                self.json.member_str("description", description);
            }
            self.json.end().end().end();
        }
        if let Some(effort) = extra.effort {
            self.json.member_str("effort", effort);
        }
        self.json.end();
    }

    fn rest(&mut self, request: &Request<'_>, loss: &mut Loss) {
        let tier = match request.tier {
            Some(Tier::Standard) => Some("default"),
            Some(Tier::Flex) => Some("flex"),
            Some(Tier::Priority) => Some("priority"),
            Some(Tier::Scale) => Some("reserved"),
            Some(Tier::Auto) | None => None,
        };
        if let Some(tier) = tier {
            self.json.name("serviceTier").object().member_str("type", tier).end();
        }
        for (name, value) in request.rest.iter().filter(|(name, _)| OWN_MEMBERS.contains(&&**name))
        {
            self.json.member_json(name, *value);
        }
        self.metadata(request, loss);
    }

    /// What the provider keeps with the request: plain texts only.
    fn metadata(&mut self, request: &Request<'_>, loss: &mut Loss) {
        let given = request.metadata.map(Json::members).into_iter().flatten();
        let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
        for (name, value) in given {
            match value.str() {
                Some(text) if is_plain(&name, 1) && is_plain(&text, 0) => pairs.push((name, text)),
                _ => loss.add("metadata"),
            }
        }
        match request.end_user.as_deref() {
            Some(user) if is_plain(user, 0) && !pairs.iter().any(|(name, _)| name == "user") => {
                pairs.push(("user".into(), user.into()));
            }
            Some(_) => loss.add("user"),
            None => {}
        }
        if pairs.len() > METADATA_MAX {
            loss.add("metadata");
            pairs.truncate(METADATA_MAX);
        }
        if !pairs.is_empty() {
            self.json.name("requestMetadata").object();
            for (name, text) in &pairs {
                self.json.member_str(name, text);
            }
            self.json.end();
        }
    }
}

/// The most pairs of metadata that Converse keeps.
const METADATA_MAX: usize = 16;

/// What Converse takes as a name or a value of metadata.
fn is_plain(text: &str, least: usize) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || byte == b' ' || b":_@$#=/+,-.".contains(&byte);
    (least..=256).contains(&text.len()) && text.bytes().all(plain)
}

/// The object that a text is, checked through and through.
pub(super) fn object(text: &str) -> Option<Json<'_>> {
    let mut scanner = Scanner::new(&[]);
    scanner.feed(text.as_bytes()).ok()?;
    scanner.finish(text.as_bytes()).ok()?;
    Json::new(text.as_bytes())
}
