//! Streams: every recorded one, whole and broken off at every event.

use faregate_wire::FrameCutter;
use proptest::prelude::*;

use super::*;
use crate::dialect::Passage;

const STREAMS: &[(&str, &[u8])] = &[
    ("text", golden!("text", "stream.bin")),
    ("tools", golden!("tools", "stream.bin")),
    ("parallel_tools", golden!("parallel_tools", "stream.bin")),
    ("images", golden!("images", "stream.bin")),
    ("structured", golden!("structured", "stream.bin")),
    ("thinking", golden!("thinking", "stream.bin")),
    ("refusal", golden!("refusal", "stream.bin")),
    ("length", golden!("length", "stream.bin")),
    ("error", golden!("error", "stream.bin")),
    ("usage_cache", golden!("usage_cache", "stream.bin")),
    ("litellm_36262", golden!("litellm_36262", "stream.bin")),
    ("no_metadata", golden!("no_metadata", "stream.bin")),
    ("malformed_tool_use", golden!("malformed_tool_use", "stream.bin")),
    ("interleaved_blocks", golden!("interleaved_blocks", "stream.bin")),
    ("early_metadata", golden!("early_metadata", "stream.bin")),
    ("server_tools", golden!("server_tools", "stream.bin")),
];

const FAILURE: ErrorBody<'_> = ErrorBody {
    status: 502,
    message: "cut",
    kind: "k",
    code: "c",
    param: None,
    request_id: "r",
    extra: None,
};

/// The frames of a stream: names and payloads.
fn frames(mut wire: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (mut cutter, mut all) = (FrameCutter::default(), Vec::new());
    while let Some(frame) = cutter.cut(wire).unwrap() {
        all.push((
            String::from_utf8(frame.event().into_owned()).unwrap(),
            frame.data().into_owned(),
        ));
        wire = &wire[frame.raw.len()..];
    }
    assert!(wire.is_empty());
    all
}

/// Reads events and hands on what they say; `closes` when the stream ends in order.
fn read_events(events: &[(String, Vec<u8>)], closes: bool, sink: &mut dyn FnMut(Delta<'_>)) {
    let mut reader = CONVERSE.stream_reader(&READ);
    for (name, data) in events {
        reader.event(name.as_bytes(), data, sink).unwrap();
    }
    if closes {
        reader.close(sink);
    }
}

fn deltas(wire: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    read_events(&frames(wire), true, &mut |delta| all.push(shown(&delta)));
    all
}

/// Checks what a writer has written, and puts it together again.
fn check_written(wire: &[u8]) -> Answer<'static> {
    let events = frames(wire);
    let (mut open, mut stopped, mut next) = (None, false, 0);
    for (at, (name, data)) in events.iter().enumerate() {
        let json = value(data);
        let index = json["contentBlockIndex"].as_u64();
        match &**name {
            "messageStart" => assert_eq!(at, 0),
            "contentBlockStart" | "contentBlockDelta" if open != index => {
                assert!(open.is_none() && !stopped, "one block is open at a time");
                assert_eq!(index, Some(next), "blocks are numbered without gaps");
                let is_call = json.pointer("/delta/toolUse").is_some();
                assert!(name == "contentBlockStart" || !is_call, "a call without a start");
                open = index;
                next += 1;
            }
            "contentBlockStart" => panic!("a block that starts twice"),
            "contentBlockDelta" => assert!(!stopped),
            "contentBlockStop" => {
                assert!(open.is_some() && open == index);
                open = None;
            }
            "messageStop" => {
                assert!(open.is_none() && !stopped);
                stopped = true;
            }
            "metadata" => assert!(stopped && at == events.len() - 1),
            exception => {
                assert!(exception.starts_with("exception:") && at == events.len() - 1);
            }
        }
    }
    let mut assembler = Assembler::default();
    read_events(&events, stopped, &mut |delta| assembler.push(delta));
    assembler.finish()
}

#[test]
fn streams_are_read() {
    assert_eq!(
        deltas(golden!("tools", "stream.bin")),
        [
            "start",
            "text Looking at",
            "text  Paris.",
            "call 0 tooluse_b2 get_weather",
            "arguments 0 {\"city\": \"Par",
            "arguments 0 is\", \"days\"",
            "arguments 0 : 2}",
            "finish ToolCalls None",
            "usage 312 58",
            "done"
        ]
    );
    assert_eq!(
        deltas(golden!("parallel_tools", "stream.bin"))[4..7],
        ["call 1 tooluse_e get_time", "arguments 1 {}", "finish ToolCalls None"]
    );
    assert_eq!(
        deltas(golden!("thinking", "stream.bin"))[1..5],
        [
            "thought It is 21",
            "thought  degrees.",
            "signed EuYBCkQYAiJA false",
            "signed cmVkYWN0ZWQ= true"
        ]
    );
    assert_eq!(
        deltas(golden!("litellm_36262", "stream.bin"))[3..6],
        ["text Looking.", "call 0 tooluse_z get_weather", "arguments 0 {\"city\":\"Rome\"}"]
    );
}

