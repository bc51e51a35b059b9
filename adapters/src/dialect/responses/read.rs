//! Requests, read.
//!
//! In: the body of `POST /responses`. Out: a [`Request`]. Instructions become its first message. What has no place in it
//! stays in `rest`, members within `text`, `reasoning` and tools by their path (`text.x`, `tools.name.x`). Members at the
//! value they have anyway (`truncation: disabled`, `background: false`) and those that any answer satisfies
//! (`include: [reasoning.encrypted_content]`, `stream_options.include_obfuscation: false`) are not kept.

use std::borrow::Cow;

use faregate_wire::{Json, json::Kind};

use super::{items, tools};
use crate::{
    chat::{Effort, Format, Message, Part, Request, Role, Tier},
    dialect::Invalid,
};

/// `include` of thoughts that can be sent back.
pub(super) const INCLUDE_ENCRYPTED: &str = "reasoning.encrypted_content";
/// `include` of the probabilities of tokens.
pub(super) const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";

/// Reads a request.
pub(super) fn read(body: &[u8]) -> Result<Request<'_>, Invalid> {
    let object = Json::new(body).filter(|json| json.is_object());
    let object = object.ok_or_else(|| Invalid::type_of("body", "an object"))?;
    let mut reader = Reader::default();
    for (name, value) in object.members() {
        if !value.is_null() {
            reader.member(name, value)?;
        }
    }
    reader.finish()
}

#[derive(Default)]
struct Reader<'a> {
    request: Request<'a>,
    instructions: Option<Json<'a>>,
    input: Option<Json<'a>>,
    user: Option<Json<'a>>,
}

impl<'a> Reader<'a> {
    fn member(&mut self, name: Cow<'a, str>, value: Json<'a>) -> Result<(), Invalid> {
        let request = &mut self.request;
        match &*name {
            "model" => request.model = text("model", value)?,
            "stream" => request.stream = boolean("stream", value)?,
            "instructions" => self.instructions = Some(value),
            "input" => self.input = Some(value),
            "max_output_tokens" => request.output_max = Some(count("max_output_tokens", value)?),
            "temperature" => request.sampling.temperature = Some(number("temperature", value)?),
            "top_p" => request.sampling.top_p = Some(number("top_p", value)?),
            "top_logprobs" => request.sampling.top_logprobs = Some(count("top_logprobs", value)?),
            "parallel_tool_calls" => {
                request.parallel_tools = Some(boolean("parallel_tool_calls", value)?);
            }
            "store" => request.store = Some(boolean("store", value)?),
            "metadata" => request.metadata = Some(object("metadata", value)?),
            "prompt_cache_key" => request.cache_key = Some(text("prompt_cache_key", value)?),
            "user" => self.user = Some(value),
            "safety_identifier" => request.end_user = Some(text("safety_identifier", value)?),
            "tools" => tools::read(value, "tools", request)?,
            "tool_choice" => tools::read_choice(value, request)?,
            "text" => read_text(value, request)?,
            "reasoning" => read_reasoning(value, request)?,
            "service_tier" => read_tier(value, request)?,
            "include" => read_include(value, request)?,
            "stream_options" => read_stream_options(value, request)?,
            "truncation" if value.raw() == b"\"disabled\"" => {}
            "background" if !boolean("background", value)? => {}
            _ => keep(request, name, value),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Request<'a>, Invalid> {
        let request = &mut self.request;
        if let Some(user) = self.user {
            let name = text("user", user)?;
            match &request.end_user {
                None => request.end_user = Some(name),
                Some(known) if *known == name => {}
                Some(_) => keep(request, "user", user),
            }
        }
        if let Some(instructions) = self.instructions {
            request.messages.push(Message {
                role: Role::System,
                name: None,
                parts: vec![Part::text(text("instructions", instructions)?)],
            });
        }
        if let Some(input) = self.input {
            items::read(input, request)?;
        }
        Ok(self.request)
    }
}

/// Keeps a member that has no place. Of several of one name the last counts.
pub(super) fn keep<'a>(request: &mut Request<'a>, name: impl Into<Cow<'a, str>>, value: Json<'a>) {
    let name = name.into();
    match request.rest.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => request.rest.push((name, value)),
    }
}

