//! A request, written.
//!
//! In: a [`Request`]. Out: the body of `generateContent`, which is also that of `streamGenerateContent`. Its members stand
//! in the order instructions, tools, contents, settings, and schemas are JSON schemas as the client wrote them: Gemini's
//! own `Schema` refuses much of what clients send.

use std::borrow::Cow;

use faregate_wire::{Json, JsonWriter};

use super::{bare_model, encode_model, is_third_generation, member::member, settings, turns};
use crate::{
    chat::{IdRule, Loss, NameRule, Request, Tool, ToolKind},
    dialect::{Invalid, Terms},
};

/// What names of functions may look like.
pub(super) const NAME_RULE: NameRule = NameRule { bytes_max: 64, also: b".:", letter_first: true };

/// What ids of calls may look like: any text; what is longer is a signature packed into an id.
pub(super) const ID_RULE: IdRule = IdRule { bytes_max: 128, exact_alphanumeric: false };

/// Tools that the provider runs by itself, as they are spelled here.
const OWN_TOOLS: [&str; 12] = [
    "googleSearch",
    "googleSearchRetrieval",
    "googleMaps",
    "codeExecution",
    "urlContext",
    "computerUse",
    "fileSearch",
    "retrieval",
    "enterpriseWebSearch",
    "parallelAiSearch",
    "exaAiSearch",
    "mcpServers",
];

/// What the writers of the parts of a request share.
pub(super) struct Writing<'w> {
    pub(super) terms: &'w Terms<'w>,
    /// The model is of the third generation or later.
    pub(super) is_third: bool,
    pub(super) loss: &'w mut Loss,
}

/// The path of a request behind the provider's base URL. `model` may have its `models/` or another collection before it.
pub(super) fn path(model: &str, stream: bool) -> Cow<'static, str> {
    let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    Cow::Owned(format!("{}:{verb}", resource(model)))
}

/// The path of a model: `/models/{model}`, or the collection that it names itself.
pub(crate) fn resource(model: &str) -> String {
    let model = bare_model(model);
    let has_collection = ["tunedModels/", "publishers/", "projects/", "endpoints/"]
        .iter()
        .any(|collection| model.starts_with(collection));
    let collection = if has_collection { "" } else { "models/" };
    format!("/{collection}{}", encode_model(model))
}

pub(super) fn write(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    terms: &Terms<'_>,
    loss: &mut Loss,
) -> Result<(), Invalid> {
    let is_third = is_third_generation(terms.model);
    let mut writing = Writing { terms, is_third, loss };
    let mut json = JsonWriter::new(out);
    json.object();
    turns::write_system(&mut json, request, &mut writing);
    let has_functions = write_tools(&mut json, request, &mut writing);
    turns::write_contents(&mut json, request, &mut writing);
    settings::write(&mut json, request, has_functions, &mut writing);
    json.end();
    Ok(())
}

/// The path of a count of tokens behind the provider's base URL.
#[must_use]
pub fn count_path(model: &str) -> String {
    format!("{}:countTokens", resource(model))
}

/// Appends the body of `countTokens` for a whole request.
///
/// # Errors
///
/// [`Invalid`] as with the request itself.
pub fn write_count_request(
    out: &mut Vec<u8>,
    request: &Request<'_>,
    terms: &Terms<'_>,
    loss: &mut Loss,
) -> Result<(), Invalid> {
    let mut body = Vec::new();
    write(&mut body, request, terms, loss)?;
    let mut json = JsonWriter::new(out);
    json.object().name("generateContentRequest").object();
    json.member_str("model", resource(terms.model).trim_start_matches('/'));
    for (name, value) in Json::new(&body).into_iter().flat_map(Json::members) {
        json.member_json(&name, value);
    }
    json.end().end();
    Ok(())
}

/// Writes `tools`, all functions in one of them. Whether there are functions.
fn write_tools(json: &mut JsonWriter<'_>, request: &Request<'_>, to: &mut Writing<'_>) -> bool {
    let is_function = |tool: &&Tool<'_>| tool.kind == ToolKind::Function;
    let functions = || request.tools.iter().filter(is_function);
    let others = request.tools.iter().filter(|tool| tool.kind != ToolKind::Function);
    let own: Vec<_> = others.filter_map(|tool| own_tool(tool, to.loss)).collect();
    let has_functions = functions().next().is_some();
    if !has_functions && own.is_empty() {
        return false;
    }
    json.name("tools").array();
    if has_functions {
        json.object().name("functionDeclarations").array();
        functions().for_each(|tool| write_function(json, tool));
        json.end().end();
    }
    for (name, tool) in own {
        match member(tool, name) {
            Some(_) => json.json(tool),
            None => json.object().member_json(name, tool).end(),
        };
    }
    json.end();
    has_functions
}

/// A tool that the provider runs, if it is one of this dialect.
fn own_tool<'t, 'a>(tool: &'t Tool<'a>, loss: &mut Loss) -> Option<(&'t str, Json<'a>)> {
    let is_own = OWN_TOOLS.contains(&&*tool.name);
    let json = tool
        .parameters
        .filter(|json| is_own && tool.kind == ToolKind::Other && json.get("type").is_none());
    if json.is_none() {
        let name = if tool.name.is_empty() { "tools" } else { &*tool.name };
        loss.add_named(&format!("tools.{name}"));
    }
    Some((&*tool.name, json?))
}

fn write_function(json: &mut JsonWriter<'_>, tool: &Tool<'_>) {
    json.object().member_str("name", &tool.name);
    if let Some(description) = &tool.description {
        json.member_str("description", description);
    }
    if let Some(schema) = tool.parameters {
        json.member_json("parametersJsonSchema", schema);
    }
    json.end();
}

#[cfg(test)]
mod tests;
