//! Responses: events are numbered, every item that was added is done, and one event ends it all.

use serde_json::Value;

use super::End;

pub(super) fn follow(events: &[(String, Value)]) -> End {
    let (mut end, mut has_error, mut done) = (End::Open, false, Vec::new());
    for (number, (name, data)) in events.iter().enumerate() {
        assert_eq!(data["type"], name.as_str(), "the name of an event is its type");
        assert_eq!(data["sequence_number"], number);
        assert_eq!(end, End::Open, "nothing follows the end: {data}");
        assert!(!has_error || name == "response.failed", "nothing follows an error: {data}");
        let index = data["output_index"].as_u64().and_then(|index| usize::try_from(index).ok());
        match &**name {
            "response.output_item.added" => {
                assert_eq!(index, Some(done.len()));
                done.push(false);
            }
            "response.output_item.done" => {
                assert!(!std::mem::replace(&mut done[index.unwrap()], true));
            }
            "error" => has_error = true,
            "response.failed" => end = End::Error,
            "response.completed" | "response.incomplete" => {
                assert!(done.iter().all(|is_done| *is_done), "every item is done");
                assert_eq!(data["response"]["output"].as_array().map(Vec::len), Some(done.len()));
                end = End::Whole;
            }
            _ => assert!(index.is_none_or(|index| !done[index]), "{name} after its item"),
        }
    }
    if has_error { End::Error } else { end }
}
