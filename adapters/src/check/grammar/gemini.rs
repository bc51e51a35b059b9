//! Gemini: each candidate finishes once, and an error is the last chunk.

use std::collections::BTreeSet;

use serde_json::Value;

use super::End;

pub(super) fn follow(events: &[(String, Value)]) -> End {
    let (mut is_failed, mut finished) = (false, BTreeSet::new());
    for (name, chunk) in events {
        assert!(name.is_empty() && !is_failed, "nothing follows an error: {chunk}");
        if let Some(error) = chunk.get("error") {
            assert!(error["code"].is_u64() && error["status"].is_string());
            is_failed = true;
            continue;
        }
        for candidate in chunk["candidates"].as_array().into_iter().flatten() {
            if candidate["finishReason"].is_string() {
                assert!(finished.insert(candidate["index"].as_u64()), "one finish: {chunk}");
            }
            for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
                let call = part.get("functionCall");
                assert!(
                    call.is_none_or(|call| call["args"].is_object() && call["name"].is_string())
                );
            }
        }
    }
    match (is_failed, finished.is_empty()) {
        (true, _) => End::Error,
        (false, true) => End::Open,
        (false, false) => End::Whole,
    }
}
