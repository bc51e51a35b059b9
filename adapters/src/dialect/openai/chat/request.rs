//! A request, read.
//!
//! In: the body. Out: a [`Request`]. What has no place in it goes to `rest` as it was written: members that are not known,
//! values that only one provider understands (`"service_tier":"fast"`), and unknown members of messages
//! (`messages.prefix`). A member that is null says nothing.

use std::borrow::Cow;

use faregate_wire::Json;

use super::{messages, path::Path, tools};
use crate::{
    chat::{Effort, Format, Request, Tier},
    dialect::{Call, Invalid},
};

/// Reads a request.
pub(super) fn read<'a>(body: &'a [u8], call: &Call<'a>) -> Result<Request<'a>, Invalid> {
    let path = Path::Top("body");
    let body = Json::new(body).ok_or_else(|| path.is_not("an object"))?;
    let mut request = Request::default();
    for (name, value) in path.object(body)?.members().filter(|(_, value)| !value.is_null()) {
        member(&mut request, name, value)?;
    }
    if request.model.is_empty() {
        request.model = call.model.unwrap_or_default().into();
    }
    request.stream = call.stream.unwrap_or(request.stream);
    Ok(request)
}

/// Keeps a member as it was written. Of several of one name the last counts.
pub(super) fn rest<'a>(request: &mut Request<'a>, name: Cow<'a, str>, value: Json<'a>) {
    match request.rest.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = value,
        None => request.rest.push((name, value)),
    }
}

fn member<'a>(
    request: &mut Request<'a>,
    name: Cow<'a, str>,
    value: Json<'a>,
) -> Result<(), Invalid> {
    let path = Path::Top(&name);
    match &*name {
        "model" => request.model = path.text(value)?,
        "messages" => messages::read(request, value)?,
        "stream" => request.stream = path.bool(value)?,
        "max_tokens" | "max_completion_tokens" => {
            request.output_max = request.output_max.max(path.bound(value)?);
        }
        "stop" => request.stop = stop(path, value)?,
        "tools" => request.tools.extend(tools::tools(path, value)?),
        "functions" => request.tools.extend(tools::functions(path, value)?),
        "tool_choice" | "function_call" => request.tool_choice = Some(tools::choice(path, value)?),
        "parallel_tool_calls" => request.parallel_tools = Some(path.bool(value)?),
        "metadata" => request.metadata = Some(path.object(value)?),
        "prompt_cache_key" => request.cache_key = Some(path.text(value)?),
        "store" => request.store = Some(path.bool(value)?),
        "verbosity" => request.verbosity = Some(path.text(value)?),
        _ => {
            let is_known = sampling(request, path, value)? || worded(request, path, value)?;
            if !is_known {
                rest(request, name, value);
            }
        }
    }
    Ok(())
}

/// How tokens are drawn; whether the member is about that.
fn sampling<'a>(
    request: &mut Request<'a>,
    path: Path<'_>,
    value: Json<'a>,
) -> Result<bool, Invalid> {
    let Path::Top(name) = path else { return Ok(false) };
    let sampling = &mut request.sampling;
    let place = match name {
        "temperature" => &mut sampling.temperature,
        "top_p" => &mut sampling.top_p,
        "top_k" => &mut sampling.top_k,
        "seed" => &mut sampling.seed,
        "frequency_penalty" => &mut sampling.frequency_penalty,
        "presence_penalty" => &mut sampling.presence_penalty,
        "logit_bias" => {
            sampling.logit_bias = Some(path.object(value)?);
            return Ok(true);
        }
        "n" => {
            sampling.choices = path.bound(value)?;
            return Ok(true);
        }
        "logprobs" => {
            sampling.logprobs = Some(path.bool(value)?);
            return Ok(true);
        }
        "top_logprobs" => {
            sampling.top_logprobs = path.bound(value)?;
            return Ok(true);
        }
        _ => return Ok(false),
    };
    *place = Some(path.number(value)?);
    Ok(true)
}

