//! The request as one target gets it: the client's bytes with a few spans edited, or the same said in another dialect.

use std::borrow::Cow;

use faregate_adapters::{
    chat::{Customs, Loss, Names},
    dialect::{Call, Form, Invalid, Terms, anthropic, bedrock, openai, responses},
    embed,
    kind::Kind,
    surface::{Family, Surface},
};
use faregate_policy::{exchange::Refusal, fault::Fault, policy::Provider};
use faregate_wire::Patch;

use super::{Walk, read::Body};
use crate::{carry::Tag, relay::translate::Vectors, reply, worker::Core};

/// The bound of output that a dialect must have where the client gave none.
const OUTPUT_TOKENS_DEFAULT: u64 = 8192;

/// The version that is told to Anthropic where the client tells none.
const ANTHROPIC_VERSION: &[u8] = b"2023-06-01";

/// Fields of Anthropic's API that Bedrock has in the body.
const IN_BODY_ON_BEDROCK: [&str; 2] = ["anthropic-beta", "anthropic-version"];

/// A request as one target gets it.
pub(super) struct Written {
    /// The path, perhaps with a query.
    pub(super) path: Box<str>,
    /// The path goes to the provider's root, whatever path its base URL has.
    pub(super) from_root: bool,
    /// The client's query passes too.
    pub(super) keeps_query: bool,
    /// Fields of the head beside those of the provider.
    pub(super) fields: Vec<u8>,
    /// The body.
    pub(super) body: WrittenBody,
    /// The answer is in the client's dialect, but its stream is wrapped.
    pub(super) unwraps: bool,
    /// The dialect that the answer must be translated from.
    pub(super) crossing: Option<Crossing>,
}

/// The body of a request as one target gets it.
pub(super) enum WrittenBody {
    /// The client's, with these edits.
    Edited(Patch),
    /// Another one.
    Own(Vec<u8>),
}

impl Written {
    /// The content type of the answer that the client gets, where it is translated.
    pub(super) fn crossing_type(&self, walk: &Walk) -> Option<&'static str> {
        if matches!(self.body, WrittenBody::Edited(_)) && !self.unwraps {
            return None;
        }
        Some(match (walk.streams, walk.form()) {
            (false, _) => "application/json",
            (true, Form::Gemini) if walk.wants_array() => "application/json",
            (true, Form::Converse) => "application/vnd.amazon.eventstream",
            (true, _) => "text/event-stream; charset=utf-8",
        })
    }
}

/// A request said in another dialect.
pub(super) struct Crossing {
    /// The provider's.
    pub(super) target: Form,
    /// Names of tools that were replaced.
    pub(super) names: Names,
    /// Custom tools that became functions.
    pub(super) customs: Option<Customs>,
    /// The answer is no chat but vectors.
    pub(super) vectors: Option<Vectors>,
    /// It is the client's own dialect: a stream's events pass as they are, but out of their frames.
    pub(super) unwraps: bool,
}

impl Crossing {
    fn into(target: Form) -> Self {
        Self { target, names: Names::default(), customs: None, vectors: None, unwraps: false }
    }
}

impl WrittenBody {
    /// Its bytes, when `body` is the client's.
    pub(super) fn len(&self, body: &[u8]) -> usize {
        match self {
            Self::Edited(patch) => patch.len(body),
            Self::Own(bytes) => bytes.len(),
        }
    }

    /// Appends it.
    pub(super) fn write(&self, body: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Edited(patch) => patch.write(body, out),
            Self::Own(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// Adds its parts where they lie.
    pub(super) fn parts<'a>(&'a self, body: &'a [u8], parts: &mut Vec<&'a [u8]>) {
        match self {
            Self::Edited(patch) => patch.parts(body, parts),
            Self::Own(bytes) => parts.push(bytes),
        }
    }
}

impl Walk {
    /// Whether a stream shall be one JSON array (Gemini without `alt=sse`).
    pub(super) fn wants_array(&self) -> bool {
        let query = self.query.as_deref().unwrap_or_default();
        self.form() == Form::Gemini && !query.split('&').any(|pair| pair == "alt=sse")
    }

