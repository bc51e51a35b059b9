//! An answer, piece by piece.
//!
//! A stream is a sequence of deltas; so is an answer that comes whole ([`Answer`](super::Answer) puts one together). The
//! order is: [`Delta::Start`] once, content of the choices in any interleaving, [`Delta::Finish`] once for each choice,
//! [`Delta::Usage`] any number of times (cumulative: what comes later replaces what came before), [`Delta::Done`] once. A
//! provider that errs sends [`Delta::Error`] and nothing behind it. Readers keep this order whatever the provider does:
//! where it says nothing at the start, they do.

use std::borrow::Cow;

use faregate_wire::{Json, Scanner};

use super::{Error, Media, Usage};

/// One piece of an answer.
#[derive(Clone, Debug)]
pub enum Delta<'a> {
    /// The answer begins.
    Start(Start<'a>),
    /// More text.
    Text {
        /// Which answer, from 0.
        choice: u32,
        /// The piece; never empty.
        text: Cow<'a, str>,
    },
    /// More of a thought, or of its summary.
    Reasoning {
        /// Which answer, from 0.
        choice: u32,
        /// The piece; never empty.
        text: Cow<'a, str>,
    },
    /// The signature of the thought before it, which ends that thought.
    Signature {
        /// Which answer, from 0.
        choice: u32,
        /// The signature.
        signature: Cow<'a, str>,
        /// The thought is hidden, and this is all of it (`redacted_thinking`, `encrypted_content`).
        redacted: bool,
    },
    /// A call of a tool begins. A text or a thought that is open ends with it.
    ToolStart {
        /// Which answer, from 0.
        choice: u32,
        /// Which call of this answer, from 0 and without gaps.
        call: u32,
        /// Names the call.
        id: Cow<'a, str>,
        /// The tool.
        name: Cow<'a, str>,
        /// Whether the arguments are free text (OpenAI's `custom` tools).
        custom: bool,
        /// Gemini's `thoughtSignature` of the part.
        signature: Option<Cow<'a, str>>,
    },
    /// More of a call's arguments. Calls may be interleaved.
    ToolArguments {
        /// Which answer, from 0.
        choice: u32,
        /// Which call of this answer.
        call: u32,
        /// The piece of JSON text (or of free text); never empty.
        fragment: Cow<'a, str>,
    },
    /// More of a refusal.
    Refusal {
        /// Which answer, from 0.
        choice: u32,
        /// The piece; never empty.
        text: Cow<'a, str>,
    },
    /// An image or sound that the model made.
    Media {
        /// Which answer, from 0.
        choice: u32,
        /// The piece of media, whole.
        media: Media<'a>,
    },
    /// Where something in the text comes from: a web page or a document.
    Citation {
        /// Which answer, from 0.
        choice: u32,
        /// Its address, where it has one.
        url: Option<Cow<'a, str>>,
        /// Its title.
        title: Option<Cow<'a, str>>,
        /// The passage quoted.
        quote: Option<Cow<'a, str>>,
    },
    /// The probabilities of the tokens of the text before it, in OpenAI's form: the items of `logprobs.content`.
    Logprobs {
        /// Which answer, from 0.
        choice: u32,
        /// A JSON array.
        content: Json<'a>,
    },
    /// An answer ends.
    Finish {
        /// Which answer, from 0.
        choice: u32,
        /// Why.
        reason: Finish,
        /// The stop text that ended it, where that is told.
        stop: Option<Cow<'a, str>>,
    },
    /// What was used so far.
    Usage(Usage),
    /// The provider failed in the middle.
    Error(Error<'a>),
    /// Everything has come.
    Done,
}

impl<'a> Delta<'a> {
    /// Probabilities in OpenAI's form, if there are some. They pass as they were written, so a list that is no JSON is none:
    /// readers look at the rest of an event only as far as they need it.
    #[must_use]
    pub fn logprobs(choice: u32, list: Json<'a>) -> Option<Self> {
        list.items().next()?;
        let whole = [b"{\"content\":", list.raw(), b"}"].concat();
        Scanner::new(&[]).finish(&whole).ok()?;
        Some(Self::Logprobs { choice, content: list })
    }
}

/// The beginning of an answer.
#[derive(Clone, Debug, Default)]
pub struct Start<'a> {
    /// The provider's id for the answer; empty when it gives none.
    pub id: Cow<'a, str>,
    /// The model that answers, as the provider calls it; empty when it does not say.
    pub model: Cow<'a, str>,
    /// When it was made, in seconds since 1970.
    pub created: Option<u64>,
    /// What the input took, where that is known at the start.
    pub usage: Option<Usage>,
    /// The tier it was served in, as the provider calls it.
    pub tier: Option<Cow<'a, str>>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model had nothing more to say, or met a stop text.
    Stop,
    /// The limit on output.
    Length,
    /// The model's context window was full.
    ContextFull,
    /// The model waits for the results of tools.
    ToolCalls,
    /// The model or a filter refused.
    Refusal,
    /// The provider paused a long turn; it goes on when the answer is sent back (`pause_turn`).
    Pause,
}
