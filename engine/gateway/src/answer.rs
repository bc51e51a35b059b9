//! Answers that the gateway gives by itself: errors, health, lists.
//!
//! In: status, body, fields. Out: the bytes of one whole answer. Always `Content-Length`, never a stream.

use faregate_adapters::{dialect::ErrorBody, surface::Family};
use faregate_policy::{exchange::Refusal, fault::Fault};
use faregate_wire::HeadError;

use crate::{
    attempt::{Failure, Late},
    reply::{write_field, write_number_field, write_status},
    upstream::DialError,
};

const JSON: &str = "application/json";

/// One answer of our own.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    /// The status.
    pub(crate) status: u16,
    /// `Content-Type`.
    pub(crate) content_type: &'a str,
    /// Further fields, each ended by CRLF.
    pub(crate) fields: &'a [u8],
    /// The body.
    pub(crate) body: &'a [u8],
    /// Whether the connection ends with this answer.
    pub(crate) close: bool,
    /// Whether only the head is wanted.
    pub(crate) head_only: bool,
}

impl Answer<'_> {
    /// Appends head and body.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_status(out, self.status);
        write_field(out, b"content-type", self.content_type.as_bytes());
        write_number_field(out, b"content-length", self.body.len() as u64);
        out.extend_from_slice(self.fields);
        if self.close {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if !self.head_only {
            out.extend_from_slice(self.body);
        }
    }
}

/// How a refusal is told.
pub(crate) struct Telling<'a> {
    /// Whose API was called: its shape.
    pub(crate) family: Family,
    /// Names the request.
    pub(crate) id: &'a str,
    /// The policy's generation.
    pub(crate) generation: u64,
    /// Whether the connection ends with this answer.
    pub(crate) close: bool,
    /// Whether only the head is wanted.
    pub(crate) head_only: bool,
}

/// Appends the answer to a refused request, in the shape of the API that was called.
pub(crate) fn write_refusal(out: &mut Vec<u8>, refusal: &Refusal, telling: &Telling<'_>) {
    let Telling { family, id, generation, close, head_only } = *telling;
    let mut body = Vec::with_capacity(256);
    family.form().inbound().write_error(&mut body, &error_body(refusal, id));
    body.push(b'\n');
    let mut fields = Vec::with_capacity(192);
    write_field(&mut fields, b"x-request-id", id.as_bytes());
    write_field(&mut fields, b"x-faregate-request-id", id.as_bytes());
    write_number_field(&mut fields, b"x-faregate-generation", generation);
    if let Some(wait) = refusal.retry_after {
        // Rounded up: who comes a moment too early would be refused again.
        let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        write_number_field(&mut fields, b"retry-after", millis.div_ceil(1000).max(1));
        write_number_field(&mut fields, b"retry-after-ms", millis.max(1));
    }
    if let Some(retry) = refusal.should_retry {
        write_field(&mut fields, b"x-should-retry", if retry { b"true" } else { b"false" });
    }
    if refusal.fault == Fault::MethodNotAllowed {
        write_field(&mut fields, b"allow", refusal.allow.unwrap_or("GET, POST").as_bytes());
    }
    let status = refusal.fault.status();
    Answer { status, content_type: JSON, fields: &fields, body: &body, close, head_only }
        .write(out);
}

/// The error body of a refusal.
pub(crate) fn error_body<'a>(refusal: &'a Refusal, id: &'a str) -> ErrorBody<'a> {
    ErrorBody {
        status: refusal.fault.status(),
        message: &refusal.message,
        kind: refusal.fault.kind(),
        code: refusal.fault.code(),
        param: refusal.param.as_deref(),
        request_id: id,
        extra: refusal.data.as_deref(),
    }
}

/// The refusal for a head that broke a rule.
pub(crate) fn malformed(error: HeadError) -> Refusal {
    let fault = match error.status() {
        405 => Fault::MethodNotAllowed,
        414 => Fault::TargetTooLong,
        417 => Fault::ExpectationFailed,
        431 => Fault::HeadTooLarge,
        501 => Fault::NotImplemented,
        505 => Fault::HttpVersion,
        _ => Fault::MalformedRequest,
    };
    Refusal::new(fault, error.reason())
}

/// What a failed attempt counts as.
pub(crate) fn fault(failure: &Failure) -> Fault {
    match failure {
        Failure::Dial(DialError::Name) => Fault::NameFailed,
        Failure::Dial(DialError::Timeout) => Fault::ConnectTimeout,
        Failure::Dial(DialError::Connect(error)) if crate::io::is_exhausted(error) => {
            Fault::Overloaded
        }
        Failure::Dial(DialError::Connect(_)) => Fault::ConnectFailed,
        Failure::Dial(DialError::Tls(_)) => Fault::TlsFailed,
        Failure::Credentials => Fault::CredentialsMissing,
        Failure::Reset { .. } | Failure::Taken => Fault::UpstreamReset,
        Failure::Protocol => Fault::UpstreamProtocol,
        Failure::Late(late) => late_fault(*late),
        Failure::ClientGone => Fault::ClientGone,
        Failure::Body(refusal) => refusal.fault,
    }
}

/// What a passed deadline counts as.
pub(crate) fn late_fault(late: Late) -> Fault {
    match late {
        Late::Connect => Fault::ConnectTimeout,
        Late::Send => Fault::SendTimeout,
        Late::FirstByte => Fault::FirstByteTimeout,
        Late::FirstToken => Fault::FirstTokenTimeout,
        Late::BetweenTokens => Fault::BetweenTokensTimeout,
        Late::Total => Fault::TotalTimeout,
        Late::Draining => Fault::Draining,
    }
}

/// The sentence for an answer that could not be translated, so that nothing of it reached the client.
pub(crate) fn held_message(fault: Fault) -> &'static str {
    match fault {
        Fault::FirstTokenTimeout | Fault::BetweenTokensTimeout | Fault::TotalTimeout => {
            "the provider did not finish its answer in time; nothing of it was passed on"
        }
        Fault::Draining => "the gateway is shutting down; nothing of the answer was passed on",
        _ => {
            "the provider's answer is cut off or is none of its dialect; nothing of it was passed on"
        }
    }
}

/// The sentence for a stream that ends with a fault.
pub(crate) fn stream_message(fault: Fault) -> &'static str {
    match fault {
        Fault::FirstTokenTimeout => "the provider sent no content in time; the stream ends here",
        Fault::BetweenTokensTimeout => "the provider stopped sending content; the stream ends here",
        Fault::TotalTimeout => {
            "the request took longer than its total deadline; the stream ends here"
        }
        Fault::Draining => "the gateway is shutting down; the stream ends here",
        Fault::UpstreamProtocol => "the provider sent a malformed answer; the stream ends here",
        _ => "the provider broke the stream off before its end; what was received stands",
    }
}
