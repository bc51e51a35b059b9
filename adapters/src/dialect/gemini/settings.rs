//! What a request says beside its conversation, written: `toolConfig`, `generationConfig` and the rest.

use std::borrow::Cow;

use faregate_wire::{Json, JsonWriter};

use super::{request::MODE, write::Writing};
use crate::chat::{Effort, Format, Request, Tier, ToolChoice};

/// The most stop texts.
const STOP_MAX: usize = 5;

/// The most labels, and the most bytes of a key or value of one.
const LABELS_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 63;

/// Members that are the dialect's own and stand at the top.
const OWN: [&str; 5] =
    ["safetySettings", "cachedContent", "modelArmorConfig", "continuationToken", "store"];

/// A member of `functionCallingConfig` that has no other place.
const STREAM_ARGUMENTS: &str = "streamFunctionCallArguments";

pub(super) fn write(
    json: &mut JsonWriter<'_>,
    request: &Request<'_>,
    has_functions: bool,
    to: &mut Writing<'_>,
) {
    write_tool_config(json, request, has_functions, to);
    write_generation_config(json, request, to);
    write_labels(json, request, to);
    if let Some(tier) = request.tier {
        match tier {
            Tier::Auto => {}
            Tier::Standard => put(json, to, "serviceTier", |json| json.str("standard")),
            Tier::Flex => put(json, to, "serviceTier", |json| json.str("flex")),
            Tier::Priority => put(json, to, "serviceTier", |json| json.str("priority")),
            Tier::Scale => to.loss.add("service_tier"),
        }
    }
    if request.store == Some(true) {
        to.loss.add("store");
    }
    if request.end_user.is_some() {
        to.loss.add("user");
    }
    for (name, value) in &request.rest {
        let is_own = OWN.contains(&&**name);
        if is_own {
            put(json, to, name, |json| json.json(*value));
        } else if !is_written_elsewhere(name, has_functions) {
            to.loss.add_named(name);
        }
    }
}

fn is_written_elsewhere(name: &str, has_functions: bool) -> bool {
    name.starts_with("generationConfig.")
        || name.starts_with("toolConfig.")
        || (matches!(name, STREAM_ARGUMENTS | MODE) && has_functions)
}

/// Writes a member that the provider does not refuse.
fn put<'j, 'b>(
    json: &'j mut JsonWriter<'b>,
    to: &mut Writing<'_>,
    name: &str,
    write: impl FnOnce(&'j mut JsonWriter<'b>) -> &'j mut JsonWriter<'b>,
) {
    if to.terms.quirks.refuses(name) {
        to.loss.add_named(name);
    } else {
        write(json.name(name));
    }
}

fn write_tool_config(
    json: &mut JsonWriter<'_>,
    request: &Request<'_>,
    has_functions: bool,
    to: &mut Writing<'_>,
) {
    if request.parallel_tools == Some(false) {
        to.loss.add("parallel_tool_calls");
    }
    let rest = || {
        let named = request.rest.iter();
        named.filter_map(|(name, value)| Some((name.strip_prefix("toolConfig.")?, *value)))
    };
    let calling = has_functions.then(|| calling(request)).flatten();
    let is_stream = request.rest.iter().find(|(name, _)| name == STREAM_ARGUMENTS);
    let is_stream = is_stream.map(|(_, value)| *value).filter(|_| has_functions);
    if calling.is_none() && is_stream.is_none() && rest().next().is_none() {
        return;
    }
    json.name("toolConfig").object();
    if calling.is_some() || is_stream.is_some() {
        json.name("functionCallingConfig").object();
        if let Some((mode, names)) = calling {
            json.member_str("mode", mode);
            if !names.is_empty() {
                json.name("allowedFunctionNames").array();
                names.iter().for_each(|name| {
                    json.str(name);
                });
                json.end();
            }
        }
        if let Some(is_stream) = is_stream {
            json.member_json(STREAM_ARGUMENTS, is_stream);
        }
        json.end();
    }
    rest().for_each(|(name, value)| put(json, to, name, |json| json.json(value)));
    json.end();
}

