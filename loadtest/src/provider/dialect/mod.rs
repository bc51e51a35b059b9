//! The dialects beside OpenAI's chat: which one a request speaks, what it asks for, what it gets.
//!
//! In: method, target, fields and body of a request. Out: a [`Question`] or the [`Refusal`], and for
//! a [`Plan`] the bytes of its answer. Each dialect is a folder of three files: `rules` (tables of
//! the members that exist, and what the real API refuses), `mod` (the request read), `answer` (the
//! plan written). Nothing is remembered between calls.

pub(crate) mod anthropic;
pub(crate) mod chat;
pub(crate) mod cloud;
pub(crate) mod converse;
pub(crate) mod frame;
pub(crate) mod gemini;
mod marked;
pub(crate) mod plan;
pub(crate) mod responses;
mod sample;
mod seal;
pub(crate) mod servers;
pub(crate) mod shape;
pub(crate) mod words;

use std::borrow::Cow;

use serde_json::{Map, Value};

use self::plan::{Plan, Question, Spent};
use self::shape::snake;
use super::pieces::{Event, Format};
use super::refusal::{Reason, Refusal};

/// The way a provider spells requests, answers and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// OpenAI's chat, completions and embeddings.
    #[default]
    OpenAi,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Anthropic,
    /// Google's generateContent.
    Gemini,
    /// Bedrock's Converse.
    Converse,
    /// Anthropic's messages in Bedrock's InvokeModel.
    Invoke,
    /// Anthropic's messages on Vertex AI.
    RawPredict,
}

/// What a path offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// An answer.
    Answer,
    /// The tokens of a prompt.
    Count,
    /// A vector.
    Embed,
    /// Several vectors.
    EmbedBatch,
    /// An answer that was kept.
    Stored,
    /// The models on offer.
    Models,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) dialect: Dialect,
    pub(crate) service: Service,
    /// The model, where the path names it.
    pub(crate) model: Option<String>,
    /// The path asks for a stream, and in this form.
    pub(crate) stream: Option<Format>,
}

/// The fields of a request's head, names in lower case.
pub(crate) struct Fields<'a>(pub(crate) &'a [(String, String)]);

impl Fields<'_> {
    /// The first field of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Dialect {
    /// The dialect of a request: told by its path and, for the paths that several share, by what
    /// only the clients of one send.
    pub(crate) fn of(target: &str, is_anthropic: bool, is_google: bool) -> Dialect {
        let target = cloud::behind_azure(target).unwrap_or(Cow::Borrowed(target));
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let under = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if under("/v1/messages") {
            return Dialect::Anthropic;
        }
        if under("/v1/responses") {
            return Dialect::Responses;
        }
        if path.starts_with("/model/") {
            return match path.rsplit('/').next() {
                Some("invoke" | "invoke-with-response-stream") => Dialect::Invoke,
                _ => Dialect::Converse,
            };
        }
        if cloud::vertex_publisher(path) == Some("anthropic") {
            return Dialect::RawPredict;
        }
        let of_models = under("/v1/models");
        if under("/v1beta") || is_vertex(path) || of_models && path.contains(':') {
            return Dialect::Gemini;
        }
        let has_key = query_value(query, "key").is_some();
        match of_models {
            true if is_anthropic => Dialect::Anthropic,
            true if is_google || has_key => Dialect::Gemini,
            _ => Dialect::OpenAi,
        }
    }

    /// Whether names of members may be spelled with underscores instead.
    pub(crate) fn takes_snake(self) -> bool {
        self == Dialect::Gemini
    }

    /// The member of that name, if it is there and not null.
    pub(crate) fn get<'a>(self, members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
        let other = || self.takes_snake().then(|| members.get(&snake(name))).flatten();
        members.get(name).or_else(other).filter(|value| !value.is_null())
    }

    /// A refusal in this dialect.
    pub(crate) fn refuse(self, reason: Reason, at: &str, message: impl Into<String>) -> Refusal {
        Refusal::of(reason, at, message).told_by(self)
    }
}

/// Whether a path is one of Vertex AI's.
pub(crate) fn is_vertex(path: &str) -> bool {
    cloud::vertex_publisher(path) == Some("google")
}

/// The value of `name` in a query.
pub(crate) fn query_value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}

