//! What an answer took, in this dialect's arithmetic.
//!
//! `input_tokens` counts neither what was read from the cache nor what was written to it; `output_tokens` counts thinking,
//! which may be told apart. In a stream counts come at the start and again at the end, cumulative: what comes later
//! replaces what came before. Some providers say zero where they mean nothing, and tell cached tokens at the end only.

use faregate_wire::{Json, JsonWriter};

use crate::{chat::Usage, dialect::UsageReport};

/// The counts of a usage object, as far as they are there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    input: Option<u64>,
    read: Option<u64>,
    written: Option<u64>,
    written_short: Option<u64>,
    written_long: Option<u64>,
    output: Option<u64>,
    thought: Option<u64>,
    /// What compactions of the context took, which nothing else counts.
    compaction: Usage,
}

impl Counts {
    /// Reads a usage object.
    pub(super) fn of(usage: Json<'_>) -> Self {
        let mut counts = Self::default();
        for (name, value) in usage.members() {
            match &*name {
                "input_tokens" => counts.input = value.u64(),
                "cache_read_input_tokens" => counts.read = value.u64(),
                "cache_creation_input_tokens" => counts.written = value.u64(),
                "cache_creation" => {
                    counts.written_short = value.get_u64("ephemeral_5m_input_tokens");
                    counts.written_long = value.get_u64("ephemeral_1h_input_tokens");
                }
                "output_tokens" => counts.output = value.u64(),
                "output_tokens_details" => counts.thought = value.get_u64("thinking_tokens"),
                "iterations" => counts.compactions(value),
                _ => {}
            }
        }
        counts
    }

    /// Takes in what comes later in the same stream.
    pub(super) fn merge(&mut self, later: Self) {
        if later.tells_input() {
            self.input = later.input.or(self.input);
            self.read = later.read.or(self.read);
            self.written = later.written.or(self.written);
            self.written_short = later.written_short.or(self.written_short);
            self.written_long = later.written_long.or(self.written_long);
        }
        let tells = |count: &u64| *count > 0;
        self.output = later.output.filter(tells).or(self.output);
        self.thought = later.thought.filter(tells).or(self.thought);
        if later.compaction != Usage::default() {
            self.compaction = later.compaction;
        }
    }

    /// The counts in classes; `None` when nothing is counted.
    pub(super) fn usage(&self) -> Option<Usage> {
        if !self.has_input() && self.output.is_none() {
            return None;
        }
        let long = self.written_long.unwrap_or(0);
        let parts = self.written_short.unwrap_or(0).saturating_add(long);
        let written = self.written.unwrap_or(0).max(parts);
        let output = self.output.unwrap_or(0);
        let reasoning = self.thought.unwrap_or(0).min(output);
        let own = Usage {
            input: self.input.unwrap_or(0),
            cache_read: self.read.unwrap_or(0),
            cache_write: written - long,
            cache_write_long: long,
            output: output - reasoning,
            reasoning,
            ..Usage::default()
        };
        Some(sum(own, self.compaction))
    }

    /// The counts as one report of a stream.
    pub(super) fn report(&self) -> Option<UsageReport> {
        let usage = self.usage()?;
        Some(UsageReport {
            usage,
            has_input: self.tells_input(),
            has_output: self.output.is_some_and(|output| output > 0),
        })
    }

    fn has_input(&self) -> bool {
        let counts = [self.input, self.read, self.written, self.written_short, self.written_long];
        counts.iter().any(Option::is_some)
    }

    fn tells_input(&self) -> bool {
        let counts = [self.input, self.read, self.written, self.written_short, self.written_long];
        counts.into_iter().flatten().any(|count| count > 0)
    }

    fn compactions(&mut self, iterations: Json<'_>) {
        for iteration in iterations.items() {
            if iteration.get_str("type").is_some_and(|kind| kind == "compaction") {
                let usage = Self::of(iteration).usage().unwrap_or_default();
                self.compaction = sum(self.compaction, usage);
            }
        }
    }
}

/// Reads a usage object. `None` when it counts nothing.
#[must_use]
pub fn usage(object: &[u8]) -> Option<Usage> {
    Counts::of(Json::new(object)?).usage()
}

