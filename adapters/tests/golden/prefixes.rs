//! Every stream, broken off behind every event: a client always reads a well-formed stream, and never takes a part for
//! the whole. Broken off behind any byte, it holds the events that were whole, and nothing else.

use faregate_adapters::dialect::Form;

use super::{
    fixture::{cases, cut, folder},
    grammar::{End, follow},
    relay,
};

#[test]
fn every_part_of_every_stream_is_well_formed_in_every_dialect() {
    let mut wrong = Vec::new();
    for case in cases() {
        let events = case.events().unwrap_or_default();
        // Nothing is translated into its own dialect: it passes as it is.
        for client in Form::ALL.into_iter().filter(|client| *client != case.form) {
            for len in 0..=events.len() {
                let followed = std::panic::catch_unwind(|| {
                    let relayed = relay::stream(case.form, &events[..len], client);
                    let whole = relayed.done && !relayed.failed;
                    let end = follow(client, &relayed.out);
                    assert_eq!(end, if whole { End::Whole } else { End::Error });
                });
                if followed.is_err() {
                    wrong.push(format!("{} to {}, {len} events", case.label(), folder(client)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_stream_that_breaks_off_behind_any_byte_holds_the_events_before_it() {
    for case in cases() {
        let Some(stream) = case.stream() else { continue };
        let seen = |part: &[u8]| -> Vec<(Vec<u8>, Vec<u8>)> {
            cut(case.form, part).into_iter().map(|event| (event.name, event.data)).collect()
        };
        let (whole, mut before) = (seen(&stream), 0);
        for len in 0..=stream.len() {
            let part = seen(&stream[..len]);
            assert!(whole.starts_with(&part), "{}, {len} bytes", case.label());
            assert!(part.len() >= before, "{}, {len} bytes", case.label());
            before = part.len();
        }
        assert_eq!(before, whole.len(), "{}", case.label());
    }
}
