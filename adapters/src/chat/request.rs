//! What a client asks.
//!
//! Text is borrowed from the client's body where it is spelled plainly. What only passes through (schemas, arguments,
//! metadata) is a view of the JSON as it was written, so that a prefix keeps its bytes over the turns of a conversation.

use std::borrow::Cow;

use faregate_wire::Json;

/// A chat request.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The model asked for.
    pub model: Cow<'a, str>,
    /// Whether the answer shall come as a stream.
    pub stream: bool,
    /// Whether a stream shall tell usage, where a client can choose.
    pub include_usage: bool,
    /// The conversation, instructions included, in the client's order.
    pub messages: Vec<Message<'a>>,
    /// The tools that the model may call, in the client's order.
    pub tools: Vec<Tool<'a>>,
    /// Which of them it may or must call.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether it may call several at once.
    pub parallel_tools: Option<bool>,
    /// How tokens are drawn.
    pub sampling: Sampling<'a>,
    /// The most tokens of output, reasoning included.
    pub output_max: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<Cow<'a, str>>,
    /// The form of the answer, unless it is free text.
    pub format: Option<Format<'a>>,
    /// How the model shall think.
    pub reasoning: Reasoning,
    /// `low`, `medium` or `high`: how long the answer shall be.
    pub verbosity: Option<Cow<'a, str>>,
    /// The end user, in the client's own terms.
    pub end_user: Option<Cow<'a, str>>,
    /// Keys and values that the provider keeps with the request.
    pub metadata: Option<Json<'a>>,
    /// How soon and at what price the answer shall come.
    pub tier: Option<Tier>,
    /// Which requests share a cached prefix (`prompt_cache_key`).
    pub cache_key: Option<Cow<'a, str>>,
    /// Whether the provider keeps the answer (`store`).
    pub store: Option<bool>,
    /// Members of the request that have no place above, by the names they have in the client's dialect.
    pub rest: Vec<(Cow<'a, str>, Json<'a>)>,
}

/// One message. Instructions, the user's words and tools' results, and the model's own answers are all messages.
#[derive(Clone, Debug, Default)]
pub struct Message<'a> {
    /// Whose it is.
    pub role: Role,
    /// The participant's name, where a dialect has one.
    pub name: Option<Cow<'a, str>>,
    /// What it says, in order.
    pub parts: Vec<Part<'a>>,
}

/// Whose a message is. Results of tools are parts of a user's message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Instructions of the application (`system`).
    System,
    /// Instructions of the application, as newer OpenAI models call them (`developer`).
    Developer,
    /// The user, and the results of tools.
    #[default]
    User,
    /// The model.
    Assistant,
}

/// One part of a message.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// What it is.
    pub body: PartBody<'a>,
    /// The prompt up to the end of this part shall be cached.
    pub cache: Option<CacheMark>,
}

/// What a part is.
#[derive(Clone, Debug)]
pub enum PartBody<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// An image, a document, sound and the like.
    Media(Media<'a>),
    /// What the model thought in an earlier turn.
    Reasoning(ReasoningPart<'a>),
    /// A call of a tool by the model.
    ToolCall {
        /// Names the call; unique in the conversation.
        id: Cow<'a, str>,
        /// The tool.
        name: Cow<'a, str>,
        /// JSON text of an object for a function; free text for a custom tool.
        arguments: Cow<'a, str>,
        /// What kind of tool it calls.
        kind: ToolKind,
        /// Gemini's `thoughtSignature` of the part.
        signature: Option<Cow<'a, str>>,
    },
    /// What a tool gave back.
    ToolResult {
        /// The call that it answers.
        id: Cow<'a, str>,
        /// The tool, where the dialect or the call before tells it.
        name: Option<Cow<'a, str>>,
        /// Text and media.
        content: Vec<Part<'a>>,
        /// Whether the tool failed.
        is_error: bool,
    },
    /// The model's refusal.
    Refusal(Cow<'a, str>),
    /// A part that only dialects which spell it like this can say.
    Other {
        /// Its `type`.
        kind: Cow<'a, str>,
        /// The part as it was written.
        json: Json<'a>,
    },
}

/// An image, a document, sound and the like.
#[derive(Clone, Debug)]
pub struct Media<'a> {
    /// What it is.
    pub kind: MediaKind,
    /// Where it is.
    pub source: Source<'a>,
    /// `low`, `high` or `auto`: how closely an image is looked at.
    pub detail: Option<Cow<'a, str>>,
    /// The name of the file, or the document's title.
    pub name: Option<Cow<'a, str>>,
}

/// What a piece of media is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A PDF or another text with pages.
    Document,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
}

/// Where a piece of media is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// In the request, base64-encoded.
    Base64 {
        /// Its media type, such as `image/png`.
        media_type: Cow<'a, str>,
        /// The bytes in base64.
        data: Cow<'a, str>,
    },
    /// At an address.
    Url(Cow<'a, str>),
    /// Uploaded before, under this id.
    File(Cow<'a, str>),
    /// In the request, as plain text.
    Text(Cow<'a, str>),
}

/// What the model thought in an earlier turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReasoningPart<'a> {
    /// The thought, or its summary; empty when it is not shown.
    pub text: Cow<'a, str>,
    /// Proves to the provider that the thought is its own (Anthropic's `signature`, OpenAI's `encrypted_content`, Gemini's
    /// `thoughtSignature`).
    pub signature: Option<Cow<'a, str>>,
    /// The thought is only there in encrypted form, which is the signature (`redacted_thinking`).
    pub redacted: bool,
    /// The item's id, where the dialect has one (Responses).
    pub id: Option<Cow<'a, str>>,
}

/// The prompt up to here shall be cached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheMark {
    /// For how many minutes, where that was said.
    pub minutes: Option<u32>,
}