fn read_text<'a>(value: Json<'a>, request: &mut Request<'a>) -> Result<(), Invalid> {
    for (name, value) in object("text", value)?.members() {
        match &*name {
            _ if value.is_null() => {}
            "verbosity" => request.verbosity = Some(text("text.verbosity", value)?),
            "format" => request.format = read_format(value, request)?,
            _ => keep(request, format!("text.{name}"), value),
        }
    }
    Ok(())
}

fn read_format<'a>(
    value: Json<'a>,
    request: &mut Request<'a>,
) -> Result<Option<Format<'a>>, Invalid> {
    let format = object("text.format", value)?;
    Ok(match format.get_str("type").as_deref() {
        Some("text") => None,
        Some("json_object") => Some(Format::JsonObject),
        Some("json_schema") => Some(Format::JsonSchema {
            name: format.get_str("name"),
            description: format.get_str("description"),
            schema: match format.get("schema") {
                Some(schema) => object("text.format.schema", schema)?,
                None => return Err(Invalid::type_of("text.format.schema", "an object")),
            },
            strict: format.get_bool("strict"),
        }),
        Some(_) => {
            keep(request, "text.format", value);
            None
        }
        None => return Err(Invalid::type_of("text.format.type", "a string")),
    })
}

fn read_reasoning<'a>(value: Json<'a>, request: &mut Request<'a>) -> Result<(), Invalid> {
    for (name, value) in object("reasoning", value)?.members() {
        match &*name {
            _ if value.is_null() => {}
            "effort" => {
                let effort = Effort::of(&text("reasoning.effort", value)?);
                let effort = effort.ok_or_else(|| {
                    Invalid::type_of("reasoning.effort", "an effort from none to max")
                })?;
                request.reasoning.effort = Some(effort);
            }
            "summary" | "generate_summary" => {
                request.reasoning.shown = Some(true);
                // `auto` is what any summary is; the other words ask for a length.
                if value.raw() != b"\"auto\"" {
                    keep(request, "reasoning.summary", value);
                }
            }
            _ => keep(request, format!("reasoning.{name}"), value),
        }
    }
    Ok(())
}

fn read_tier<'a>(value: Json<'a>, request: &mut Request<'a>) -> Result<(), Invalid> {
    request.tier = match &*text("service_tier", value)? {
        "auto" => Some(Tier::Auto),
        "default" => Some(Tier::Standard),
        "flex" => Some(Tier::Flex),
        "priority" => Some(Tier::Priority),
        "scale" => Some(Tier::Scale),
        _ => {
            keep(request, "service_tier", value);
            None
        }
    };
    Ok(())
}

fn read_include<'a>(value: Json<'a>, request: &mut Request<'a>) -> Result<(), Invalid> {
    if !value.is_array() {
        return Err(Invalid::type_of("include", "an array"));
    }
    let mut is_known = true;
    for item in value.items() {
        match item.str().as_deref() {
            Some(INCLUDE_ENCRYPTED) => {}
            Some(INCLUDE_LOGPROBS) => request.sampling.logprobs = Some(true),
            _ => is_known = false,
        }
    }
    if !is_known {
        keep(request, "include", value);
    }
    Ok(())
}

fn read_stream_options<'a>(value: Json<'a>, request: &mut Request<'a>) -> Result<(), Invalid> {
    let is_met = object("stream_options", value)?
        .members()
        .all(|(name, value)| name == "include_obfuscation" && value.bool() != Some(true));
    if !is_met {
        keep(request, "stream_options", value);
    }
    Ok(())
}

/// A string.
pub(super) fn text<'a>(param: &'static str, value: Json<'a>) -> Result<Cow<'a, str>, Invalid> {
    value.str().ok_or_else(|| Invalid::type_of(param, "a string"))
}

