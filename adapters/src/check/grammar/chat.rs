//! Chat Completions: nothing follows `[DONE]` or an error, each choice finishes once, calls begin in order.

use std::collections::BTreeMap;

use serde_json::Value;

use super::End;

pub(super) fn follow(events: &[(String, Value)]) -> End {
    let mut end = End::Open;
    let mut finished: BTreeMap<u64, bool> = BTreeMap::new();
    let mut calls: BTreeMap<u64, u64> = BTreeMap::new();
    for (name, chunk) in events {
        assert!(name.is_empty(), "chunks have no names");
        assert_eq!(end, End::Open, "nothing follows the end: {chunk}");
        if chunk == "[DONE]" {
            assert!(finished.values().all(|is_finished| *is_finished), "each choice finishes");
            end = End::Whole;
            continue;
        }
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            assert!(chunk["error"]["message"].is_string());
            end = End::Error;
            continue;
        }
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert!(chunk["id"].as_str().is_some_and(|id| !id.is_empty()));
        for choice in chunk["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap();
            let is_finished = finished.entry(index).or_default();
            assert!(!*is_finished, "nothing follows a finish: {chunk}");
            *is_finished = choice["finish_reason"].is_string();
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                let count = calls.entry(index).or_default();
                let at = call["index"].as_u64().unwrap();
                assert!(at <= *count, "calls have no gaps");
                if at == *count {
                    assert!(call["id"].as_str().is_some_and(|id| !id.is_empty()));
                    *count += 1;
                }
            }
        }
    }
    end
}