/// `text` with `%41` turned into `A`.
pub(crate) fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Route {
    /// The route of a request in `dialect`; `None` for a path that the dialect does not have.
    pub(crate) fn of(dialect: Dialect, method: &str, target: &str) -> Option<Route> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let get = matches!(method, "GET" | "HEAD");
        let route = |service, model: Option<&str>, stream| {
            Some(Route { dialect, service, model: model.map(unescape), stream })
        };
        match dialect {
            Dialect::Anthropic => match path {
                "/v1/messages" => route(Service::Answer, None, None),
                "/v1/messages/count_tokens" => route(Service::Count, None, None),
                _ if get => route(Service::Models, model_of(path), None),
                _ => None,
            },
            Dialect::Responses if path == "/v1/responses" => route(Service::Answer, None, None),
            Dialect::Responses if path == "/v1/responses/input_tokens" => {
                route(Service::Count, None, None)
            }
            Dialect::Responses if path.starts_with("/v1/responses/") => {
                route(Service::Stored, None, None)
            }
            Dialect::Converse => {
                let (model, verb) = path.strip_prefix("/model/")?.rsplit_once('/')?;
                match verb {
                    "converse" => route(Service::Answer, Some(model), None),
                    "converse-stream" => route(Service::Answer, Some(model), Some(Format::Frames)),
                    _ => None,
                }
            }
            Dialect::Invoke => {
                let (model, verb) = path.strip_prefix("/model/")?.rsplit_once('/')?;
                match verb {
                    "invoke" => route(Service::Answer, Some(model), None),
                    _ => route(Service::Answer, Some(model), Some(Format::Frames)),
                }
            }
            Dialect::RawPredict => {
                let (model, verb) = path.rsplit_once("/models/")?.1.rsplit_once(':')?;
                match verb {
                    "rawPredict" if model == "count-tokens" => route(Service::Count, None, None),
                    "rawPredict" => route(Service::Answer, Some(model), None),
                    "streamRawPredict" => route(Service::Answer, Some(model), Some(Format::Sse)),
                    _ => None,
                }
            }
            Dialect::Gemini => {
                if get {
                    return route(Service::Models, model_of(path), None);
                }
                let (model, verb) = path.rsplit_once("/models/")?.1.rsplit_once(':')?;
                let sse = query_value(query, "alt") == Some("sse");
                let format = if sse { Format::SseCrLf } else { Format::Array };
                match verb {
                    "generateContent" => route(Service::Answer, Some(model), None),
                    "streamGenerateContent" => route(Service::Answer, Some(model), Some(format)),
                    "countTokens" => route(Service::Count, Some(model), None),
                    "embedContent" => route(Service::Embed, Some(model), None),
                    "batchEmbedContents" => route(Service::EmbedBatch, Some(model), None),
                    _ => None,
                }
            }
            Dialect::Responses | Dialect::OpenAi => None,
        }
    }

    /// Judges a request for an answer or for a count, and reads it.
    pub(crate) fn read(
        &self,
        fields: &Fields<'_>,
        members: &Map<String, Value>,
    ) -> Result<Question, Refusal> {
        match self.dialect {
            Dialect::Anthropic => anthropic::read(self.service, fields, members),
            Dialect::Invoke | Dialect::RawPredict => {
                let members = cloud::unwrapped(self, fields, members)?;
                anthropic::read_body(self.service, fields, &members)
            }
            Dialect::Gemini => {
                gemini::read(self.service, self.model.as_deref().unwrap_or(""), members)
            }
            Dialect::Responses => responses::read(members),
            Dialect::Converse => converse::read(members),
            Dialect::OpenAi => Err(self.unknown()),
        }
    }

    /// The whole answer.
    pub(crate) fn whole(&self, question: &Question, plan: &Plan) -> Value {
        match self.dialect {
            Dialect::Anthropic | Dialect::Invoke | Dialect::RawPredict => {
                anthropic::answer::whole(question, plan)
            }
            Dialect::Gemini => gemini::answer::whole(question, plan),
            Dialect::Responses => responses::answer::whole(question, plan),
            Dialect::Converse => converse::answer::whole(question, plan),
            Dialect::OpenAi => chat::whole(question, plan),
        }
    }

    /// The answer as events, how they are framed, and the event of a failure between them.
    pub(crate) fn events(&self, question: &Question, plan: &Plan) -> (Format, Vec<Event>, Event) {
        match self.dialect {
            Dialect::Anthropic | Dialect::RawPredict => {
                let events = anthropic::answer::events(question, plan);
                (Format::Sse, events, anthropic::answer::failure())
            }
            Dialect::Invoke => {
                let events = cloud::wrapped(anthropic::answer::events(question, plan));
                (Format::Frames, events, converse::answer::failure())
            }
            Dialect::Gemini => {
                let format = self.stream.unwrap_or(Format::SseCrLf);
                let events = gemini::answer::events(question, plan);
                (format, events, gemini::answer::failure())
            }
            Dialect::Responses => {
                let events = responses::answer::events(question, plan);
                (Format::Sse, events, responses::answer::failure())
            }
            Dialect::Converse => {
                let events = converse::answer::events(question, plan);
                (Format::Frames, events, converse::answer::failure())
            }
            Dialect::OpenAi => (Format::Sse, chat::events(question, plan), chat::failure()),
        }
    }

    /// The answer to a question for the tokens of a prompt.
    pub(crate) fn count(&self, used: Spent) -> Value {
        match self.dialect {
            Dialect::Gemini => serde_json::json!({"totalTokens": used.input()}),
            _ => serde_json::json!({"input_tokens": used.input()}),
        }
    }

    /// The answer to a question for vectors.
    pub(crate) fn embeddings(&self, question: &Question) -> Value {
        gemini::answer::embeddings(question, self.service == Service::EmbedBatch)
    }

    /// The models on offer, or one of them.
    pub(crate) fn models(&self, names: &[String]) -> Result<Value, Refusal> {
        let Some(one) = &self.model else {
            return Ok(match self.dialect {
                Dialect::Anthropic => anthropic::answer::models(names),
                Dialect::Gemini => gemini::answer::models(names),
                _ => Value::Null,
            });
        };
        if !names.contains(one) {
            return Err(self.model_unknown(one));
        }
        Ok(match self.dialect {
            Dialect::Anthropic => anthropic::answer::model(one),
            Dialect::Gemini => gemini::answer::model(one),
            _ => Value::Null,
        })
    }

    /// The refusal of a path or method that is not there.
    pub(crate) fn unknown(&self) -> Refusal {
        Refusal::new(Reason::PathUnknown, "Not Found").told_by(self.dialect)
    }

    /// The refusal of a model that is not there.
    pub(crate) fn model_unknown(&self, model: &str) -> Refusal {
        let message = match self.dialect {
            Dialect::Anthropic | Dialect::RawPredict => format!("model: {model}"),
            Dialect::Gemini => format!(
                "models/{model} is not found for API version v1beta, or is not supported for \
                 generateContent. Call ListModels to see the list of available models and their \
                 supported methods."
            ),
            Dialect::Converse | Dialect::Invoke => {
                "The provided model identifier is invalid.".to_owned()
            }
            Dialect::OpenAi | Dialect::Responses => {
                format!("The requested model '{model}' does not exist.")
            }
        };
        Refusal::new(Reason::ModelUnknown, message).told_by(self.dialect)
    }

    /// The refusal of a prompt that is too long.
    pub(crate) fn too_long(&self, tokens: u64, most: u64) -> Refusal {
        let message = match self.dialect {
            Dialect::Anthropic | Dialect::RawPredict => {
                format!("prompt is too long: {tokens} tokens > {most} maximum")
            }
            Dialect::Gemini => format!(
                "The input token count ({tokens}) exceeds the maximum number of tokens allowed \
                 ({most})."
            ),
            Dialect::Converse | Dialect::Invoke => {
                "Input is too long for requested model.".to_owned()
            }
            Dialect::OpenAi | Dialect::Responses => {
                "Your input exceeds the context window of this model. Please adjust your input and \
                 try again."
                    .to_owned()
            }
        };
        Refusal::new(Reason::ContextLength, message).told_by(self.dialect)
    }
}

