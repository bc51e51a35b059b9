//! The body of a request, judged as the real API would, and what its answer depends on.
//!
//! In: the surface and the bytes of the body. Out: an [`Ask`] or the [`Refusal`]. Members that this
//! file does not know are taken without a word, as the real API's compatible servers do.
//! Format: <https://platform.openai.com/docs/api-reference/chat/create>

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::dialect::chat;
use super::dialect::plan::Question;
use super::plain::Whole;
use super::prefix;
use super::refusal::{Reason, Refusal};
use super::script::Script;
use super::text::{self, hash};

/// Choices a request may ask for.
const CHOICES_MAX: u64 = 128;

/// Inputs of one embeddings request.
const INPUTS_MAX: usize = 2048;

/// Numbers in a vector when the request does not say.
const DIMENSIONS: u64 = 1536;

/// Members a gateway decides by; given twice, two parsers read two requests.
const DECISIVE: &[&str] =
    &["model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n"];

/// Surfaces whose bodies are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Surface {
    Chat,
    Completion,
    Embedding,
}

/// What was asked, as far as the answer depends on it.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) surface: Surface,
    pub(crate) model: Box<str>,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) tokens_max: Option<u64>,
    pub(crate) choices: u64,
    pub(crate) script: Option<Box<str>>,
    pub(crate) seed: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) blocks: Vec<u64>,
    pub(crate) inputs: u64,
    pub(crate) dimensions: u64,
    pub(crate) is_base64: bool,
    /// What vectors are made of by their words: the texts asked for of a model whose name begins with [`BAG`].
    pub(crate) bags: Vec<String>,
    /// What a chat asks that is answered by more than words.
    pub(crate) question: Option<Question>,
    /// How the same request was answered last: a load test asks it over and over.
    pub(crate) last: RefCell<Option<Last>>,
}

/// How a request was answered last.
#[derive(Debug, Clone)]
pub(crate) struct Last {
    /// The header that brought a script, and the number of the provider's own script it was laid over.
    pub(crate) header: Option<Box<str>>,
    pub(crate) epoch: u64,
    pub(crate) script: Rc<Script>,
    /// The whole answer of that script, if it was a plain one.
    pub(crate) whole: Option<Whole>,
}

/// What a chat has in it whose answer is more than words.
const STEERING: &[&[u8]] = &[
    b"call ",
    b"refuse me",
    b"short please",
    b"response_format",
    b"image_url",
    b"tool_call",
    b"tool_choice",
];

/// How names of models begin whose vectors are of words: texts of the same words are alike.
const BAG: &str = "bag-";

impl Ask {
    /// Judges `body`.
    pub(crate) fn read(surface: Surface, body: &[u8], models: &[String]) -> Result<Ask, Refusal> {
        let members = Members::read(body)?;
        let model = members.model(models)?;
        let (prompt, parts) = match surface {
            Surface::Chat => members.messages()?,
            Surface::Completion => members.texts("prompt", usize::MAX)?,
            Surface::Embedding => members.texts("input", INPUTS_MAX)?,
        };
        let (stream, include_usage) = members.stream()?;
        if surface != Surface::Embedding {
            members.sampling()?;
        }
        let extra = if surface == Surface::Chat { 3 + 3 * parts } else { 0 };
        let mut ask = Ask {
            surface,
            model: model.into(),
            stream: stream && surface != Surface::Embedding,
            include_usage,
            tokens_max: members.tokens_max()?,
            choices: members.integer("n", 1, CHOICES_MAX)?.unwrap_or(1),
            script: members.string("sim")?.map(Into::into),
            seed: hash(members.integer("seed", 0, u64::MAX)?.unwrap_or(0), &prompt),
            prompt_tokens: (prompt.len() as u64).div_ceil(4) + extra,
            blocks: prefix::blocks(&prompt),
            inputs: parts,
            dimensions: members.integer("dimensions", 1, 8192)?.unwrap_or(DIMENSIONS),
            is_base64: members.is_base64()?,
            bags: match surface {
                Surface::Embedding if model.starts_with(BAG) => members.strings("input"),
                _ => Vec::new(),
            },
            question: None,
            last: RefCell::default(),
        };
        let steers = |mark: &&[u8]| body.windows(mark.len()).any(|seen| seen == *mark);
        if surface == Surface::Chat && STEERING.iter().any(steers) {
            ask.question = chat::read(&members.into_map())?;
        }
        Ok(ask)
    }

