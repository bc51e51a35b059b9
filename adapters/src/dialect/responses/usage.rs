//! Usage objects: read as those of chat completions, with what is said of how long the cache keeps, and written.

use faregate_wire::{Json, JsonWriter};

use crate::{chat::Usage, dialect::openai};

/// Reads a usage object.
pub(super) fn read(object: &[u8]) -> Option<Usage> {
    let mut usage = openai::usage(object)?;
    let details = ["input_tokens_details", "cache_write_tokens_details", "ttl_12h_tokens"];
    let long = Json::new(object).and_then(|usage| usage.at(&details)).and_then(Json::u64);
    let long = long.unwrap_or(0).min(usage.cache_write);
    usage.cache_write -= long;
    usage.cache_write_long = long;
    Some(usage)
}

/// Writes a usage object.
pub(super) fn write(json: &mut JsonWriter<'_>, usage: &Usage) {
    json.object().member_u64("input_tokens", usage.total_input());
    json.name("input_tokens_details").object();
    json.member_u64("cached_tokens", usage.cache_read);
    json.member_u64("cache_write_tokens", usage.total_cache_write());
    if usage.cache_write_long > 0 {
        json.name("cache_write_tokens_details").object();
        json.member_u64("ttl_30m_tokens", usage.cache_write);
        json.member_u64("ttl_12h_tokens", usage.cache_write_long).end();
    }
    if usage.audio_input > 0 {
        json.member_u64("audio_tokens", usage.audio_input);
    }
    json.end().member_u64("output_tokens", usage.total_output());
    json.name("output_tokens_details").object();
    json.member_u64("reasoning_tokens", usage.reasoning);
    if usage.audio_output > 0 {
        json.member_u64("audio_tokens", usage.audio_output);
    }
    json.end().member_u64("total_tokens", usage.total()).end();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(counts in prop::array::uniform8(0..1_u64 << 40)) {
            let [input, cache_read, cache_write, cache_write_long, audio_input, output, reasoning, audio_output] = counts;
            let usage = Usage {
                input, cache_read, cache_write, cache_write_long, audio_input, output, reasoning, audio_output,
            };
            let mut out = Vec::new();
            write(&mut JsonWriter::new(&mut out), &usage);
            prop_assert_eq!(read(&out), Some(usage));
        }
    }
}
