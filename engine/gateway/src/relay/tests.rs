//! The relay, without sockets: whatever the pieces, the client gets the same, and is never told a wrong end.

use faregate_adapters::{
    chat::Names,
    dialect::{AnswerTerms, ErrorBody},
    quirks::Quirks,
};
use faregate_wire::{BodyReader, Framing};

use super::{
    translate::{Coming, Pair},
    *,
};

const EVENTS: [&str; 4] = [
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"hello \u{2028} there\"}}],\"usage\":null}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n",
    "data: [DONE]\n\n",
];

fn plan(drop_usage_chunk: bool) -> Plan {
    Plan {
        upstream: Framing::Chunked,
        downstream: Downstream::Chunked,
        events: true,
        array: false,
        drop_usage_chunk,
        metered: true,
        form: Form::Chat,
    }
}

fn chunked(chunks: &[&str]) -> Vec<u8> {
    let mut wire = Vec::new();
    for chunk in chunks {
        wire.extend_from_slice(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes());
    }
    wire.extend_from_slice(LAST_CHUNK);
    wire
}

/// What the client has received, without framing, when the body arrives in pieces of `piece` bytes.
fn relayed(plan: Plan, wire: &[u8], piece: usize) -> (Vec<u8>, Result<(), Broken>, Learned) {
    let mut relay = Relay::new(plan, None);
    let mut scratch = Vec::new();
    let mut sent = Vec::new();
    let mut result = Ok(());
    for part in wire.chunks(piece) {
        match relay.push(part, &mut scratch) {
            Ok(Forward::Nothing) => {}
            Ok(Forward::Input(range)) => sent.extend_from_slice(&part[range]),
            Ok(Forward::Scratch) => sent.extend_from_slice(&scratch),
            Err(broken) => {
                result = Err(broken);
                break;
            }
        }
    }
    if result.is_ok() && !relay.is_ended() {
        result = relay.close(&mut scratch).map(|forward| {
            if forward == Forward::Scratch {
                sent.extend_from_slice(&scratch);
            }
        });
    }
    let body = match plan.downstream {
        Downstream::Chunked => unchunked(&sent),
        _ => sent,
    };
    (body, result, relay.finish())
}

fn unchunked(mut wire: &[u8]) -> Vec<u8> {
    let mut reader = BodyReader::new(Framing::Chunked);
    let mut body = Vec::new();
    while !wire.is_empty() {
        let piece = reader.next(wire).unwrap();
        body.extend_from_slice(piece.data);
        wire = &wire[piece.consumed..];
    }
    body
}

#[test]
fn a_stream_passes_unchanged_wherever_the_network_cut_it() {
    let wire = chunked(&EVENTS);
    for piece in 1..=wire.len() {
        let (body, result, learned) = relayed(plan(false), &wire, piece);
        assert_eq!(result, Ok(()), "pieces of {piece}");
        assert_eq!(body, EVENTS.concat().as_bytes(), "pieces of {piece}");
        assert!(learned.done && learned.content, "pieces of {piece}");
        assert_eq!(learned.usage.map(|usage| usage.total()), Some(11), "pieces of {piece}");
    }
}

#[test]
fn the_chunk_that_the_client_did_not_ask_for_is_taken_out_and_counted() {
    let kept = [EVENTS[0], EVENTS[1], EVENTS[3]].concat();
    let joined = EVENTS.concat();
    for wire in [chunked(&EVENTS), chunked(&[&joined])] {
        for piece in 1..=wire.len() {
            let (body, result, learned) = relayed(plan(true), &wire, piece);
            assert_eq!((result, body), (Ok(()), kept.as_bytes().to_vec()), "pieces of {piece}");
            assert_eq!(learned.usage.map(|usage| usage.total()), Some(11), "pieces of {piece}");
        }
    }
}

