//! Bodies of plain answers, and what they have in common with chunks of a stream.
//!
//! In: what was asked and how the script changes it. Out: JSON in the spelling and order of the
//! real API.

use std::io::Write as _;
use std::ops::Range;

use super::ask::{Ask, Surface};
use super::dialect::Dialect;
use super::script::{Script, UsageForm};
use super::text;

/// Letters and digits of an id.
const ID_LETTERS: usize = 29;

/// What identifies one answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    /// Unlike that of any other answer of this provider.
    pub(crate) serial: u64,
    /// When it was made, seconds since 1970.
    pub(crate) created: u64,
    /// Whose servers it looks like.
    pub(crate) dialect: Dialect,
}

/// What an answer used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    pub(crate) prompt: u64,
    pub(crate) cached: u64,
    pub(crate) completion: u64,
}

/// A whole answer, of which only the identity changes when the same is asked again.
#[derive(Debug, Clone)]
pub(crate) struct Whole {
    body: Vec<u8>,
    id: Range<usize>,
    created: Range<usize>,
    pub(crate) used: Used,
}

impl Whole {
    /// The answer to a chat or to a legacy completion that uses `used`, but for its own tokens.
    pub(crate) fn new(ask: &Ask, script: &Script, identity: Identity, used: Used) -> Whole {
        let (text, tokens) = ask.text(script);
        let used = Used { completion: tokens * ask.choices, ..used };
        let mut body = Vec::with_capacity(768 + (text.len() + 160) * usize_of(ask.choices));
        let (id, created) = members(&mut body, ask, identity, false);
        body.extend_from_slice(b"\"choices\":[");
        choices(&mut body, ask, script, &text);
        body.push(b']');
        if script.usage != UsageForm::Never {
            body.extend_from_slice(b",\"usage\":");
            usage(&mut body, used);
        }
        body.push(b'}');
        Whole { body, id, created, used }
    }

    /// The same answer under another identity.
    pub(crate) fn body(&self, identity: Identity) -> Vec<u8> {
        let mut body = self.body.clone();
        text::put_letters(&mut body[self.id.clone()], identity.serial);
        let mut rest = identity.created;
        for digit in body[self.created.clone()].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
        body
    }
}

fn choices(out: &mut Vec<u8>, ask: &Ask, script: &Script, text: &str) {
    let finish = finish_reason(ask, script);
    for index in 0..ask.choices {
        if index > 0 {
            out.push(b',');
        }
        match ask.surface {
            Surface::Chat => write!(
                out,
                r#"{{"index":{index},"message":{{"role":"assistant","content":"{text}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"{finish}"}}"#
            ),
            _ => write!(
                out,
                r#"{{"text":"{text}","index":{index},"logprobs":null,"finish_reason":"{finish}"}}"#
            ),
        }
        .expect("a vector takes every write");
    }
}

