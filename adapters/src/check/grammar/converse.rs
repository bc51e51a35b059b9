//! Converse: the start first, blocks closed in turn, the stop, the figures; an exception ends it.

use serde_json::Value;

use super::End;

pub(super) fn follow(events: &[(String, Value)]) -> End {
    let (mut end, mut has_start, mut has_stop) = (End::Open, false, false);
    let (mut blocks, mut is_open) = (0_u64, false);
    for (name, data) in events {
        assert_eq!(end, End::Open, "nothing follows the end: {name} {data}");
        match &**name {
            "messageStart" => assert!(!std::mem::replace(&mut has_start, true)),
            "contentBlockStart" => {
                assert!(has_start && !has_stop && !is_open && data["contentBlockIndex"] == blocks);
                is_open = true;
            }
            "contentBlockDelta" => {
                assert!(has_start && !has_stop && data["contentBlockIndex"] == blocks);
                is_open = true;
            }
            "contentBlockStop" => {
                assert!(is_open && data["contentBlockIndex"] == blocks);
                is_open = false;
                blocks += 1;
            }
            "messageStop" => {
                assert!(has_start && !is_open && data["stopReason"].is_string());
                assert!(!std::mem::replace(&mut has_stop, true));
            }
            "metadata" => {
                assert!(has_stop);
                end = End::Whole;
            }
            _ => {
                assert!(name.starts_with("exception:"), "no such event: {name}");
                end = End::Error;
            }
        }
    }
    // Where nothing is known of usage there are no figures.
    if end == End::Open && has_stop { End::Whole } else { end }
}
