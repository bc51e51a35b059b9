//! `usageMetadata`: read into classes that do not overlap, and written from them.

use faregate_wire::{Json, JsonWriter};

use super::member::{list, member};
use crate::{chat::Usage, dialect::UsageReport};

/// Reads a `usageMetadata` object; `None` when it is not one or counts nothing.
#[must_use]
pub fn usage(object: &[u8]) -> Option<Usage> {
    report(Json::new(object)?).map(|report| report.usage)
}

/// Reads what one chunk tells of usage, perhaps of one side alone.
///
/// Cached tokens are part of the prompt, thoughts and the results of the provider's own tools stand beside it and the
/// candidates. Where the total is larger than all of these, the rest is thoughts that were not told apart.
pub(super) fn report(json: Json<'_>) -> Option<UsageReport> {
    let count = |name: &str| member(json, name).and_then(Json::u64);
    let (prompt, candidates) = (count("promptTokenCount"), count("candidatesTokenCount"));
    let candidates = candidates.or_else(|| count("responseTokenCount"));
    let (thoughts, total) = (count("thoughtsTokenCount"), count("totalTokenCount"));
    if prompt.is_none() && candidates.is_none() && thoughts.is_none() && total.is_none() {
        return None;
    }
    let input = prompt.unwrap_or(0).saturating_add(count("toolUsePromptTokenCount").unwrap_or(0));
    let cached = count("cachedContentTokenCount").unwrap_or(0).min(input);
    let audio_cached = audio(json, "cacheTokensDetails");
    let audio_input = audio(json, "promptTokensDetails").saturating_sub(audio_cached);
    let audio_input = audio_input.min(input - cached);
    let said = candidates.unwrap_or(0);
    let thought = thoughts.unwrap_or(0);
    let left_out = total.unwrap_or(0);
    let left_out = left_out.saturating_sub(input).saturating_sub(said).saturating_sub(thought);
    let (said, thought) = match candidates {
        Some(said) => (said, thought.saturating_add(left_out)),
        None => (left_out, thought),
    };
    let audio_output = audio(json, "candidatesTokensDetails").min(said);
    let usage = Usage {
        input: input - cached - audio_input,
        cache_read: cached,
        audio_input,
        output: said - audio_output,
        reasoning: thought,
        audio_output,
        ..Usage::default()
    };
    let has_output = candidates.is_some() || thoughts.is_some() || left_out > 0;
    Some(UsageReport { usage, has_input: prompt.is_some(), has_output })
}

fn audio(json: Json<'_>, name: &str) -> u64 {
    let details = member(json, name).into_iter().flat_map(list);
    let audio =
        details.filter(|d| member(*d, "modality").and_then(Json::str).as_deref() == Some("AUDIO"));
    audio.filter_map(|d| member(d, "tokenCount")?.u64()).fold(0, u64::saturating_add)
}

/// Writes a `usageMetadata` object.
pub(super) fn write(json: &mut JsonWriter<'_>, usage: &Usage) {
    json.object().member_u64("promptTokenCount", usage.total_input());
    if usage.cache_read > 0 {
        json.member_u64("cachedContentTokenCount", usage.cache_read);
    }
    let said = usage.output.saturating_add(usage.audio_output);
    json.member_u64("candidatesTokenCount", said);
    if usage.reasoning > 0 {
        json.member_u64("thoughtsTokenCount", usage.reasoning);
    }
    json.member_u64("totalTokenCount", usage.total());
    write_details(json, "promptTokensDetails", usage.total_input(), usage.audio_input);
    write_details(json, "candidatesTokensDetails", said, usage.audio_output);
    json.end();
}

/// Tells audio apart, where there is some.
fn write_details(json: &mut JsonWriter<'_>, name: &str, all: u64, audio: u64) {
    if audio == 0 {
        return;
    }
    json.name(name).array();
    for (modality, count) in [("TEXT", all.saturating_sub(audio)), ("AUDIO", audio)] {
        json.object().member_str("modality", modality).member_u64("tokenCount", count).end();
    }
    json.end();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn classes_do_not_overlap() {
        let text = br#"{"promptTokenCount":1000,"cachedContentTokenCount":600,"toolUsePromptTokenCount":50,
            "candidatesTokenCount":30,"thoughtsTokenCount":20,"totalTokenCount":1100,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":900},{"modality":"AUDIO","tokenCount":100}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":60}],
            "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":10}]}"#;
        let expected = Usage {
            input: 410,
            cache_read: 600,
            audio_input: 40,
            output: 20,
            reasoning: 20,
            audio_output: 10,
            ..Usage::default()
        };
        assert_eq!(usage(text), Some(expected));
        assert_eq!(expected.total(), 1100);
    }

    #[test]
    fn what_is_left_out_is_found_in_the_total() {
        let thoughts = br#"{"promptTokenCount":9,"candidatesTokenCount":2,"totalTokenCount":61}"#;
        assert_eq!(usage(thoughts).unwrap().reasoning, 50);
        let said = br#"{"promptTokenCount":9,"thoughtsTokenCount":40,"totalTokenCount":61}"#;
        let said = usage(said).unwrap();
        assert_eq!((said.output, said.reasoning), (12, 40));
        for nothing in ["{}", "[]", r#"{"trafficType":"ON_DEMAND"}"#, "x"] {
            assert_eq!(usage(nothing.as_bytes()), None);
        }
    }

    proptest! {
        #[test]
        fn classes_sum_to_the_provider_s_totals(
            prompt in 0..9999_u64, cached in 0..9999_u64, audio in 0..9999_u64, tool in 0..999_u64,
            said in 0..9999_u64, thought in 0..9999_u64,
        ) {
            let total = prompt + tool + said + thought;
            let text = format!(
                r#"{{"promptTokenCount":{prompt},"cachedContentTokenCount":{cached},
                "toolUsePromptTokenCount":{tool},"candidatesTokenCount":{said},
                "thoughtsTokenCount":{thought},"totalTokenCount":{total},
                "promptTokensDetails":[{{"modality":"AUDIO","tokenCount":{audio}}}],
                "candidatesTokensDetails":[{{"modality":"AUDIO","tokenCount":{audio}}}]}}"#
            );
            let read = usage(text.as_bytes()).unwrap();
            prop_assert_eq!(read.total_input(), prompt + tool);
            prop_assert_eq!(read.total_output(), said + thought);
            let mut out = Vec::new();
            write(&mut JsonWriter::new(&mut out), &read);
            prop_assert_eq!(usage(&out).unwrap(), read);
        }
    }
}
