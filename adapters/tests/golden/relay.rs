//! What a gateway does between two dialects, without the gateway.

use faregate_adapters::{
    chat::{Assembler, Customs, Loss, Names},
    check::{BROKEN, answer_terms, model},
    dialect::{Call, ErrorBody, Form, Invalid, ReadTerms, Terms},
    quirks::Quirks,
};

/// What a reader of answers is told.
pub(crate) const READ: ReadTerms<'_> = ReadTerms { seed: 1, quirks: &Quirks::NONE };

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
