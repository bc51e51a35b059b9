//! Messages, written as items of the input.
//!
//! Texts that stand together become one message; thoughts, calls and results become items of their own, in their order.
//! Thoughts without a signature or an id mean nothing to the provider and are left out, and so are thoughts that nothing
//! follows.

use std::{borrow::Cow, collections::BTreeSet};

use faregate_wire::{Json, JsonWriter};

use crate::{
    chat::{
        Format, IdRule, Loss, Media, MediaKind, Message, Part, PartBody, ReasoningPart, Request,
        Role, Source, ToolKind, fit_id,
    },
    dialect::Terms,
};

/// Items that have a type of this dialect alone, as far as they can be sent.
const ITEMS: [&str; 25] = [
    "item_reference",
    "file_search_call",
    "computer_call",
    "computer_call_output",
    "web_search_call",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
    "configuration_update",
    "compaction",
    "compaction_trigger",
    "image_generation_call",
    "code_interpreter_call",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "program",
    "program_output",
];

/// What ids of calls may look like at OpenAI.
pub(super) const ID_RULE: IdRule = IdRule { bytes_max: 64, exact_alphanumeric: false };

/// Appends `input`: all messages but the first `skipped`.
pub(super) fn write(
    json: &mut JsonWriter<'_>,
    request: &Request<'_>,
    skipped: usize,
    terms: &Terms<'_>,
    loss: &mut Loss,
) {
    json.name("input").array();
    let mut writer = Writer {
        json,
        loss,
        id_rule: terms.quirks.id_rule.unwrap_or(ID_RULE),
        developer: if terms.quirks.no_developer { "system" } else { "developer" },
        custom: custom_calls(request),
        says_cache: request.rest.iter().any(|(name, _)| name == "prompt_cache_options"),
        is_open: false,
    };
    if let Some(Format::JsonSchema { schema, .. }) = &request.format
        && terms.quirks.no_json_schema
    {
        writer.schema(*schema);
    }
    for message in request.messages.iter().skip(skipped) {
        writer.message(message);
    }
    writer.json.end();
}

/// The ids of calls whose arguments are free text.
fn custom_calls<'r>(request: &'r Request<'_>) -> BTreeSet<&'r str> {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    parts
        .filter_map(|part| match &part.body {
            PartBody::ToolCall { id, kind: ToolKind::Custom, .. } => Some(&**id),
            _ => None,
        })
        .collect()
}

struct Writer<'w, 'b, 'r> {
    json: &'w mut JsonWriter<'b>,
    loss: &'w mut Loss,
    id_rule: IdRule,
    developer: &'static str,
    custom: BTreeSet<&'r str>,
    /// Marks of the cache are said only to those who were asked about it in this dialect: older models refuse them.
    says_cache: bool,
    /// A message is open: its list of parts and itself must be closed.
    is_open: bool,
}

