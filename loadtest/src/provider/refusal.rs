//! Every way the provider can turn a request down.
//!
//! A row says whether it is a *breach*: something no correct gateway sends, whatever its client
//! did. The other rows are mistakes of clients that a gateway may pass on. The wording follows the
//! real APIs, so that an SDK shows what its user would see.
//! The form of the answer is that of the dialect: [`words`].

use std::fmt::Write as _;

use super::dialect::{Dialect, words};

macro_rules! refusals {
    ($($(#[$doc:meta])+ $name:ident $breach:ident $status:literal $code:literal;)+) => {
        /// A reason to turn a request down.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])+ $name,)+
        }

        impl Reason {
            /// All reasons, in the order of their numbers.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),+];

            /// Status, code, and whether it is a breach.
            fn row(self) -> (u16, &'static str, Whose) {
                match self {
                    $(Reason::$name => ($status, $code, Whose::$breach),)+
                }
            }
        }
    };
}

#[derive(PartialEq, Eq)]
enum Whose {
    Breach,
    Client,
}

refusals! {
    /// The head does not parse, or holds a bare line feed, a fold or a control byte.
    HeadMalformed Breach 400 "head_malformed";
    /// The head is longer than 64 KiB or has more than 128 fields.
    HeadTooLarge Breach 431 "head_too_large";
    /// A version other than HTTP/1.1.
    Version Breach 505 "http_version";
    /// The target is not a path.
    TargetForm Breach 400 "target_form";
    /// A method the API does not know.
    Method Breach 405 "method_unknown";
    /// No Host field.
    HostMissing Breach 400 "host_missing";
    /// More than one Host field.
    HostRepeated Breach 400 "host_repeated";
    /// A Host field that does not name this provider.
    HostWrong Breach 421 "host_wrong";
    /// More than one Content-Length field.
    LengthRepeated Breach 400 "length_repeated";
    /// A Content-Length that is not a plain decimal number.
    LengthMalformed Breach 400 "length_malformed";
    /// Content-Length beside Transfer-Encoding.
    LengthAndChunked Breach 400 "length_and_chunked";
    /// A POST without either.
    LengthMissing Breach 411 "length_missing";
    /// A Transfer-Encoding other than one `chunked`.
    TransferCoding Breach 501 "transfer_coding";
    /// The chunked coding is broken.
    ChunkMalformed Breach 400 "chunk_malformed";
    /// A field that must not pass a hop, or a Connection field that nominates others.
    HopByHop Breach 400 "hop_by_hop";
    /// A field repeated that may occur once.
    FieldRepeated Breach 400 "field_repeated";
    /// An expectation other than `100-continue`.
    Expectation Breach 417 "expectation_unknown";
    /// A key that belongs to the gateway's clients.
    ClientKey Breach 400 "client_key_leaked";
    /// A credential under a name this dialect does not use.
    ForeignCredential Breach 400 "foreign_credential";
    /// The body is larger than the provider takes.
    BodyTooLarge Breach 413 "body_too_large";
    /// No Authorization field although keys are configured.
    KeyMissing Breach 401 "key_missing";
    /// A key that is not among those configured.
    KeyWrong Breach 401 "invalid_api_key";
    /// A member of the body occurs twice.
    MemberRepeated Breach 400 "member_repeated";
    /// No `anthropic-version`, or one that does not exist.
    VersionMissing Breach 400 "anthropic_version";
    /// An Authorization field that is not of the form of AWS signatures or keys.
    CredentialForm Breach 403 "credential_form";
    /// The same request under two credentials.
    CredentialTwice Breach 400 "credential_twice";
    /// The steering given to the simulator does not parse.
    Script Client 400 "script_malformed";
    /// A body that is not declared as JSON.
    ContentType Client 415 "unsupported_content_type";
    /// The body is not one JSON object.
    Json Client 400 "invalid_json";
    /// A required member is absent.
    Missing Client 400 "missing_required_parameter";
    /// A member has the wrong type.
    Type Client 400 "invalid_type";
    /// A member that the dialect does not have.
    MemberUnknown Client 400 "unknown_parameter";
    /// Messages in an order that the dialect does not have.
    Order Client 400 "message_order";
    /// Nothing where something must be said.
    Empty Client 400 "empty_content";
    /// Calls of tools and their results do not go together.
    Pairing Client 400 "tool_pairing";
    /// A signature of a thought is missing or altered.
    Signature Client 400 "invalid_signature";
    /// A name outside of its alphabet, or too long.
    Name Client 400 "invalid_name";
    /// An id outside of its alphabet, or too long.
    Id Client 400 "invalid_id";
    /// A schema that the dialect does not take.
    Schema Client 400 "invalid_schema";
    /// Too many marks for the cache, or in a wrong place.
    Marks Client 400 "cache_marks";
    /// A reference to something that is not kept here.
    ItemUnknown Client 400 "item_not_found";
    /// A response to go on from that is not kept here.
    PreviousUnknown Client 400 "previous_response_not_found";
    /// A response that is not kept here.
    ResponseUnknown Client 404 "response_not_found";
    /// A response to be cancelled that is not made in the background.
    Synchronous Client 400 "synchronous_response";
    /// A recorded answer that is not there.
    Replay Client 404 "replay_unknown";
    /// A path that the dialect does not have.
    PathUnknown Client 404 "path_unknown";
    /// A member has a value out of its range.
    Value Client 400 "invalid_value";
    /// Two members that exclude each other.
    Conflict Client 400 "conflicting_parameters";
    /// `stream_options` without `stream`.
    OptionsWithoutStream Client 400 "invalid_parameter_combination";
    /// The prompt is longer than the context window.
    ContextLength Client 400 "context_length_exceeded";
    /// A model that is not on the list.
    ModelUnknown Client 404 "model_not_found";
    /// The path exists, the method does not fit.
    MethodWrong Client 405 "method_not_allowed";
}

impl Reason {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        self.row().0
    }

    /// The stable code, in answers and counters.
    pub fn code(self) -> &'static str {
        self.row().1
    }

    /// Whether only a faulty gateway sends such a request.
    pub fn is_breach(self) -> bool {
        self.row().2 == Whose::Breach
    }

    /// The place in [`Reason::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// One request turned down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The sentence for people.
    pub message: String,
    /// The member of the body that is at fault.
    pub param: Option<String>,
    /// In whose words it is told.
    pub dialect: Dialect,
}

