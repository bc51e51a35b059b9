//! What a request calls, told from its method and path.
//!
//! In: method and path. Out: a [`Called`]: the surface, the path as a provider's base URL is put before it, and what the
//! path says of model and streaming. Each surface is served with and without its version, and behind the prefixes that
//! SDKs and other gateways use (`/openai`, `/anthropic`, `/gemini`, `/bedrock`).

mod clean;
mod path;
mod stored;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use faregate_wire::Method;

pub use stored::{is_whole_response, may_go_on, response_id};

use crate::dialect::Form;

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// `POST /chat/completions`
    ChatCompletions,
    /// `POST /completions`
    Completions,
    /// `POST /embeddings`
    Embeddings,
    /// `POST /responses`
    Responses,
    /// `POST /responses/input_tokens`
    CountResponse,
    /// `GET`, `DELETE` and the rest of `/responses/{id}`
    StoredResponse,
    /// `POST /messages`
    Messages,
    /// `POST /messages/count_tokens`
    CountTokens,
    /// `POST /models/{model}:generateContent` and `:streamGenerateContent`
    GenerateContent,
    /// `POST /models/{model}:countTokens`
    CountContent,
    /// `POST /models/{model}:embedContent` and `:batchEmbedContents`
    EmbedContent,
    /// `POST /model/{model}/converse` and `/converse-stream`
    Converse,
    /// `POST /rerank`
    Rerank,
    /// `GET /models`
    Models,
    /// `GET /models/{model}`
    Model,
    /// `GET /realtime`, to become a WebSocket.
    Realtime,
    /// Any other path of an API.
    Other,
}

/// Whose API a path belongs to: errors are told in its way, and a path that names no model goes to a provider of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI's, and all that follow it.
    #[default]
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Google's.
    Gemini,
    /// AWS Bedrock's.
    Bedrock,
    /// Ollama's own.
    Ollama,
}

/// A call, as its path tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called<'a> {
    /// What is called.
    pub surface: Surface,
    /// Whose API it is part of.
    pub family: Family,
    /// The path as it goes behind a provider's base URL, or to its root.
    pub path: &'a str,
    /// The path goes to the provider's root, whatever path its base URL has.
    pub from_root: bool,
    /// The model, where the path names it.
    pub model: Option<Cow<'a, str>>,
    /// Whether a stream is asked for, where the path tells it.
    pub stream: Option<bool>,
}

/// Why a path is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotServed {
    /// There is nothing at this path.
    Path,
    /// The path takes these methods only: the value of `Allow`.
    Method(&'static str),
    /// The path could be read as another one by somebody else.
    Unclean,
}

impl<'a> Called<'a> {
    /// Tells what is called.
    ///
    /// A path that another server could take for one of a surface, since it differs in case or by a slash at the end, is
    /// served as it; one that only ends like it is not served: what is metered must not pass as something else.
    ///
    /// # Errors
    ///
    /// [`NotServed`] when the path or the method is not part of an API, or the path is ambiguous.
    pub fn of(method: Method, path: &'a str) -> Result<Self, NotServed> {
        if let Some(called) = path::usual(method, path) {
            return Ok(called);
        }
        if !clean::is_clean(path) {
            return Err(NotServed::Unclean);
        }
        let called = path::find(path).ok_or(NotServed::Path)?;
        if called.surface.takes(method) {
            Ok(called)
        } else {
            Err(NotServed::Method(called.surface.methods()))
        }
    }
}

impl Surface {
    const fn takes(self, method: Method) -> bool {
        match self {
            Self::Models | Self::Model => matches!(method, Method::Get | Method::Head),
            Self::Realtime => matches!(method, Method::Get),
            Self::Other | Self::StoredResponse => !matches!(method, Method::Options),
            _ => matches!(method, Method::Post),
        }
    }

    /// What the operation is called in telemetry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat",
            Self::Completions => "text_completion",
            Self::Embeddings | Self::EmbedContent => "embeddings",
            Self::Responses => "responses",
            Self::StoredResponse => "stored_response",
            Self::Messages => "messages",
            Self::CountTokens | Self::CountContent | Self::CountResponse => "count_tokens",
            Self::GenerateContent => "generate_content",
            Self::Converse => "converse",
            Self::Rerank => "rerank",
            Self::Models | Self::Model => "models",
            Self::Realtime => "realtime",
            Self::Other => "other",
        }
    }

    /// The way in which its chat is spelled, if it is one.
    #[must_use]
    pub const fn form(self) -> Option<Form> {
        match self {
            Self::ChatCompletions => Some(Form::Chat),
            Self::Responses | Self::CountResponse => Some(Form::Responses),
            Self::Messages | Self::CountTokens => Some(Form::Messages),
            Self::GenerateContent | Self::CountContent => Some(Form::Gemini),
            Self::Converse => Some(Form::Converse),
            _ => None,
        }
    }

    /// Whether the request must name a model.
    #[must_use]
    pub const fn has_model(self) -> bool {
        !matches!(
            self,
            Self::Models | Self::Model | Self::Other | Self::StoredResponse | Self::Realtime
        )
    }

    /// Whether answers tell usage.
    #[must_use]
    pub const fn is_metered(self) -> bool {
        self.has_model() && !self.counts_tokens()
    }

    /// Whether a provider may charge for a POST whose answer does not tell what it took.
    #[must_use]
    pub const fn may_cost(self) -> bool {
        !self.counts_tokens() && !matches!(self, Self::Models | Self::Model | Self::StoredResponse)
    }

    /// Whether only tokens are counted, and nothing is made.
    #[must_use]
    pub const fn counts_tokens(self) -> bool {
        matches!(self, Self::CountTokens | Self::CountContent | Self::CountResponse)
    }

    /// Whether an answer can be a stream of events that tell usage.
    #[must_use]
    pub const fn can_stream(self) -> bool {
        matches!(
            self,
            Self::ChatCompletions
                | Self::Completions
                | Self::Responses
                | Self::Messages
                | Self::GenerateContent
                | Self::Converse
        )
    }

    /// The methods that it takes, as the value of `Allow`.
    #[must_use]
    pub const fn methods(self) -> &'static str {
        match self {
            Self::Models | Self::Model => "GET, HEAD",
            Self::Realtime => "GET",
            Self::Other | Self::StoredResponse => "GET, HEAD, POST, PUT, PATCH, DELETE",
            _ => "POST",
        }
    }
}

impl Family {
    /// The chat of this API.
    #[must_use]
    pub const fn form(self) -> Form {
        match self {
            Self::OpenAi | Self::Ollama => Form::Chat,
            Self::Anthropic => Form::Messages,
            Self::Gemini => Form::Gemini,
            Self::Bedrock => Form::Converse,
        }
    }
}

impl NotServed {
    /// What is wrong, for the client.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Path => "there is nothing at this path",
            Self::Method(_) => "the method is not allowed here",
            Self::Unclean => "the path could be read in two ways",
        }
    }
}