/// Writes a usage object.
pub(super) fn write_usage(json: &mut JsonWriter<'_>, usage: &Usage, tier: Option<&str>) {
    json.object();
    json.member_u64("input_tokens", usage.input.saturating_add(usage.audio_input));
    json.member_u64("cache_creation_input_tokens", usage.total_cache_write());
    json.member_u64("cache_read_input_tokens", usage.cache_read);
    if usage.total_cache_write() > 0 {
        json.name("cache_creation").object();
        json.member_u64("ephemeral_5m_input_tokens", usage.cache_write);
        json.member_u64("ephemeral_1h_input_tokens", usage.cache_write_long).end();
    }
    json.member_u64("output_tokens", usage.total_output());
    if usage.reasoning > 0 {
        json.name("output_tokens_details").object();
        json.member_u64("thinking_tokens", usage.reasoning).end();
    }
    match tier {
        Some(tier @ ("standard" | "priority" | "batch")) => {
            _ = json.member_str("service_tier", tier)
        }
        Some("default") => _ = json.member_str("service_tier", "standard"),
        Some(_) | None => {}
    }
    json.end();
}

fn sum(one: Usage, other: Usage) -> Usage {
    Usage {
        input: one.input.saturating_add(other.input),
        cache_read: one.cache_read.saturating_add(other.cache_read),
        cache_write: one.cache_write.saturating_add(other.cache_write),
        cache_write_long: one.cache_write_long.saturating_add(other.cache_write_long),
        audio_input: one.audio_input.saturating_add(other.audio_input),
        output: one.output.saturating_add(other.output),
        reasoning: one.reasoning.saturating_add(other.reasoning),
        audio_output: one.audio_output.saturating_add(other.audio_output),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(text: &str) -> Counts {
        Counts::of(Json::new(text.as_bytes()).unwrap())
    }

    fn merged(texts: &[&str]) -> Usage {
        let mut all = Counts::default();
        texts.iter().for_each(|text| all.merge(counts(text)));
        all.usage().unwrap()
    }

    #[test]
    fn cumulative_counts_are_not_added_up() {
        let usage = merged(&[
            r#"{"input_tokens":10,"cache_read_input_tokens":500,"cache_creation_input_tokens":70,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":50},"output_tokens":1}"#,
            r#"{"input_tokens":10,"cache_read_input_tokens":500,"cache_creation_input_tokens":70,"output_tokens":40,"output_tokens_details":{"thinking_tokens":30}}"#,
        ]);
        let expected = Usage {
            input: 10,
            cache_read: 500,
            cache_write: 20,
            cache_write_long: 50,
            output: 10,
            reasoning: 30,
            ..Usage::default()
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn what_is_told_at_the_end_only_counts_and_zero_tells_nothing() {
        let usage = merged(&[
            r#"{"input_tokens":10,"output_tokens":0}"#,
            r#"{"cache_read_input_tokens":500,"output_tokens":4}"#,
        ]);
        assert_eq!((usage.input, usage.cache_read, usage.output), (10, 500, 4));
        let usage = merged(&[
            r#"{"input_tokens":10,"output_tokens":1}"#,
            r#"{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":4}"#,
        ]);
        assert_eq!((usage.input, usage.output), (10, 4));
        let usage = merged(&[
            r#"{"input_tokens":900,"output_tokens":0}"#,
            r#"{"input_tokens":20,"cache_read_input_tokens":500,"output_tokens":4}"#,
        ]);
        assert_eq!((usage.input, usage.cache_read), (20, 500));
    }

    #[test]
    fn compactions_are_added() {
        let usage = usage(br#"{"input_tokens":5,"output_tokens":6,"iterations":[{"type":"compaction","input_tokens":100,"output_tokens":10},{"type":"message","input_tokens":5,"output_tokens":6}]}"#);
        assert_eq!(usage.map(|usage| (usage.input, usage.output)), Some((105, 16)));
    }

    proptest! {
        #[test]
        fn classes_add_up_to_what_the_provider_said(
            input in 0..9_u64, read in 0..9_u64, written in 0..9_u64, output in 0..9_u64, thought in 0..12_u64,
            long in 0..9_u64,
        ) {
            let long = long.min(written);
            let text = format!(r#"{{"input_tokens":{input},"cache_read_input_tokens":{read},"cache_creation_input_tokens":{written},"cache_creation":{{"ephemeral_1h_input_tokens":{long}}},"output_tokens":{output},"output_tokens_details":{{"thinking_tokens":{thought}}}}}"#);
            let read_back = usage(text.as_bytes()).unwrap();
            prop_assert_eq!(read_back.total_input(), input + read + written);
            prop_assert_eq!(read_back.total_output(), output);
            let mut out = Vec::new();
            write_usage(&mut JsonWriter::new(&mut out), &read_back, None);
            prop_assert_eq!(usage(&out).unwrap(), read_back);
        }
    }
}