#[test]
fn streams_end_as_they_ended() {
    for (wire, end) in [
        (golden!("no_metadata", "stream.bin"), &["finish Stop None", "done"][..]),
        (golden!("early_metadata", "stream.bin"), &["usage 5 2", "finish Stop None", "done"]),
        (
            golden!("malformed_tool_use", "stream.bin"),
            &["usage 90 30", "error Api the model called a tool in a form that cannot be read"],
        ),
        (
            golden!("error", "stream.bin"),
            &["text Hel", "error RateLimit Too many requests, please wait before trying again."],
        ),
        (
            golden!("interleaved_blocks", "stream.bin"),
            &["finish ToolCalls None", "usage 9 9", "done"],
        ),
        (golden!("refusal", "stream.bin"), &["finish Refusal None", "usage 0 0", "done"]),
    ] {
        let all = deltas(wire);
        assert_eq!(all[all.len() - end.len()..], *end);
    }
    let calls = |delta: &&String| delta.starts_with("call");
    assert_eq!(deltas(golden!("server_tools", "stream.bin")).iter().filter(calls).count(), 0);
}

#[test]
fn a_stream_that_was_cut_is_not_done() {
    for (case, wire) in STREAMS {
        let events = frames(wire);
        for len in 0..events.len() {
            let mut all = Vec::new();
            read_events(&events[..len], true, &mut |delta| all.push(shown(&delta)));
            let finished = all.iter().any(|delta| delta.starts_with("finish"));
            assert_eq!(all.iter().any(|delta| delta == "done"), finished, "{case} {len}");
        }
    }
}

#[test]
fn what_is_written_is_well_formed_wherever_it_breaks_off() {
    for (case, wire) in STREAMS {
        let events = frames(wire);
        for len in 0..=events.len() {
            let mut out = Vec::new();
            let mut writer = CONVERSE.stream_writer(&TERMS);
            let mut is_over = false;
            read_events(&events[..len], false, &mut |delta| {
                is_over |= matches!(delta, Delta::Done | Delta::Error(_));
                writer.write(&delta, &mut out);
            });
            writer.fail(&FAILURE, &mut out);
            let names = frames(&out);
            check_written(&out);
            let last = names.last().unwrap();
            let is_ours =
                last.0 == "exception:internalServerException" && value(&last.1)["message"] == "cut";
            assert_ne!(is_ours, is_over, "{case} {len}: fails once and at the end");
        }
    }
}

#[test]
fn what_is_written_says_the_same() {
    for (case, wire) in STREAMS {
        let mut out = Vec::new();
        let mut writer = CONVERSE.stream_writer(&TERMS);
        let mut assembler = Assembler::default();
        read_events(&frames(wire), true, &mut |delta| {
            writer.write(&delta, &mut out);
            assembler.push(delta);
        });
        let (read, again) = (assembler.finish(), check_written(&out));
        assert!(again.usage == read.usage || read.error.is_some(), "{case}");
        assert_eq!(again.done, read.done, "{case}");
        let mut first: Vec<_> =
            read.choices[0].parts.iter().map(|part| format!("{part:?}")).collect();
        let mut second: Vec<_> =
            again.choices[0].parts.iter().map(|part| format!("{part:?}")).collect();
        if *case == "interleaved_blocks" {
            first.sort(); // calls come one after the other
            second.sort();
        }
        assert_eq!(second, first, "{case}");
    }
}

/// A call of the function `f` begins.
fn start(call: u32, id: &str) -> Delta<'_> {
    let (id, name) = (id.into(), "f".into());
    Delta::ToolStart { choice: 0, call, id, name, custom: false, signature: None }
}

/// More of its arguments.
fn more(call: u32, fragment: &str) -> Delta<'_> {
    Delta::ToolArguments { choice: 0, call, fragment: fragment.into() }
}

#[test]
fn interleaved_calls_are_told_one_after_the_other() {
    let mut out = Vec::new();
    let mut writer = CONVERSE.stream_writer(&TERMS);
    for delta in [
        start(0, "a"),
        start(1, "b"),
        more(1, "{\"x\":"),
        more(0, "{\"}\":"),
        more(1, "1}"),
        more(0, "2}"),
        start(2, "c"),
        Delta::Finish { choice: 0, reason: Finish::ToolCalls, stop: None },
        Delta::Done,
    ] {
        writer.write(&delta, &mut out);
    }
    let answer = check_written(&out);
    let told: Vec<String> =
        answer.choices[0].parts.iter().map(|part| format!("{part:?}")).collect();
    assert_eq!(told.len(), 3);
    assert!(told[0].contains("\"a\"") && told[0].contains("2}"));
    assert!(told[1].contains("\"b\"") && told[1].contains("1}"));
    // While the first call goes on, the second waits.
    let stops = frames(&out).iter().filter(|(name, _)| name == "contentBlockStop").count();
    assert_eq!(stops, 3);
}