/// A tool that the model may call.
#[derive(Clone, Debug)]
pub struct Tool<'a> {
    /// What kind it is.
    pub kind: ToolKind,
    /// Its name.
    pub name: Cow<'a, str>,
    /// What it does.
    pub description: Option<Cow<'a, str>>,
    /// JSON schema of its arguments; the whole tool as written for [`ToolKind::Other`].
    pub parameters: Option<Json<'a>>,
    /// Whether the arguments must follow the schema exactly.
    pub strict: Option<bool>,
    /// The prompt up to the end of this tool shall be cached.
    pub cache: Option<CacheMark>,
}

/// What kind of tool it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolKind {
    /// Called with an object of arguments.
    #[default]
    Function,
    /// Called with free text (OpenAI's `custom`).
    Custom,
    /// One that the provider runs by itself, such as a web search: only dialects that spell it like this can say it.
    Other,
}

/// Which tools the model may or must call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice<'a> {
    /// As it likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Any,
    /// This one.
    Tool(Cow<'a, str>),
    /// One of these, at least one if `required`.
    Allowed {
        /// Whether one of them must be called.
        required: bool,
        /// Their names.
        names: Vec<Cow<'a, str>>,
    },
}

/// How tokens are drawn. Numbers keep the client's spelling.
#[derive(Clone, Debug, Default)]
pub struct Sampling<'a> {
    /// `temperature`
    pub temperature: Option<Json<'a>>,
    /// `top_p`
    pub top_p: Option<Json<'a>>,
    /// `top_k`
    pub top_k: Option<Json<'a>>,
    /// `seed`
    pub seed: Option<Json<'a>>,
    /// `frequency_penalty`
    pub frequency_penalty: Option<Json<'a>>,
    /// `presence_penalty`
    pub presence_penalty: Option<Json<'a>>,
    /// `logit_bias`
    pub logit_bias: Option<Json<'a>>,
    /// How many answers; `None` and 1 are the same.
    pub choices: Option<u64>,
    /// Whether the probabilities of tokens are told.
    pub logprobs: Option<bool>,
    /// How many alternatives are told with them.
    pub top_logprobs: Option<u64>,
}

/// The form that an answer must have.
#[derive(Clone, Debug)]
pub enum Format<'a> {
    /// Any JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema {
        /// The schema's name, where the dialect has one.
        name: Option<Cow<'a, str>>,
        /// What it is for.
        description: Option<Cow<'a, str>>,
        /// The schema.
        schema: Json<'a>,
        /// Whether it is followed exactly.
        strict: Option<bool>,
    },
}

/// How the model shall think.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// How much.
    pub effort: Option<Effort>,
    /// How many tokens of thought at most.
    pub budget: Option<u64>,
    /// Whether it thinks at all; `None` leaves that to the model. `Some(true)` without a budget is adaptive thinking.
    pub enabled: Option<bool>,
    /// Whether the thoughts, or a summary of them, are shown.
    pub shown: Option<bool>,
}

/// How much a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// `minimal`
    Minimal,
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `xhigh`
    XHigh,
    /// `max`
    Max,
}

/// How soon and at what price an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// As the provider's project is set up.
    Auto,
    /// The usual.
    Standard,
    /// Cheaper and later.
    Flex,
    /// Sooner and dearer.
    Priority,
    /// Out of what was bought before.
    Scale,
}

impl<'a> Part<'a> {
    /// A part without a cache mark.
    #[must_use]
    pub const fn new(body: PartBody<'a>) -> Self {
        Self { body, cache: None }
    }

    /// A text.
    #[must_use]
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::new(PartBody::Text(text.into()))
    }
}

impl Effort {
    /// The effort of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.name() == name)
    }

    /// All of them, least first.
    pub const ALL: [Self; 7] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The thinking budget that stands for this effort where a dialect only knows budgets, in tokens; 0 for none.
    #[must_use]
    pub const fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => 1024,
            Self::Low => 2048,
            Self::Medium => 8192,
            Self::High => 24_576,
            Self::XHigh | Self::Max => 32_768,
        }
    }

    /// The effort that stands for a budget where a dialect only knows efforts.
    #[must_use]
    pub const fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=1024 => Self::Minimal,
            1025..=4096 => Self::Low,
            4097..=16_384 => Self::Medium,
            16_385.. => Self::High,
        }
    }
}

impl Reasoning {
    /// The effort asked for, made of the budget where only that was said.
    #[must_use]
    pub fn effort(&self) -> Option<Effort> {
        self.effort
            .or_else(|| self.budget.map(Effort::of_budget))
            .or_else(|| (self.enabled == Some(false)).then_some(Effort::None))
    }
}
