//! What can go wrong with a journal, and what to do about it.

use std::{fmt, io, sync::Arc};

use super::record::Unfit;

/// Why a journal cannot be opened or read.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it.
    Locked,
    /// The system refused something.
    Io {
        /// What was tried: `read`, `sync`, …
        what: &'static str,
        /// The file.
        file: String,
        /// What the system says.
        error: io::Error,
    },
    /// A file is not as it was written.
    Damage {
        /// The file.
        file: String,
        /// Bytes in front of the damage.
        offset: u64,
        /// The sequence number of the first record that cannot be read.
        record: Option<u64>,
        /// What is wrong.
        what: String,
    },
    /// A file should be there and is not.
    Missing {
        /// The file.
        file: String,
    },
}

impl OpenError {
    pub(crate) fn damage(file: &str, offset: usize, record: Option<u64>, what: &str) -> Self {
        let (file, what) = (file.to_owned(), what.to_owned());
        Self::Damage { file, offset: offset as u64, record, what }
    }

    /// Puts what was tried before what the system says.
    pub(crate) fn io(what: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { what, file: file.to_owned(), error }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => write!(
                f,
                "another process has the journal: two that spend from one would not keep to a \
                 budget; end the other one, or give this one a folder of its own"
            ),
            Self::Io { what, file, error } => write!(f, "cannot {what} {file}: {error}"),
            Self::Damage { file, offset, record, what } => {
                write!(f, "{file} is damaged at byte {offset}")?;
                if let Some(record) = record {
                    write!(f, " (record {record})")?;
                }
                write!(
                    f,
                    ": {what}; the file was changed or its disk fails: put back a copy of it. \
                     Without one, what follows can be given up, and budgets then know nothing of \
                     it: "
                )?;
                if *offset == 0 {
                    write!(f, "move {file} and the segments after it out of the folder")
                } else {
                    write!(
                        f,
                        "`truncate -s {offset} {file}`, and move the segments after it out of the \
                         folder"
                    )
                }
            }
            Self::Missing { file } => write!(
                f,
                "{file} is missing, and no snapshot stands in for it: put it back; nobody knows \
                 what budgets have spent without it"
            ),
        }
    }
}

impl std::error::Error for OpenError {}

/// Why nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// There is no room on the disk. The same records can be tried again.
    NoSpace(Arc<str>),
    /// The disk has failed once. Nobody knows what of the last batch is durable, so nothing is acknowledged any more: the
    /// process has to end, and the next one recovers.
    Broken(Arc<str>),
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSpace(why) => write!(f, "no room for the journal: {why}"),
            Self::Broken(why) => {
                write!(f, "the journal's disk failed: {why}; nothing is written until a restart")
            }
        }
    }
}

impl std::error::Error for AppendError {}

/// Why one record of a batch was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It cannot be written.
    Unfit(Unfit),
    /// A row of this name is there already.
    Twice,
    /// The row is named after another process.
    Foreign,
    /// The journal has reached its size: nothing more is granted, and in the end not even rows are taken.
    Full,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfit(unfit) => unfit.fmt(f),
            Self::Twice => write!(f, "a row of this name is in the journal already"),
            Self::Foreign => write!(f, "the row is named after another process"),
            Self::Full => write!(f, "the journal has reached its size"),
        }
    }
}

impl std::error::Error for Refused {}