    /// Writes the request for a target of `provider`.
    ///
    /// # Errors
    ///
    /// A refusal when the provider has no way to be asked this.
    pub(super) fn write(
        &mut self,
        body: &Body,
        provider: &Provider,
        core: &Core,
    ) -> Result<Written, Refusal> {
        self.early = None;
        self.is_marked = false;
        let mut written = self.write_in_form(body, provider, core)?;
        if let Some(version) = &provider.api_version {
            written.name_version(version, self.query.as_deref());
        }
        Ok(written)
    }

    fn write_in_form(
        &mut self,
        body: &Body,
        provider: &Provider,
        core: &Core,
    ) -> Result<Written, Refusal> {
        match self.surface.form() {
            Some(form) if !provider.forms.contains(&form) => {
                self.translate(body, form, provider, core)
            }
            Some(_) => Ok(self.pass(body, provider)),
            None if is_offered(self.surface, provider.kind) => Ok(self.pass(body, provider)),
            None if matches!(self.surface, Surface::Embeddings | Surface::EmbedContent) => {
                self.translate_embedding(body, provider)
            }
            None => {
                let message = format!(
                    "{} does not offer {}; choose a model of another provider",
                    provider.name,
                    self.surface.name()
                );
                Err(Refusal::new(Fault::Untranslatable, message).about("model"))
            }
        }
    }

    /// The client's bytes, edited where they must be.
    fn pass(&mut self, body: &Body, provider: &Provider) -> Written {
        self.lost = None;
        let kind = provider.kind;
        let mut fields = self.forwarded.clone();
        let speaks_messages = self.surface.form() == Some(Form::Messages);
        if speaks_messages && !self.has_version && kind.quirks.version_in_body.is_none() {
            reply::write_field(&mut fields, b"anthropic-version", ANTHROPIC_VERSION);
        }
        if let Some(protocols) = &self.protocols {
            fields.extend_from_slice(b"connection: Upgrade\r\nupgrade: websocket\r\n");
            if !protocols.is_empty() {
                reply::write_field(&mut fields, b"sec-websocket-protocol", protocols);
            }
            return Written {
                path: self.realtime_path(),
                from_root: self.from_root,
                keeps_query: false,
                fields,
                body: WrittenBody::Edited(Patch::new()),
                unwraps: false,
                crossing: None,
            };
        }
        if kind.family == Family::Bedrock {
            let names = IN_BODY_ON_BEDROCK.map(str::to_owned);
            fields.clear();
            reply::write_all_but(&mut fields, &self.forwarded, &names);
        }
        let mut patch = self.edits(body, kind);
        if let Some(peek) = &body.peek {
            self.cap(&mut patch, body, peek, provider);
        }
        self.is_marked = self.mark_passing(body, provider, &mut patch);
        let unwraps = speaks_messages && kind.wraps_events();
        let ranks = provider.quirks.rerank_path.filter(|_| self.surface == Surface::Rerank);
        Written {
            path: ranks.map_or_else(|| self.path_to(kind), Into::into),
            from_root: self.from_root || ranks.is_some(),
            // What Anthropic's own API takes there (`beta=true`), those who serve its models do not.
            keeps_query: kind.quirks.version_in_body.is_none(),
            fields,
            body: WrittenBody::Edited(patch),
            unwraps,
            crossing: unwraps.then(|| Crossing { unwraps: true, ..Crossing::into(Form::Messages) }),
        }
    }

    /// The path of a WebSocket, with the target's name for the model in its query.
    fn realtime_path(&self) -> Box<str> {
        let mut path = self.path.to_string();
        let name = match self.exchange.upstream_model() {
            "" => self.model.as_deref().unwrap_or_default(),
            name => name,
        };
        if !name.is_empty() {
            path.push_str("?model=");
        }
        for byte in name.bytes() {
            match byte {
                b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => path.push(b.into()),
                b => path.push_str(&format!("%{b:02X}")),
            }
        }
        let query = self.query.as_deref().unwrap_or_default();
        for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("model="))
        {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(pair);
        }
        path.into()
    }

