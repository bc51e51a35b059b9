//! What a gateway does between two dialects, without the gateway.

use faregate_adapters::{
    chat::{Assembler, Customs, Delta, Loss, Names, Usage},
    dialect::{AnswerTerms, Call, ErrorBody, Form, Invalid, ReadTerms, Terms},
    quirks::Quirks,
};

use super::fixture::Event;

/// What a reader of answers is told.
pub(crate) const READ: ReadTerms<'_> = ReadTerms { seed: 1, quirks: &Quirks::NONE };

/// What breaks a stream off.
pub(crate) const BROKEN: ErrorBody<'_> = ErrorBody {
    status: 502,
    message: "the provider broke off",
    kind: "server_error",
    code: "upstream_cut",
    param: None,
    request_id: "req_1",
    extra: None,
};

/// What a client got of a stream.
#[derive(Default)]
pub(crate) struct Relayed {
    /// The bytes.
    pub(crate) out: Vec<u8>,
    /// The provider has said everything.
    pub(crate) done: bool,
    /// The provider has told an error.
    pub(crate) failed: bool,
    /// What the client's writer was told of usage last.
    pub(crate) usage: Option<Usage>,
}

/// The model that stands for a dialect.
pub(crate) const fn model(form: Form) -> &'static str {
    match form {
        Form::Chat | Form::Responses => "gpt-5.5",
        Form::Messages => "claude-sonnet-4-5",
        Form::Gemini => "gemini-3-pro",
        Form::Converse => "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    }
}

/// What a writer of answers is told.
pub(crate) fn answer_terms(client: Form) -> AnswerTerms<'static> {
    AnswerTerms {
        model: model(client),
        include_usage: true,
        request_id: "req_1",
        created: 7,
        input_estimate: None,
        json_array: false,
    }
}

/// What the path says of a recorded request.
pub(crate) fn call(client: Form) -> Call<'static> {
    match client {
        Form::Gemini | Form::Converse => Call { model: Some(model(client)), stream: Some(true) },
        Form::Chat | Form::Responses | Form::Messages => Call::default(),
    }
}

/// A request said in another dialect, and what could not be said.
pub(crate) fn request(
    client: Form,
    body: &[u8],
    target: Form,
) -> Result<(Vec<u8>, String), Invalid> {
    let prepared = client.inbound().prepare(body);
    let body = prepared.as_deref().unwrap_or(body);
    let mut request = client.inbound().read_request(body, &call(client))?;
    if matches!(target, Form::Messages | Form::Gemini | Form::Converse) {
        Customs::lower(&mut request);
    }
    Names::fit(&mut request, &target.outbound().name_rule());
    let terms = Terms { model: model(target), output_max: 8192, quirks: &Quirks::NONE };
    let (mut out, mut loss) = (Vec::new(), Loss::default());
    target.outbound().write_request(&mut out, &request, &terms, &mut loss)?;
    Ok((out, loss.list()))
}

/// A whole answer, or an error, said in another dialect.
pub(crate) fn answer(target: Form, body: &[u8], client: Form) -> Vec<u8> {
    let (mut assembler, mut out) = (Assembler::default(), Vec::new());
    let read = target.outbound().read_answer(body, &READ, &mut |delta| assembler.push(delta));
    let answer = assembler.finish();
    let told = target.outbound().read_error(400, body);
    let error = if read.is_err() { Some(&told) } else { answer.error.as_ref() };
    match error {
        Some(error) => {
            let code = error.code.as_deref().unwrap_or("upstream_status");
            let (message, param) = (&*error.message, error.param.as_deref());
            let status = if read.is_err() { 400 } else { 502 };
            let kind = if read.is_err() { "invalid_request_error" } else { "server_error" };
            let body = ErrorBody { status, message, kind, code, param, ..BROKEN };
            client.inbound().write_error(&mut out, &body);
        }
        None => client.inbound().write_answer(&mut out, &answer, &answer_terms(client)),
    }
    out
}

/// A stream said in another dialect, as far as it has come; a stream that is not whole is broken off.
pub(crate) fn stream(target: Form, events: &[Event], client: Form) -> Relayed {
    let mut reader = target.outbound().stream_reader(&READ);
    let mut writer = client.inbound().stream_writer(&answer_terms(client));
    let mut relayed = Relayed::default();
    let mut tell = |delta: Delta<'_>| {
        let Relayed { out, done, failed, usage } = &mut relayed;
        if *failed || (*done && !matches!(delta, Delta::Usage(_))) {
            return;
        }
        match &delta {
            Delta::Start(start) => *usage = start.usage.or(*usage),
            Delta::Usage(told) => *usage = Some(*told),
            Delta::Done => *done = true,
            Delta::Error(_) => *failed = true,
            _ => {}
        }
        writer.write(&delta, out);
    };
    let read =
        events.iter().try_for_each(|event| reader.event(&event.name, &event.data, &mut tell));
    if read.is_ok() {
        reader.close(&mut tell);
    }
    if !(relayed.done || relayed.failed) {
        writer.fail(&BROKEN, &mut relayed.out);
    }
    relayed
}