#[test]
fn whole_chunks_of_whole_events_pass_in_the_buffer_they_came_in() {
    let mut relay = Relay::new(plan(true), None);
    let mut scratch = Vec::new();
    let wire = format!("{:x}\r\n{}\r\n", EVENTS[1].len(), EVENTS[1]);
    let forward = relay.push(wire.as_bytes(), &mut scratch);
    assert_eq!(forward, Ok(Forward::Input(0..wire.len())));
    assert!(relay.learned().content_now);
}

#[test]
fn a_stream_that_breaks_off_is_never_taken_for_a_whole_one() {
    let wire = chunked(&EVENTS);
    for cut in 0..wire.len() {
        let (body, result, _) = relayed(plan(false), &wire[..cut], 7);
        assert_eq!(result, Err(Broken::Cut), "cut at {cut}");
        let text = String::from_utf8(body).unwrap();
        assert!(text.is_empty() || text.ends_with("\n\n"), "half an event was sent: {text:?}");
        assert!(EVENTS.concat().starts_with(&text), "cut at {cut}");
    }
}

#[test]
fn a_stream_that_ends_inside_an_event_is_broken() {
    let half = chunked(&[EVENTS[0], "data: {\"choi"]);
    assert_eq!(relayed(plan(false), &half, 64).1, Err(Broken::Cut));
}

#[test]
fn bytes_behind_the_end_go_nowhere_and_are_noticed() {
    const BEHIND: &[u8] = b"HTTP/1.1 200 OK\r\n";
    let length = Plan {
        upstream: Framing::Length(2),
        downstream: Downstream::Length,
        events: false,
        ..plan(false)
    };
    let none = Plan { upstream: Framing::None, downstream: Downstream::Empty, ..length };
    let stream = chunked(&EVENTS);
    for (plan, whole) in [(plan(false), &stream[..]), (length, b"{}"), (none, b"")] {
        for behind in [BEHIND, b""] {
            let mut relay = Relay::new(plan, None);
            let mut scratch = Vec::new();
            let input = [whole, behind].concat();
            let sent = match relay.push(&input, &mut scratch).unwrap() {
                Forward::Nothing => &[][..],
                Forward::Input(range) => &input[range],
                Forward::Scratch => &scratch,
            };
            assert!(!String::from_utf8_lossy(sent).contains("HTTP/1.1"));
            assert!(relay.is_ended());
            assert_eq!(relay.has_surplus(), !behind.is_empty(), "behind {whole:?}");
        }
    }
}

#[test]
fn a_stream_that_said_it_was_done_is_whole_although_its_framing_is_not() {
    let wire = chunked(&EVENTS);
    let told = wire.len() - LAST_CHUNK.len() - 2;
    for cut in 0..wire.len() {
        let mut relay = Relay::new(plan(false), None);
        let mut scratch = Vec::new();
        relay.push(&wire[..cut], &mut scratch).unwrap();
        assert_eq!(relay.conclude(&mut scratch), cut >= told, "cut at {cut}");
        assert_eq!(relay.is_ended(), cut >= told, "cut at {cut}");
    }
}

#[test]
fn a_stream_without_framing_needs_its_terminator() {
    let plan = Plan { upstream: Framing::UntilClose, ..plan(false) };
    let whole = EVENTS.concat();
    assert_eq!(relayed(plan, whole.as_bytes(), 11).1, Ok(()));
    let cut = EVENTS[..2].concat();
    assert_eq!(relayed(plan, cut.as_bytes(), 11).1, Err(Broken::Cut));
}

#[test]
fn an_event_too_long_to_hold_passes_in_pieces() {
    let long = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "x".repeat(100_000)
    );
    let wire = chunked(&[&long, EVENTS[3]]);
    for piece in [1000, 4096, 50_000] {
        let (body, result, _) = relayed(plan(true), &wire, piece);
        assert_eq!(result, Ok(()), "pieces of {piece}");
        assert_eq!(body, [&long, EVENTS[3]].concat().as_bytes(), "pieces of {piece}");
    }
}

