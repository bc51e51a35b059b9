//! Every stream, broken off behind every byte: a client always reads a well-formed stream, and never takes a part for the
//! whole.

use std::collections::BTreeSet;

use faregate_adapters::{
    check::stream::Ends,
    dialect::{Form, StreamFraming},
};
use faregate_wire::{Cutter, FrameCutter};

use super::fixture::{cases, folder};

/// Streams of at most so many bytes are cut behind each of them.
const ALL_BYTES_MAX: usize = 400;

/// Of a longer stream so many places are tried, beside those around the ends of events.
const PLACES: usize = 64;

#[test]
fn every_part_of_every_stream_is_well_formed_in_every_dialect() {
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for case in cases() {
        let Some(stream) = case.stream() else { continue };
        let places = places(case.form, &stream);
        // Nothing is translated into its own dialect: it passes as it is.
        for client in Form::ALL.into_iter().filter(|client| *client != case.form) {
            let ends = Ends::plain(case.form, client);
            for len in &places {
                tried += 1;
                // Behind what has come the connection breaks, or the body ends in order.
                for closes in [false, true] {
                    let followed = std::panic::catch_unwind(|| {
                        let relayed = ends.relay(&stream[..*len], &[], closes);
                        ends.follows(&relayed);
                    });
                    if followed.is_err() {
                        wrong.push(format!("{} to {}, {len} bytes", case.label(), folder(client)));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(tried > 10_000, "{tried} places");
}

#[test]
fn no_stream_depends_on_where_the_network_cut_it() {
    for case in cases() {
        let Some(stream) = case.stream() else { continue };
        for client in Form::ALL.into_iter().filter(|client| *client != case.form) {
            let ends = Ends::plain(case.form, client);
            let whole = ends.relay(&stream, &[], true);
            for sizes in [[1, 1], [2, 3], [255, 7]] {
                let pieces = ends.relay(&stream, &sizes, true);
                assert!(pieces == whole, "{} to {}, {sizes:?}", case.label(), folder(client));
            }
        }
    }
}

/// Where a stream is broken off: behind every byte of a short one; of a longer one around the end of every event, and at
/// places that are always the same ones.
fn places(form: Form, stream: &[u8]) -> BTreeSet<usize> {
    if stream.len() <= ALL_BYTES_MAX {
        return (0..=stream.len()).collect();
    }
    let around = |end: usize| end.saturating_sub(2)..=stream.len().min(end + 2);
    let mut places: BTreeSet<usize> = ends(form, stream).into_iter().flat_map(around).collect();
    places.extend((0..=PLACES).map(|place| place * stream.len() / PLACES));
    places
}

/// Where the events of a stream end.
fn ends(form: Form, stream: &[u8]) -> Vec<usize> {
    let (mut ends, mut at) = (vec![0], 0);
    let (mut events, mut frames) = (Cutter::default(), FrameCutter::default());
    let is_frames = form.outbound().stream_framing() == StreamFraming::Frames;
    loop {
        let len = if is_frames {
            frames.cut(&stream[at..]).unwrap().map(|frame| frame.raw.len())
        } else {
            events.cut(&stream[at..]).unwrap().map(|event| event.raw.len())
        };
        let Some(len) = len else { return ends };
        at += len;
        ends.push(at);
    }
}
