//! What the journal says.
//!
//! A journal is a sequence of records. Read from its first to its last they give the balances ([`super::Balances`]); nothing
//! else is needed.

use std::sync::Arc;

use faregate_price::NanoUsd;

use crate::row::{Row, RowId};

/// Nanoseconds in a quarter of an hour: windows begin and end on one. Every time zone in use is a whole number of them away
/// from UTC.
pub const QUARTER_NS: u64 = 900_000_000_000;

/// The time for which a limit holds, in nanoseconds since 1970 UTC. It pays for what was reserved at its start or later, and
/// before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// Its first nanosecond: a whole number of [`QUARTER_NS`].
    pub start: u64,
    /// The first nanosecond that is no longer in it: a whole number of [`QUARTER_NS`], or `u64::MAX`.
    pub end: u64,
}

impl Window {
    /// All time: the window of a limit that never resets.
    pub const ALL: Self = Self { start: 0, end: u64::MAX };

    /// Whether it begins and ends on a quarter of an hour and is not empty. Only such a window can be granted.
    #[must_use]
    pub const fn is_aligned(&self) -> bool {
        self.start.is_multiple_of(QUARTER_NS)
            && (self.end.is_multiple_of(QUARTER_NS) || self.end == u64::MAX)
            && self.start < self.end
    }
}

/// How far a scope may be spent in a window.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The scope: `team/search`.
    pub scope: Arc<str>,
    /// The window.
    pub window: Window,
    /// The whole amount that may have been spent in the window, since its start, by every process that wrote this journal.
    pub total: NanoUsd,
}

/// The start of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Boot {
    /// The node: random, made once for a journal.
    pub node: u64,
    /// The process: random, made at each start.
    pub boot: u64,
    /// When, in nanoseconds since 1970 UTC.
    pub at: u64,
    /// How many numbers of rows it has used already, for rows of lost money: its first request is the one after.
    pub taken: u64,
}

/// One statement of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A request was settled, or an earlier row corrected.
    Row(Box<Row>),
    /// From here on, and not before this is durable, the scope may be spent up to a total. A lower total than an earlier one of
    /// the same process says nothing.
    Grant(Grant),
    /// A request is under way. The row is the one that stands if nothing more is heard of it: its `reserved` is what it is
    /// then charged. A later one under the same name takes its place.
    Intent(Box<Row>),
    /// The grant is lowered to what has been spent, or is still held by requests under way.
    Return(Grant),
    /// Money that a process which is no more was granted in a window, and of which nobody can say what became. It counts
    /// against that window of that scope alone.
    Lost {
        /// The row for the books: its only scope is the one that lost, its cost is what was lost.
        row: Box<Row>,
        /// The window that is charged.
        window: Window,
    },
    /// Everything that earlier processes left open has been charged above; a new process begins.
    Boot(Boot),
    /// The process has ended as it should.
    Close {
        /// When, in nanoseconds since 1970 UTC.
        at: u64,
    },
    /// A part of the balances. Snapshots consist of these; a segment has none.
    Part(Part),
}

/// A part of the balances, as snapshots hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// What a scope has spent of what was reserved in one quarter of an hour.
    Quarter {
        /// The scope.
        scope: Arc<str>,
        /// Quarters of an hour since 1970 UTC; `None` for all that are no longer kept apart.
        quarter: Option<u32>,
        /// Nano-dollars, credits taken off.
        sum: i128,
    },
    /// The first quarter of an hour, counted since 1970 UTC, that is kept apart from those before it.
    Since(u32),
    /// What was lost in one window of a scope.
    Charged {
        /// The scope.
        scope: Arc<str>,
        /// The window.
        window: Window,
        /// Nano-dollars, credits taken off.
        sum: i128,
    },
    /// Which window a row of lost money was charged to: a correction of it goes to the same.
    LostRow {
        /// The row.
        id: RowId,
        /// Its window.
        window: Window,
    },
    /// Rows of the present process that have been settled.
    Settled {
        /// The first number of the run.
        first: u64,
        /// Its last.
        last: u64,
    },
}

/// Why a record cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// A row pays from more scopes than [`super::SCOPES_MAX`].
    Scopes(usize),
    /// A scope's name is longer than [`super::TEXT_BYTES_MAX`] bytes.
    ScopeName(usize),
    /// The window does not begin and end on quarters of an hour.
    Window(Window),
    /// Only the journal itself writes such a record.
    Reserved,
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scopes(count) => write!(f, "a row names {count} scopes, more than are kept"),
            Self::ScopeName(bytes) => write!(f, "a scope's name has {bytes} bytes, too many"),
            Self::Window(window) => write!(
                f,
                "the window from {} to {} does not lie on quarters of an hour",
                window.start, window.end
            ),
            Self::Reserved => write!(f, "only the journal itself writes such a record"),
        }
    }
}

impl std::error::Error for Unfit {}
