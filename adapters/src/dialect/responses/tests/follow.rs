//! A client that checks every event of a stream against those before it.

use serde_json::{Value, json};

/// Follows a stream as a client does, and says how it ended.
pub(super) fn follow(stream: &[u8]) -> String {
    let mut items: Vec<Value> = Vec::new();
    let mut done: Vec<bool> = Vec::new();
    let mut end = String::new();
    for (number, (name, event)) in cut_own(stream).into_iter().enumerate() {
        assert!(end.is_empty() || end == "error", "something follows {end}");
        let kind = event["type"].as_str().unwrap();
        assert_eq!(kind, name);
        assert_eq!(event["sequence_number"], number);
        match number {
            0 => assert_eq!(kind, "response.created"),
            1 => assert_eq!(kind, "response.in_progress"),
            _ => {}
        }
        let index = event["output_index"].as_u64().map(|index| usize::try_from(index).unwrap());
        if let (Some(index), Some(id)) = (index, event["item_id"].as_str()) {
            assert_eq!(items[index]["id"], id);
            assert!(!done[index], "{kind} after its item was done");
            assert!(id.len() <= 64);
        }
        let inner = event["content_index"].as_u64().or(event["summary_index"].as_u64());
        let inner = usize::try_from(inner.unwrap_or(0)).unwrap();
        match kind {
            "response.created" | "response.in_progress" => {
                assert_eq!(event["response"]["output"], json!([]));
            }
            "response.output_item.added" => {
                assert_eq!(index, Some(items.len()));
                items.push(event["item"].clone());
                done.push(false);
            }
            "response.content_part.added" => push(&mut items[index.unwrap()], "content", &event),
            "response.reasoning_summary_part.added" => {
                push(&mut items[index.unwrap()], "summary", &event);
            }
            "response.output_text.annotation.added" => {
                let part = &mut items[index.unwrap()]["content"][inner];
                part["annotations"].as_array_mut().unwrap().push(event["annotation"].clone());
            }
            "response.output_item.done" => {
                let item = &mut items[index.unwrap()];
                assert_ne!(event["item"]["status"], "in_progress");
                for late in ["status", "encrypted_content", "result"] {
                    if event["item"].get(late).is_some() {
                        item[late] = event["item"][late].clone();
                    }
                }
                settle(item, &event["item"]);
                done[index.unwrap()] = true;
            }
            "error" => {
                assert!(event["message"].is_string() && event["error"]["message"].is_string());
                end = "error".to_owned();
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                assert_eq!(kind == "response.failed", end == "error");
                check_response(&event["response"], kind);
                let output = event["response"]["output"].as_array().unwrap();
                assert_eq!(output.len(), items.len());
                for (index, item) in output.iter().enumerate() {
                    if kind != "response.failed" {
                        assert!(done[index]);
                        settle(&mut items[index], item);
                    }
                }
                end = kind.to_owned();
            }
            kind => {
                let item = &mut items[index.unwrap()];
                let text = match kind.rsplit_once('.').unwrap().0 {
                    "response.output_text" => &mut item["content"][inner]["text"],
                    "response.content_part" => &mut item["content"][inner],
                    "response.refusal" => &mut item["content"][inner]["refusal"],
                    "response.reasoning_summary_text" => &mut item["summary"][inner]["text"],
                    "response.reasoning_summary_part" => &mut item["summary"][inner],
                    "response.function_call_arguments" => &mut item["arguments"],
                    "response.custom_tool_call_input" => &mut item["input"],
                    other => panic!("{other}"),
                };
                if let Some(delta) = event["delta"].as_str() {
                    assert!(!delta.is_empty());
                    *text = format!("{}{delta}", text.as_str().unwrap()).into();
                } else {
                    let members = ["text", "refusal", "arguments", "input", "part"];
                    let whole = members.iter().find_map(|name| event.get(name)).unwrap();
                    settle(text, whole);
                }
            }
        }
    }
    end
}

fn push(item: &mut Value, list: &str, event: &Value) {
    item[list].as_array_mut().unwrap().push(event["part"].clone());
}

/// What was told piece by piece is what is told as a whole; an empty call has the arguments `{}`, and probabilities come
/// late.
fn settle(pieces: &mut Value, whole: &Value) {
    fn plain(value: &Value) -> Value {
        let mut value = value.clone();
        match &mut value {
            Value::Object(members) => {
                members.remove("logprobs");
                members.values_mut().for_each(|value| *value = plain(value));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| *item = plain(item)),
            _ => {}
        }
        if value["arguments"] == "" {
            value["arguments"] = "{}".into();
        }
        value
    }
    let is_empty_call = *pieces == "" && *whole == "{}";
    if !is_empty_call {
        assert_eq!(plain(pieces), plain(whole));
    }
    *pieces = whole.clone();
}

/// A response has what the SDKs' types require.
pub(super) fn check_response(response: &Value, kind: &str) {
    assert_eq!(kind, format!("response.{}", response["status"].as_str().unwrap()));
    assert!(response["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!(response["object"], "response");
    assert_eq!(response["incomplete_details"].is_object(), kind == "response.incomplete");
    assert_eq!(response["error"].is_object(), kind == "response.failed");
    assert_eq!(
        response["usage"].is_object(),
        kind != "response.failed" || response["usage"].is_object()
    );
    for name in ["model", "created_at", "parallel_tool_calls", "tool_choice", "tools", "metadata"] {
        assert!(!response[name].is_null(), "{name}");
    }
}

/// The events of a stream that we wrote: nothing but a name and a line of data, however long.
fn cut_own(stream: &[u8]) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(stream).unwrap();
    let events = text.strip_suffix("\n\n").into_iter().flat_map(|text| text.split("\n\n"));
    let event = |event: &str| {
        let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        assert!(!data.contains(['\n', '\r']));
        (name.to_owned(), serde_json::from_str(data).unwrap())
    };
    events.map(event).collect()
}