fn boolean(param: &'static str, value: Json<'_>) -> Result<bool, Invalid> {
    value.bool().ok_or_else(|| Invalid::type_of(param, "a boolean"))
}

fn count(param: &'static str, value: Json<'_>) -> Result<u64, Invalid> {
    value.u64().ok_or_else(|| Invalid::type_of(param, "a whole number"))
}

fn number<'a>(param: &'static str, value: Json<'a>) -> Result<Json<'a>, Invalid> {
    let is_number = value.kind() == Kind::Number;
    is_number.then_some(value).ok_or_else(|| Invalid::type_of(param, "a number"))
}

fn object<'a>(param: &'static str, value: Json<'a>) -> Result<Json<'a>, Invalid> {
    value.is_object().then_some(value).ok_or_else(|| Invalid::type_of(param, "an object"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chat::{PartBody, ToolChoice, ToolKind},
        dialect::responses::needs_stored_state,
    };

    /// What Codex sends in the second turn of a task.
    const CODEX: &str = r#"{"model":"gpt-5.5","instructions":"You are Codex.","input":[
        {"type":"message","role":"developer","content":[{"type":"input_text","text":"<permissions>"}]},
        {"type":"message","role":"user","content":[{"type":"input_text","text":"list files"}]},
        {"type":"reasoning","summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}],
            "content":null,"encrypted_content":"gAAA"},
        {"type":"message","role":"assistant","content":[{"type":"output_text","text":"Looking."}],"phase":"commentary"},
        {"type":"function_call","name":"shell","arguments":"{\"command\":[\"ls\"]}","call_id":"call_1"},
        {"type":"function_call","name":"read","namespace":"files","arguments":"","call_id":"call_2"},
        {"type":"function_call_output","call_id":"call_1","output":"a.txt"},
        {"type":"function_call_output","call_id":"call_2","output":[{"type":"input_text","text":"x"},
            {"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"high"}]}],
        "tools":[{"type":"function","name":"shell","description":"Runs.","strict":false,
            "parameters":{"type":"object","properties":{}}},
            {"type":"namespace","name":"files","description":"Files.","tools":[
                {"type":"function","name":"read","parameters":{"type":"object"},"defer_loading":false}]},
            {"type":"custom","name":"apply_patch","description":"Edits.",
                "format":{"type":"grammar","syntax":"lark","definition":"start: x"}},
            {"type":"web_search","external_web_access":false}],
        "tool_choice":"auto","parallel_tool_calls":true,"reasoning":{"effort":"medium","summary":"auto"},
        "store":false,"stream":true,"include":["reasoning.encrypted_content"],"service_tier":null,
        "prompt_cache_key":"019","text":{"verbosity":"low"},"client_metadata":{"x":"y"}}"#;

    #[test]
    fn what_codex_sends_is_read() {
        let request = read(CODEX.as_bytes()).unwrap();
        assert_eq!(request.model, "gpt-5.5");
        assert!(request.stream && request.store == Some(false));
        let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::System, Role::Developer, Role::User, Role::Assistant, Role::User]);
        let [
            PartBody::Reasoning(thought),
            PartBody::Text(text),
            PartBody::ToolCall { id, .. },
            PartBody::ToolCall { name, arguments, .. },
        ] = &request.messages[3].parts.iter().map(|part| part.body.clone()).collect::<Vec<_>>()[..]
        else {
            panic!("{:?}", request.messages[3])
        };
        assert_eq!((&*thought.text, thought.signature.as_deref()), ("a\n\nb", Some("gAAA")));
        assert!(!thought.redacted);
        assert_eq!((&**text, &**id), ("Looking.", "call_1"));
        assert_eq!((&**name, &**arguments), ("files::read", "{}"));
        let [_, results] = &request.messages[4].parts[..] else { panic!("two results") };
        let PartBody::ToolResult { name, content, .. } = &results.body else { panic!("a result") };
        assert_eq!(name.as_deref(), Some("files::read"));
        assert_eq!(content.len(), 2);
        let tools: Vec<_> = request.tools.iter().map(|tool| (tool.kind, &*tool.name)).collect();
        assert_eq!(
            tools,
            [
                (ToolKind::Function, "shell"),
                (ToolKind::Function, "files::read"),
                (ToolKind::Custom, "apply_patch"),
                (ToolKind::Other, "web_search"),
            ]
        );
        let rest: Vec<&str> = request.rest.iter().map(|(name, _)| &**name).collect();
        assert_eq!(rest, ["tools.files.description", "client_metadata", "input.phase"]);
        assert_eq!(request.reasoning.effort, Some(Effort::Medium));
        assert_eq!(request.reasoning.shown, Some(true));
        assert_eq!(request.verbosity.as_deref(), Some("low"));
        assert!(!needs_stored_state(&request));
    }

    #[test]
    fn a_string_is_what_the_user_says() {
        let request = read(br#"{"model":"m","input":"hi","user":"u"}"#).unwrap();
        assert!(matches!(&request.messages[0].parts[0].body, PartBody::Text(text) if text == "hi"));
        assert_eq!(request.end_user.as_deref(), Some("u"));
    }

    #[test]
    fn what_is_stored_elsewhere_is_told() {
        for body in [
            r#"{"input":"x","previous_response_id":"resp_1"}"#,
            r#"{"input":"x","conversation":"conv_1"}"#,
            r#"{"input":"x","background":true}"#,
            r#"{"input":[{"type":"item_reference","id":"rs_1"}]}"#,
            r#"{"input":[{"id":"rs_1"}]}"#,
        ] {
            assert!(needs_stored_state(&read(body.as_bytes()).unwrap()), "{body}");
        }
        let body = br#"{"input":"x","background":false,"truncation":"disabled","stream_options":{"include_obfuscation":false}}"#;
        let request = read(body).unwrap();
        assert!(!needs_stored_state(&request) && request.rest.is_empty());
    }

    #[test]
    fn a_choice_of_tools_is_read() {
        let choice = |text: &str| {
            let body = format!(r#"{{"tool_choice":{text}}}"#);
            read(body.as_bytes()).unwrap().tool_choice.map(|choice| format!("{choice:?}"))
        };
        let shown = |choice: ToolChoice<'_>| Some(format!("{choice:?}"));
        assert_eq!(choice("\"required\""), shown(ToolChoice::Any));
        assert_eq!(
            choice(r#"{"type":"function","name":"f"}"#),
            shown(ToolChoice::Tool("f".into()))
        );
        assert_eq!(
            choice(
                r#"{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"},{"type":"mcp"}]}"#
            ),
            shown(ToolChoice::Allowed { required: true, names: vec!["f".into(), "mcp".into()] })
        );
        assert_eq!(choice(r#"{"type":"web_search_preview"}"#), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, param) in [
            (r#"{"model":1}"#, "model"),
            (r#"{"input":1}"#, "input"),
            (r#"{"input":[1]}"#, "input[0]"),
            (r#"{"input":[{"role":"user"}]}"#, "input[0].content"),
            (r#"{"input":[{"role":"tool","content":""}]}"#, "input[0].role"),
            (
                r#"{"input":[{"role":"user","content":[{"type":"input_text"}]}]}"#,
                "input[0].content[0].text",
            ),
            (r#"{"input":[{"type":"function_call","name":"f"}]}"#, "input[0].call_id"),
            (r#"{"tools":[{"type":"function"}]}"#, "tools[0].name"),
            (
                r#"{"tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"f","parameters":1}]}]}"#,
                "tools[0].tools[0].parameters",
            ),
            (r#"{"temperature":"1"}"#, "temperature"),
            (r#"{"max_output_tokens":-1}"#, "max_output_tokens"),
            (r#"{"reasoning":{"effort":"much"}}"#, "reasoning.effort"),
            (r#"{"text":{"format":{"type":"json_schema"}}}"#, "text.format.schema"),
        ] {
            assert_eq!(read(body.as_bytes()).unwrap_err().param, param, "{body}");
        }
    }
}
