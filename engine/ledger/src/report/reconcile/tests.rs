//! Reports in the shapes of the providers' own documentation.

use super::*;
use crate::{
    report::tests::{rows, store},
    row::Row,
};

/// Days from 1970 to 2026-11-01.
const DAY_1: u64 = 20_758;

fn openai(results: &str) -> String {
    let start = DAY_1 * 86_400;
    format!(
        r#"{{"object":"page","data":[{{"object":"bucket","start_time":{start},"end_time":{},"results":[{results}]}}],"has_more":false,"next_page":null}}"#,
        start + 86_400
    )
}

fn anthropic(results: &str) -> String {
    format!(
        r#"{{"data":[{{"starting_at":"2026-11-01T00:00:00Z","ending_at":"2026-11-02T00:00:00Z","results":[{results}]}}],"has_more":false,"next_page":null}}"#
    )
}

fn why(source: Source, text: &str) -> String {
    read(source, text.as_bytes()).unwrap_err().0
}

#[test]
fn costs_of_openai_are_read_to_the_last_digit() {
    let text = openai(
        r#"{"object":"organization.costs.result","amount":{"value":0.06000000000000001,"currency":"usd"},"line_item":"gpt-5.5, input","project_id":null},
           {"amount":{"value":1e-7,"currency":"usd"},"line_item":"gpt-5.5, output"},
           {"amount":{"value":2,"currency":"usd"},"line_item":null}"#,
    );
    let export = read(Source::OpenAi, text.as_bytes()).unwrap();
    assert_eq!(export.measure, Measure::Cost);
    assert_eq!(export.amounts[&(DAY_1, "gpt-5.5".into())], 60_000_100);
    assert_eq!(export.amounts[&(DAY_1, String::new())], 2_000_000_000);
    assert!(export.was_cut, "1e-17 dollars are finer than a nano-dollar");
}

#[test]
fn costs_of_anthropic_are_cents() {
    let text = anthropic(
        r#"{"currency":"USD","amount":"123.78912","workspace_id":null,"description":"Claude Sonnet 5.5 Usage - Input Tokens","cost_type":"tokens","model":"claude-sonnet-5-5","token_type":"uncached_input_tokens"}"#,
    );
    let export = read(Source::Anthropic, text.as_bytes()).unwrap();
    assert_eq!(export.amounts[&(DAY_1, "claude-sonnet-5-5".into())], 1_237_891_200);
    assert!(!export.was_cut);
}

#[test]
fn tokens_are_added_up_once() {
    let text = openai(
        r#"{"input_tokens":1000,"output_tokens":50,"input_cached_tokens":800,"num_model_requests":5,"model":"gpt-5.5"}"#,
    );
    let export = read(Source::OpenAi, text.as_bytes()).unwrap();
    assert_eq!(
        (export.measure, export.amounts[&(DAY_1, "gpt-5.5".into())]),
        (Measure::Tokens, 1050)
    );
    let text = anthropic(
        r#"{"uncached_input_tokens":1500,"cache_creation":{"ephemeral_1h_input_tokens":1000,"ephemeral_5m_input_tokens":500},"cache_read_input_tokens":200,"output_tokens":500,"model":"claude-opus-5-5"}"#,
    );
    let export = read(Source::Anthropic, text.as_bytes()).unwrap();
    assert_eq!(export.amounts[&(DAY_1, "claude-opus-5-5".into())], 3_700);
}