impl Refusal {
    /// A refusal that no member of the body is to blame for.
    pub fn new(reason: Reason, message: impl Into<String>) -> Refusal {
        Refusal { reason, message: message.into(), param: None, dialect: Dialect::OpenAi }
    }

    /// A refusal for the sake of `param`.
    pub fn of(reason: Reason, param: impl Into<String>, message: impl Into<String>) -> Refusal {
        Refusal { param: Some(param.into()), ..Refusal::new(reason, message) }
    }

    /// The same, told in the words of that dialect.
    pub fn told_by(self, dialect: Dialect) -> Refusal {
        Refusal { dialect, ..self }
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        words::status(self.dialect, self.reason)
    }

    /// The body of the answer.
    pub fn body(&self) -> Vec<u8> {
        words::refusal(self)
    }
}

/// An error in the shape of the API, ready to be sent as a body or in an event.
pub(crate) fn error_body(
    message: &str,
    kind: &str,
    param: Option<&str>,
    code: Option<&str>,
) -> Vec<u8> {
    let quoted = |text: Option<&str>| {
        text.map_or_else(|| "null".to_owned(), |text| serde_json::Value::from(text).to_string())
    };
    let mut body = String::with_capacity(128 + message.len());
    // Writing into a String cannot fail.
    let _ = write!(
        body,
        r#"{{"error":{{"message":{},"type":{},"param":{},"code":{}}}}}"#,
        quoted(Some(message)),
        quoted(Some(kind)),
        quoted(param),
        quoted(code),
    );
    body.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_numbers_are_places() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place);
            let same = Reason::ALL.iter().filter(|other| other.code() == reason.code());
            assert_eq!(same.count(), 1, "{}", reason.code());
        }
    }

    #[test]
    fn an_error_has_the_shape_of_the_api() {
        let refusal = Refusal::of(Reason::Missing, "model", "you must \"provide\" it");
        let body: serde_json::Value = serde_json::from_slice(&refusal.body()).unwrap();
        assert_eq!(body["error"]["param"], "model");
        assert_eq!(body["error"]["code"], "missing_required_parameter");
        assert_eq!(body["error"]["type"], "invalid_request_error");
        assert_eq!(body["error"]["message"], "you must \"provide\" it");
    }
}