/// The mode, and which functions. `VALIDATED` holds the model to the schemas, and is the only mode in which it may choose
/// among some of them or none.
fn calling<'r>(request: &'r Request<'_>) -> Option<(&'static str, &'r [Cow<'r, str>])> {
    let is_strict = request.tools.iter().any(|tool| tool.strict == Some(true));
    let is_validated = is_strict || request.rest.iter().any(|(name, _)| name == MODE);
    let free = if is_validated { "VALIDATED" } else { "AUTO" };
    Some(match &request.tool_choice {
        None if is_strict => ("VALIDATED", &[]),
        None => return None,
        Some(ToolChoice::Auto) => (free, &[]),
        Some(ToolChoice::None) => ("NONE", &[]),
        Some(ToolChoice::Any) => ("ANY", &[]),
        Some(ToolChoice::Tool(name)) => ("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Allowed { required: true, names }) => ("ANY", names),
        Some(ToolChoice::Allowed { required: false, names }) => ("VALIDATED", names),
    })
}

fn write_generation_config(json: &mut JsonWriter<'_>, request: &Request<'_>, to: &mut Writing<'_>) {
    let mut config = Vec::new();
    let mut inner = JsonWriter::new(&mut config);
    inner.object();
    write_sampling(&mut inner, request, to);
    write_limits(&mut inner, request, to);
    write_format(&mut inner, request, to);
    write_thinking(&mut inner, request, to);
    for (name, value) in &request.rest {
        if let Some(name) = name.strip_prefix("generationConfig.") {
            put(&mut inner, to, name, |json| json.json(*value));
        }
    }
    inner.end();
    if config != b"{}" {
        json.name("generationConfig").raw(&config);
    }
}

fn write_sampling(json: &mut JsonWriter<'_>, request: &Request<'_>, to: &mut Writing<'_>) {
    let sampling = &request.sampling;
    let numbers: [(&str, Option<Json<'_>>); 6] = [
        ("temperature", sampling.temperature),
        ("topP", sampling.top_p),
        ("topK", sampling.top_k),
        ("seed", sampling.seed),
        ("frequencyPenalty", sampling.frequency_penalty),
        ("presencePenalty", sampling.presence_penalty),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            put(json, to, name, |json| json.json(value));
        }
    }
    if let Some(choices) = sampling.choices.filter(|choices| *choices > 1) {
        put(json, to, "candidateCount", |json| json.u64(choices));
    }
    if sampling.logprobs == Some(true) {
        put(json, to, "responseLogprobs", |json| json.bool(true));
        if let Some(most) = sampling.top_logprobs.filter(|most| *most > 0) {
            put(json, to, "logprobs", |json| json.u64(most));
        }
    }
    if sampling.logit_bias.is_some() {
        to.loss.add("logit_bias");
    }
}

fn write_limits(json: &mut JsonWriter<'_>, request: &Request<'_>, to: &mut Writing<'_>) {
    if let Some(most) = request.output_max {
        put(json, to, "maxOutputTokens", |json| json.u64(most));
    }
    let stops = || request.stop.iter().filter(|stop| !stop.is_empty());
    if stops().next().is_some() {
        json.name("stopSequences").array();
        stops().take(STOP_MAX).for_each(|stop| {
            json.str(stop);
        });
        json.end();
    }
    if stops().nth(STOP_MAX).is_some() {
        to.loss.add("stop");
    }
    if request.verbosity.is_some() {
        to.loss.add("verbosity");
    }
}

fn write_format(json: &mut JsonWriter<'_>, request: &Request<'_>, to: &mut Writing<'_>) {
    let Some(format) = &request.format else { return };
    put(json, to, "responseMimeType", |json| json.str("application/json"));
    if let Format::JsonSchema { schema, .. } = format {
        put(json, to, "responseJsonSchema", |json| json.json(*schema));
    }
}

/// A client's budget stays one. Otherwise the third generation thinks in levels, earlier ones in budgets.
fn write_thinking(json: &mut JsonWriter<'_>, request: &Request<'_>, to: &mut Writing<'_>) {
    let asked = &request.reasoning;
    let budget = match (asked.budget, asked.enabled, asked.effort) {
        (_, Some(false), None) if !to.is_third => Some(Cow::Borrowed("0")),
        (Some(tokens), ..) => Some(Cow::Owned(tokens.to_string())),
        (None, _, Some(effort)) if !to.is_third => Some(Cow::Owned(effort.budget().to_string())),
        (None, Some(true), None) if !to.is_third => Some(Cow::Borrowed("-1")),
        _ => None,
    };
    let level = asked.effort().filter(|_| budget.is_none()).map(|effort| match effort {
        Effort::None | Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High => "HIGH",
        Effort::XHigh | Effort::Max => "XHIGH",
    });
    if budget.is_none() && level.is_none() && asked.shown.is_none() {
        return;
    }
    let mut config = Vec::new();
    let mut inner = JsonWriter::new(&mut config);
    inner.object();
    if let Some(shown) = asked.shown {
        inner.member_bool("includeThoughts", shown);
    }
    if let Some(budget) = budget {
        inner.name("thinkingBudget").raw(budget.as_bytes());
    }
    if let Some(level) = level {
        inner.member_str("thinkingLevel", level);
    }
    inner.end();
    put(json, to, "thinkingConfig", |json| json.raw(&config));
}

/// Writes `labels`, if all of the metadata can be labels.
fn write_labels(json: &mut JsonWriter<'_>, request: &Request<'_>, to: &mut Writing<'_>) {
    let Some(metadata) = request.metadata.filter(|metadata| metadata.members().next().is_some())
    else {
        return;
    };
    let plain = |text: &str| {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        text.len() <= LABEL_BYTES_MAX && text.bytes().all(letter)
    };
    let fits = |(key, value): (Cow<'_, str>, Json<'_>)| {
        plain(&key)
            && key.starts_with(|c: char| c.is_ascii_lowercase())
            && value.str().is_some_and(|value| plain(&value))
    };
    if metadata.members().all(fits) && metadata.members().nth(LABELS_MAX).is_none() {
        put(json, to, "labels", |json| json.json(metadata));
    } else {
        to.loss.add("metadata");
    }
}
