//! A request, read.
//!
//! In: the body of `generateContent` and what the path says. Out: a [`Request`]. Members that have no place there go to
//! its `rest` under their own names, those of `generationConfig` and `toolConfig` with that name and a point before them.

use std::borrow::Cow;

use faregate_wire::Json;

use super::{
    bare_model, config, contents,
    member::{camel, flag, list, member, object, text},
};
use crate::{
    chat::{Message, Part, Request, Role, Tier, Tool, ToolChoice, ToolKind},
    dialect::{Call, Invalid},
};

/// What a mode that only this dialect has is kept as: `VALIDATED` of all functions.
pub(super) const MODE: &str = "functionCallingConfig.mode";

/// Reads the body of a request.
pub(super) fn read<'a>(body: &'a [u8], call: &Call<'a>) -> Result<Request<'a>, Invalid> {
    let json = Json::new(body).filter(|json| json.is_object());
    read_object(json.ok_or_else(|| Invalid::type_of("body", "a JSON object"))?, call)
}

/// Reads what `countTokens` counts: `contents`, or a whole request in `generateContentRequest`.
///
/// # Errors
///
/// [`Invalid`] as with any request.
pub fn read_count_request<'a>(body: &'a [u8], call: &Call<'a>) -> Result<Request<'a>, Invalid> {
    let json = Json::new(body).ok_or_else(|| Invalid::type_of("body", "a JSON object"))?;
    read_object(member(json, "generateContentRequest").unwrap_or(json), call)
}

fn read_object<'a>(json: Json<'a>, call: &Call<'a>) -> Result<Request<'a>, Invalid> {
    let mut request = Request {
        model: Cow::Borrowed(bare_model(call.model.unwrap_or_default())),
        stream: call.stream.unwrap_or(false),
        include_usage: true,
        ..Request::default()
    };
    let mut messages = None;
    let mut system = None;
    for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
        let name = camel(name);
        match &*name {
            "contents" => messages = Some(value),
            "systemInstruction" => system = Some(value),
            "tools" => request.tools = tools(value, &mut request.rest)?,
            "toolConfig" => tool_config(object(value, "toolConfig")?, &mut request)?,
            "generationConfig" => config::read(object(value, &name)?, &mut request)?,
            "labels" => request.metadata = Some(object(value, "labels")?),
            // Whether the request is logged, which is not what other dialects mean by the word.
            "store" => {
                flag(value, "store")?;
                request.rest.push((name, value));
            }
            "model" if request.model.is_empty() => {
                let model = text(value, "model")?;
                request.model = match model.strip_prefix("models/") {
                    Some(bare) => Cow::Owned(bare.to_owned()),
                    None => model,
                };
            }
            "model" => {}
            "serviceTier" => match tier(&text(value, "serviceTier")?) {
                Some(tier) => request.tier = tier,
                None => request.rest.push((name, value)),
            },
            _ => request.rest.push((name, value)),
        }
    }
    request.messages.extend(system.map(instruction).transpose()?);
    let messages = messages.ok_or_else(|| Invalid::type_of("contents", "a list"))?;
    contents::read(messages, &mut request)?;
    Ok(request)
}

/// `None` for a tier that is not known; the inner one where the tier is the usual.
#[expect(
    clippy::option_option,
    reason = "a name that is not known differs from one that says nothing"
)]
fn tier(name: &str) -> Option<Option<Tier>> {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("service_tier_").unwrap_or(&name) {
        "unspecified" => Some(None),
        "standard" => Some(Some(Tier::Standard)),
        "flex" => Some(Some(Tier::Flex)),
        "priority" => Some(Some(Tier::Priority)),
        _ => None,
    }
}