    /// Tokens to answer with, and whether the request's limit cut them.
    pub(crate) fn tokens(&self, script: &Script) -> (u64, bool) {
        match self.tokens_max {
            Some(most) if most < script.tokens => (most, true),
            _ => (script.tokens, false),
        }
    }

    /// The text of the answer and its tokens.
    pub(crate) fn text(&self, script: &Script) -> (String, u64) {
        match (self.tokens(script).0, script.bytes) {
            (_, Some(bytes)) => text::words_of_bytes(self.seed, bytes),
            (tokens, None) => (text::words(self.seed, tokens), tokens),
        }
    }
}

/// The members of the body's object, in order, repeated ones included.
pub(crate) struct Members(Vec<(String, Value)>);

impl Members {
    /// Reads a body.
    pub(crate) fn read(body: &[u8]) -> Result<Members, Refusal> {
        let members: Members = serde_json::from_slice(body).map_err(|error| {
            let message = format!("We could not parse the JSON body of your request. ({error})");
            Refusal::new(Reason::Json, message)
        })?;
        for name in DECISIVE {
            if members.0.iter().filter(|(key, _)| key == name).count() > 1 {
                let message = format!("member {name} occurs twice");
                return Err(Refusal::of(Reason::MemberRepeated, *name, message));
            }
        }
        Ok(members)
    }

    /// The same without the memory of order and repetition; later members win.
    pub(crate) fn into_map(self) -> serde_json::Map<String, Value> {
        self.0.into_iter().collect()
    }

