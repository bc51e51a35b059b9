//! The keys, table by table.

use std::time::Duration;

use super::{Key, Kind, Section, cache, money, prices, resilience, routes, server};

const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const LIMITS: Key = key(
    "limits",
    Kind::Limits,
    "",
    "[\"$500/month\", \"600 requests/min\", \"2M tokens/min\", \"40 concurrent\"]",
    "what everybody in it may use together: money, tokens or requests in a window of the calendar or \
     in all, requests or tokens in any period of at most a day, requests at a time",
);

const ALLOWED: Key = key(
    "models",
    Kind::Texts,
    "",
    "[\"default\", \"openai/*\"]",
    "the models that may be asked for, as clients spell them, * included; left out: all that the \
     level above allows",
);

const DEFAULT_MODEL: Key = key(
    "default_model",
    Kind::Text,
    "",
    "\"default\"",
    "the model for requests that ask for \"default\", or for one that nothing answers to; the innermost \
     level counts",
);

const CACHE: Key = table("cache", "what is done about providers' prompt caches");

const CACHE_KEYS: &[Key] = &[
    key(
        "prompt",
        Kind::Choice(&["off", "auto"]),
        "off",
        "\"auto\"",
        "auto: prompts are marked for Anthropic's and Bedrock's caches and get an OpenAI cache key, unless the client \
         marks anything itself; what is written to a cache may cost more than what is not",
    ),
    key(
        "ttl",
        Kind::Choice(&["5m", "1h"]),
        "5m",
        "\"1h\"",
        "how long what is marked is kept, where the provider lets one choose; an hour costs more",
    ),
    key(
        "tokens_min",
        Kind::Count(0, 1_000_000),
        "",
        "2048",
        "shorter prefixes are not marked; left out: what the model's maker says",
    ),
];

