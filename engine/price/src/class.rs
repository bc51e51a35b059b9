//! What is priced apart: classes of tokens, units beside them, services, regions.
//!
//! Lists, each in the order in which prices keep them; nothing is remembered.

use faregate_adapters::chat::Usage;

/// Classes of tokens; no token is in two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Input read anew.
    Input,
    /// Input found in the provider's prompt cache.
    CacheRead,
    /// Input written to the cache for its usual time.
    CacheWrite,
    /// Input written to the cache for an hour or more.
    CacheWriteLong,
    /// Output that is neither reasoning nor audio.
    Output,
    /// Reasoning.
    Reasoning,
    /// Audio in the input.
    AudioInput,
    /// Audio in the output.
    AudioOutput,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Input,
        Self::CacheRead,
        Self::CacheWrite,
        Self::CacheWriteLong,
        Self::Output,
        Self::Reasoning,
        Self::AudioInput,
        Self::AudioOutput,
    ];

    /// Its key in `[prices]` of the policy.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::CacheWriteLong => "cache_write_1h",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioInput => "audio_input",
            Self::AudioOutput => "audio_output",
        }
    }

    /// How many tokens of `usage` are of it.
    #[must_use]
    pub const fn count(self, usage: &Usage) -> u64 {
        match self {
            Self::Input => usage.input,
            Self::CacheRead => usage.cache_read,
            Self::CacheWrite => usage.cache_write,
            Self::CacheWriteLong => usage.cache_write_long,
            Self::Output => usage.output,
            Self::Reasoning => usage.reasoning,
            Self::AudioInput => usage.audio_input,
            Self::AudioOutput => usage.audio_output,
        }
    }
}

/// What is counted beside tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// An image that was made.
    Image,
    /// An image that was read.
    ImageInput,
    /// A second of audio or video, or of a machine.
    Second,
    /// A search that the provider made.
    Search,
    /// The request itself.
    Request,
    /// A page of a document.
    Page,
    /// A character of text.
    Character,
    /// A query of a reranker.
    Rerank,
}

impl Unit {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Image,
        Self::ImageInput,
        Self::Second,
        Self::Search,
        Self::Request,
        Self::Page,
        Self::Character,
        Self::Rerank,
    ];

    /// Its key in `[prices]` of the policy.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::ImageInput => "image_input",
            Self::Second => "second",
            Self::Search => "search",
            Self::Request => "request",
            Self::Page => "page",
            Self::Character => "character",
            Self::Rerank => "rerank",
        }
    }
}

/// How many of each unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units([u64; Unit::ALL.len()]);

impl Units {
    /// With so many of `unit`.
    #[must_use]
    pub const fn with(mut self, unit: Unit, count: u64) -> Self {
        self.0[unit as usize] = count;
        self
    }

    /// How many of `unit`.
    #[must_use]
    pub const fn count(&self, unit: Unit) -> u64 {
        self.0[unit as usize]
    }
}

/// How a request is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// As usual.
    #[default]
    Standard,
    /// In a batch, within a day.
    Batch,
    /// When there is room.
    Flex,
    /// Before others.
    Priority,
    /// By faster machines.
    Fast,
    /// By the fastest machines.
    Ultrafast,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Standard, Self::Batch, Self::Flex, Self::Priority, Self::Fast, Self::Ultrafast];

    /// Its name: `standard`, `batch`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Fast => "fast",
            Self::Ultrafast => "ultrafast",
        }
    }

    /// The service that a request or an answer names, in whichever dialect: `service_tier`, `serviceTier`, `speed`. What is
    /// decided elsewhere (`auto`, `scale`, an unknown word) is the standard one; an answer says what it came to.
    #[must_use]
    pub fn named(word: &str) -> Self {
        let is = |service: &Self| word.eq_ignore_ascii_case(service.as_str());
        Self::ALL.into_iter().find(is).unwrap_or_default()
    }

    /// Whether it costs no more than the standard service, as everybody who sells it says.
    #[must_use]
    pub const fn is_discount(self) -> bool {
        matches!(self, Self::Batch | Self::Flex)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The services that a request may come to be served by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Services(u8);

impl Services {
    /// This one alone.
    #[must_use]
    pub const fn only(service: Service) -> Self {
        Self(service.bit())
    }

    /// And this one.
    #[must_use]
    pub const fn or(self, service: Service) -> Self {
        Self(self.0 | service.bit())
    }

    /// Whether it is one of them.
    #[must_use]
    pub const fn has(self, service: Service) -> bool {
        self.0 & service.bit() != 0
    }
}

impl Default for Services {
    fn default() -> Self {
        Self::only(Service::Standard)
    }
}

/// Where a request is served, where that changes its price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Region {
    /// Wherever the provider likes.
    #[default]
    Global,
    /// In the United States alone.
    Us,
    /// In the European Union alone.
    Eu,
    /// In one region of a cloud alone.
    Regional,
    /// In a cloud of the American government.
    Fedramp,
    /// Nobody knows: the dearest one.
    Any,
}

impl Region {
    /// Those that have a multiplier.
    pub const PRICED: [Self; 4] = [Self::Us, Self::Eu, Self::Regional, Self::Fedramp];

    /// Its name: `us`, `eu`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Us => "us",
            Self::Eu => "eu",
            Self::Regional => "regional",
            Self::Fedramp => "fedramp",
            Self::Any => "any",
        }
    }
}