fn model_of(path: &str) -> Option<&str> {
    path.rsplit_once("/models/").map(|(_, model)| model)
}

/// Whether all of `text` is of letters, digits and `others`, and there are 1 to `most` of them.
pub(crate) fn is_name(text: &str, others: &str, most: usize) -> bool {
    let known = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
    (1..=most).contains(&text.chars().count()) && text.chars().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_the_dialects_apart() {
        let of = |target: &str| Dialect::of(target, false, false);
        assert_eq!(of("/v1/chat/completions"), Dialect::OpenAi);
        assert_eq!(of("/v1/messages/count_tokens"), Dialect::Anthropic);
        assert_eq!(of("/v1/messagesx"), Dialect::OpenAi);
        assert_eq!(of("/v1/responses"), Dialect::Responses);
        assert_eq!(of("/model/a%3A0/converse"), Dialect::Converse);
        assert_eq!(of("/v1beta/models"), Dialect::Gemini);
        assert_eq!(of("/v1/models/gemini-3:generateContent"), Dialect::Gemini);
        assert_eq!(of("/v1/models"), Dialect::OpenAi);
        assert_eq!(of("/v1/models?key=a"), Dialect::Gemini);
        assert_eq!(Dialect::of("/v1/models", true, false), Dialect::Anthropic);
        assert_eq!(Dialect::of("/v1/models/x", false, true), Dialect::Gemini);
    }

    #[test]
    fn routes_name_the_model_and_the_form_of_the_stream() {
        let route = |dialect, target: &str| Route::of(dialect, "POST", target);
        let gemini = route(Dialect::Gemini, "/v1/models/g:streamGenerateContent?alt=sse").unwrap();
        assert_eq!((gemini.model.as_deref(), gemini.stream), (Some("g"), Some(Format::SseCrLf)));
        let converse = route(Dialect::Converse, "/model/a.b%3A0/converse-stream").unwrap();
        assert_eq!(converse.model.as_deref(), Some("a.b:0"));
        assert_eq!(route(Dialect::Anthropic, "/v1/messages/batches"), None);
        let models = Route::of(Dialect::Anthropic, "GET", "/v1/models/m").unwrap();
        assert_eq!((models.service, models.model.as_deref()), (Service::Models, Some("m")));
    }
}
