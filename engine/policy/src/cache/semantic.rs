//! Whose answers are given to the same question in other words, and what is demanded before they are: as the policy says.
//!
//! In: the policy's file. Out: a [`Semantic`] for each workload that has it on. Nothing is remembered.

use std::time::Duration;

/// The semantic cache of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Semantic {
    /// What makes vectors of questions.
    pub embeddings: Embeddings,
    /// In a hundred answers, how many may be wrong.
    pub error_percent: u8,
    /// In a hundred hits, how many are compared with what the model says.
    pub compare_percent: u8,
    /// The least similarity, in hundredths.
    pub similarity_percent: u8,
    /// How long after it was made an answer is given to other words.
    pub ttl: Duration,
    /// How long a vector may take; later it is a miss.
    pub patience: Duration,
}

/// What makes vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Embeddings {
    /// The gateway, from letters.
    BuiltIn,
    /// A model that clients could ask for too.
    Model(Box<str>),
}
