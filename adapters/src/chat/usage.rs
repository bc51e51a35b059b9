//! What an answer took, counted once each.

/// Tokens that one answer took, in classes that do not overlap.
///
/// Every token is counted in exactly one field, so that a price for each class can be applied and added up. Audio stands
/// apart from text, since it has prices of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// Input read anew, audio not counted.
    pub input: u64,
    /// Input that was found in the provider's prompt cache.
    pub cache_read: u64,
    /// Input that was written to the provider's prompt cache for its usual time.
    pub cache_write: u64,
    /// Input that was written to the provider's prompt cache for an hour or more, at a price of its own.
    pub cache_write_long: u64,
    /// Audio in the input.
    pub audio_input: u64,
    /// Output that is neither reasoning nor audio.
    pub output: u64,
    /// Output that went into reasoning.
    pub reasoning: u64,
    /// Audio in the output.
    pub audio_output: u64,
}

/// How it is known what an answer took, the surest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UsageSource {
    /// The provider has told it.
    Provider,
    /// The provider has told nothing; what there is was counted by the model's own tokenizer.
    Counted,
    /// The provider has told nothing; it was made from the sizes of what has passed.
    Estimated,
    /// It is not known, which is not zero.
    #[default]
    Absent,
}

impl UsageSource {
    /// Its name in the access log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Counted => "counted",
            Self::Estimated => "estimated",
            Self::Absent => "absent",
        }
    }
}

impl Usage {
    /// All input tokens.
    #[must_use]
    pub const fn total_input(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.total_cache_write())
            .saturating_add(self.audio_input)
    }

    /// All tokens written to the cache.
    #[must_use]
    pub const fn total_cache_write(&self) -> u64 {
        self.cache_write.saturating_add(self.cache_write_long)
    }

    /// All output tokens.
    #[must_use]
    pub const fn total_output(&self) -> u64 {
        self.output.saturating_add(self.reasoning).saturating_add(self.audio_output)
    }

    /// All tokens.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total_input().saturating_add(self.total_output())
    }

    /// The larger of both, class by class: what cumulative counts that come more than once add up to.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
            cache_write_long: self.cache_write_long.max(other.cache_write_long),
            audio_input: self.audio_input.max(other.audio_input),
            output: self.output.max(other.output),
            reasoning: self.reasoning.max(other.reasoning),
            audio_output: self.audio_output.max(other.audio_output),
        }
    }
}
