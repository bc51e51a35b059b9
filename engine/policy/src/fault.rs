//! Every way in which a request can fail: whose doing, what the client is told, whether another target may be tried.
//!
//! A fault is a row of the table below and nothing else decides a retry. The documents' table is made from [`ALL`].
//! `kind` is OpenAI's `type` (<https://platform.openai.com/docs/guides/error-codes>), by status.

use std::{fmt, time::Duration};

/// Whose doing a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The client's: the same request fails again.
    Client,
    /// The provider's, or the network's on the way there.
    Upstream,
    /// The gateway's, or its operator's.
    Gateway,
}

impl Whose {
    /// The word for it in documents and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
        }
    }
}

macro_rules! faults {
    ($($(#[doc = $help:literal])+ $name:ident $whose:ident $status:literal $code:literal $retryable:literal;)+) => {
        /// A way in which a request can fail.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Fault {
            $($(#[doc = $help])+ $name,)+
        }

        /// Every fault, in the order of the documents.
        pub const ALL: &[Fault] = &[$(Fault::$name,)+];

        impl Fault {
            /// Whose doing it is.
            #[must_use]
            pub const fn whose(self) -> Whose {
                match self { $(Self::$name => Whose::$whose,)+ }
            }

            /// The HTTP status of the answer.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// The stable name in answers, logs and metrics.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// Whether the request may be sent again, as long as the client has received nothing.
            #[must_use]
            pub const fn is_retryable(self) -> bool {
                match self { $(Self::$name => $retryable,)+ }
            }

            /// What it means, as in the documents.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => concat!($($help),+),)+ }
            }
        }
    };
}

faults! {
    /// The head or the framing of the request breaks HTTP.
    MalformedRequest       Client   400 "malformed_request"          false;
    /// The path does not take this method.
    MethodNotAllowed       Client   405 "method_not_allowed"         false;
    /// Nothing is served at this path.
    PathUnknown            Client   404 "unknown_path"               false;
    /// The head of the request is larger than server.head_bytes or has too many fields.
    HeadTooLarge           Client   431 "head_too_large"             false;
    /// The request's target is too long.
    TargetTooLong          Client   414 "target_too_long"            false;
    /// The body is larger than server.body_bytes.
    BodyTooLarge           Client   413 "body_too_large"             false;
    /// The body is not the JSON it should be, or a field has a wrong value.
    BodyMalformed          Client   400 "invalid_json"               false;
    /// A field that a decision depends on is there twice, or spelled with escapes.
    DuplicateField         Client   400 "duplicate_field"            false;
    /// The request cannot be said in the dialect of its target.
    Untranslatable         Client   400 "untranslatable"             false;
    /// The body is of a kind that this path does not take.
    UnsupportedMedia       Client   415 "unsupported_media_type"     false;
    /// An expectation other than 100-continue.
    ExpectationFailed      Client   417 "expectation_failed"         false;
    /// A method or transfer coding that is not spoken here.
    NotImplemented         Client   501 "not_implemented"            false;
    /// A version of HTTP that is not spoken here.
    HttpVersion            Client   505 "http_version_not_supported" false;
    /// The head did not arrive in time.
    HeadTimeout            Client   408 "head_timeout"               false;
    /// The body did not arrive in time.
    BodyTimeout            Client   408 "body_timeout"               false;
    /// The client left, or took no more of its answer.
    ClientGone             Client   499 "client_gone"                false;
    /// The request has passed this gateway before.
    LoopDetected           Client   508 "loop_detected"              false;
    /// The request shows no key.
    KeyMissing             Client   401 "missing_api_key"            false;
    /// The key is not known.
    KeyUnknown             Client   401 "invalid_api_key"            false;
    /// The key has expired.
    KeyExpired             Client   401 "expired_api_key"            false;
    /// The key is switched off.
    KeyDisabled            Client   401 "disabled_api_key"           false;
    /// A web page of another site has sent this, and callers need no key.
    OriginForbidden        Client   403 "origin_not_allowed"         false;
    /// The caller may not use this model.
    ModelForbidden         Client   403 "model_not_allowed"          false;
    /// The policy does not let the head of a request name another model.
    OverrideForbidden      Client   403 "model_override_not_allowed" false;
    /// No model of that name is served.
    ModelUnknown           Client   404 "model_not_found"            false;
    /// The caller has stored no response of that id.
    ResponseUnknown        Client   404 "response_not_found"         false;
    /// The caller has stored no response of the id in previous_response_id, or not where the model is.
    PreviousUnknown        Client   400 "previous_response_not_found" false;
    /// The request names no model.
    ModelMissing           Client   400 "missing_model"              false;
    /// A limit on requests is used up.
    RequestRate            Client   429 "request_rate_exceeded"      false;
    /// A limit on tokens is used up.
    TokenRate              Client   429 "token_rate_exceeded"        false;
    /// A limit on requests at a time is used up.
    Concurrency            Client   429 "concurrency_exceeded"       false;
    /// The request may need more tokens than its limit ever allows at once.
    RequestExceedsLimit    Client   400 "request_exceeds_limit"      false;
    /// A budget is used up, or what is left of it may not suffice; it is full again when its window ends.
    BudgetExceeded         Client   429 "budget_exceeded"            false;
    /// A budget that is never full again is used up, or what is left of it may not suffice.
    BudgetSpent            Client   402 "budget_spent"               false;
    /// Nobody says what the model costs, and a budget of money must hold.
    Unpriced               Gateway  403 "unpriced_model"             false;
    /// The journal does not keep up, and no money is spent before that is written down.
    BooksBehind            Gateway  503 "books_behind"               false;
    /// Gateways share a budget, and the store that they lease it from cannot be asked.
    BudgetStoreAway        Gateway  503 "budget_store_away"          false;
    /// There is no room for the budget of another user, session or tag: see budgets.scopes_max.
    ScopesFull             Gateway  503 "scopes_full"                false;
    /// The gateway has no room for the request.
    Overloaded             Gateway  503 "overloaded"                 false;
    /// The gateway is shutting down.
    Draining               Gateway  503 "draining"                   false;
    /// Every target of the model is failing or resting.
    NoTarget               Upstream 503 "no_target"                  false;
    /// Every target of the model that is well has as many requests under way as it answers in time.
    TargetsFull            Upstream 503 "targets_full"               false;
    /// The provider's name could not be resolved.
    NameFailed             Upstream 502 "upstream_name_failed"       true;
    /// The provider accepts no connection.
    ConnectFailed          Upstream 502 "upstream_connect_failed"    true;
    /// No connection to the provider within its connect deadline.
    ConnectTimeout         Upstream 504 "upstream_connect_timeout"   true;
    /// TLS with the provider failed.
    TlsFailed              Upstream 502 "upstream_tls_failed"        true;
    /// The gateway has no credentials for the provider's cloud, or none that are still valid.
    CredentialsMissing     Upstream 503 "credentials_missing"        true;
    /// The provider broke the connection before it answered.
    UpstreamReset          Upstream 502 "upstream_reset"             true;
    /// What the provider sent is no answer.
    UpstreamProtocol       Upstream 502 "upstream_protocol"          true;
    /// The provider does not accept the gateway's key.
    UpstreamKeyRefused     Upstream 502 "upstream_key_refused"       true;
    /// The provider took no more of the request.
    SendTimeout            Upstream 504 "upstream_send_timeout"      true;
    /// The provider did not answer within its first_byte deadline.
    FirstByteTimeout       Upstream 504 "first_byte_timeout"         true;
    /// A stream had no content within the provider's first_token deadline.
    FirstTokenTimeout      Upstream 504 "first_token_timeout"        false;
    /// A stream had no more content within the provider's between_tokens deadline.
    BetweenTokensTimeout   Upstream 504 "between_tokens_timeout"     false;
    /// The provider broke an answer off.
    UpstreamCut            Upstream 502 "upstream_cut"               false;
    /// The request took longer than server.deadlines.total.
    TotalTimeout           Upstream 504 "total_timeout"              false;
    /// The gateway failed.
    Internal               Gateway  500 "internal"                   false;
}

impl Fault {
    /// OpenAI's `type` of the error.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self.status() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            500 | 502..=504 => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// Whether the provider may bill an attempt that ended so.
    #[must_use]
    pub const fn may_be_billed(self) -> bool {
        self.may_have_worked() || matches!(self, Self::TotalTimeout)
    }

    /// Whether the provider may have worked, and may charge, for an attempt that ended so.
    #[must_use]
    pub const fn may_have_worked(self) -> bool {
        matches!(
            self,
            Self::UpstreamReset
                | Self::UpstreamProtocol
                | Self::FirstByteTimeout
                | Self::SendTimeout
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why a request gets no answer of a provider, and all that its client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of failure.
    pub fault: Fault,
    /// A lowercase sentence that names the thing and the value.
    pub message: String,
    /// The field of the request that is meant.
    pub param: Option<std::borrow::Cow<'static, str>>,
    /// When to come again.
    pub retry_after: Option<Duration>,
    /// Whether a client library should try again by itself; `None` leaves it to the status.
    pub should_retry: Option<bool>,
    /// Further members of the error object, as JSON without braces.
    pub data: Option<String>,
    /// The methods that the path takes, where that was the mistake.
    pub allow: Option<&'static str>,
}

impl Refusal {
    /// A refusal that says no more than `message`.
    #[must_use]
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self {
            fault,
            message: message.into(),
            param: None,
            retry_after: None,
            should_retry: None,
            data: None,
            allow: None,
        }
    }

    /// The same, with the field that is meant.
    #[must_use]
    pub fn about(mut self, param: &'static str) -> Self {
        self.param = Some(param.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_stable_in_form() {
        let mut codes: Vec<_> = ALL.iter().map(|fault| fault.code()).collect();
        codes.sort_unstable();
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count);
        for code in codes {
            assert!(code.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()), "{code}");
        }
    }

    #[test]
    fn only_what_is_upstreams_doing_is_tried_again() {
        for fault in ALL {
            assert!(!fault.is_retryable() || fault.whose() == Whose::Upstream, "{fault}");
            assert!(!fault.may_have_worked() || fault.is_retryable(), "{fault}");
            assert!((400..600).contains(&fault.status()), "{fault}");
            assert!(fault.help().trim().ends_with('.'), "{fault}");
        }
    }
}