impl Writer<'_, '_, '_> {
    /// The schema of the answer as instructions.
    fn schema(&mut self, schema: Json<'_>) {
        let schema = String::from_utf8_lossy(schema.raw());
        self.open("system");
        self.json.object().member_str("type", "input_text");
        self.json
            .member_str("text", &format!("Answer in JSON that follows this schema:\n{schema}"));
        self.json.end();
        self.close();
    }

    fn message(&mut self, message: &Message<'_>) {
        if message.name.is_some() {
            self.loss.add("name");
        }
        let role = match message.role {
            Role::System => "system",
            Role::Developer => self.developer,
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let is_thought = |part: &Part<'_>| matches!(part.body, PartBody::Reasoning(_));
        let followed = message.parts.iter().rposition(|part| !is_thought(part)).unwrap_or(0);
        for (index, part) in message.parts.iter().enumerate() {
            match &part.body {
                PartBody::Reasoning(thought) if index < followed => self.thought(thought),
                PartBody::Reasoning(_) => {}
                PartBody::ToolCall { id, name, arguments, kind, .. } => {
                    self.call(id, name, arguments, *kind);
                }
                PartBody::ToolResult { id, content, is_error, .. } => {
                    self.result(id, content, *is_error);
                }
                PartBody::Other { kind, json } if ITEMS.contains(&&**kind) => {
                    self.close();
                    self.json.json(*json);
                }
                PartBody::Text(_) | PartBody::Media(_) | PartBody::Refusal(_) => {
                    self.content(part, role);
                }
                PartBody::Other { kind, .. } => self.loss.add_named(&format!("content.{kind}")),
            }
        }
        self.close();
    }

    /// A part of a message, which is opened for it.
    fn content(&mut self, part: &Part<'_>, role: &str) {
        let is_models = role == "assistant";
        if let PartBody::Media(media) = &part.body
            && (is_models || media.kind == MediaKind::Video)
        {
            self.loss.add(lost_name(media.kind));
            return;
        }
        if !self.is_open {
            self.open(role);
        }
        self.part(part, is_models);
    }

    fn open(&mut self, role: &str) {
        self.json.object().member_str("type", "message").member_str("role", role);
        self.json.name("content").array();
        self.is_open = true;
    }

    fn close(&mut self) {
        if self.is_open {
            self.json.end().end();
            self.is_open = false;
        }
    }

    fn part(&mut self, part: &Part<'_>, is_models: bool) {
        match &part.body {
            PartBody::Text(text) => {
                let kind = if is_models { "output_text" } else { "input_text" };
                self.json.object().member_str("type", kind).member_str("text", text);
            }
            PartBody::Refusal(text) if is_models => {
                self.json.object().member_str("type", "refusal").member_str("refusal", text);
            }
            PartBody::Refusal(text) => {
                self.json.object().member_str("type", "input_text").member_str("text", text);
            }
            PartBody::Media(media) => self.media(media),
            _ => return,
        }
        if let Some(mark) = part.cache.filter(|_| self.says_cache && !is_models) {
            self.json.name("prompt_cache_breakpoint").object().member_str("mode", "explicit");
            if let Some(minutes) = mark.minutes {
                self.json.member_str("ttl", if minutes > 30 { "12h" } else { "30m" });
            }
            self.json.end();
        }
        self.json.end();
    }

    /// Opens the object of a piece of media and fills it.
    fn media(&mut self, media: &Media<'_>) {
        let json = self.json.object();
        match (media.kind, &media.source) {
            (_, Source::Text(text)) => {
                json.member_str("type", "input_text").member_str("text", text);
            }
            (MediaKind::Audio, Source::Base64 { media_type, data }) => {
                json.member_str("type", "input_audio").name("input_audio").object();
                json.member_str("data", data).member_str("format", audio_format(media_type)).end();
            }
            (MediaKind::Image, source) => {
                json.member_str("type", "input_image");
                match source {
                    Source::File(id) => json.member_str("file_id", id),
                    source => json.member_str("image_url", &url(source)),
                };
                json.member_str("detail", media.detail.as_deref().unwrap_or("auto"));
            }
            (_, source) => {
                json.member_str("type", "input_file");
                match source {
                    Source::File(id) => json.member_str("file_id", id),
                    Source::Url(url) => json.member_str("file_url", url),
                    source => {
                        json.member_str("filename", media.name.as_deref().unwrap_or("file.pdf"));
                        json.member_str("file_data", &url(source))
                    }
                };
            }
        }
    }

    fn thought(&mut self, thought: &ReasoningPart<'_>) {
        if thought.signature.is_none() && thought.id.is_none() {
            return;
        }
        self.close();
        self.json.object().member_str("type", "reasoning");
        if let Some(id) = &thought.id {
            self.json.member_str("id", id);
        }
        self.json.name("summary").array();
        if !thought.text.is_empty() {
            self.json.object().member_str("type", "summary_text");
            self.json.member_str("text", &thought.text).end();
        }
        self.json.end();
        if let Some(signature) = &thought.signature {
            self.json.member_str("encrypted_content", signature);
        }
        self.json.end();
    }

    fn call(&mut self, id: &str, name: &str, arguments: &str, kind: ToolKind) {
        self.close();
        let (kind, member) = match kind {
            ToolKind::Custom => ("custom_tool_call", "input"),
            ToolKind::Function | ToolKind::Other => ("function_call", "arguments"),
        };
        self.json.object().member_str("type", kind);
        self.json.member_str("call_id", &fit_id(id, &self.id_rule)).member_str("name", name);
        self.json.member_str(member, arguments).end();
    }

    fn result(&mut self, id: &str, content: &[Part<'_>], is_error: bool) {
        self.close();
        if is_error {
            self.loss.add("is_error");
        }
        let kind = match self.custom.contains(id) {
            true => "custom_tool_call_output",
            false => "function_call_output",
        };
        self.json.object().member_str("type", kind);
        self.json.member_str("call_id", &fit_id(id, &self.id_rule)).name("output");
        match content {
            [] => {
                self.json.str("");
            }
            [Part { body: PartBody::Text(text), cache }] if cache.is_none() || !self.says_cache => {
                self.json.str(text);
            }
            parts => {
                self.json.array();
                for part in parts {
                    self.result_part(part);
                }
                self.json.end();
            }
        }
        self.json.end();
    }

    fn result_part(&mut self, part: &Part<'_>) {
        match &part.body {
            PartBody::Media(media) if matches!(media.kind, MediaKind::Audio | MediaKind::Video) => {
                self.loss.add(lost_name(media.kind));
            }
            PartBody::Text(_) | PartBody::Media(_) | PartBody::Refusal(_) => self.part(part, false),
            PartBody::Other { kind, .. } => self.loss.add_named(&format!("content.{kind}")),
            PartBody::Reasoning(_) | PartBody::ToolCall { .. } | PartBody::ToolResult { .. } => {}
        }
    }
}

const fn lost_name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "content.image",
        MediaKind::Document => "content.document",
        MediaKind::Audio => "content.audio",
        MediaKind::Video => "content.video",
    }
}

