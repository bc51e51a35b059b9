//! The tables `prices.*` and `currencies.*` of the reference.

use super::{
    Key, Kind, Section,
    rows::{key, rows},
};

const INPUT: Key =
    key("input", Kind::Text, "", "\"$0.10/M\"", "input tokens; $ or a currency's code, for M or K");
const OUTPUT: Key = key("output", Kind::Text, "", "\"$0.40/M\"", "output tokens");
const CACHE_READ: Key = key(
    "cache_read",
    Kind::Text,
    "",
    "\"$0.01/M\"",
    "input found in the provider's prompt cache; left out: as input",
);
const CACHE_WRITE: Key = key(
    "cache_write",
    Kind::Text,
    "",
    "\"$0.125/M\"",
    "input written to the provider's prompt cache; left out: as input",
);
const CACHE_WRITE_1H: Key = key(
    "cache_write_1h",
    Kind::Text,
    "",
    "\"$0.20/M\"",
    "input written there for an hour or more; left out: two and a half times input, or cache_write if that is more",
);
const REASONING: Key = key(
    "reasoning",
    Kind::Text,
    "",
    "\"$0.40/M\"",
    "output that goes into reasoning; left out: as output",
);
const AUDIO_INPUT: Key = key(
    "audio_input",
    Kind::Text,
    "",
    "\"$1/M\"",
    "tokens of audio in the input; left out: as input",
);
const AUDIO_OUTPUT: Key = key(
    "audio_output",
    Kind::Text,
    "",
    "\"$2/M\"",
    "tokens of audio in the output; left out: as output",
);

/// `[prices."provider/model"]`.
pub(super) const PRICES: Section = Section {
    path: "prices.*",
    help: "what provider/model costs; * in it stands for any characters. What is written here stands alone; with `like`, or \
           where only multipliers are written, it changes what the catalogue has",
    keys: &[
        INPUT,
        OUTPUT,
        CACHE_READ,
        CACHE_WRITE,
        CACHE_WRITE_1H,
        REASONING,
        AUDIO_INPUT,
        AUDIO_OUTPUT,
        key("image", Kind::Text, "", "\"$0.04/image\"", "each image that is made"),
        key("image_input", Kind::Text, "", "\"$0.001/image\"", "each image that is read"),
        key(
            "second",
            Kind::Text,
            "",
            "\"$0.006/minute\"",
            "audio or video, or the time of a request",
        ),
        key("search", Kind::Text, "", "\"$10/1K searches\"", "each search that the provider makes"),
        key("request", Kind::Text, "", "\"$0.001/request\"", "each request"),
        key("page", Kind::Text, "", "\"$1/1K pages\"", "each page of a document"),
        key("character", Kind::Text, "", "\"$15/M characters\"", "each character of text"),
        key("rerank", Kind::Text, "", "\"$2/1K queries\"", "each query of a reranker"),
        key(
            "like",
            Kind::Text,
            "",
            "\"openai/gpt-5-mini\"",
            "name in the catalogue whose price this one starts from: `faregate prices --search WORD`",
        ),
        key(
            "multiplier",
            Kind::Text,
            "",
            "\"0.85\"",
            "multiplies everything: a discount, a surcharge",
        ),
        key(
            "regions",
            Kind::TextsByName,
            "",
            "{ us = \"1.1\", eu = \"1.1\" }",
            "multiplies tokens where requests are served: us, eu, regional, fedramp",
        ),
        key(
            "gpu_hour",
            Kind::Text,
            "",
            "\"$2.10\"",
            "an hour of one GPU, for machines of your own; with tokens_per_second or requests_at_once",
        ),
        key("gpus", Kind::Count(1, 1_000_000), "1", "1", "GPUs that serve it together"),
        key(
            "tokens_per_second",
            Kind::Count(1, 1_000_000_000),
            "",
            "2500",
            "tokens that these GPUs get through at the load you reckon with: of output, and of input too where \
             input_tokens_per_second is left out",
        ),
        key(
            "input_tokens_per_second",
            Kind::Count(1, 1_000_000_000),
            "",
            "\"20k\"",
            "input tokens that they get through",
        ),
        key(
            "requests_at_once",
            Kind::Count(1, 1_000_000),
            "",
            "32",
            "instead of tokens_per_second: requests that share these GPUs; each pays its share of the seconds it takes",
        ),
        rows("tiers", "prices of longer inputs, and of services such as batches"),
    ],
};

/// `[[prices."provider/model".tiers]]`.
pub(super) const TIERS: Section = Section {
    path: "prices.*.tiers[]",
    help: "prices of requests with a longer input, or of another service. What is left out costs what it usually does in \
           batch and flex, and keeps its proportion in the others",
    keys: &[
        key(
            "service",
            Kind::Choice(&["standard", "batch", "flex", "priority", "fast", "ultrafast"]),
            "standard",
            "\"batch\"",
            "how requests are served",
        ),
        key(
            "above",
            Kind::Count(0, 1_000_000_000),
            "0",
            "\"200k\"",
            "tokens of input, cached or not, above which the whole request costs this",
        ),
        INPUT,
        OUTPUT,
        CACHE_READ,
        CACHE_WRITE,
        CACHE_WRITE_1H,
        REASONING,
        AUDIO_INPUT,
        AUDIO_OUTPUT,
    ],
};

/// `[currencies.EUR]`.
pub(super) const CURRENCIES: Section = Section {
    path: "currencies.*",
    help: "what a currency is worth, by its code: EUR, GBP, …",
    keys: &[
        key("rate", Kind::Text, "", "\"1.08\"", "dollars for one of it"),
        key("date", Kind::Moment, "", "2026-11-01", "since when"),
    ],
};
