//! The tables of the reference about money: the books, who pays, budgets.

use std::time::Duration;

use super::{
    Key, Kind, Section,
    rows::{key, table},
};

/// The days of a week, as a calendar may begin it.
const WEEKDAYS: &[&str] =
    &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The months of a year, in their order.
pub(crate) const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

pub(super) const LEDGER: Section = Section {
    path: "ledger",
    help: "where what requests cost is written down",
    keys: &[LEDGER_DIR, LEDGER_KEEP],
};

const DAY: Duration = Duration::from_secs(86_400);

const LEDGER_KEEP: Key = key(
    "keep",
    Kind::DurationOrOff(DAY.saturating_mul(31), DAY.saturating_mul(36_525)),
    "off",
    "\"400 days\"",
    "how long each row is kept; then its month is closed, if nobody has, and its row deleted, while sums of hours and days \
     stay; \"off\": always",
);

const LEDGER_DIR: Key = key(
    "dir",
    Kind::Text,
    "",
    "\"/var/lib/faregate\"",
    "folder of the journal and the store, one gateway's alone, or \"off\"; left out: FAREGATE_DATA, else faregate in \
         the user's data folder; without this table, books are kept where there are budgets; read at the start only",
);

pub(super) const ATTRIBUTION: Section = Section {
    path: "attribution",
    help: "whom and what a request is for, as its client says",
    keys: &[
        key(
            "user",
            Kind::Texts,
            "",
            "[\"header:x-user\", \"body:user\"]",
            "where the end user's name is read: header:NAME or body:MEMBER.MEMBER, the first that \
             says something; left out: the head fields of Faregate, LiteLLM and Helicone, then \
             safety_identifier, user and metadata.user_id of the body",
        ),
        key(
            "session",
            Kind::Texts,
            "",
            "\"header:x-session-id\"",
            "where the session's name is read; left out: the head fields of Faregate, LiteLLM, \
             Bifrost, Helicone, Claude Code and Codex, session_id and prompt_cache_key of the body",
        ),
        key(
            "workload",
            Kind::Texts,
            "header:x-faregate-workload",
            "\"header:x-workload\"",
            "where the workload's name is read, of requests that no table of workloads matches",
        ),
        key(
            "tags",
            Kind::TextsByName,
            "",
            "{ feature = \"header:x-feature\", env = \"body:metadata.env\" }",
            "tags and where each is read",
        ),
        key(
            "conventions",
            Kind::Flag,
            "true",
            "false",
            "whether x-faregate-tags, x-litellm-tags, x-bf-dim-*, helicone-property-*, \
             x-portkey-metadata, cf-aig-metadata and the members of metadata make tags, too",
        ),
    ],
};

pub(super) const BUDGETS: Section = Section {
    path: "budgets",
    help: "whose calendar budgets go by",
    keys: &[
        key(
            "timezone",
            Kind::Text,
            "UTC",
            "\"Europe/Berlin\"",
            "the zone in which hours, days and months begin, by its IANA name",
        ),
        key(
            "week_start",
            Kind::Choice(WEEKDAYS),
            "monday",
            "\"sunday\"",
            "the first day of a week",
        ),
        key(
            "fiscal_year_start",
            Kind::Choice(MONTHS),
            "january",
            "\"april\"",
            "the month in which years begin, and from which quarters are counted",
        ),
        key(
            "scopes_max",
            Kind::Count(1, 1_048_576),
            "65536",
            "65536",
            "users, sessions, tags and workloads with budgets that are remembered at a time; of one more, requests are refused \
             unless its budgets are soft",
        ),
        table(
            "webhook",
            "where operators are told of budgets that have reached a share of warn_at, and of soft limits",
        ),
        table("store", "where budgets of money are leased from that other gateways spend, too"),
    ],
};

pub(super) const BUDGETS_STORE: Section = Section {
    path: "budgets.store",
    help: "where budgets of money are leased from that other gateways spend, too; read at the start only",
    keys: &[
        key(
            "url",
            Kind::Text,
            "",
            "\"redis://127.0.0.1:6379/0\"",
            "the Redis or Valkey server that all of them use, and the number of its database; env:NAME or file:PATH where \
             it holds a password",
        ),
        key(
            "password",
            Kind::Text,
            "",
            "\"env:FAREGATE_REDIS_PASSWORD\"",
            "what lets the gateway in: env:NAME or file:PATH",
        ),
        key(
            "node",
            Kind::Text,
            "",
            "\"gateway-1\"",
            "what people call this gateway; left out: the name of its journal. It is its journal that tells it from others",
        ),
        key(
            "prefix",
            Kind::Text,
            "faregate",
            "\"faregate\"",
            "what the names of its keys begin with: gateways with the same one share their budgets",
        ),
        key(
            "replicas",
            Kind::Count(0, 16),
            "0",
            "1",
            "replicas that must have a lease before it is spent; with 0, a failover can forget the leases of a moment",
        ),
        key(
            "overdraft",
            Kind::Text,
            "",
            "\"$5\"",
            "what each budget may be exceeded by, by all gateways together, while the store cannot be asked; left out: nothing",
        ),
        key(
            "gateways",
            Kind::Count(1, 1024),
            "1",
            "3",
            "how many gateways there are: each has that part of the overdraft",
        ),
    ],
};

