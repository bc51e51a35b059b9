//! What an answer took: a usage object in the spellings of OpenAI (chat and Responses), DeepSeek, xAI and the rest.

use faregate_wire::json::{string_len, value_len};

use crate::chat::Usage;

/// The counts of a usage object, as far as they are there.
#[derive(Default)]
struct Counts {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    hit: Option<u64>,
    miss: Option<u64>,
    input: Details,
    output: Details,
    /// One bit for each name that was met.
    met: u16,
    /// A name was met twice: it has no one value.
    ambiguous: bool,
}

#[derive(Default)]
struct Details {
    cached: Option<u64>,
    written: Option<u64>,
    audio: Option<u64>,
    reasoning: Option<u64>,
}

/// Reads a usage object. `None` when it is not one object or counts nothing.
///
/// Providers count classes within each other, cached within prompt and reasoning within completion; here they are
/// taken apart. A class larger than what it is said to be part of is cut to it, so the classes always add up to the
/// provider's prompt and completion. Where `total_tokens` is larger than these two, the rest is reasoning that the
/// provider leaves out of its completion (older xAI models, Gemini's compatible API); where reasoning is larger than the
/// completion, it cannot have been part of it and is added.
#[must_use]
pub fn usage(object: &[u8]) -> Option<Usage> {
    let object = object.trim_ascii();
    let (usage, len) = read(object)?;
    if len == object.len() { usage } else { None }
}

/// The usage object that `text` begins with, read, and its bytes; `None` when there is none.
pub(super) fn read(text: &[u8]) -> Option<(Option<Usage>, usize)> {
    let mut counts = Counts::default();
    let len = members(text, |name, value| counts.take(name, value))?;
    Some((if counts.ambiguous { None } else { counts.usage() }, len))
}

impl Counts {
    fn usage(self) -> Option<Usage> {
        let Self { prompt, completion, total, hit, miss, input, output, .. } = self;
        let prompt = prompt
            .or_else(|| Some(hit?.saturating_add(miss?)))
            .or_else(|| Some(total?.saturating_sub(completion.unwrap_or(0))));
        if prompt.is_none() && completion.is_none() {
            return None;
        }
        let prompt = prompt.unwrap_or(0);
        let completion = completion.or_else(|| Some(total?.saturating_sub(prompt))).unwrap_or(0);
        let left_out = total.unwrap_or(0).saturating_sub(prompt.saturating_add(completion));
        let mut usage = Usage::default();
        usage.split_input(prompt, input.cached.or(hit).unwrap_or(0), &input);
        usage.split_output(completion, left_out, &output);
        Some(usage)
    }

    /// Takes one member, and says where its value ends if it had to be read.
    fn take(&mut self, name: &[u8], rest: &[u8]) -> Option<usize> {
        let (bit, place) = match name {
            b"prompt_tokens" => (0, &mut self.prompt),
            b"input_tokens" => (1, &mut self.prompt),
            b"completion_tokens" => (2, &mut self.completion),
            b"output_tokens" => (3, &mut self.completion),
            b"total_tokens" => (4, &mut self.total),
            b"prompt_cache_hit_tokens" => (5, &mut self.hit),
            b"prompt_cache_miss_tokens" => (6, &mut self.miss),
            b"prompt_tokens_details" | b"input_tokens_details" | b"input_token_details" => {
                self.meet(7 + u16::from(name[0] == b'i'));
                return self.input.take(rest);
            }
            b"completion_tokens_details" | b"output_tokens_details" | b"output_token_details" => {
                self.meet(9 + u16::from(name[0] == b'o'));
                return self.output.take(rest);
            }
            _ => return value_len(rest),
        };
        let (value, end) = count(rest)?;
        *place = value.or(*place);
        self.meet(bit);
        Some(end)
    }

    fn meet(&mut self, bit: u16) {
        self.ambiguous |= self.met & (1 << bit) != 0;
        self.met |= 1 << bit;
    }
}

impl Details {
    fn take(&mut self, text: &[u8]) -> Option<usize> {
        if text.first() != Some(&b'{') {
            return value_len(text);
        }
        members(text, |name, rest| {
            let place = match name {
                b"cached_tokens" => &mut self.cached,
                b"cache_write_tokens" => &mut self.written,
                b"audio_tokens" => &mut self.audio,
                b"reasoning_tokens" => &mut self.reasoning,
                _ => return value_len(rest),
            };
            let (value, end) = count(rest)?;
            *place = value;
            Some(end)
        })
    }
}

