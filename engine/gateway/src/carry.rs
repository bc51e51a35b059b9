//! What one turn of a conversation must hand to the next though the client's dialect has no place for it.
//!
//! Providers sign the thoughts that precede a tool call and refuse the tool's result when the signed thought is not sent
//! back. A client that speaks another dialect may drop it. So what was signed is kept under the id of the call, for the
//! same caller alone, and put back when the call comes again. Memory is bounded: a fixed number of places, each taken by
//! the latest call that falls on it, and a number of bytes, beyond which places are emptied in turn; what was pushed out is missing as if the process had been started anew, and the
//! dialects then do without (thinking off, or the provider's own placeholder).
//!
//! Signatures that a client does carry are tagged with the dialect they belong to, so that one provider's proof never
//! reaches another when a conversation moves.

use std::{
    borrow::Cow,
    hash::{BuildHasher, Hasher},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use faregate_adapters::{
    chat::{Delta, IdRule, Part, PartBody, ReasoningPart, Request, Role, fit_id},
    dialect::Form,
};

/// Calls that are remembered at a time.
const PLACES: usize = 8192;

/// Bytes that are remembered at a time, over all callers.
const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What an entry takes beside the thoughts and signatures in it.
const ENTRY_BYTES: usize = 512;

/// Bytes of thoughts and signatures that are kept of one answer.
const CARRIED_BYTES_MAX: usize = 64 * 1024;

/// Calls of one answer that are remembered.
const CALLS_MAX: usize = 64;

/// What was signed before the calls of one answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carried {
    thoughts: Vec<ReasoningPart<'static>>,
    calls: Vec<(String, Option<String>)>,
    bytes: usize,
}

/// The places.
pub(crate) struct Memory {
    places: Box<[ArcSwapOption<Entry>]>,
    /// Bytes of all entries; one under two ids counts twice.
    bytes: AtomicUsize,
    /// Where room is made next.
    hand: AtomicUsize,
    hasher: std::hash::RandomState,
}

struct Entry {
    caller: Box<str>,
    form: Form,
    carried: Carried,
}

impl Entry {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.carried.bytes
    }
}

impl Carried {
    /// Notes what is signed, and the calls behind it.
    ///
    /// A client may be told another id than the provider gave, one that `rule` allows: both lead back to the call.
    pub(crate) fn note(&mut self, delta: &Delta<'_>, rule: &IdRule) {
        if self.bytes > CARRIED_BYTES_MAX {
            return;
        }
        match delta {
            Delta::Reasoning { choice: 0, text } => self.think(text),
            Delta::Signature { choice: 0, signature, redacted } => self.sign(signature, *redacted),
            Delta::ToolStart { choice: 0, id, signature, .. } if self.calls.len() < CALLS_MAX => {
                self.bytes += signature.as_ref().map_or(0, |s| s.len());
                let signature = signature.as_ref().map(ToString::to_string);
                let told = fit_id(id, rule);
                if told != *id {
                    self.calls.push((told.into_owned(), signature.clone()));
                }
                self.calls.push((id.to_string(), signature));
            }
            _ => {}
        }
    }

    fn think(&mut self, text: &str) {
        self.bytes += text.len();
        match self.thoughts.last_mut() {
            Some(thought) if thought.signature.is_none() => thought.text.to_mut().push_str(text),
            _ => self.thoughts.push(ReasoningPart {
                text: Cow::Owned(text.to_owned()),
                ..ReasoningPart::default()
            }),
        }
    }

    fn sign(&mut self, signature: &str, redacted: bool) {
        self.bytes += signature.len();
        let signed = Some(Cow::Owned(signature.to_owned()));
        match self.thoughts.last_mut() {
            Some(thought) if thought.signature.is_none() && !redacted => thought.signature = signed,
            _ => self.thoughts.push(ReasoningPart {
                signature: signed,
                redacted,
                ..ReasoningPart::default()
            }),
        }
    }

    /// Whether there is anything that must come back.
    pub(crate) fn is_needed(&self) -> bool {
        let signed = self.thoughts.iter().any(|thought| thought.signature.is_some())
            || self.calls.iter().any(|(_, signature)| signature.is_some());
        signed && !self.calls.is_empty() && self.bytes <= CARRIED_BYTES_MAX
    }
}

impl Memory {
    /// Nothing is remembered.
    pub(crate) fn new() -> Self {
        Self {
            places: (0..PLACES).map(|_| ArcSwapOption::empty()).collect(),
            bytes: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
            hasher: std::hash::RandomState::new(),
        }
    }

    /// Remembers what one answer carried, for the next turn of the same caller.
    pub(crate) fn keep(&self, caller: &str, form: Form, carried: Carried) {
        if !carried.is_needed() {
            return;
        }
        let entry = Arc::new(Entry { caller: caller.into(), form, carried });
        for (id, _) in entry.carried.calls.iter().take(2) {
            self.bytes.fetch_add(entry.bytes(), Ordering::Relaxed);
            self.forget(self.place(caller, id).swap(Some(Arc::clone(&entry))));
        }
        self.make_room();
    }

