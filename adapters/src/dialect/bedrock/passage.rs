//! What is looked for in Converse's bytes that pass as they are.

use faregate_wire::{Json, Peek};

use super::{Converse, answer, frames};
use crate::{
    chat::Usage,
    dialect::{Asked, Call, Invalid, Passage, Seen, UsageReport},
};

/// The member that bounds output, and those that make up the prompt.
const FIELDS: &[&str] = &["inferenceConfig", "toolConfig", "system", "messages"];

impl Passage for Converse {
    fn fields(&self) -> &'static [&'static str] {
        FIELDS
    }

    fn ask<'a>(&self, peek: &Peek, body: &'a [u8], call: &Call<'a>) -> Result<Asked<'a>, Invalid> {
        let inference = peek.span(0).and_then(|span| Json::new(body.get(span)?));
        let most = inference.and_then(|inference| inference.get("maxTokens"));
        let wrong = || Invalid::type_of("inferenceConfig.maxTokens", "a whole number");
        Ok(Asked {
            model: call.model.map(Into::into),
            stream: call.stream == Some(true),
            output_max: most.map(|most| most.u64().ok_or_else(wrong)).transpose()?,
            choices: 1,
            tells_usage: true,
        })
    }

    fn inspect(&self, name: &[u8], data: &[u8]) -> Seen {
        let usage = || Some(UsageReport::whole(usage(Json::new(data)?.get("usage")?.raw())?));
        match name {
            b"contentBlockStart" | b"contentBlockDelta" => {
                Seen { content: true, ..Seen::default() }
            }
            b"metadata" => Seen { done: true, usage: usage(), ..Seen::default() },
            _ => Seen { error: name.starts_with(b"exception:"), ..Seen::default() },
        }
    }

    fn usage_member(&self) -> (&'static str, fn(&[u8]) -> Option<Usage>) {
        ("usage", usage)
    }

    fn keep_alive(&self) -> &'static [u8] {
        frames::KEEP_ALIVE
    }
}

fn usage(object: &[u8]) -> Option<Usage> {
    answer::usage(Json::new(object)?)
}
