//! Events that a provider wraps in frames, for a client of the dialect that they are in: each passes as it is, out of its
//! frame.
//!
//! In: frames. Out: server-sent events, and what is learned from them as from any that pass. An exception, which is not of
//! the dialect, is told in it.

use faregate_adapters::{
    chat::Delta,
    dialect::{
        Form, ReadTerms,
        bedrock::invoke::{self, NativeEvent},
    },
    quirks::Quirks,
};
use faregate_wire::FrameCutter;

use super::{Sink, Told};
use crate::relay::Broken;

/// Reads the whole frames that `pending` begins with; how many bytes they have.
pub(super) fn read(
    cutter: &mut FrameCutter,
    form: Form,
    pending: &[u8],
    told: &mut Told,
    sink: &mut Sink,
    out: &mut Vec<u8>,
) -> Result<usize, Broken> {
    let mut used = 0;
    while let Some(frame) = cutter.cut(&pending[used..]).map_err(|_| Broken::Malformed)? {
        used += frame.raw.len();
        let (name, payload) = (frame.event(), frame.data());
        match invoke::unwrap_chunk(&name, &payload).map_err(|_| Broken::Malformed)? {
            None => {}
            Some(event) if event.is_exception() => {
                exception(&event, &mut |delta| told.tell(sink, delta, out));
            }
            Some(event) => {
                write(out, &event).ok_or(Broken::Malformed)?;
                told.note(form, &event);
            }
        }
    }
    Ok(used)
}

/// Tells what an exception among the frames says.
pub(super) fn exception(event: &NativeEvent<'_>, tell: &mut dyn FnMut(Delta<'_>)) {
    let terms = ReadTerms { seed: 0, quirks: &Quirks::NONE };
    let mut reader = Form::Converse.outbound().stream_reader(&terms);
    // It reads every exception, whatever its data is.
    let _ = reader.event(&event.name, &event.data, tell);
}

/// Appends an event; `None` when its name cannot be one.
fn write(out: &mut Vec<u8>, event: &NativeEvent<'_>) -> Option<()> {
    if event.name.iter().any(u8::is_ascii_control) {
        return None;
    }
    if !event.name.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(&event.name);
        out.push(b'\n');
    }
    for line in event.data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
    Some(())
}

impl Told {
    /// Learns from an event that passes.
    fn note(&mut self, form: Form, event: &NativeEvent<'_>) {
        let seen = form.passage().inspect(&event.name, &event.data);
        self.done |= seen.done;
        self.failed |= seen.error;
        self.content += u64::from(seen.content);
        if let Some(report) = seen.usage {
            self.usage = Some(report.over(self.usage));
        }
    }
}

#[cfg(test)]
mod tests {
    use faregate_adapters::{chat::Names, dialect::AnswerTerms};

    use super::{
        super::{Coming, Learned, Pair, Translator},
        *,
    };

    fn written(name: &str, data: &str) -> Option<String> {
        let mut out = Vec::new();
        let event = NativeEvent { name: name.as_bytes().into(), data: data.as_bytes().into() };
        write(&mut out, &event).map(|()| String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn an_event_cannot_become_two() {
        assert_eq!(written("ping", "{}").unwrap_or_default(), "event: ping\ndata: {}\n\n");
        assert_eq!(
            written("", "{\n\r\n}").unwrap_or_default(),
            "data: {\ndata: \ndata: \ndata: }\n\n"
        );
        assert_eq!(written("a\nb", "{}"), None);
    }

    fn unwrapped(pieces: &[&[u8]]) -> (String, Learned, Result<(), Broken>) {
        let terms = AnswerTerms {
            model: "m",
            include_usage: false,
            request_id: "r",
            created: 1,
            input_estimate: None,
            json_array: false,
        };
        let pair = Pair {
            target: Form::Messages,
            client: Form::Messages,
            quirks: &Quirks::NONE,
            wrapped: true,
            unwraps: true,
            streams: true,
            vectors: None,
            names: Names::default(),
            customs: None,
            input: None,
            seed: 7,
            terms,
        };
        let mut translator = Translator::new(pair, Coming::Stream);
        let (mut out, mut learned) = (Vec::new(), Learned::default());
        for piece in pieces {
            assert_eq!(translator.push(piece, &mut out, &mut learned), Ok(()));
        }
        let end = translator.end(&mut out, &mut learned);
        (String::from_utf8_lossy(&out).into_owned(), learned, end)
    }

    #[test]
    fn events_come_out_of_their_frames_wherever_the_network_cut_them() {
        let wire =
            include_bytes!("../../../../../tests/golden/bedrock_invoke/text/stream.bin").as_slice();
        let (whole, learned, end) = unwrapped(&[wire]);
        assert_eq!(end, Ok(()));
        let first = whole.lines().next().unwrap_or_default();
        assert_eq!(first, "event: message_start");
        assert!(
            whole.contains("\nevent: message_stop\ndata: {") && whole.ends_with("}\n\n"),
            "{whole}"
        );
        assert!(learned.done && learned.content && learned.usage.is_some());
        for at in 0..wire.len() {
            let (before, behind) = wire.split_at(at);
            assert_eq!(unwrapped(&[before, behind]).0, whole, "cut at {at}");
        }
    }

    #[test]
    fn a_stream_without_its_end_is_cut() {
        let wire = include_bytes!("../../../../../tests/golden/bedrock_invoke/text/stream.bin");
        assert_eq!(unwrapped(&[&wire[..wire.len() / 2]]).2, Err(Broken::Cut));
    }
}
