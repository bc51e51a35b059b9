//! The same request in every dialect, and texts that are none.

use proptest::prelude::*;

use super::*;

fn shape(body: &str) -> Shape<'_> {
    Shape::of(body.as_bytes())
}

#[test]
fn a_chat_is_read() {
    let body = r#" { "model":"m", "messages" : [
        {"role":"system","content":"You prove theorems."},
        {"role":"user","content":"Hello"},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"messages\":[]}"}}]},
        {"role":"tool","tool_call_id":"c","content":"42"},
        {"content":[{"type":"text","text":"Why?"},{"type":"image_url","image_url":{"url":"data:,"}}],"role":"user"}
      ], "tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],
      "reasoning_effort":"high","user":"u-1","metadata":{"user_id":"other"},"prompt_cache_key":"s-1"} "#;
    let shape = shape(body);
    assert_eq!((shape.turns, shape.tool_results, shape.tools, shape.images), (4, 1, 2, 1));
    assert_eq!(shape.effort, Some(Effort::High));
    assert_eq!((shape.user, shape.session), (Some("u-1"), Some("s-1")));
    assert_eq!((shape.question.bytes, shape.question.questions, shape.question.hard), (4, 1, 1));
    assert_eq!(shape.bytes, body.len());
}

#[test]
fn every_dialect_is_read() {
    for (body, turns, results, tools, images, effort) in [
        (
            r#"{"input":[{"role":"developer","content":"x"},{"role":"user","content":[{"type":"input_text","text":"Why?"},{"type":"input_image","image_url":"x"}]},{"type":"function_call_output","output":"1"}],"tools":[{}],"reasoning":{"effort":"low"}}"#,
            2,
            1,
            1,
            1,
            Some(Effort::Low),
        ),
        (r#"{"input":"Why?"}"#, 1, 0, 0, 0, None),
        (
            r#"{"system":[{"type":"text","text":"x"}],"messages":[{"role":"user","content":[{"type":"image","source":{}},{"type":"text","text":"Why?"}]},{"role":"assistant","content":[{"type":"tool_use","input":{}}]},{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"no"}]}]}],"tools":[{},{},{}],"thinking":{"type":"enabled","budget_tokens":10000}}"#,
            3,
            1,
            3,
            1,
            Some(Effort::Medium),
        ),
        (
            r#"{"contents":[{"role":"user","parts":[{"text":"Why?"},{"inlineData":{}}]},{"role":"model","parts":[{"functionCall":{}}]},{"role":"user","parts":[{"functionResponse":{}}]}],"tools":[{"functionDeclarations":[{},{}]},{"googleSearch":{}}],"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}}"#,
            3,
            1,
            3,
            1,
            Some(Effort::None),
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"text":"Why?"},{"image":{"format":"png"}}]}],"toolConfig":{"tools":[{"toolSpec":{}}]}}"#,
            1,
            0,
            1,
            1,
            None,
        ),
        (r#"{"prompt":"Why?"}"#, 1, 0, 0, 0, None),
        (r#"{"prompt":["Hello","Why?"]}"#, 2, 0, 0, 0, None),
    ] {
        let shape = shape(body);
        let read = (shape.turns, shape.tool_results, shape.tools, shape.images, shape.effort);
        assert_eq!(read, (turns, results, tools, images, effort), "{body}");
        assert_eq!((shape.question.bytes, shape.question.questions), (4, 1), "{body}");
    }
}

#[test]
fn ids_of_tokens_are_one_text() {
    for body in [r#"{"input":[1,2,3],"user":"u"}"#, r#"{"prompt":[ 15, 7 ],"user":"u"}"#] {
        let shape = shape(body);
        assert_eq!((shape.turns, shape.user), (1, Some("u")), "{body}");
    }
}

#[test]
fn a_session_is_found_in_the_users_id() {
    let shape = shape(r#"{"metadata":{"user_id":"user_ab_account_cd_session_ef-01"}}"#);
    assert_eq!(shape.session, Some("ef-01"));
    assert_eq!(shape.user, Some("user_ab_account_cd_session_ef-01"));
}

#[test]
fn words_are_known_in_any_case_and_behind_an_escape() {
    let of = |text: &str| Excerpt::of(text.as_bytes());
    let hard = of("Prove the THEOREM,\\nrefactor the algorithm; why?");
    assert_eq!((hard.hard, hard.easy, hard.lines, hard.words), (5, 0, 1, 7));
    let easy = of("hi! Please translate and summarize: ok, thanks");
    assert_eq!((easy.hard, easy.easy), (0, 5));
    let code = of("```rust\\nfn f(x: u8) { x + 1 }\\n```");
    assert_eq!((code.fences, code.lines, code.code, code.figures), (2, 2, 4, 3));
    assert_eq!(of("whyever planet bugle").hard, 0, "a short stem is a whole word");
}

#[test]
fn of_a_long_question_both_ends_are_seen() {
    let text = format!("prove {} debug", "x ".repeat(5000));
    let excerpt = Excerpt::of(text.as_bytes());
    assert_eq!((excerpt.hard, excerpt.seen), (2, 2 * EXCERPT_BYTES));
    assert_eq!(excerpt.bytes, text.len());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Shape::of(&bytes);
    }

    #[test]
    fn any_pieces_are_survived(pieces in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"messages\"", "\"role\"", "\"user\"", "\"content\"", "\"text\"",
        "\"tools\"", "\"", "\\", "1", "null", " ", "\"thinking\"", "\"metadata\"", "\"user_id\"",
    ]), 0..60)) {
        let _ = Shape::of(pieces.concat().as_bytes());
    }

    #[test]
    fn a_whole_body_is_read_to_its_end(turns in 0_u32..6, tools in 0_u32..4, blank in "[ \n]{0,2}") {
        let turn = format!("{{{blank}\"role\"{blank}:\"user\",\"content\":\"a\\\"]\"{blank}}}{blank}");
        let turns_text = vec![turn; turns as usize].join(&format!(",{blank}"));
        let tools_text = vec!["{\"name\":\"}\"}"; tools as usize].join(",");
        let body = format!("{{\"messages\":[{blank}{turns_text}],{blank}\"x\":1,\"tools\":[{tools_text}]{blank},\"user\":\"u\"}}");
        let shape = shape(&body);
        prop_assert_eq!((shape.turns, shape.tools, shape.user), (turns, tools, Some("u")));
    }
}