#[test]
fn what_comes_while_a_call_is_unfinished_waits_for_it() {
    let mut out = Vec::new();
    let mut writer = CONVERSE.stream_writer(&TERMS);
    let text = |text: &'static str| Delta::Text { choice: 0, text: text.into() };
    let signature = |redacted| Delta::Signature { choice: 0, signature: "c2ln".into(), redacted };
    for delta in [
        start(0, "a"),
        more(0, "{\"x\":"),
        text("so "),
        text("far"),
        Delta::Reasoning { choice: 0, text: "hm".into() },
        signature(false),
        signature(true),
        Delta::Reasoning { choice: 0, text: "more".into() },
        more(0, "1}"),
        text("behind"),
        Delta::Finish { choice: 0, reason: Finish::ToolCalls, stop: None },
        Delta::Done,
    ] {
        writer.write(&delta, &mut out);
    }
    let answer = check_written(&out);
    let told: Vec<String> =
        answer.choices[0].parts.iter().map(|part| format!("{part:?}")).collect();
    let holds = ["{\\\"x\\\":1}", "so far", "hm", "c2ln", "more", "behind"];
    assert_eq!(told.len(), holds.len(), "{told:#?}");
    for (part, held) in told.iter().zip(holds) {
        assert!(part.contains(held), "{part} holds {held}");
    }
}

#[test]
fn too_much_that_waits_ends_the_stream() {
    let mut out = Vec::new();
    let mut writer = CONVERSE.stream_writer(&TERMS);
    for call in 0..2 {
        writer.write(
            &Delta::ToolStart {
                choice: 0,
                call,
                id: "x".into(),
                name: "f".into(),
                custom: false,
                signature: None,
            },
            &mut out,
        );
    }
    let fragment = "x".repeat(1 << 16);
    for _ in 0..17 {
        let fragment = (&*fragment).into();
        writer.write(&Delta::ToolArguments { choice: 0, call: 1, fragment }, &mut out);
    }
    assert_eq!(frames(&out).last().unwrap().0, "exception:modelStreamErrorException");
    let len = out.len();
    writer.fail(&FAILURE, &mut out);
    writer.write(&Delta::Done, &mut out);
    assert_eq!(out.len(), len);
}

#[test]
fn a_silent_stream_is_kept_alive_by_an_event_that_nobody_knows() {
    let mut out = Vec::new();
    CONVERSE.stream_writer(&TERMS).keep_alive(&mut out);
    assert_eq!(out, CONVERSE.keep_alive());
    let events = frames(&out);
    assert_eq!(events[0].0, "ping");
    read_events(&events, false, &mut |delta| panic!("{delta:?}"));
}

#[test]
fn passing_streams_are_looked_into() {
    let seen: Vec<_> = frames(golden!("usage_cache", "stream.bin"))
        .iter()
        .map(|(name, data)| CONVERSE.inspect(name.as_bytes(), data))
        .collect();
    assert!(seen[1].content && !seen[1].done);
    let last = seen.last().unwrap();
    assert!(last.done);
    assert_eq!(last.usage.unwrap().usage.total_input(), 2760);
    let error = frames(golden!("error", "stream.bin")).pop().unwrap();
    assert!(CONVERSE.inspect(error.0.as_bytes(), &error.1).error);
}

proptest! {
    #[test]
    fn any_payload_is_survived(
        events in prop::collection::vec((0..8_usize, "[\\[\\]{}\":,\\\\a-z0-9 ]{0,40}"), 0..12),
        picks in prop::collection::vec((0..STREAMS.len(), 0..20_usize), 0..12),
    ) {
        const NAMES: [&str; 8] = ["messageStart", "contentBlockStart", "contentBlockDelta",
            "contentBlockStop", "messageStop", "metadata", "exception:x", "new"];
        let mut wire: Vec<(String, Vec<u8>)> = events
            .into_iter()
            .map(|(name, data)| (NAMES[name].to_owned(), data.into_bytes()))
            .collect();
        for (stream, at) in picks {
            wire.extend(frames(STREAMS[stream].1).into_iter().nth(at));
        }
        let mut reader = CONVERSE.stream_reader(&READ);
        let mut writer = CONVERSE.stream_writer(&TERMS);
        let mut out = Vec::new();
        for (name, data) in &wire {
            let _ = reader.event(name.as_bytes(), data, &mut |delta| writer.write(&delta, &mut out));
        }
        reader.close(&mut |delta| writer.write(&delta, &mut out));
        writer.fail(&FAILURE, &mut out);
        check_written(&out);
    }
}
