//! Messages: the start first, blocks opened and closed one after the other, nothing behind the stop or an error.

use serde_json::Value;

use super::End;

pub(super) fn follow(events: &[(String, Value)]) -> End {
    let (mut end, mut has_start, mut has_delta) = (End::Open, false, false);
    let (mut blocks, mut is_open, mut is_call) = (0_u64, false, false);
    for (name, data) in events {
        assert_eq!(data["type"], name.as_str(), "the name of an event is its type");
        assert_eq!(end, End::Open, "nothing follows the end: {data}");
        match &**name {
            "ping" => {}
            "error" => {
                // A call that is not complete stays open, so that nobody takes half of it for all.
                assert!(!is_open || is_call);
                assert!(data["error"]["message"].is_string());
                end = End::Error;
            }
            "message_start" => {
                assert!(!has_start);
                has_start = true;
                assert!(data["message"]["usage"]["input_tokens"].is_u64());
            }
            "content_block_start" => {
                assert!(has_start && !has_delta && !is_open && data["index"] == blocks);
                is_open = true;
                is_call = data["content_block"]["type"] == "tool_use";
            }
            "content_block_delta" => assert!(is_open && data["index"] == blocks),
            "content_block_stop" => {
                assert!(is_open && data["index"] == blocks);
                is_open = false;
                blocks += 1;
            }
            "message_delta" => {
                assert!(has_start && !is_open && !has_delta);
                assert!(data["delta"]["stop_reason"].is_string());
                has_delta = true;
            }
            "message_stop" => {
                assert!(has_delta);
                end = End::Whole;
            }
            _ => panic!("no such event: {name}"),
        }
    }
    end
}