    /// The path of a request that passes as it is.
    fn path_to(&self, kind: &Kind) -> Box<str> {
        let model = self.exchange.upstream_model();
        let form = self.form();
        if !kind.has_model_in_path() || model.is_empty() {
            return self.path.clone();
        }
        let whole = kind.path(form, model, self.streams);
        let path = whole.split('?').next().unwrap_or_default();
        match self.surface {
            Surface::CountTokens => kind.count_path().unwrap_or(path).into(),
            Surface::CountContent | Surface::EmbedContent => {
                let verb = self.path.rsplit(':').next().unwrap_or_default();
                let start = path.rfind(':').map_or(path, |at| &path[..at]);
                format!("{start}:{verb}").into()
            }
            _ if self.surface.form().is_some() => path.into(),
            _ => kind.path_of_call(&self.path, model).into(),
        }
    }

    /// The edits of a body whose dialect is the provider's: the model's name, and usage where it is not asked for.
    fn edits(&self, body: &Body, kind: &Kind) -> Patch {
        let mut patch = Patch::new();
        let Some(peek) = &body.peek else {
            self.rename_in_form(body, &mut patch);
            return patch;
        };
        let span_of = |name: &str| {
            self.fields().iter().position(|field| *field == name).and_then(|at| peek.span(at))
        };
        let upstream_model = self.exchange.upstream_model();
        let model = span_of("model");
        match kind.quirks.version_in_body.filter(|_| self.surface.form() == Some(Form::Messages)) {
            Some(version) => {
                let mut told = format!("\"anthropic_version\":\"{version}\"");
                if let Some(betas) = self.betas_for(kind, body.bytes()) {
                    told.push(',');
                    told.push_str(&betas);
                }
                if self.surface == Surface::CountTokens {
                    // Its path is the same for all models.
                    let model = quoted(b",\"model\":", upstream_model);
                    told.push_str(&String::from_utf8_lossy(&model));
                }
                let stream = span_of("stream").filter(|_| kind.quirks.stream_in_path);
                in_path_edits(&mut patch, body.bytes(), [model, stream], told);
            }
            None => {
                let renamed = self.model.as_deref().is_some_and(|asked| asked != upstream_model);
                let names_model = self.family == Family::OpenAi
                    && self.path_model.is_some()
                    && !kind.has_model_in_path();
                match model {
                    Some(span) if renamed => patch.replace(span, quoted(b"", upstream_model)),
                    // The client's path has named it; the provider's does not.
                    None if names_model && !upstream_model.is_empty() => {
                        let before =
                            if peek.is_empty_object() { "\"model\":" } else { ",\"model\":" };
                        patch.insert(peek.insert_at(), quoted(before.as_bytes(), upstream_model));
                    }
                    _ => {}
                }
            }
        }
        if self.adds_usage {
            openai::include_usage_edit(&mut patch, peek, body.bytes());
        }
        patch
    }

    /// Puts the target's name for the model into a form.
    fn rename_in_form(&self, body: &Body, patch: &mut Patch) {
        let name = self.exchange.upstream_model();
        let Some(field) = body.model.as_ref().filter(|field| &*field.value != name) else { return };
        let at = |at: u64| usize::try_from(at).ok();
        if let (Some(start), Some(end), false) =
            (at(field.span.start), at(field.span.end), name.is_empty())
        {
            patch.replace(start..end, name.as_bytes().to_vec());
        }
    }

    /// A request for vectors, said in the provider's dialect.
    fn translate_embedding(
        &mut self,
        body: &Body,
        provider: &Provider,
    ) -> Result<Written, Refusal> {
        let mut loss = Loss::default();
        let mut out = Vec::with_capacity(body.bytes().len() + 256);
        let model = self.exchange.upstream_model();
        let bad = |invalid: Invalid| refusal(&invalid);
        let speaks = |form| provider.forms.contains(&form);
        let (target, vectors, path) = match self.surface {
            Surface::Embeddings if speaks(Form::Gemini) => {
                let request = embed::openai::read_request(body.bytes()).map_err(bad)?;
                embed::gemini::write_request(&mut out, &request, model, &mut loss).map_err(bad)?;
                let vectors = Vectors::OpenAi(request.encoding);
                (Form::Gemini, vectors, embed::gemini::path(model))
            }
            Surface::EmbedContent if speaks(Form::Chat) => {
                let call = Call { model: self.path_model.as_deref(), stream: None };
                let request = embed::gemini::read_request(body.bytes(), &call).map_err(bad)?;
                embed::openai::write_request(&mut out, &request, model, &mut loss);
                let is_batch = self.path.ends_with(":batchEmbedContents");
                (Form::Chat, Vectors::Gemini { is_batch }, "/embeddings".to_owned())
            }
            _ => {
                let message = format!("{} makes no embeddings here", provider.name);
                return Err(Refusal::new(Fault::Untranslatable, message).about("model"));
            }
        };
        self.lost = (!loss.is_empty()).then(|| loss.list().into());
        let crossing = Crossing { vectors: Some(vectors), ..Crossing::into(target) };
        Ok(Written {
            path: provider.kind.path_of_call(&path, model).into(),
            from_root: self.from_root,
            keeps_query: false,
            fields: reply::translated_fields(&self.forwarded),
            body: WrittenBody::Own(out),
            unwraps: false,
            crossing: Some(crossing),
        })
    }