/// The body of an embeddings answer.
pub(crate) fn embeddings(ask: &Ask, script: &Script) -> Vec<u8> {
    let mut out = b"{\"object\":\"list\",\"data\":[".to_vec();
    for index in 0..ask.inputs {
        if index > 0 {
            out.push(b',');
        }
        write!(out, r#"{{"object":"embedding","index":{index},"embedding":"#)
            .expect("a vector takes every write");
        let bag = usize::try_from(index).ok().and_then(|index| ask.bags.get(index));
        let numbers: Vec<f32> = match bag {
            Some(text) => bag_of_words(text, ask.dimensions),
            None => {
                let seed = text::mix(ask.seed ^ index);
                (0..ask.dimensions).map(|index| text::coordinate(seed, index)).collect()
            }
        };
        vector(&mut out, ask, &numbers);
        out.push(b'}');
    }
    let (model, tokens) = (json(&ask.model), ask.prompt_tokens);
    write!(out, r#"],"model":{model}"#).expect("a vector takes every write");
    if script.usage != UsageForm::Never {
        write!(out, r#","usage":{{"prompt_tokens":{tokens},"total_tokens":{tokens}}}"#)
            .expect("a vector takes every write");
    }
    out.push(b'}');
    out
}

/// The sum of a vector for each word, whatever its case: texts of the same words have the same one.
fn bag_of_words(text: &str, dimensions: u64) -> Vec<f32> {
    let mut sum: Vec<f32> = (0..dimensions).map(|_| 0.0).collect();
    for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty())
    {
        let seed = word.bytes().fold(7, |seed, byte| text::mix(seed ^ u64::from(byte)));
        for (number, index) in sum.iter_mut().zip(0..) {
            *number += text::coordinate(seed, index);
        }
    }
    sum
}

fn vector(out: &mut Vec<u8>, ask: &Ask, numbers: &[f32]) {
    if ask.is_base64 {
        let bytes: Vec<u8> = numbers.iter().copied().flat_map(f32::to_le_bytes).collect();
        out.push(b'"');
        text::base64(out, &bytes);
        out.push(b'"');
        return;
    }
    for (index, number) in numbers.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        write!(out, "{number:?}").expect("a vector takes every write");
    }
    out.push(b']');
}

/// The list of models, or one of them.
pub(crate) fn models(names: &[String], one: Option<&str>, created: u64) -> Vec<u8> {
    let entry = |name: &str| {
        let name = json(name);
        format!(r#"{{"id":{name},"object":"model","created":{created},"owned_by":"simulator"}}"#)
    };
    match one {
        Some(name) => entry(name).into_bytes(),
        None => {
            let entries: Vec<String> = names.iter().map(|name| entry(name)).collect();
            format!(r#"{{"object":"list","data":[{}]}}"#, entries.join(",")).into_bytes()
        }
    }
}

/// Opens the object and writes what every chat or completion object begins with. Returns where the
/// changing part of the id and the time lie.
pub(crate) fn members(
    out: &mut Vec<u8>,
    ask: &Ask,
    identity: Identity,
    is_chunk: bool,
) -> (Range<usize>, Range<usize>) {
    let (prefix, object) = match (ask.surface, is_chunk) {
        (Surface::Chat, true) => ("chatcmpl-", "chat.completion.chunk"),
        (Surface::Chat, false) => ("chatcmpl-", "chat.completion"),
        _ => ("cmpl-", "text_completion"),
    };
    write!(out, r#"{{"id":"{prefix}"#).expect("a vector takes every write");
    let id = out.len()..out.len() + ID_LETTERS;
    text::letters(out, identity.serial, ID_LETTERS);
    write!(out, r#"","object":"{object}","created":"#).expect("a vector takes every write");
    let start = out.len();
    write!(out, "{}", identity.created).expect("a vector takes every write");
    let created = start..out.len();
    write!(
        out,
        r#","model":{},"service_tier":"default","system_fingerprint":"fp_{:010x}","#,
        json(&ask.model),
        text::hash(0, ask.model.as_bytes()) >> 24,
    )
    .expect("a vector takes every write");
    (id, created)
}

/// A usage object.
pub(crate) fn usage(out: &mut Vec<u8>, used: Used) {
    write!(
        out,
        r#"{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{},"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#,
        used.prompt,
        used.completion,
        used.prompt + used.completion,
        used.cached,
    )
    .expect("a vector takes every write");
}

/// `length` when the request's limit cut the answer, `stop` otherwise.
pub(crate) fn finish_reason(ask: &Ask, script: &Script) -> &'static str {
    if ask.tokens(script).1 { "length" } else { "stop" }
}

/// `text` as a JSON string.
pub(crate) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn usize_of(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const IDENTITY: Identity =
        Identity { serial: 1, created: 1_700_000_000, dialect: Dialect::OpenAi };
    const USED: Used = Used { prompt: 9, cached: 0, completion: 16 };

    fn ask(surface: Surface, body: &str) -> Ask {
        Ask::read(surface, body.as_bytes(), &[]).unwrap()
    }

    #[test]
    fn a_chat_has_the_members_of_the_real_api() {
        let ask = ask(
            Surface::Chat,
            r#"{"model":"m\"x","messages":[{"role":"user","content":"hi"}],"n":2,"max_tokens":3}"#,
        );
        let whole = Whole::new(&ask, &Script::default(), IDENTITY, USED);
        let again = Identity { serial: 2, created: 1_800_000_001, ..IDENTITY };
        let other: Value = serde_json::from_slice(&whole.body(again)).unwrap();
        let body: Value = serde_json::from_slice(&whole.body(IDENTITY)).unwrap();
        assert_ne!(body["id"], other["id"]);
        assert_eq!(
            (&body["created"], &other["created"]),
            (&1_700_000_000.into(), &again.created.into())
        );
        assert_eq!(body["object"], "chat.completion");
        assert_eq!(body["model"], "m\"x");
        assert_eq!(body["id"].as_str().unwrap().len(), "chatcmpl-".len() + 29);
        assert_eq!(body["choices"].as_array().unwrap().len(), 2);
        assert_eq!(body["choices"][1]["finish_reason"], "length");
        let content = body["choices"][0]["message"]["content"].as_str().unwrap();
        assert_eq!(content.split(' ').count(), 3);
        assert_eq!(body["usage"]["total_tokens"], 9 + 2 * 3);
    }

    #[test]
    fn texts_of_the_same_words_have_the_same_vector() {
        let body = r#"{"model":"bag-of-words","input":["Reset it, please","please reset it","Delete it"],"dimensions":16}"#;
        let body = embeddings(&ask(Surface::Embedding, body), &Script::default());
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let vector = |at: usize| -> Vec<f64> {
            let numbers = answer["data"][at]["embedding"].as_array().unwrap();
            numbers.iter().map(|number| number.as_f64().unwrap()).collect()
        };
        let apart = |one: usize, other: usize| -> f64 {
            vector(one).iter().zip(vector(other)).map(|(a, b)| (a - b).abs()).sum()
        };
        assert!(apart(0, 1) < 1e-4 && apart(0, 2) > 0.1, "{} {}", apart(0, 1), apart(0, 2));
    }

    #[test]
    fn embeddings_agree_in_both_encodings() {
        let body = |encoding: &str| {
            let body = format!(
                r#"{{"model":"m","input":["a","b"],"dimensions":3,"encoding_format":"{encoding}"}}"#
            );
            let body = embeddings(&ask(Surface::Embedding, &body), &Script::default());
            serde_json::from_slice::<Value>(&body).unwrap()
        };
        let floats = body("float");
        assert_eq!(floats["data"][1]["embedding"].as_array().unwrap().len(), 3);
        let coded = body("base64");
        let mut expected = Vec::new();
        let numbers = floats["data"][1]["embedding"].as_array().unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "the numbers were f32 before")]
        let bytes: Vec<u8> =
            numbers.iter().flat_map(|n| (n.as_f64().unwrap() as f32).to_le_bytes()).collect();
        text::base64(&mut expected, &bytes);
        assert_eq!(coded["data"][1]["embedding"], String::from_utf8(expected).unwrap());
    }
}
