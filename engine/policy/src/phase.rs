//! The walk of a request: one list for the code, the traces and the documents.

use std::fmt;

/// Where a request is. Phases are entered in this order; a failed send alone goes back, to [`Phase::Route`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Who is calling.
    Identify,
    /// Whether they may call now: rates, requests at a time.
    Admit,
    /// The body arrives.
    Read,
    /// What may pass.
    Guard,
    /// Whether the answer is known already.
    LookUp,
    /// Where it may go.
    Route,
    /// What it may cost is set aside.
    Reserve,
    /// The provider's request is written.
    Write,
    /// It is sent, and the head of an answer awaited.
    Send,
    /// The answer passes to the client.
    Relay,
    /// What it cost is charged, what was held is let go.
    Settle,
    /// What happened is kept.
    Record,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 12] = [
        Self::Identify,
        Self::Admit,
        Self::Read,
        Self::Guard,
        Self::LookUp,
        Self::Route,
        Self::Reserve,
        Self::Write,
        Self::Send,
        Self::Relay,
        Self::Settle,
        Self::Record,
    ];

    /// The name in traces and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Admit => "admit",
            Self::Read => "read",
            Self::Guard => "guard",
            Self::LookUp => "look_up",
            Self::Route => "route",
            Self::Reserve => "reserve",
            Self::Write => "write",
            Self::Send => "send",
            Self::Relay => "relay",
            Self::Settle => "settle",
            Self::Record => "record",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_whole() {
        assert!(Phase::ALL.is_sorted());
        assert_eq!(Phase::ALL.map(|phase| phase as usize), std::array::from_fn(|index| index));
    }
}