/// `systemInstruction`: a content, or a plain string as some clients write it.
fn instruction(json: Json<'_>) -> Result<Message<'_>, Invalid> {
    let mut message = Message { role: Role::System, ..Message::default() };
    if let Some(text) = json.str() {
        message.parts.push(Part::text(text));
        return Ok(message);
    }
    let parts = member(object(json, "systemInstruction")?, "parts");
    for (at, part) in parts.into_iter().flat_map(list).enumerate() {
        let param = || format!("systemInstruction.parts[{at}]");
        message.parts.extend(contents::instruction_part(object(part, &param())?, &param())?);
    }
    Ok(message)
}

fn tools<'a>(
    json: Json<'a>,
    rest: &mut Vec<(Cow<'a, str>, Json<'a>)>,
) -> Result<Vec<Tool<'a>>, Invalid> {
    let mut tools = Vec::new();
    for (at, entry) in list(json).enumerate() {
        let param = format!("tools[{at}]");
        let is_alone = object(entry, &param)?.members().nth(1).is_none();
        for (name, value) in entry.members().filter(|(_, value)| !value.is_null()) {
            let name = camel(name);
            if name != "functionDeclarations" {
                tools.push(Tool {
                    kind: ToolKind::Other,
                    name,
                    description: None,
                    parameters: Some(if is_alone { entry } else { value }),
                    strict: None,
                    cache: None,
                });
                continue;
            }
            for (at, declaration) in list(value).enumerate() {
                let param = format!("{param}.functionDeclarations[{at}]");
                tools.push(function(object(declaration, &param)?, &param, rest)?);
            }
        }
    }
    Ok(tools)
}

fn function<'a>(
    json: Json<'a>,
    param: &str,
    rest: &mut Vec<(Cow<'a, str>, Json<'a>)>,
) -> Result<Tool<'a>, Invalid> {
    let mut tool = Tool {
        kind: ToolKind::Function,
        name: Cow::Borrowed(""),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
    };
    for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
        match &*camel(name) {
            "name" => tool.name = text(value, &format!("{param}.name"))?,
            "description" => {
                tool.description = Some(text(value, &format!("{param}.description"))?);
            }
            "parametersJsonSchema" | "parameters" => {
                tool.parameters = Some(object(value, &format!("{param}.parameters"))?);
            }
            other => rest.push((Cow::Owned(format!("functionDeclarations.{other}")), value)),
        }
    }
    if tool.name.is_empty() {
        return Err(Invalid::type_of(format!("{param}.name"), "a string"));
    }
    Ok(tool)
}

fn tool_config<'a>(json: Json<'a>, request: &mut Request<'a>) -> Result<(), Invalid> {
    const PARAM: &str = "toolConfig.functionCallingConfig";
    for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
        let name = camel(name);
        if name != "functionCallingConfig" {
            request.rest.push((Cow::Owned(format!("toolConfig.{name}")), value));
            continue;
        }
        let (mut mode, mut spelled, mut names) = (None, None, Vec::new());
        for (name, value) in object(value, PARAM)?.members().filter(|(_, value)| !value.is_null()) {
            match &*camel(name) {
                "mode" => {
                    mode = Some(text(value, &format!("{PARAM}.mode"))?.to_ascii_uppercase());
                    spelled = Some(value);
                }
                "allowedFunctionNames" => {
                    let param = format!("{PARAM}.allowedFunctionNames");
                    names = list(value).map(|name| text(name, &param)).collect::<Result<_, _>>()?;
                }
                other => request.rest.push((Cow::Owned(other.to_owned()), value)),
            }
        }
        if names.is_empty()
            && let Some(value) = spelled.filter(|_| mode.as_deref() == Some("VALIDATED"))
        {
            request.rest.push((Cow::Borrowed(MODE), value));
        }
        request.tool_choice = choice(mode.as_deref(), names)?;
    }
    Ok(())
}

