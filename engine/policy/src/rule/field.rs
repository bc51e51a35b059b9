//! What a condition may look at: names, their types, and where their values come from.

/// Something that is true or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagField {
    /// The request brings tools.
    Tools,
    /// A stream is asked for.
    Stream,
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberField {
    /// Tokens that the input has, about.
    InputTokens,
    /// Messages of the conversation.
    Turns,
    /// Tools that the request brings.
    ToolCount,
    /// Images in the request.
    Images,
    /// Tokens that the answer may have; 0 where the client sets no bound.
    MaxTokens,
    /// How hard the request looks, from 0 to 1.
    Difficulty,
    /// The share of the caller's budget that is left, from 0 to 1.
    BudgetLeft,
    /// The share of the prompt that a target still holds, from 0 to 1.
    Warm,
}

/// A text; empty where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    /// The caller's team.
    Team,
    /// The caller's project.
    Project,
    /// The caller's agent.
    Agent,
    /// The name of the caller's key.
    Key,
    /// The organisation.
    Organisation,
    /// The model that the client asked for.
    Model,
    /// What is called: `chat_completions`, `messages`, …
    Surface,
    /// The effort that the client asks for.
    Reasoning,
    /// The client's own user.
    User,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    Flag(FlagField),
    Number(NumberField),
    Text(TextField),
    /// `hour`, `hour("+02:00")`
    Hour,
    /// `weekday`, `weekday("+02:00")`
    Weekday,
    /// `header["x"]`
    Header,
    /// `tag["x"]`
    Tag,
    /// `healthy("provider/model")`
    Healthy,
}

/// A name that conditions may use.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// As it is written.
    pub name: &'static str,
    /// Its type, in words.
    pub kind: &'static str,
    /// What it is.
    pub help: &'static str,
    pub(super) means: Means,
}

const fn flag(name: &'static str, field: FlagField, help: &'static str) -> Field {
    Field { name, kind: "true or false", help, means: Means::Flag(field) }
}

const fn number(name: &'static str, field: NumberField, help: &'static str) -> Field {
    Field { name, kind: "a number", help, means: Means::Number(field) }
}

const fn text(name: &'static str, field: TextField, help: &'static str) -> Field {
    Field { name, kind: "a text", help, means: Means::Text(field) }
}

const fn other(name: &'static str, kind: &'static str, means: Means, help: &'static str) -> Field {
    Field { name, kind, help, means }
}

/// Every name, in the order of the documents.
pub const FIELDS: &[Field] = &[
    text("team", TextField::Team, "the caller's team; empty where it has none"),
    text("project", TextField::Project, "the caller's project"),
    text("agent", TextField::Agent, "the caller's agent"),
    text("key", TextField::Key, "the name of the caller's key"),
    text("organisation", TextField::Organisation, "the organisation's name"),
    text("model", TextField::Model, "the model that the client asked for"),
    text("surface", TextField::Surface, "what is called: `chat_completions`, `messages`, …"),
    number(
        "input_tokens",
        NumberField::InputTokens,
        "tokens of the input, about: a quarter of the body's bytes",
    ),
    number("turns", NumberField::Turns, "messages of the conversation"),
    flag("tools", FlagField::Tools, "whether the request brings tools"),
    number("tool_count", NumberField::ToolCount, "how many tools it brings"),
    number("images", NumberField::Images, "how many images it holds"),
    flag("stream", FlagField::Stream, "whether a stream is asked for"),
    number("max_tokens", NumberField::MaxTokens, "tokens that an answer may have; 0: no bound"),
    text(
        "reasoning",
        TextField::Reasoning,
        "the effort asked for: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, or empty",
    ),
    text("user", TextField::User, "the client's own user: `user`, or `metadata.user_id`"),
    other("header", "a text", Means::Header, "a field of the head, as in `header[\"x-tier\"]`"),
    other("tag", "a text", Means::Tag, "a tag of `x-faregate-tags`, as in `tag[\"job\"]`"),
    other(
        "healthy",
        "true or false",
        Means::Healthy,
        "whether a target is up, as in `healthy(\"openai/gpt-5\")`",
    ),
    other("hour", "a number", Means::Hour, "0 to 23 in UTC, or elsewhere: `hour(\"+02:00\")`"),
    other(
        "weekday",
        "a text",
        Means::Weekday,
        "`mon` to `sun` in UTC, or elsewhere: `weekday(\"+02:00\")`",
    ),
    number("difficulty", NumberField::Difficulty, "how hard the request looks, from 0 to 1"),
    number(
        "budget_left",
        NumberField::BudgetLeft,
        "the share that is left of the tightest budget that it draws on, its user's and model's among them, from 0 to 1",
    ),
    number("warm", NumberField::Warm, "the share of the prompt that a cache holds, from 0 to 1"),
];

/// The words of the language itself.
pub(super) const WORDS: &[&str] = &["and", "or", "not", "in", "matches", "true", "false"];

/// The field of this name.
pub(super) fn find(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}