/// Members whose value may be one that only some provider understands: those are not known.
fn worded<'a>(request: &mut Request<'a>, path: Path<'_>, value: Json<'a>) -> Result<bool, Invalid> {
    let Path::Top(name) = path else { return Ok(false) };
    match name {
        "stream_options" => return stream_options(request, path, value),
        "response_format" => return format(request, path, value),
        "user" | "safety_identifier" => {
            let user = path.text(value)?;
            return Ok(*request.end_user.get_or_insert_with(|| user.clone()) == user);
        }
        "service_tier" => {
            request.tier = tier(&path.text(value)?);
            return Ok(request.tier.is_some());
        }
        "reasoning_effort" => {
            request.reasoning.effort = Effort::of(&path.text(value)?);
            return Ok(request.reasoning.effort.is_some());
        }
        "include_reasoning" => request.reasoning.shown = Some(path.bool(value)?),
        "reasoning" => return reasoning(request, path, value),
        "thinking" => return thinking(request, path, value),
        _ => return Ok(false),
    }
    Ok(true)
}

fn stream_options(
    request: &mut Request<'_>,
    path: Path<'_>,
    value: Json<'_>,
) -> Result<bool, Invalid> {
    if let Some(include) = path.object(value)?.get("include_usage") {
        request.include_usage = path.member("include_usage").bool(include)?;
    }
    Ok(value.members().all(|(name, _)| matches!(&*name, "include_usage" | "include_obfuscation")))
}

/// OpenRouter's spelling.
fn reasoning(request: &mut Request<'_>, path: Path<'_>, value: Json<'_>) -> Result<bool, Invalid> {
    let reasoning = &mut request.reasoning;
    let mut is_known = true;
    for (name, value) in path.object(value)?.members().filter(|(_, value)| !value.is_null()) {
        let path = path.member(&name);
        match &*name {
            "effort" => {
                reasoning.effort = Effort::of(&path.text(value)?);
                is_known &= reasoning.effort.is_some();
            }
            "max_tokens" => reasoning.budget = path.bound(value)?,
            "enabled" => reasoning.enabled = Some(path.bool(value)?),
            "exclude" => reasoning.shown = Some(!path.bool(value)?),
            _ => is_known = false,
        }
    }
    Ok(is_known)
}

/// The spelling of DeepSeek, Moonshot and Z.ai; and of Anthropic, which some clients send to anybody.
fn thinking(request: &mut Request<'_>, path: Path<'_>, value: Json<'_>) -> Result<bool, Invalid> {
    let budget = path.object(value)?.get("budget_tokens");
    request.reasoning.enabled = match value.get_str("type").as_deref() {
        Some("enabled" | "adaptive") => Some(true),
        Some("disabled") => Some(false),
        _ => return Ok(false),
    };
    if let Some(tokens) = budget {
        request.reasoning.budget = path.member("budget_tokens").bound(tokens)?;
    }
    Ok(value.members().all(|(name, _)| matches!(&*name, "type" | "budget_tokens")))
}

fn stop<'a>(path: Path<'_>, value: Json<'a>) -> Result<Vec<Cow<'a, str>>, Invalid> {
    if let Some(text) = value.str() {
        return Ok(vec![text]);
    }
    if !value.is_array() {
        return Err(path.is_not("a string or an array of strings"));
    }
    value.items().enumerate().map(|(index, text)| path.item(index).text(text)).collect()
}

/// Whether the format is one that is known.
fn format<'a>(request: &mut Request<'a>, path: Path<'_>, value: Json<'a>) -> Result<bool, Invalid> {
    request.format = match &*path.required_text(path.object(value)?, "type")? {
        "text" => None,
        "json_object" => Some(Format::JsonObject),
        "json_schema" => {
            let (named, path) = (path.required(value, "json_schema")?, path.member("json_schema"));
            let schema = path.required(path.object(named)?, "schema")?;
            Some(Format::JsonSchema {
                name: named.get_str("name"),
                description: named.get_str("description"),
                schema: path.member("schema").object(schema)?,
                strict: named.get_bool("strict"),
            })
        }
        _ => return Ok(false),
    };
    Ok(true)
}

fn tier(name: &str) -> Option<Tier> {
    Some(match name {
        "auto" => Tier::Auto,
        "default" => Tier::Standard,
        "flex" => Tier::Flex,
        "priority" => Tier::Priority,
        "scale" => Tier::Scale,
        _ => return None,
    })
}
