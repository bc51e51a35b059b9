//! The id of a stored response is known before the client can know it, wherever the network cut the answer.

use faregate_wire::Framing;

use super::*;

const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\
    \"response\":{\"tools\":[{\"id\":\"no\"}],\"id\":\"resp_1\",\"object\":\"response\"}}\n\n";
const DELTA: &str =
    "event: response.output_text.delta\ndata: {\"delta\":\"x\",\"item_id\":\"msg_1\"}\n\n";
const COMPLETED: &str = "event: response.completed\ndata: {\"response\":{\"id\":\"resp_1\"}}\n\n";
const PLAIN: &str = "{\"metadata\":{\"id\":\"no\"},\"id\":\"resp_1\",\"output\":[]}";

fn plan(events: bool, downstream: Downstream) -> Plan {
    Plan {
        upstream: Framing::Chunked,
        downstream,
        events,
        array: false,
        drop_usage_chunk: false,
        metered: true,
        form: Form::Responses,
    }
}

/// Passes an answer on in pieces; the id must be told no later than with the piece that ends it.
fn check(plan: Plan, body: &str, chunk: usize, piece: usize) {
    let mut wire = Vec::new();
    for chunk in body.as_bytes().chunks(chunk) {
        wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(LAST_CHUNK);
    if plan.upstream != Framing::Chunked {
        wire = body.into();
    }
    let mut relay = Relay::new(plan, None);
    relay.look_for_id();
    let (mut scratch, mut sent, mut told) = (Vec::new(), Vec::new(), None);
    for part in wire.chunks(piece) {
        let forward = relay.push(part, &mut scratch).unwrap();
        if let Some(id) = relay.take_id() {
            assert!(told.replace(id).is_none(), "told twice");
        }
        match forward {
            Forward::Nothing => {}
            Forward::Input(range) => sent.extend_from_slice(&part[range]),
            Forward::Scratch => sent.extend_from_slice(&scratch),
        }
        let is_out = memchr::memmem::find(&sent, b"resp_1\"").is_some();
        assert!(!is_out || told.is_some(), "the client knows first: {chunk}, {piece}");
    }
    assert_eq!(told.as_deref(), Some("resp_1"), "chunks of {chunk}, pieces of {piece}");
}

#[test]
fn it_is_told_before_the_client_gets_it() {
    let stream = [CREATED, DELTA, COMPLETED].concat();
    for chunk in [1, 7, CREATED.len(), stream.len()] {
        for piece in 1..stream.len() {
            for downstream in [Downstream::Chunked, Downstream::Close] {
                check(plan(true, downstream), &stream, chunk, piece);
                check(plan(false, downstream), PLAIN, chunk, piece);
            }
        }
    }
    let length = Framing::Length(PLAIN.len() as u64);
    for piece in 1..=PLAIN.len() {
        let plan = Plan { upstream: length, ..plan(false, Downstream::Length) };
        check(plan, PLAIN, PLAIN.len(), piece);
    }
}

#[test]
fn it_is_told_of_an_event_too_long_to_hold() {
    let long = "x".repeat(2 * HOLD_BYTES_MAX);
    let before = format!("\"instructions\":\"{long}\",\"id\":\"resp_1\"");
    let behind = format!("\"id\":\"resp_1\",\"instructions\":\"{long}\"");
    for members in [before, behind] {
        let event = format!("data: {{\"type\":\"x\",\"response\":{{{members}}}}}\n\n");
        for piece in [1000, 4096, 16 * 1024, event.len()] {
            check(plan(true, Downstream::Chunked), &event, 9000, piece);
        }
    }
}

#[test]
fn nothing_is_looked_for_unless_it_is_asked_for() {
    let mut relay = Relay::new(plan(false, Downstream::Chunked), None);
    let wire = format!("{:x}\r\n{PLAIN}\r\n0\r\n\r\n", PLAIN.len());
    relay.push(wire.as_bytes(), &mut Vec::new()).unwrap();
    assert_eq!(relay.take_id(), None);
}