pub(super) const WEBHOOK: Section = Section {
    path: "budgets.webhook",
    help: "where operators are told of budgets that have reached a share of warn_at, and of soft limits",
    keys: &[
        key(
            "url",
            Kind::Text,
            "",
            "\"https://hooks.example.com/faregate\"",
            "what a POST is sent to for each share, budget and window; redirects are not followed",
        ),
        key(
            "secret",
            Kind::Text,
            "",
            "\"env:FAREGATE_HOOK_SECRET\"",
            "what x-faregate-signature is made with: sha256= and the HMAC-SHA-256 of the body in hexadecimal digits",
        ),
        key(
            "ca_file",
            Kind::Text,
            "",
            "\"/etc/ssl/certs/ca-certificates.crt\"",
            "PEM: who may vouch for it; left out: the system's authorities",
        ),
    ],
};

const BUDGETS_ALONE: Key = key(
    "limits",
    Kind::Limits,
    "",
    "[\"$5/day\", \"$50/month\", \"2M tokens/week\", \"$2 total\"]",
    "budgets: money, tokens or requests in a window of the calendar or in all",
);

/// What the requests for a model may use together.
pub(super) const OF_MODEL: Key = key(
    "limits",
    Kind::Limits,
    "",
    "[\"$50/day\"]",
    "what everybody may use of it together, by this name: budgets of money, tokens or requests",
);

pub(super) const USERS: Section = Section {
    path: "users.*",
    help: "what one end user may use, whoever calls for it; users.default: each that has no table of its own",
    keys: &[BUDGETS_ALONE],
};

pub(super) const SESSIONS: Section = Section {
    path: "sessions.*",
    help: "what one session may use; sessions.default: each that has no table of its own",
    keys: &[BUDGETS_ALONE],
};

pub(super) const TAGS: Section = Section {
    path: "tags.*",
    help: "what requests with a tag may use together, written tag=value; tag=*: each value that has no table of its own",
    keys: &[BUDGETS_ALONE],
};

pub(super) const WORKLOADS: Section = Section {
    path: "workloads.*",
    help: "a kind of work, and what its requests may use together; workloads.default: each that has no table of its own",
    keys: &[
        table(
            "match",
            "what requests have that belong to it, all of it; the first table of the file that matches counts",
        ),
        BUDGETS_ALONE,
        table("cache", "which of its answers are given again"),
    ],
};

pub(super) const MATCH: Section = Section {
    path: "workloads.*.match",
    help: "what requests have that belong to a workload",
    keys: &[
        key(
            "header",
            Kind::TextsByName,
            "",
            "{ \"x-workload\" = \"faq\" }",
            "head fields and the value that each must have",
        ),
        key(
            "tag",
            Kind::TextsByName,
            "",
            "{ feature = \"faq\" }",
            "tags, as attribution reads them, and the value that each must have",
        ),
    ],
};

pub(super) const LIMIT: Section = Section {
    path: "….limits[]",
    help: "an entry of limits that says more than a text can, wherever limits stand",
    keys: &[
        key("limit", Kind::Text, "", "\"$500/month\"", "the limit itself"),
        key(
            "soft",
            Kind::Flag,
            "false",
            "true",
            "whether it counts and warns, and never refuses; of budgets only",
        ),
        key(
            "calendar",
            Kind::Flag,
            "false",
            "true",
            "whether tokens or requests by the hour or the day are a budget by the calendar, kept over a restart, and no rate \
             that refills all the time",
        ),
        key(
            "timezone",
            Kind::Text,
            "",
            "\"Europe/Berlin\"",
            "the zone in which its windows begin; left out: that of budgets; of budgets only",
        ),
        key(
            "warn_at",
            Kind::Texts,
            "",
            "[\"50%\", \"80%\"]",
            "shares of it at which a warning is given, once a window; of budgets only",
        ),
        table("raise", "more of it for some time"),
    ],
};

pub(super) const RAISE: Section = Section {
    path: "….limits[].raise",
    help: "more of a budget for some time",
    keys: &[
        key("to", Kind::Text, "", "\"$800\"", "how much there is in each window until then"),
        key("until", Kind::Moment, "", "\"2026-12-01\"", "when it ends"),
    ],
};