#[test]
fn pages_may_follow_each_other() {
    let one = openai(r#"{"amount":{"value":1,"currency":"usd"}}"#);
    let more = one.replace("\"has_more\":false", "\"has_more\":true");
    for text in [format!("{more}\n{one}"), format!("[{more},{one}]"), format!("{one}{one}")] {
        let export = read(Source::OpenAi, text.as_bytes()).unwrap();
        assert_eq!(export.amounts[&(DAY_1, String::new())], 2_000_000_000);
        assert!(!export.is_incomplete);
    }
    assert!(read(Source::OpenAi, more.as_bytes()).unwrap().is_incomplete);
}

#[test]
fn what_is_no_report_is_said() {
    let one = r#"{"amount":{"value":1,"currency":"usd"}}"#;
    for (text, said) in [
        (String::new(), "empty"),
        ("{".into(), "no JSON"),
        ("{}".into(), "no \"data\""),
        (r#"{"error":{"message":"no"}}"#.into(), "no \"data\""),
        (r#"{"data":[,]}"#.into(), "error in its JSON"),
        (r#"[1]"#.into(), "error in its JSON"),
        (r#"{"data":[]}"#.into(), "no bucket"),
        (r#"{"data":[{}]}"#.into(), "without start_time"),
        (openai(one).replace("usd", "eur"), "in dollars"),
        (openai(r#"{"amount":{"value":"much","currency":"usd"}}"#), "is no amount"),
        (openai(r#"{"amount":{"currency":"usd"}}"#), "without a value"),
        (openai(r#"{"model":"a"}"#), "neither"),
        (openai(&format!(r#"{one},{{"input_tokens":1}}"#)), "mixes"),
        (openai(one).replace("end_time\":", "end_time\":9"), "no moment"),
        (openai(one).replace("end_time\":17", "end_time\":18"), "longer than a day"),
        (openai(one).replace("start_time\":", "start_time\":99999999999"), "without start_time"),
    ] {
        let found = why(Source::OpenAi, &text);
        assert!(found.contains(said), "{text}: {found}");
    }
}

#[test]
fn drift_is_exact_by_day_and_model() {
    let rows = rows(21, 300, crate::month::HOUR);
    let store = store(&rows);
    let ours = |model: &str| -> i128 {
        let mine = |row: &&Row| row.work.model == model && row.settled_at / DAY == DAY_1;
        rows.iter()
            .filter(mine)
            .map(|row| if row.is_credit { -i128::from(row.cost.0) } else { i128::from(row.cost.0) })
            .sum()
    };
    assert!(ours("gpt-5.5") != 0 && ours("gpt-5.5-mini") != 0);
    let text = openai(&format!(
        r#"{{"amount":{{"value":{},"currency":"usd"}},"line_item":"gpt-5.5-2026-04-01, input"}},
           {{"amount":{{"value":"0.000000001","currency":"usd"}},"line_item":"whisper-1"}}"#,
        super::super::money::decimal(ours("gpt-5.5"))
    ));
    let export = read(Source::OpenAi, text.as_bytes()).unwrap();
    let found = reconcile(&store, &export, "openai").unwrap();
    let line = |model: &str| found.lines.iter().find(|line| line.model == model).unwrap();
    assert_eq!(line("gpt-5.5").drift(), 0, "a dated snapshot is the model it is of");
    assert_eq!((line("whisper-1").theirs, line("whisper-1").ours), (1, 0));
    assert_eq!(line("gpt-5.5-mini").theirs, 0);
    assert_eq!(line("gpt-5.5-mini").ours, ours("gpt-5.5-mini"));
    assert_eq!(found.drift(), 1 - ours("gpt-5.5-mini"));
    assert!(found.is_beyond(0));
    assert_eq!(found.beyond(0).len(), 2);
    // Other days and other providers are not compared.
    assert!(found.lines.iter().all(|line| line.day == DAY_1 && !line.model.contains("claude")));
}

#[test]
fn a_report_without_models_is_compared_by_day() {
    let rows = rows(22, 100, crate::month::HOUR);
    let store = store(&rows);
    let export =
        read(Source::OpenAi, openai(r#"{"amount":{"value":1,"currency":"usd"}}"#).as_bytes())
            .unwrap();
    let found = reconcile(&store, &export, "openai").unwrap();
    assert_eq!(found.lines.len(), 1);
    assert!(found.ours != 0);
}

#[test]
fn tolerance_is_of_the_larger_side() {
    assert!(!is_beyond(10_000, 9_900, 100));
    assert!(is_beyond(10_000, 9_899, 100));
    assert!(is_beyond(-10_000, 10_000, 10_000));
    assert!(!is_beyond(0, 0, 0));
    assert_eq!(undated("gpt-5.5-2026-04-01"), Some("gpt-5.5"));
    assert_eq!(undated("claude-sonnet-5-5-20260401"), Some("claude-sonnet-5-5"));
    assert_eq!(undated("gpt-5.5"), None);
    assert_eq!(undated("é-20260401"), Some("é"));
    assert_eq!(undated("-20260401"), None);
}