    /// The last member of that name that is not null.
    fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value).filter(|value| !value.is_null())
    }

    fn required(&self, name: &str) -> Result<&Value, Refusal> {
        self.get(name).ok_or_else(|| {
            let message = format!("Missing required parameter: '{name}'.");
            Refusal::of(Reason::Missing, name, message)
        })
    }

    fn model(&self, models: &[String]) -> Result<&str, Refusal> {
        let Some(value) = self.get("model") else {
            let message = "you must provide a model parameter";
            return Err(Refusal::new(Reason::Missing, message));
        };
        let model = value.as_str().ok_or_else(|| wrong("model", "a string", value))?;
        if model.is_empty() {
            return Err(Refusal::new(Reason::Missing, "you must provide a model parameter"));
        }
        let scripted = model.starts_with(super::script::MODEL_PREFIX);
        if models.is_empty() || scripted || models.iter().any(|known| known == model) {
            return Ok(model);
        }
        let message =
            format!("The model `{model}` does not exist or you do not have access to it.");
        Err(Refusal::new(Reason::ModelUnknown, message))
    }

    /// The text of all messages, and how many there are.
    fn messages(&self) -> Result<(Vec<u8>, u64), Refusal> {
        let value = self.required("messages")?;
        let list = value.as_array().ok_or_else(|| wrong("messages", "an array of objects", value));
        let list = list?;
        if list.is_empty() {
            let message = "Invalid 'messages': empty array. Expected an array with minimum length \
                           1, but got an empty array instead.";
            return Err(Refusal::of(Reason::Value, "messages", message));
        }
        let mut prompt = Vec::new();
        for (index, message) in list.iter().enumerate() {
            note_message(index, message, &mut prompt)?;
        }
        Ok((prompt, list.len() as u64))
    }

    /// The texts of a member that is one or a list of them.
    fn strings(&self, name: &str) -> Vec<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match self.required(name) {
            Ok(Value::Array(list)) => list.iter().filter_map(text).collect(),
            Ok(value) => text(value).into_iter().collect(),
            Err(_) => Vec::new(),
        }
    }

    /// The text of a prompt or of the inputs, and how many there are.
    fn texts(&self, name: &str, count_max: usize) -> Result<(Vec<u8>, u64), Refusal> {
        let value = self.required(name)?;
        let mut prompt = Vec::new();
        let count = match value {
            Value::String(text) => {
                prompt.extend_from_slice(text.as_bytes());
                1
            }
            Value::Array(list) if list.is_empty() || list.len() > count_max => {
                let message = format!("Invalid '{name}': {} entries.", list.len());
                return Err(Refusal::of(Reason::Value, name, message));
            }
            Value::Array(list) if list.iter().all(Value::is_u64) => {
                prompt.extend_from_slice(value.to_string().as_bytes());
                1
            }
            Value::Array(list) if list.iter().all(|item| item.is_string() || item.is_array()) => {
                prompt.extend_from_slice(value.to_string().as_bytes());
                list.len() as u64
            }
            _ => return Err(wrong(name, "a string or an array", value)),
        };
        Ok((prompt, count))
    }

    /// Whether to stream, and whether with usage.
    fn stream(&self) -> Result<(bool, bool), Refusal> {
        let stream = self.boolean("stream")?.unwrap_or(false);
        let Some(options) = self.get("stream_options") else { return Ok((stream, false)) };
        let members =
            options.as_object().ok_or_else(|| wrong("stream_options", "an object", options))?;
        if !stream {
            let message =
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(Refusal::of(Reason::OptionsWithoutStream, "stream_options", message));
        }
        match members.get("include_usage") {
            None | Some(Value::Null) => Ok((stream, false)),
            Some(Value::Bool(include)) => Ok((stream, *include)),
            Some(other) => Err(wrong("stream_options.include_usage", "a boolean", other)),
        }
    }

    fn tokens_max(&self) -> Result<Option<u64>, Refusal> {
        let old = self.integer("max_tokens", 1, u64::MAX)?;
        let new = self.integer("max_completion_tokens", 1, u64::MAX)?;
        if old.is_some() && new.is_some() {
            let message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is \
                           not supported.";
            return Err(Refusal::new(Reason::Conflict, message));
        }
        Ok(new.or(old))
    }

    fn sampling(&self) -> Result<(), Refusal> {
        self.real("temperature", 0.0, 2.0)?;
        self.real("top_p", 0.0, 1.0)?;
        self.real("presence_penalty", -2.0, 2.0)?;
        self.real("frequency_penalty", -2.0, 2.0)?;
        self.string("user")?;
        match self.get("stop") {
            None | Some(Value::String(_)) => Ok(()),
            Some(Value::Array(list)) if list.len() <= 4 && list.iter().all(Value::is_string) => {
                Ok(())
            }
            Some(other) => Err(wrong("stop", "a string or an array of up to 4 strings", other)),
        }
    }

    fn is_base64(&self) -> Result<bool, Refusal> {
        match self.string("encoding_format")? {
            None | Some("float") => Ok(false),
            Some("base64") => Ok(true),
            Some(other) => {
                let message = format!("Invalid value: '{other}'. Supported: 'float', 'base64'.");
                Err(Refusal::of(Reason::Value, "encoding_format", message))
            }
        }
    }

    fn string(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| wrong(name, "a string", value))
    }

    fn boolean(&self, name: &str) -> Result<Option<bool>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| wrong(name, "a boolean", value))
    }

    fn integer(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let Some(number) = value.as_u64() else {
            if value.is_i64() {
                return Err(out_of_range(name, value));
            }
            return Err(wrong(name, "an integer", value));
        };
        if (least..=most).contains(&number) {
            return Ok(Some(number));
        }
        Err(out_of_range(name, value))
    }

    fn real(&self, name: &str, least: f64, most: f64) -> Result<(), Refusal> {
        let Some(value) = self.get(name) else { return Ok(()) };
        let number = value.as_f64().ok_or_else(|| wrong(name, "a decimal", value))?;
        if (least..=most).contains(&number) {
            return Ok(());
        }
        Err(out_of_range(name, value))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

fn note_message(index: usize, message: &Value, prompt: &mut Vec<u8>) -> Result<(), Refusal> {
    const ROLES: &[&str] = &["system", "developer", "user", "assistant", "tool", "function"];
    let at = |member: &str| format!("messages[{index}]{member}");
    let members = message.as_object().ok_or_else(|| wrong(&at(""), "an object", message))?;
    let role = members.get("role").unwrap_or(&Value::Null);
    let Some(role) = role.as_str().filter(|role| ROLES.contains(role)) else {
        let message = format!("Invalid value: {role}. Supported values are: {ROLES:?}.");
        return Err(Refusal::of(Reason::Value, at(".role"), message));
    };
    prompt.extend_from_slice(role.as_bytes());
    match members.get("content") {
        Some(Value::String(text)) => prompt.extend_from_slice(text.as_bytes()),
        Some(parts @ Value::Array(_)) => prompt.extend_from_slice(parts.to_string().as_bytes()),
        None | Some(Value::Null) if role == "assistant" => {}
        None | Some(Value::Null) => {
            let message = format!("Missing required parameter: '{}'.", at(".content"));
            return Err(Refusal::of(Reason::Missing, at(".content"), message));
        }
        Some(other) => return Err(wrong(&at(".content"), "a string or array of objects", other)),
    }
    Ok(())
}

fn wrong(name: &str, expected: &str, value: &Value) -> Refusal {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let message = format!("Invalid type for '{name}': expected {expected}, but got {got} instead.");
    Refusal::of(Reason::Type, name, message)
}

fn out_of_range(name: &str, value: &Value) -> Refusal {
    Refusal::of(Reason::Value, name, format!("Invalid '{name}': {value} is out of range."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(surface: Surface, body: &str) -> Result<Ask, Refusal> {
        Ask::read(surface, body.as_bytes(), &["gpt".to_owned()])
    }

    #[track_caller]
    fn check(members: &str, expected: Option<(Reason, Option<&str>)>) {
        let messages = r#""messages":[{"role":"user","content":"hi"}]"#;
        let body = match members.contains("messages") {
            true => format!(r#"{{"model":"gpt",{members}}}"#),
            false => format!(r#"{{"model":"gpt",{messages},{members}}}"#),
        };
        let refusal = read(Surface::Chat, &body).err();
        let seen = refusal.as_ref().map(|refusal| (refusal.reason, refusal.param.as_deref()));
        assert_eq!(seen, expected, "{body}");
    }

    #[test]
    fn a_chat_is_read_as_far_as_the_answer_depends_on_it() {
        let body = r#"{"model":"gpt","messages":[{"role":"user","content":"hello you"}],
            "stream":true,"stream_options":{"include_usage":true},"max_tokens":7,"n":2,
            "sim":"tokens=3","unknown":[1]}"#;
        let ask = read(Surface::Chat, body).unwrap();
        assert!(ask.stream && ask.include_usage);
        assert_eq!((ask.tokens_max, ask.choices), (Some(7), 2));
        assert_eq!(ask.script.as_deref(), Some("tokens=3"));
        assert_eq!(ask.prompt_tokens, 4 + 6);
        assert_eq!(ask.seed, read(Surface::Chat, body).unwrap().seed);
    }

    #[test]
    fn what_the_real_api_refuses_is_refused() {
        check(r#""n":1"#, None);
        check(r#""stream":null,"stream_options":null"#, None);
        check(r#""stream":"yes""#, Some((Reason::Type, Some("stream"))));
        check(r#""n":0"#, Some((Reason::Value, Some("n"))));
        check(r#""max_tokens":-1"#, Some((Reason::Value, Some("max_tokens"))));
        check(r#""max_tokens":1.5"#, Some((Reason::Type, Some("max_tokens"))));
        check(r#""temperature":3"#, Some((Reason::Value, Some("temperature"))));
        check(r#""stop":[1]"#, Some((Reason::Type, Some("stop"))));
        check(r#""messages":[]"#, Some((Reason::Value, Some("messages"))));
        check(r#""messages":"hi""#, Some((Reason::Type, Some("messages"))));
        let role = r#""messages":[{"role":"me","content":"hi"}]"#;
        check(role, Some((Reason::Value, Some("messages[0].role"))));
        let both = r#""max_tokens":1,"max_completion_tokens":1"#;
        check(both, Some((Reason::Conflict, None)));
        let options = r#""stream_options":{"include_usage":true}"#;
        check(options, Some((Reason::OptionsWithoutStream, Some("stream_options"))));
        check(r#""model":"gpt""#, Some((Reason::MemberRepeated, Some("model"))));
    }

    #[test]
    fn model_and_json_are_required() {
        let reason = |body| read(Surface::Chat, body).unwrap_err().reason;
        assert_eq!(reason("[]"), Reason::Json);
        assert_eq!(reason("{} x"), Reason::Json);
        assert_eq!(reason("{}"), Reason::Missing);
        assert_eq!(reason(r#"{"model":5}"#), Reason::Type);
        assert_eq!(reason(r#"{"model":"other"}"#), Reason::ModelUnknown);
        assert_eq!(reason(r#"{"model":"sim-tokens=1"}"#), Reason::Missing);
    }

    #[test]
    fn embeddings_take_every_form_of_input() {
        let inputs = |input: &str| {
            let body = format!(r#"{{"model":"gpt","input":{input},"encoding_format":"base64"}}"#);
            read(Surface::Embedding, &body).map(|ask| (ask.inputs, ask.is_base64))
        };
        assert_eq!(inputs(r#""a""#), Ok((1, true)));
        assert_eq!(inputs(r#"["a","b"]"#), Ok((2, true)));
        assert_eq!(inputs("[1,2,3]"), Ok((1, true)));
        assert_eq!(inputs("[[1],[2]]"), Ok((2, true)));
        assert_eq!(inputs("[]").unwrap_err().reason, Reason::Value);
        assert_eq!(inputs("{}").unwrap_err().reason, Reason::Type);
    }
}