    /// Empties places in turn while there is too much in them; at most all of them once.
    fn make_room(&self) {
        for _ in 0..PLACES {
            if self.bytes.load(Ordering::Relaxed) <= MEMORY_BYTES_MAX {
                return;
            }
            let at = self.hand.fetch_add(1, Ordering::Relaxed) % PLACES;
            self.forget(self.places[at].swap(None));
        }
    }

    fn forget(&self, entry: Option<Arc<Entry>>) {
        if let Some(entry) = entry {
            self.bytes.fetch_sub(entry.bytes(), Ordering::Relaxed);
        }
    }

    /// Puts back what the client could not carry, where `form` is the dialect it belongs to.
    pub(crate) fn restore(&self, caller: &str, form: Form, request: &mut Request<'_>) {
        for message in &mut request.messages {
            if message.role != Role::Assistant {
                continue;
            }
            let has_thoughts = message
                .parts
                .iter()
                .any(|part| matches!(&part.body, PartBody::Reasoning(r) if r.signature.is_some()));
            let Some(entry) = self.recall(caller, form, &message.parts) else { continue };
            for part in &mut message.parts {
                if let PartBody::ToolCall { id, signature: signature @ None, .. } = &mut part.body {
                    let known = entry.carried.calls.iter().find(|(known, _)| known == id);
                    *signature = known.and_then(|(_, signature)| signature.clone()).map(Cow::Owned);
                }
            }
            if !has_thoughts {
                message.parts.retain(|part| !matches!(part.body, PartBody::Reasoning(_)));
                let thoughts = entry.carried.thoughts.iter().filter(|t| t.signature.is_some());
                let parts = thoughts.map(|t| Part::new(PartBody::Reasoning(t.clone())));
                message.parts.splice(0..0, parts);
            }
        }
    }

    fn recall(&self, caller: &str, form: Form, parts: &[Part<'_>]) -> Option<Arc<Entry>> {
        let id = parts.iter().find_map(|part| match &part.body {
            PartBody::ToolCall { id, .. } => Some(&**id),
            _ => None,
        })?;
        let entry = self.place(caller, id).load_full()?;
        let is_it = *entry.caller == *caller
            && entry.form == form
            && entry.carried.calls.iter().any(|(known, _)| known == id);
        is_it.then_some(entry)
    }

    fn place(&self, caller: &str, id: &str) -> &ArcSwapOption<Entry> {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(caller.as_bytes());
        hasher.write_u8(0xff);
        hasher.write(id.as_bytes());
        let index = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or(0);
        &self.places[index]
    }
}

/// Says in a signature which dialect it belongs to: four characters of base64, so that what was base64 stays it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(&'static str);

const TAGS: [(Form, &str); 5] = [
    (Form::Chat, "fgC0"),
    (Form::Responses, "fgR0"),
    (Form::Messages, "fgM0"),
    (Form::Gemini, "fgG0"),
    (Form::Converse, "fgB0"),
];

impl Tag {
    /// The tag of a dialect.
    pub(crate) fn of(form: Form) -> Self {
        Self(TAGS.iter().find(|(of, _)| *of == form).map_or("", |(_, tag)| tag))
    }

    /// Tags the signature in a delta.
    pub(crate) fn put_on(self, delta: &mut Delta<'_>) {
        match delta {
            Delta::Signature { signature, .. }
            | Delta::ToolStart { signature: Some(signature), .. } => {
                *signature = Cow::Owned(format!("{}{signature}", self.0));
            }
            _ => {}
        }
    }

    /// Takes the tags off the signatures of a request for `target`, and drops those of other dialects. One without a tag
    /// was made where the client's own dialect is spoken.
    pub(crate) fn take_off(client: Form, target: Form, request: &mut Request<'_>) {
        for message in &mut request.messages {
            for part in &mut message.parts {
                match &mut part.body {
                    PartBody::Reasoning(thought) => {
                        let signed = thought.signature.take();
                        thought.signature = signed.and_then(|s| own(s, client, target));
                    }
                    PartBody::ToolCall { signature, .. } => {
                        let signed = signature.take();
                        *signature = signed.and_then(|s| own(s, client, target));
                    }
                    _ => {}
                }
            }
            message.parts.retain(|part| !is_void(&part.body));
        }
    }
}

/// A thought of which nothing is left.
fn is_void(body: &PartBody<'_>) -> bool {
    matches!(body, PartBody::Reasoning(thought)
        if thought.signature.is_none() && (thought.redacted || thought.text.is_empty()))
}

/// The signature without its tag, when it belongs to `target`.
fn own<'a>(signature: Cow<'a, str>, client: Form, target: Form) -> Option<Cow<'a, str>> {
    let tagged = TAGS.iter().find(|(_, tag)| signature.starts_with(tag));
    match tagged {
        Some((form, tag)) if *form == target => Some(match signature {
            Cow::Borrowed(text) => Cow::Borrowed(&text[tag.len()..]),
            Cow::Owned(text) => Cow::Owned(text[tag.len()..].to_owned()),
        }),
        Some(_) => None,
        None => (client == target).then_some(signature),
    }
}

