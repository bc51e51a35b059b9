//! The keys by which requests are served in spite of providers that fail: several keys, fallbacks.

use super::{Key, Kind, Section, rows::key};

pub(super) const KEYS: Section = Section {
    path: "providers.*.keys[]",
    help: "one of several keys of a provider, or \"env:NAME\" or \"file:PATH\" alone",
    keys: &[
        key(
            "name",
            Kind::Text,
            "",
            "\"batch\"",
            "what it is called in logs, books and figures; left out: the name of its variable or file",
        ),
        key("key", Kind::Text, "", "\"env:OPENAI_KEY_2\"", "where it is kept"),
    ],
};

pub(super) const CONCURRENCY_MAX: Key = key(
    "concurrency_max",
    Kind::Count(1, 1_000_000),
    "",
    "256",
    "requests at a time at each of its targets, at most, and fewer while its answers take longer to begin than \
     without a queue; other targets take what finds no room, or it is refused at once; left out: any number",
);

pub(super) const HEDGE: Key = key(
    "hedge",
    Kind::Percent(0, 100),
    "0%",
    "\"5%\"",
    "in how many of a hundred requests a second attempt may be made elsewhere when 95 of 100 would have had \
     their first token; the first to have it wins, the other is cancelled and its cost booked; 0%: never",
);

pub(super) const FALLBACKS: Key = key(
    "fallbacks",
    Kind::Texts,
    "",
    "[\"openai/gpt-5-mini\"]",
    "models to go on with, one after the other, where none of its targets answers; what they name in \
                 their turn counts, too",
);

pub(super) const ON_CONTEXT_WINDOW: Key = key(
    "on_context_window",
    Kind::Text,
    "",
    "\"openai/gpt-4.1\"",
    "the model to go on with where a provider says that the input is too long",
);

pub(super) const CONTEXT_TOKENS: Key = key(
    "context_tokens",
    Kind::Count(1, 1_000_000_000),
    "",
    "131072",
    "tokens of input that its targets take: what is longer, by a quarter of its bytes, goes to \
                 on_context_window at once; left out: providers say",
);

pub(super) const ON_CONTENT_POLICY: Key = key(
    "on_content_policy",
    Kind::Text,
    "",
    "\"openai/gpt-4.1\"",
    "the model to go on with where a provider's rules do not allow the content",
);
