//! `finishReason`: what each means, and what is written for each.

use crate::chat::Finish;

/// What a `finishReason` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The answer is not at its end.
    Open,
    /// It ended like this. `STOP` is also what stands behind calls of tools.
    Ended(Finish),
    /// It ended for a reason that is not told: well if there is an answer, else it failed.
    Unclear,
    /// It failed. The flag says whether the request was wrong.
    Failed(bool),
}

pub(super) fn meaning(reason: &str) -> Meaning {
    match reason {
        "" | "FINISH_REASON_UNSPECIFIED" => Meaning::Open,
        "STOP" => Meaning::Ended(Finish::Stop),
        "MAX_TOKENS" => Meaning::Ended(Finish::Length),
        "CONTINUATION" => Meaning::Ended(Finish::Pause),
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED"
        | "MODEL_ARMOR" => Meaning::Ended(Finish::Refusal),
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MALFORMED_RESPONSE" => Meaning::Failed(false),
        "MISSING_THOUGHT_SIGNATURE" => Meaning::Failed(true),
        _ => Meaning::Unclear,
    }
}

/// What is written for a client. Calls of tools end with `STOP`; a turn that the provider paused has no reason of its own.
pub(super) const fn name(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls => "STOP",
        Finish::Length | Finish::ContextFull => "MAX_TOKENS",
        Finish::Refusal => "SAFETY",
        Finish::Pause => "OTHER",
    }
}