    /// The client's `anthropic-beta` as a member of a body for Claude on Bedrock, which takes it nowhere else.
    fn betas_for(&self, kind: &Kind, body: &[u8]) -> Option<String> {
        let is_there = || memchr::memmem::find(body, b"\"anthropic_beta\"").is_some();
        if kind.family != Family::Bedrock || is_there() {
            return None;
        }
        let mut known: Vec<&str> = Vec::new();
        for line in self.forwarded.split(|b| *b == b'\n') {
            let line = std::str::from_utf8(line).unwrap_or_default();
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("anthropic-beta") {
                known.extend(bedrock::invoke::known_betas(value));
            }
        }
        let list = known.join("\",\"");
        (!known.is_empty()).then(|| format!("\"anthropic_beta\":[\"{list}\"]"))
    }

    /// The request, said in the provider's dialect.
    fn translate(
        &mut self,
        body: &Body,
        client: Form,
        provider: &Provider,
        core: &Core,
    ) -> Result<Written, Refusal> {
        let target = *provider.forms.first().unwrap_or(&Form::Chat);
        let mut loss = Loss::default();
        let mut out = Vec::with_capacity(body.bytes().len() + 512);
        let stream = self.streams;
        let prepared = client.inbound().prepare(body.bytes());
        let bytes = prepared.as_deref().unwrap_or(body.bytes());
        let call = Call { model: self.path_model.as_deref(), stream: self.path_stream };
        let mut request =
            client.inbound().read_request(bytes, &call).map_err(|invalid| refusal(&invalid))?;
        let stored = match client {
            Form::Responses => responses::stored_state(&request),
            Form::Messages => anthropic::stored_state(&request),
            Form::Chat | Form::Gemini | Form::Converse => None,
        };
        if let Some(invalid) = stored {
            return Err(refusal(&invalid));
        }
        self.early = Some(self.look_ahead(core, body, &request, provider));
        request.stream = stream;
        if stream {
            request.include_usage = true; // the gateway counts; the client's writer asks again
        }
        let caller = self.exchange.caller().map_or("", |caller| &caller.key);
        Tag::take_off(client, target, &mut request);
        core.shared.memory.restore(caller, target, &mut request);
        let outbound = target.outbound();
        let has_customs = match target {
            Form::Chat => !provider.quirks.refuses("custom"),
            Form::Responses => true,
            Form::Messages | Form::Gemini | Form::Converse => false,
        };
        let customs = (!has_customs).then(|| Customs::lower(&mut request));
        let names = Names::fit(&mut request, &outbound.name_rule());
        let terms = Terms {
            model: self.exchange.upstream_model(),
            output_max: OUTPUT_TOKENS_DEFAULT,
            quirks: &provider.quirks,
        };
        request.output_max = request.output_max.or(self.exchange.output_cap());
        self.is_marked = self.mark_crossing(target, provider, &mut request);
        outbound.write_request(&mut out, &request, &terms, &mut loss).map_err(|e| refusal(&e))?;
        if target == Form::Messages
            && let Some(betas) = self.betas_for(provider.kind, bytes)
            && out.pop() == Some(b'}')
        {
            out.extend_from_slice(format!(",{betas}}}").as_bytes());
        }
        let path = provider.kind.path(target, terms.model, stream).into();
        self.lost = (!loss.is_empty()).then(|| loss.list().into());
        if let Some(lost) =
            self.lost.as_deref().filter(|_| self.live.policy.server.strict_translation)
        {
            let first = lost.split(',').next().unwrap_or_default().to_owned();
            let message = format!(
                "{} cannot be told: {lost}; leave it out, or set server.strict_translation = false",
                provider.name
            );
            let mut refusal = Refusal::new(Fault::Untranslatable, message);
            refusal.param = Some(first.into());
            return Err(refusal);
        }
        let mut fields = reply::translated_fields(&self.forwarded);
        if target == Form::Messages && provider.quirks.version_in_body.is_none() {
            reply::write_field(&mut fields, b"anthropic-version", ANTHROPIC_VERSION);
        }
        Ok(Written {
            path,
            from_root: self.from_root,
            keeps_query: false,
            fields,
            body: WrittenBody::Own(out),
            unwraps: false,
            crossing: Some(Crossing { names, customs, ..Crossing::into(target) }),
        })
    }
}