#[test]
fn a_plain_answer_passes_and_its_usage_is_found() {
    let answer = br#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;
    let plan = Plan {
        upstream: Framing::Length(answer.len() as u64),
        downstream: Downstream::Length,
        events: false,
        array: false,
        drop_usage_chunk: false,
        metered: true,
        form: Form::Chat,
    };
    for piece in 1..=answer.len() {
        let (body, result, learned) = relayed(plan, answer, piece);
        assert_eq!((result, &body[..]), (Ok(()), &answer[..]));
        assert_eq!(learned.usage.map(|usage| usage.total()), Some(4));
    }
    assert_eq!(relayed(plan, &answer[..20], 8).1, Err(Broken::Cut));
}

/// What a client gets of an array of Gemini's that comes in pieces and is then cut off, or ended in order.
fn array(wire: &[u8], piece: usize, upstream: Framing) -> (String, bool) {
    let plan = Plan { upstream, events: false, array: true, form: Form::Gemini, ..plan(false) };
    let mut relay = Relay::new(plan, None);
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    let mut broken = None;
    for data in wire.chunks(piece) {
        match relay.push(data, &mut scratch) {
            Ok(Forward::Scratch) => out.extend_from_slice(&unchunked(&scratch)),
            Ok(Forward::Nothing) => {}
            Ok(Forward::Input(_)) => panic!("an array passes behind whole entries only"),
            Err(error) => broken = Some(error),
        }
        broken = broken.or(relay.take_broken());
    }
    if broken.is_none() && !relay.is_ended() {
        broken = relay.close(&mut scratch).err();
    }
    if broken.is_some() && !relay.conclude(&mut scratch) && relay.is_between_events() {
        let error = ErrorBody {
            status: 502,
            message: "cut",
            kind: "server_error",
            code: "upstream_cut",
            param: None,
            request_id: "req_1",
            extra: None,
        };
        relay.write_failure(&error, &mut out);
    }
    (String::from_utf8(out).unwrap(), relay.finish().usage.is_some())
}

#[test]
fn an_array_that_is_cut_off_anywhere_ends_with_an_error_and_is_json() {
    let entries = [
        "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a]}\\\"\"}]}}]}",
        "\n,\r\n{\"candidates\":[],\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":1,\"totalTokenCount\":4}}",
        "\n]\n",
    ];
    let whole = entries.concat();
    let wire = chunked(&entries);
    for piece in [1, 2, 7, wire.len()] {
        assert_eq!(array(&wire, piece, Framing::Chunked), (whole.clone(), true), "{piece}");
    }
    for (wire, upstream) in [(&wire[..], Framing::Chunked), (whole.as_bytes(), Framing::UntilClose)]
    {
        for end in 1..wire.len() {
            let (out, _) = array(&wire[..end], 7, upstream);
            let json: serde_json::Value = serde_json::from_str(&out)
                .unwrap_or_else(|error| panic!("{error} after {end} bytes: {out}"));
            let list = json.as_array().unwrap();
            let is_whole = list.len() == 2 && list[1].get("usageMetadata").is_some();
            let told = list.last().unwrap().get("error").is_some();
            assert!(is_whole || told, "{end}: {out}");
            assert!(list.iter().rev().skip(1).all(|entry| entry.get("error").is_none()), "{out}");
        }
    }
}

#[test]
fn an_array_that_ends_in_order_without_its_end_is_told_as_broken() {
    let (out, _) = array(&chunked(&["[{\"a\":1}\n", ",\r\n{\"b\":"]), 64, Framing::Chunked);
    assert!(out.starts_with("[{\"a\":1}\n,\r\n{\"error\":") && out.ends_with("}]"), "{out}");
    let (out, _) = array(&chunked(&["[{\"a\":1}\n"]), 64, Framing::Chunked);
    assert!(out.ends_with("}]"), "{out}");
}