/// Every table.
pub const SECTIONS: &[Section] = &[
    Section {
        path: "",
        help: "the policy file",
        keys: &[
            table("server", "where Faregate listens and what it allows a client"),
            named("providers", "who is spoken to"),
            named("models", "names that clients ask for"),
            table("retries", "what is tried again"),
            table("breaker", "when a target counts as down"),
            table("budgets", "whose calendar budgets go by"),
            table("cache", "how much is kept of answers that workloads have given again"),
            table("organisation", "everybody together"),
            named("teams", "who pays"),
            rows("keys", "who may call"),
            named("users", "what an end user may use"),
            named("sessions", "what a session may use"),
            named("tags", "what requests with a tag may use together"),
            named("workloads", "kinds of work, and what each may use"),
            table("difficulty", "what makes a request look hard to rules"),
            table("ledger", "where what requests cost is written down"),
            table("attribution", "whom and what a request is for, as its client says"),
            named("prices", "what models cost, beside or instead of the catalogue"),
            named("currencies", "what other currencies than the dollar are worth"),
        ],
    },
    routes::DIFFICULTY,
    money::LEDGER,
    money::ATTRIBUTION,
    server::SERVER,
    server::TLS,
    server::DEADLINES,
    money::BUDGETS_STORE,
    Section {
        path: "providers.*",
        help: "somebody who has models; the names openai, groq, mistral, deepseek, xai, openrouter, \
         together, fireworks, cohere, anthropic, gemini, cerebras, ollama, vllm and some more know their \
         base_url",
        keys: &[
            key(
                "dialect",
                Kind::Choice(faregate_adapters::kind::NAMES),
                "openai",
                "\"anthropic\"",
                "what kind of provider it is, and so how it is spoken to; those known by name know it",
            ),
            key(
                "speaks",
                Kind::Texts,
                "",
                "[\"chat\", \"responses\"]",
                "the chats that it speaks where those are more than its dialect's own: chat, \
                 responses, messages, gemini, converse; clients of others are translated into the \
                 first",
            ),
            key(
                "like",
                Kind::Text,
                "",
                "\"vllm\"",
                "the provider or engine whose peculiarities it shares; left out: those of its name",
            ),
            key(
                "region",
                Kind::Text,
                "",
                "\"us-east-1\"",
                "the region of a provider on AWS or Vertex AI",
            ),
            key(
                "api_version",
                Kind::Text,
                "",
                "\"2024-10-21\"",
                "the api-version in the query of requests that name none; a provider of the dialect \
                 azure-deployments has 2024-10-21",
            ),
            key(
                "project",
                Kind::Text,
                "",
                "\"my-project\"",
                "the Google Cloud project of a provider on Vertex AI",
            ),
            key(
                "base_url",
                Kind::Text,
                "",
                "\"https://api.openai.com/v1\"",
                "where it listens: an http, https or unix URL; one without a path gets the dialect's, such as /v1",
            ),
            key(
                "replicas",
                Kind::Texts,
                "",
                "[\"http://10.0.0.11:8000\", \"unix:/run/vllm.sock\"]",
                "where it listens, when that is more than one place; instead of base_url. \"file:PATH\": a file with a \
                 URL on each line, looked at again when it changes; \"dns\": every address of the name in base_url",
            ),
            key(
                "affinity",
                Kind::Choice(&["off", "prefix"]),
                "off",
                "\"prefix\"",
                "which of its replicas takes a request: off: any that is well; prefix: the one that costs least, \
                 which is the one that has read most of the prompt unless it is busy",
            ),
            key(
                "api_key",
                Kind::Text,
                "",
                "\"env:OPENAI_API_KEY\"",
                "where its key is kept: \"env:NAME\" or \"file:PATH\"; sent as the dialect has it",
            ),
            resilience::CONCURRENCY_MAX,
            rows(
                "keys",
                "its keys, where it has several: a request shows one of those that may do most",
            ),
            key(
                "headers",
                Kind::TextsByName,
                "",
                "{ \"OpenAI-Organization\" = \"env:OPENAI_ORG\" }",
                "head fields that every request to it carries; values as they are, or \"env:NAME\" \
                 or \"file:PATH\"",
            ),
            key(
                "ca_file",
                Kind::Text,
                "",
                "\"/etc/faregate/ca.pem\"",
                "PEM file of who may vouch for it, instead of the system's authorities",
            ),
            key(
                "insecure_skip_verify",
                Kind::Flag,
                "false",
                "false",
                "accept any certificate; whoever is on the way can then read and change everything",
            ),
            key(
                "models",
                Kind::Texts,
                "*",
                "[\"gpt-5\", \"gpt-5-*\"]",
                "what provider/model reaches; those without * are listed by GET /v1/models",
            ),
            key(
                "passthrough",
                Kind::Flag,
                "true",
                "true",
                "pass paths that Faregate does not know on to it",
            ),
            CACHE,
            table("deadlines", "how long it may take"),
        ],
    },
    resilience::KEYS,
    Section {
        path: "providers.*.cache",
        help: "what is done about the provider's prompt cache; a model's table goes before it",
        keys: CACHE_KEYS,
    },
    Section {
        path: "providers.*.deadlines",
        help: "how long a provider may take",
        keys: &[
            key("connect", duration(HOUR), "5s", "\"5s\"", "to accept a connection, TLS included"),
            key(
                "first_byte",
                duration(DAY),
                "2m",
                "\"2m\"",
                "from the sent request to the first byte of the answer",
            ),
            key(
                "first_token",
                duration(DAY),
                "2m",
                "\"2m\"",
                "from the sent request to the first content of a stream",
            ),
            key("between_tokens", duration(DAY), "1m", "\"1m\"", "between two events of a stream"),
        ],
    },
    Section {
        path: "models.*",
        help: "a name that clients ask for; * in it stands for any characters",
        keys: &[
            CACHE,
            money::OF_MODEL,
            rows("targets", "where its requests go"),
            rows("route", "rules that lead to other models, in place of targets"),
            key(
                "strategy",
                Kind::Choice(&[
                    "order",
                    "weight",
                    "weighted",
                    "latency",
                    "load",
                    "cost",
                    "break-even",
                ]),
                "order",
                "\"latency\"",
                "order: the first target that can answer; weight (or weighted): by lot; latency: whose \
                 answers begin soonest; load: with the fewest requests under way; cost: the cheapest, where \
                 all have prices; break-even: where the conversation costs least from here on, caches and turns to come \
                 counted in; the others follow when it fails",
            ),
            routes::SECOND_WORTH,
            key(
                "sticky",
                Kind::Choice(&["user", "session", "key"]),
                "",
                "\"session\"",
                "who is drawn the same target every time, where targets are drawn by weight; left out: nobody",
            ),
            resilience::HEDGE,
            resilience::FALLBACKS,
            resilience::ON_CONTEXT_WINDOW,
            resilience::CONTEXT_TOKENS,
            resilience::ON_CONTENT_POLICY,
            key(
                "allow_override",
                Kind::Flag,
                "false",
                "false",
                "let a request name another model in x-faregate-model, and say in x-faregate-difficulty how \
                 hard it is",
            ),
        ],
    },
    Section {
        path: "models.*.cache",
        help: "what is done about the prompt caches of the model's providers",
        keys: CACHE_KEYS,
    },
    Section {
        path: "models.*.targets[]",
        help: "a target: \"provider/model\" by itself, or a table",
        keys: &[
            key(
                "target",
                Kind::Text,
                "",
                "\"openai/gpt-5-mini\"",
                "provider and its name for the model; * in it stands for the whole name that the \
                 client asked for",
            ),
            key(
                "weight",
                Kind::Count(1, 1_000_000),
                "1",
                "3",
                "its part of the requests, beside the weights of the others",
            ),
        ],
    },
    Section {
        path: "models.*.route[]",
        help: "a rule: the first one that holds leads to its model; the last one has no when",
        keys: &[
            key(
                "when",
                Kind::Text,
                "",
                "\"difficulty > 0.7 or tools\"",
                "the condition, as docs/routing.md describes it; left out: always",
            ),
            key(
                "use",
                Kind::Text,
                "",
                "\"default\"",
                "the model that the request goes to, as clients spell it; whoever may use the model of the \
                 rule may use it here",
            ),
        ],
    },
    Section {
        path: "retries",
        help: "what is tried again, before a byte has reached the client",
        keys: &[
            key(
                "attempts",
                Kind::Count(1, 10),
                "3",
                "3",
                "attempts of a request, the first one included, over all its targets",
            ),
            key(
                "backoff",
                Kind::Duration(MS, MINUTE),
                "250ms",
                "\"250ms\"",
                "wait before a target is tried again, doubled each time and spread",
            ),
            key(
                "backoff_max",
                Kind::Duration(MS, MINUTE),
                "8s",
                "\"8s\"",
                "the longest wait, also for a provider's Retry-After",
            ),
            key("budget", Kind::Percent(0, 100), "10%", "\"10%\"", "retries in a hundred requests"),
        ],
    },
    Section {
        path: "breaker",
        help: "when a target counts as down and gets no requests but probes",
        keys: &[
            key(
                "failures",
                Kind::Count(1, 10_000),
                "10",
                "10",
                "failures that open it, successes in between taken off",
            ),
            key(
                "window",
                duration(HOUR),
                "10s",
                "\"10s\"",
                "a failure is forgotten when so much time passes without another",
            ),
            key(
                "open",
                duration(HOUR),
                "1s",
                "\"1s\"",
                "time until the first probe, doubled each time",
            ),
            key("open_max", duration(HOUR), "1m", "\"1m\"", "the longest time until a probe"),
        ],
    },
    money::BUDGETS,
    money::USERS,
    money::SESSIONS,
    money::WEBHOOK,
    money::TAGS,
    money::WORKLOADS,
    money::MATCH,
    cache::OF_WORKLOAD,
    cache::EXACT,
    cache::SEMANTIC,
    cache::CACHE,
    money::LIMIT,
    money::RAISE,
    Section {
        path: "organisation",
        help: "everybody together",
        keys: &[
            key("name", Kind::Text, "", "\"acme\"", "its name in logs and figures"),
            LIMITS,
            ALLOWED,
            DEFAULT_MODEL,
        ],
    },
    Section {
        path: "teams.*",
        help: "who pays",
        keys: &[LIMITS, ALLOWED, DEFAULT_MODEL, named("projects", "parts of a team")],
    },
    Section {
        path: "teams.*.projects.*",
        help: "part of a team",
        keys: &[LIMITS, ALLOWED, DEFAULT_MODEL, named("agents", "programs of a project")],
    },
    Section {
        path: "teams.*.projects.*.agents.*",
        help: "a program of a project",
        keys: &[LIMITS, ALLOWED, DEFAULT_MODEL],
    },
    Section {
        path: "keys[]",
        help: "a key that clients show; faregate key new mints one",
        keys: &[
            key(
                "name",
                Kind::Text,
                "",
                "\"search-ci\"",
                "its name in logs and figures; no two have the same",
            ),
            key(
                "hash",
                Kind::Text,
                "",
                "\"sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\"",
                "SHA-256 of the key as clients send it, in hex",
            ),
            key("team", Kind::Text, "", "\"search\"", "the team that pays"),
            key("project", Kind::Text, "", "\"ranking\"", "the project of the team"),
            key("agent", Kind::Text, "", "\"crawler\"", "the agent of the project"),
            LIMITS,
            ALLOWED,
            DEFAULT_MODEL,
            key(
                "expires",
                Kind::Moment,
                "",
                "2027-01-01T00:00:00Z",
                "when it ceases to be valid; a date means its first second in UTC",
            ),
            key("disabled", Kind::Flag, "false", "true", "refuse it"),
        ],
    },
    prices::PRICES,
    prices::TIERS,
    prices::CURRENCIES,
];

pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    example: &'static str,
    help: &'static str,
) -> Key {
    Key { name, kind, default, example, help }
}

pub(super) const fn table(name: &'static str, help: &'static str) -> Key {
    key(name, Kind::Table, "", "", help)
}

pub(super) const fn named(name: &'static str, help: &'static str) -> Key {
    key(name, Kind::Named, "", "", help)
}

pub(super) const fn rows(name: &'static str, help: &'static str) -> Key {
    key(name, Kind::Rows, "", "", help)
}

pub(super) const fn duration(max: Duration) -> Kind {
    Kind::Duration(MS, max)
}