/// The refusal of a member that is wrong.
pub(super) fn refusal(invalid: &Invalid) -> Refusal {
    let mut refusal = Refusal::new(Fault::BodyMalformed, invalid.message.clone());
    refusal.param = Some(Cow::clone(&invalid.param));
    refusal
}

/// Whether a kind of provider can be asked at a surface that is no chat. A server of a known API refuses what it does not
/// have by itself; this keeps the bodies of one API from another.
fn is_offered(surface: Surface, kind: &Kind) -> bool {
    match surface {
        Surface::Completions | Surface::Embeddings | Surface::Realtime => {
            kind.forms.contains(&Form::Chat)
        }
        Surface::EmbedContent => kind.forms.contains(&Form::Gemini),
        _ => true,
    }
}

fn quoted(before: &[u8], text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(before.len() + text.len() + 2);
    out.extend_from_slice(before);
    faregate_wire::quote(&mut out, text);
    out
}

/// Takes the model and the stream out of a body whose path names them, and puts what is told there in place of heads in.
fn in_path_edits(
    patch: &mut Patch,
    body: &[u8],
    values: [Option<std::ops::Range<usize>>; 2],
    told: String,
) {
    let mut told = Some(told);
    for value in values.into_iter().flatten() {
        let Some(start) = name_start(body, value.start) else { continue };
        match told.take() {
            Some(told) => patch.replace(start..value.end, told.into_bytes()),
            None => {
                let behind = body[value.end..].iter().position(|b| !b.is_ascii_whitespace());
                let comma = behind.map(|at| value.end + at).filter(|at| body[*at] == b',');
                let before = body[..start].iter().rposition(|b| !b.is_ascii_whitespace());
                let before = before.filter(|at| body[*at] == b',');
                let span = match (comma, before) {
                    (Some(comma), _) => start..comma + 1,
                    (None, Some(before)) => before..value.end,
                    (None, None) => start..value.end,
                };
                patch.replace(span, Vec::new());
            }
        }
    }
}

/// Where the name of the member starts whose value is at `value`.
fn name_start(body: &[u8], value: usize) -> Option<usize> {
    let colon = body[..value].iter().rposition(|b| *b == b':')?;
    let close = body[..colon].iter().rposition(|b| *b == b'"')?;
    body[..close].iter().rposition(|b| *b == b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &str) {
        let spans = ["\"model\"", "\"stream\""].map(|name| {
            let at = body.find(name)? + name.len();
            let start = at + body[at..].find(|c: char| c != ':' && c != ' ')?;
            let end = start + body[start..].find([',', '}', ' '])?;
            Some(start..end)
        });
        let mut patch = Patch::new();
        let told = "\"anthropic_version\":\"v\"".to_owned();
        in_path_edits(&mut patch, body.as_bytes(), spans, told);
        let mut out = Vec::new();
        patch.write(body.as_bytes(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap_or_default(), expected, "{body}");
    }

    #[test]
    fn what_the_path_says_leaves_the_body() {
        check(r#"{"model":"m","stream":true,"x":1}"#, r#"{"anthropic_version":"v","x":1}"#);
        check(r#"{"x":1, "stream" : true, "model": "m"}"#, r#"{"x":1,  "anthropic_version":"v"}"#);
        check(r#"{"model":"m","x":1,"stream":false}"#, r#"{"anthropic_version":"v","x":1}"#);
        check(r#"{"model":"m"}"#, r#"{"anthropic_version":"v"}"#);
    }
}