fn url<'s>(source: &'s Source<'_>) -> Cow<'s, str> {
    match source {
        Source::Base64 { media_type, data } => {
            Cow::Owned(["data:", media_type, ";base64,", data].concat())
        }
        Source::Url(text) | Source::File(text) | Source::Text(text) => Cow::Borrowed(text),
    }
}

fn audio_format(media_type: &str) -> &str {
    match media_type {
        "audio/mpeg" => "mp3",
        "audio/x-wav" | "audio/wave" => "wav",
        _ => media_type.strip_prefix("audio/").unwrap_or(media_type),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        chat::{CacheMark, Sampling, Tool, ToolChoice},
        dialect::{Outbound, responses::RESPONSES},
        quirks::Quirks,
    };

    fn check(request: &Request<'_>, quirks: &Quirks) -> (Value, String) {
        let (mut out, mut loss) = (Vec::new(), Loss::default());
        let terms = Terms { model: "gpt-5.5", output_max: 100, quirks };
        RESPONSES.write_request(&mut out, request, &terms, &mut loss).unwrap();
        (serde_json::from_slice(&out).unwrap(), loss.list())
    }

    fn message<'a>(role: Role, parts: Vec<PartBody<'a>>) -> Message<'a> {
        Message { role, name: None, parts: parts.into_iter().map(Part::new).collect() }
    }

    fn call(id: &'static str, kind: ToolKind) -> PartBody<'static> {
        PartBody::ToolCall {
            id: id.into(),
            name: "f".into(),
            arguments: "{}".into(),
            kind,
            signature: Some("gemini".into()),
        }
    }

    fn result(id: &'static str, is_error: bool) -> PartBody<'static> {
        PartBody::ToolResult {
            id: id.into(),
            name: None,
            content: vec![Part::text("out")],
            is_error,
        }
    }

    fn thought(text: &'static str, signature: Option<&'static str>) -> PartBody<'static> {
        let signature = signature.map(Into::into);
        PartBody::Reasoning(ReasoningPart { text: text.into(), signature, ..Default::default() })
    }

    #[test]
    fn a_conversation_of_another_dialect_is_written_in_order() {
        let long = "toolu_".to_owned() + &"x".repeat(80);
        let long: &'static str = long.leak();
        let mut request = Request {
            messages: vec![
                message(Role::System, vec![PartBody::Text("be brief".into())]),
                message(Role::User, vec![PartBody::Text("hi".into())]),
                message(Role::System, vec![PartBody::Text("mid".into())]),
                message(
                    Role::Assistant,
                    vec![
                        thought("hm", Some("sig")),
                        thought("unsigned", None),
                        PartBody::Text("calling".into()),
                        call(long, ToolKind::Function),
                        call("c2", ToolKind::Custom),
                    ],
                ),
                message(
                    Role::User,
                    vec![result(long, true), result("c2", false), PartBody::Text("go".into())],
                ),
                message(Role::Assistant, vec![thought("nothing follows", Some("sig"))]),
            ],
            ..Request::default()
        };
        request.messages[1].parts[0].cache = Some(CacheMark { minutes: Some(5) });
        let (body, loss) = check(&request, &Quirks::NONE);
        assert_eq!(loss, "is_error");
        assert_eq!(body["instructions"], "be brief");
        assert_eq!(body["store"], false);
        let input = body["input"].as_array().unwrap();
        let kinds: Vec<&str> = input.iter().map(|item| item["type"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            [
                "message",
                "message",
                "reasoning",
                "message",
                "function_call",
                "custom_tool_call",
                "function_call_output",
                "custom_tool_call_output",
                "message",
            ]
        );
        assert_eq!(input[0]["content"], json!([{"type": "input_text", "text": "hi"}]));
        assert_eq!(input[1]["role"], "system");
        assert_eq!(input[2]["encrypted_content"], "sig");
        assert_eq!(input[4]["call_id"], input[6]["call_id"]);
        assert!(input[4]["call_id"].as_str().unwrap().len() <= 64);
        assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    }

    #[test]
    fn what_cannot_be_said_is_lost_by_name() {
        let (edits, tool) =
            (Json::new(br#"{"edits":[]}"#), Json::new(br#"{"type":"bash_20250124"}"#));
        let search = Json::new(br#"{"type":"web_search_20260209","name":"web_search"}"#);
        let other = |name: &'static str, raw: Option<Json<'static>>| Tool {
            kind: ToolKind::Other,
            name: name.into(),
            description: None,
            parameters: raw,
            strict: None,
            cache: None,
        };
        let function = Tool { kind: ToolKind::Function, ..other("f", None) };
        let request = Request {
            messages: vec![message(Role::User, vec![PartBody::Text("hi".into())])],
            tools: vec![
                function,
                other("bash_20250124", tool),
                other("web_search_20260209", search),
            ],
            tool_choice: Some(ToolChoice::Tool("f".into())),
            sampling: Sampling {
                top_k: Json::new(b"5"),
                seed: Json::new(b"1"),
                ..Sampling::default()
            },
            stop: vec!["END".into()],
            rest: vec![("context_management".into(), edits.unwrap())],
            ..Request::default()
        };
        let (body, loss) = check(&request, &Quirks::NONE);
        assert_eq!(
            loss,
            "context_management,top_k,seed,stop,tools.bash_20250124,tools.web_search_20260209"
        );
        assert_eq!(
            body["tools"],
            json!([{"type": "function", "name": "f", "strict": false,
                "parameters": {"type": "object", "properties": {}}}])
        );
        assert_eq!(body["tool_choice"], json!({"type": "function", "name": "f"}));
        assert!(body.get("include").is_none() && body.get("instructions").is_none());
    }

    #[test]
    fn a_schema_becomes_instructions_where_it_is_not_known() {
        let schema = Json::new(br#"{"type":"object"}"#).unwrap();
        let format = Format::JsonSchema { name: None, description: None, schema, strict: None };
        let request = Request {
            messages: vec![message(Role::User, vec![PartBody::Text("hi".into())])],
            format: Some(format),
            ..Request::default()
        };
        let quirks = Quirks { no_json_schema: true, ..Quirks::NONE };
        let (body, _) = check(&request, &quirks);
        assert_eq!(body["text"], json!({"format": {"type": "json_object"}}));
        assert_eq!(body["input"][0]["role"], "system");
        let (body, _) = check(&request, &Quirks::NONE);
        assert_eq!(body["text"]["format"]["schema"], json!({"type": "object"}));
    }
}