fn choice<'a>(
    mode: Option<&str>,
    mut names: Vec<Cow<'a, str>>,
) -> Result<Option<ToolChoice<'a>>, Invalid> {
    let allowed = |required, names: Vec<_>| ToolChoice::Allowed { required, names };
    Ok(Some(match (mode, names.len()) {
        (None | Some("MODE_UNSPECIFIED"), 0) => return Ok(None),
        (None | Some("MODE_UNSPECIFIED" | "AUTO" | "VALIDATED"), 1..) => allowed(false, names),
        (Some("AUTO" | "VALIDATED"), 0) => ToolChoice::Auto,
        (Some("NONE"), _) => ToolChoice::None,
        (Some("ANY"), 0) => ToolChoice::Any,
        (Some("ANY"), 1) => ToolChoice::Tool(names.remove(0)),
        (Some("ANY"), _) => allowed(true, names),
        (Some(_), _) => {
            let param = "toolConfig.functionCallingConfig.mode";
            return Err(Invalid::type_of(param, "AUTO, ANY, NONE or VALIDATED"));
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::PartBody;

    fn check(body: &str) -> Request<'_> {
        read(body.as_bytes(), &Call { model: Some("models/gemini-3-pro"), stream: Some(true) })
            .unwrap()
    }

    #[test]
    fn both_spellings_of_a_request_are_read() {
        for body in [
            r#"{"contents":[{"parts":[{"text":"hi"}]}],"systemInstruction":{"parts":[{"text":"be"}]},
               "toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["a.b"]}},
               "tools":[{"functionDeclarations":[{"name":"a.b","parametersJsonSchema":{"type":"object"}}]}],
               "safetySettings":[],"cachedContent":"cachedContents/x","serviceTier":"flex"}"#,
            r#"{"contents":{"role":"USER","parts":{"text":"hi"}},"system_instruction":"be",
               "tool_config":{"function_calling_config":{"mode":"any","allowed_function_names":["a.b"]}},
               "tools":{"function_declarations":{"name":"a.b","parameters_json_schema":{"type":"object"}}},
               "safety_settings":[],"cached_content":"cachedContents/x","service_tier":"FLEX"}"#,
        ] {
            let request = check(body);
            assert_eq!((&*request.model, request.stream), ("gemini-3-pro", true));
            let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
            assert_eq!(roles, [Role::System, Role::User]);
            assert!(matches!(&request.messages[1].parts[0].body, PartBody::Text(t) if t == "hi"));
            assert_eq!(request.tool_choice, Some(ToolChoice::Tool("a.b".into())));
            assert_eq!(request.tools[0].name, "a.b");
            assert_eq!(request.tier, Some(Tier::Flex));
            let rest: Vec<&str> = request.rest.iter().map(|(name, _)| &**name).collect();
            assert_eq!(rest, ["safetySettings", "cachedContent"]);
        }
    }

    #[test]
    fn tools_of_the_provider_are_kept_as_they_are() {
        let body = r#"{"contents":[],"tools":[{"googleSearch":{}},
            {"code_execution":{"x":1},"functionDeclarations":[{"name":"f"}]}]}"#;
        let request = check(body);
        let shown: Vec<_> = request.tools.iter().map(|tool| (&*tool.name, tool.kind)).collect();
        let other = ToolKind::Other;
        let expected =
            [("googleSearch", other), ("codeExecution", other), ("f", ToolKind::Function)];
        assert_eq!(shown, expected);
        assert_eq!(request.tools[0].parameters.unwrap().raw(), br#"{"googleSearch":{}}"#);
        assert_eq!(request.tools[1].parameters.unwrap().raw(), br#"{"x":1}"#);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, param) in [
            ("{}", "contents"),
            (r#"{"contents":[{"role":"system","parts":[]}]}"#, "contents[0].role"),
            (r#"{"contents":[{"parts":[{"text":1}]}]}"#, "contents[0].parts[0].text"),
            (r#"{"contents":["x"]}"#, "contents[0]"),
            (
                r#"{"contents":[{"parts":[{"functionCall":{}}]}]}"#,
                "contents[0].parts[0].functionCall.name",
            ),
            (r#"{"contents":[],"tools":[1]}"#, "tools[0]"),
            (
                r#"{"contents":[],"tools":[{"functionDeclarations":[{}]}]}"#,
                "tools[0].functionDeclarations[0].name",
            ),
            (
                r#"{"contents":[],"generationConfig":{"temperature":"warm"}}"#,
                "generationConfig.temperature",
            ),
            (
                r#"{"contents":[],"toolConfig":{"functionCallingConfig":{"mode":"SOME"}}}"#,
                "toolConfig.functionCallingConfig.mode",
            ),
        ] {
            let invalid = read(body.as_bytes(), &Call::default()).unwrap_err();
            assert_eq!(invalid.param, param, "{body}");
        }
    }

    #[test]
    fn a_count_has_contents_or_a_request() {
        for body in [
            r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#,
            r#"{"generateContentRequest":{"model":"models/m","contents":[{"parts":[{"text":"hi"}]}]}}"#,
        ] {
            let request = read_count_request(body.as_bytes(), &Call::default()).unwrap();
            assert_eq!(request.messages.len(), 1);
        }
    }
}