#[test]
fn an_entry_that_is_too_long_to_be_held_passes_all_the_same() {
    let long = format!("[{{\"data\":\"{}\"}}\n,\r\n", "x".repeat(2 * HOLD_BYTES_MAX));
    let wire = chunked(&[&long, "{\"b\":1}", "]"]);
    let expected = format!("{long}{{\"b\":1}}]");
    assert_eq!(array(&wire, 5000, Framing::Chunked).0, expected);
    let cut = &wire[..wire.len() - 20];
    let (out, _) = array(cut, 5000, Framing::Chunked);
    assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "the long entry was whole");
}

#[test]
fn an_answer_that_is_no_array_passes_where_one_was_to_come() {
    let (out, _) = array(&chunked(&["{\"error\":", "{}}"]), 3, Framing::Chunked);
    assert_eq!(out, "{\"error\":{}}");
}

/// A translator from Anthropic's dialect into chats.
fn translator(streams: bool, coming: Coming) -> Box<Translator> {
    let terms = AnswerTerms {
        model: "m",
        include_usage: false,
        request_id: "req_1",
        created: 1,
        input_estimate: None,
        json_array: false,
    };
    let pair = Pair {
        target: Form::Messages,
        client: Form::Chat,
        quirks: &Quirks::NONE,
        wrapped: false,
        unwraps: false,
        streams,
        vectors: None,
        names: Names::default(),
        customs: None,
        input: None,
        seed: 7,
        terms,
    };
    Box::new(Translator::new(pair, coming))
}

const MESSAGE: [&str; 3] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"c\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n",
];

/// What the client gets of a translated stream that arrives at once, and why it is broken.
fn translated(wire: &[u8]) -> (String, Option<Broken>, bool) {
    let mut relay = Relay::new(plan(false), Some(translator(true, Coming::Stream)));
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    let broken = match relay.push(wire, &mut scratch) {
        Ok(_) => {
            out.extend_from_slice(&unchunked(&scratch));
            relay.take_broken()
        }
        Err(broken) => Some(broken),
    };
    let ended = relay.is_ended();
    if broken.is_some() {
        let error = ErrorBody {
            status: 502,
            message: "cut",
            kind: "server_error",
            code: "upstream_cut",
            param: None,
            request_id: "req_1",
            extra: None,
        };
        relay.write_failure(&error, &mut out);
    }
    (String::from_utf8(out).unwrap(), broken, ended)
}

#[test]
fn what_came_before_a_malformed_event_is_told_and_then_the_error() {
    let events = [&MESSAGE[..], &["event: content_block_delta\ndata: {\n\n"]].concat();
    let (out, broken, ended) = translated(&chunked(&events));
    assert_eq!((broken, ended), (Some(Broken::Malformed), false), "{out}");
    let (text, error) = (out.find("hello").unwrap(), out.find("upstream_cut").unwrap());
    assert!(text < error && !out.contains("[DONE]"), "{out}");
}

#[test]
fn a_translated_stream_that_ends_in_order_without_its_last_event_is_no_whole() {
    let (out, broken, ended) = translated(&chunked(&MESSAGE));
    assert_eq!((broken, ended), (Some(Broken::Cut), false), "{out}");
    assert!(out.contains("hello") && out.contains("upstream_cut"), "{out}");
    assert!(!out.contains("[DONE]"), "{out}");
}

#[test]
fn an_answer_that_is_translated_whole_is_held_until_it_has_ended() {
    let mut relay = Relay::new(plan(false), Some(translator(false, Coming::Whole)));
    let mut scratch = Vec::new();
    assert!(relay.is_held());
    assert_eq!(relay.push(b"5\r\n{\"typ\r\n", &mut scratch), Ok(Forward::Nothing));
    assert!(relay.is_held());
    assert_eq!(relay.push(b"0\r\n\r\n", &mut scratch), Err(Broken::Malformed));
    assert!(relay.is_held());
}