#[cfg(test)]
mod tests {
    use faregate_adapters::chat::Message;

    use super::*;

    const RULE: IdRule = IdRule { bytes_max: 64, exact_alphanumeric: false };

    fn call(id: &'static str, signature: Option<&'static str>) -> Delta<'static> {
        Delta::ToolStart {
            choice: 0,
            call: 0,
            id: id.into(),
            name: "f".into(),
            custom: false,
            signature: signature.map(Into::into),
        }
    }

    fn turn(id: &'static str) -> Request<'static> {
        let body = PartBody::ToolCall {
            id: id.into(),
            name: "f".into(),
            arguments: "{}".into(),
            kind: Default::default(),
            signature: None,
        };
        let message = Message { role: Role::Assistant, name: None, parts: vec![Part::new(body)] };
        Request { messages: vec![message], ..Request::default() }
    }

    fn shown(request: &Request<'_>) -> Vec<String> {
        let parts = &request.messages[0].parts;
        parts
            .iter()
            .map(|part| match &part.body {
                PartBody::Reasoning(thought) => format!("{}/{:?}", thought.text, thought.signature),
                PartBody::ToolCall { id, signature, .. } => format!("{id}/{signature:?}"),
                _ => String::new(),
            })
            .collect()
    }

    #[test]
    fn a_signed_thought_comes_back_with_its_call_to_its_own_caller_and_dialect() {
        let memory = Memory::new();
        let mut carried = Carried::default();
        carried.note(&Delta::Reasoning { choice: 0, text: "h".into() }, &RULE);
        carried.note(&Delta::Reasoning { choice: 0, text: "m".into() }, &RULE);
        carried
            .note(&Delta::Signature { choice: 0, signature: "s".into(), redacted: false }, &RULE);
        carried.note(&call("c1", Some("t")), &RULE);
        memory.keep("a", Form::Messages, carried);
        for (caller, form, expected) in [
            ("a", Form::Messages, vec!["hm/Some(\"s\")", "c1/Some(\"t\")"]),
            ("b", Form::Messages, vec!["c1/None"]),
            ("a", Form::Gemini, vec!["c1/None"]),
        ] {
            let mut request = turn("c1");
            memory.restore(caller, form, &mut request);
            assert_eq!(shown(&request), expected, "{caller} {form:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let memory = Memory::new();
        let mut carried = Carried::default();
        let long = "x".repeat(CARRIED_BYTES_MAX + 1);
        carried
            .note(&Delta::Signature { choice: 0, signature: long.into(), redacted: false }, &RULE);
        carried.note(&call("c1", None), &RULE);
        memory.keep("a", Form::Messages, carried);
        let mut request = turn("c1");
        memory.restore("a", Form::Messages, &mut request);
        assert_eq!(shown(&request), ["c1/None"]);
    }

    #[test]
    fn memory_is_bounded_whatever_is_kept() {
        let memory = Memory::new();
        let thought = "x".repeat(CARRIED_BYTES_MAX - 100);
        let count = MEMORY_BYTES_MAX / CARRIED_BYTES_MAX * 3;
        for n in 0..count {
            let mut carried = Carried::default();
            let signature = thought.as_str().into();
            carried.note(&Delta::Signature { choice: 0, signature, redacted: false }, &RULE);
            carried.calls.push((format!("c{n}"), None));
            memory.keep("a", Form::Messages, carried);
        }
        let kept = memory.places.iter().filter_map(ArcSwapOption::load_full);
        let bytes: usize = kept.map(|entry| entry.bytes()).sum();
        assert_eq!(bytes, memory.bytes.load(Ordering::Relaxed));
        assert!(bytes > MEMORY_BYTES_MAX / 2 && bytes <= MEMORY_BYTES_MAX, "{bytes}");
    }

    #[test]
    fn a_signature_reaches_its_own_dialect_alone() {
        let mut delta = Delta::Signature { choice: 0, signature: "abc=".into(), redacted: false };
        Tag::of(Form::Gemini).put_on(&mut delta);
        let Delta::Signature { signature, .. } = delta else { return };
        let own = |target| own(signature.clone(), Form::Messages, target);
        assert_eq!(own(Form::Gemini).as_deref(), Some("abc="));
        assert_eq!(own(Form::Messages), None);
        let plain = |target| super::own("abc=".into(), Form::Messages, target);
        assert_eq!(plain(Form::Messages).as_deref(), Some("abc="));
        assert_eq!(plain(Form::Gemini), None);
    }
}