/// Gives every member of the object that `text` begins with to `each`: its name, and the text from its value on; `each`
/// says where the value ends. The object's bytes; `None` when it is not one object.
///
/// What is read here is what a provider counts, not what a client may do: names and brackets are followed, literals are
/// not checked.
fn members(text: &[u8], mut each: impl FnMut(&[u8], &[u8]) -> Option<usize>) -> Option<usize> {
    let mut rest = text.strip_prefix(b"{")?.trim_ascii_start();
    if let [b'}', behind @ ..] = rest {
        return Some(text.len() - behind.len());
    }
    loop {
        let len = string_len(rest)?;
        let name = &rest[1..len - 1];
        rest = rest[len..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let value = each(name, rest)?;
        rest = rest.get(value..)?.trim_ascii_start();
        match rest {
            [b'}', behind @ ..] => return Some(text.len() - behind.len()),
            [b',', behind @ ..] => rest = behind.trim_ascii_start(),
            _ => return None,
        }
    }
}

/// Whether `rest`, behind a member of an object, is the end of that object and of the whole text.
pub(super) fn ends_here(rest: &[u8]) -> bool {
    let mut rest = rest.trim_ascii();
    while let Some(behind) = rest.strip_prefix(b",") {
        let behind = behind.trim_ascii_start();
        let Some(name) = string_len(behind) else { return false };
        let Some(value) = behind[name..].trim_ascii_start().strip_prefix(b":") else {
            return false;
        };
        let value = value.trim_ascii_start();
        let Some(end) = value_len(value) else { return false };
        rest = value[end..].trim_ascii_start();
    }
    rest == b"}"
}

impl Usage {
    fn split_input(&mut self, prompt: u64, cached: u64, details: &Details) {
        let mut rest = prompt;
        self.cache_read = take(&mut rest, cached);
        self.cache_write = take(&mut rest, details.written.unwrap_or(0));
        self.audio_input = take(&mut rest, details.audio.unwrap_or(0));
        self.input = rest;
    }

    fn split_output(&mut self, completion: u64, left_out: u64, details: &Details) {
        let reasoning = details.reasoning.unwrap_or(0);
        let is_apart = left_out > 0 || reasoning > completion;
        let added = if left_out == 0 && is_apart { reasoning } else { left_out };
        let mut rest = completion.saturating_add(added);
        self.reasoning = take(&mut rest, reasoning.max(added));
        self.audio_output = take(&mut rest, details.audio.unwrap_or(0));
        self.output = rest;
    }
}

/// Takes `wanted` out of `rest`, or as much as there is.
fn take(rest: &mut u64, wanted: u64) -> u64 {
    let taken = wanted.min(*rest);
    *rest -= taken;
    taken
}

/// The number of tokens that `text` begins with, and where it ends; no number when it is something else. Some servers
/// write whole numbers as `12.0`.
fn count(text: &[u8]) -> Option<(Option<u64>, usize)> {
    // So many digits always fit.
    const SHORT: usize = 19;
    let (mut digits, mut short) = (0, 0_u64);
    while let Some(digit) = text.get(digits).filter(|byte| byte.is_ascii_digit()) {
        short = short.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        digits += 1;
    }
    let value = if digits <= SHORT { Some(short) } else { long(&text[..digits]) };
    if digits > 0 && matches!(text.get(digits), Some(b',' | b'}')) {
        return Some((value, digits));
    }
    let end = value_len(text)?;
    let is_whole = match text[digits..end].split_first() {
        None => true,
        Some((b'.', fraction)) => fraction.iter().all(|digit| *digit == b'0'),
        Some(_) => false,
    };
    Some((value.filter(|_| digits > 0 && is_whole), end))
}

/// The number that these digits are, if there is room for it.
#[cold]
fn long(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Input, cache read, cache write, audio in, output, reasoning, audio out.
    fn check(object: &str, expected: [u64; 7]) {
        let [input, cache_read, cache_write, audio_input, output, reasoning, audio_output] =
            expected;
        let expected = Usage {
            input,
            cache_read,
            cache_write,
            cache_write_long: 0,
            audio_input,
            output,
            reasoning,
            audio_output,
        };
        let found = usage(object.as_bytes()).unwrap();
        assert_eq!(found, expected, "{object}");
        let json: serde_json::Value = serde_json::from_str(object).unwrap();
        if let Some(total) = json["total_tokens"].as_u64() {
            assert_eq!(found.total(), total, "{object}");
        }
        if let Some(prompt) = json["prompt_tokens"].as_u64() {
            assert_eq!(found.total_input(), prompt, "{object}");
        }
    }

    #[test]
    fn every_recorded_shape_adds_up_to_the_providers_totals() {
        // OpenAI chat, with and without details.
        check(
            r#"{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,
            "audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":192,"audio_tokens":0,
            "accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#,
            [86, 1920, 0, 0, 108, 192, 0],
        );
        check(
            r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}"#,
            [9, 0, 0, 0, 12, 0, 0],
        );
        check(
            r#"{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":null}"#,
            [9, 0, 0, 0, 12, 0, 0],
        );
        // OpenAI with cache writes, and audio.
        check(
            r#"{"prompt_tokens":3000,"completion_tokens":10,"total_tokens":3010,
            "prompt_tokens_details":{"cached_tokens":1024,"cache_write_tokens":1536}}"#,
            [440, 1024, 1536, 0, 10, 0, 0],
        );
        check(
            r#"{"prompt_tokens":60,"completion_tokens":90,"total_tokens":150,
            "prompt_tokens_details":{"audio_tokens":40,"text_tokens":20},
            "completion_tokens_details":{"audio_tokens":70,"text_tokens":20}}"#,
            [20, 0, 0, 40, 20, 0, 70],
        );
        // OpenAI Responses.
        check(
            r#"{"input_tokens":75,"input_tokens_details":{"cached_tokens":32},"output_tokens":1186,
            "output_tokens_details":{"reasoning_tokens":1024},"total_tokens":1261}"#,
            [43, 32, 0, 0, 162, 1024, 0],
        );
        // Embeddings.
        check(r#"{"prompt_tokens":8,"total_tokens":8}"#, [8, 0, 0, 0, 0, 0, 0]);
        check(r#"{"total_tokens":8}"#, [8, 0, 0, 0, 0, 0, 0]);
        // DeepSeek.
        check(
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_cache_hit_tokens":64,
            "prompt_cache_miss_tokens":36,"completion_tokens_details":{"reasoning_tokens":30}}"#,
            [36, 64, 0, 0, 20, 30, 0],
        );
        check(
            r#"{"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}"#,
            [36, 64, 0, 0, 0, 0, 0],
        );
        // xAI, reasoning apart from completion; and the same without a total.
        check(
            r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"prompt_tokens_details":{"text_tokens":32,
            "audio_tokens":0,"image_tokens":0,"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":94}}"#,
            [26, 6, 0, 0, 9, 94, 0],
        );
        check(
            r#"{"prompt_tokens":32,"completion_tokens":9,"completion_tokens_details":{"reasoning_tokens":94}}"#,
            [32, 0, 0, 0, 9, 94, 0],
        );
        // Gemini's compatible API: thoughts are only in the total.
        check(
            r#"{"prompt_tokens":10,"completion_tokens":20,"total_tokens":130}"#,
            [10, 0, 0, 0, 20, 100, 0],
        );
        // Groq and OpenRouter add more.
        check(
            r#"{"queue_time":0.037,"prompt_tokens":18,"prompt_time":0.000680594,"completion_tokens":556,
            "completion_time":0.463333333,"total_tokens":574,"total_time":0.464013927}"#,
            [18, 0, 0, 0, 556, 0, 0],
        );
        check(
            r#"{"prompt_tokens":194,"completion_tokens":2,"total_tokens":196,"cost":0.95,"is_byok":false,
            "prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":100,"audio_tokens":0},
            "cost_details":{"upstream_inference_cost":19},"completion_tokens_details":{"reasoning_tokens":0}}"#,
            [94, 0, 100, 0, 2, 0, 0],
        );
        // Whole numbers with a fraction.
        check(r#"{"prompt_tokens":18.0,"completion_tokens":5.00}"#, [18, 0, 0, 0, 5, 0, 0]);
    }

    #[test]
    fn what_is_larger_than_its_whole_is_cut() {
        check(
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
            "prompt_tokens_details":{"cached_tokens":99,"cache_write_tokens":99,"audio_tokens":99},
            "completion_tokens_details":{"audio_tokens":99}}"#,
            [0, 10, 0, 0, 0, 0, 5],
        );
    }

    #[test]
    fn what_counts_nothing_is_no_usage() {
        for object in [
            "{}",
            "null",
            "[]",
            "",
            "{",
            r#"{"prompt_tokens":"9"}"#,
            r#"{"type":"duration","seconds":3}"#,
        ] {
            assert_eq!(usage(object.as_bytes()), None, "{object}");
        }
        for object in [
            r#"{"prompt_tokens":-1}"#,
            r#"{"prompt_tokens":1.5}"#,
            r#"{"prompt_tokens":1,"prompt_tokens":2}"#,
        ] {
            assert_eq!(usage(object.as_bytes()), None, "{object}");
        }
    }

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0..200_u64, any::<u64>(), Just(u64::MAX)]
    }

    proptest! {
        #[test]
        fn classes_add_up_whatever_the_numbers(
            [prompt, completion, cached, written, audio, reasoning, total] in prop::array::uniform7(number()),
            has_total: bool,
        ) {
            let total = if has_total { format!(",\"total_tokens\":{total}") } else { String::new() };
            let object = format!(
                "{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion}{total},\
                \"prompt_tokens_details\":{{\"cached_tokens\":{cached},\"cache_write_tokens\":{written}}},\
                \"completion_tokens_details\":{{\"audio_tokens\":{audio},\"reasoning_tokens\":{reasoning}}}}}"
            );
            let found = usage(object.as_bytes()).unwrap();
            prop_assert_eq!(found.total_input(), prompt);
            prop_assert!(found.total_output() >= completion);
        }
    }
}
