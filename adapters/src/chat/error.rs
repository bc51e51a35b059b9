//! What is wrong, in the gateway's own terms.

use std::{borrow::Cow, time::Duration};

/// An error that a provider told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// What kind it is.
    pub kind: ErrorKind,
    /// For a human.
    pub message: Cow<'a, str>,
    /// The provider's own code or type, for a program.
    pub code: Option<Cow<'a, str>>,
    /// The member of the request that is wrong.
    pub param: Option<Cow<'a, str>>,
    /// When to come again, where the body tells it.
    pub retry_after: Option<Duration>,
}

/// What kind of error it is. The field's dialects agree on these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong.
    InvalidRequest,
    /// The key is wrong or missing.
    Authentication,
    /// Nothing is left to pay with.
    Billing,
    /// The key may not do this.
    Permission,
    /// There is no such thing.
    NotFound,
    /// The request is too large.
    TooLarge,
    /// Too many requests or tokens.
    RateLimit,
    /// The provider failed.
    Api,
    /// It took too long.
    Timeout,
    /// The provider has too much to do.
    Overloaded,
}

impl ErrorKind {
    /// The kind that a status stands for.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::InvalidRequest,
            _ => Self::Api,
        }
    }
}
