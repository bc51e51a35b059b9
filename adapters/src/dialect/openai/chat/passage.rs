//! What is looked for in chats that pass as they are.

use faregate_wire::Peek;

use super::Chat;
use crate::{
    chat::Usage,
    dialect::{Asked, Call, Invalid, Passage, Seen, UsageReport, openai},
    surface::Surface,
};

/// What a request at a surface of OpenAI's API asks.
///
/// # Errors
///
/// [`Invalid`] when a member that is looked for has the wrong type.
pub fn ask<'a>(
    peek: &Peek,
    body: &'a [u8],
    surface: Surface,
    call: &Call<'a>,
) -> Result<Asked<'a>, Invalid> {
    let asked = openai::read(peek, body, surface)?;
    Ok(Asked {
        model: asked.model.or(call.model.map(Into::into)),
        stream: call.stream.unwrap_or(asked.stream),
        output_max: asked.output_max,
        choices: asked.choices,
        tells_usage: asked.include_usage == Some(true),
    })
}

impl Passage for Chat {
    fn fields(&self) -> &'static [&'static str] {
        openai::FIELDS
    }

    fn ask<'a>(&self, peek: &Peek, body: &'a [u8], call: &Call<'a>) -> Result<Asked<'a>, Invalid> {
        ask(peek, body, Surface::ChatCompletions, call)
    }

    fn inspect(&self, name: &[u8], data: &[u8]) -> Seen {
        let seen = openai::inspect(data);
        Seen {
            done: seen.done,
            error: seen.error || name == b"error",
            content: seen.content,
            usage: seen.usage.map(UsageReport::whole),
            extra_chunk: seen.extra_chunk,
        }
    }

    fn usage_member(&self) -> (&'static str, fn(&[u8]) -> Option<Usage>) {
        ("usage", openai::usage)
    }
}

impl From<openai::Invalid> for Invalid {
    fn from(invalid: openai::Invalid) -> Self {
        Self { param: invalid.param.into(), message: invalid.message }
    }
}
