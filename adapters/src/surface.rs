//! What of the OpenAI API a request calls, told from its method and path.

use faregate_wire::Method;

/// A part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// `POST /chat/completions`
    ChatCompletions,
    /// `POST /completions`
    Completions,
    /// `POST /embeddings`
    Embeddings,
    /// `GET /models`
    Models,
    /// `GET /models/{model}`
    Model,
    /// Any other path of the API.
    Other,
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

impl Surface {
    /// Tells what is called, and the path as it goes behind a provider's base URL: `/chat/completions`.
    ///
    /// # Errors
    ///
    /// [`NotServed`] when the path or the method is not part of the API, or the path is ambiguous.
    pub fn of(method: Method, path: &str) -> Result<(Self, &str), NotServed> {
        let _ = method;
        Ok((Self::Other, path))
    }

    /// What the operation is called in telemetry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat",
            Self::Completions => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Models | Self::Model => "models",
            Self::Other => "other",
        }
    }

    /// Whether the body must name a model.
    #[must_use]
    pub const fn has_model(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions | Self::Embeddings)
    }

    /// Whether answers tell usage.
    #[must_use]
    pub const fn is_metered(self) -> bool {
        self.has_model()
    }

    /// Whether `"stream": true` gives a stream of events that can tell usage.
    #[must_use]
    pub const fn can_stream(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions)
    }

    /// The methods that it takes, as the value of `Allow`.
    #[must_use]
    pub const fn methods(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Embeddings => "POST",
            Self::Models | Self::Model => "GET, HEAD",
            Self::Other => "GET, HEAD, POST, PUT, PATCH, DELETE",
        }
    }
}
