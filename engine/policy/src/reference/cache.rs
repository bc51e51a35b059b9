//! The keys of caches of whole answers.

use std::time::Duration;

use super::{
    Key, Kind, Section,
    rows::{key, table},
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) const CACHE: Section = Section {
    path: "cache",
    help: "how much is kept of answers that workloads have given again",
    keys: &[
        key(
            "memory",
            Kind::Bytes(64 * KIB, 64 * GIB),
            "64 MiB",
            "\"256 MiB\"",
            "all answers that are kept at a time, over all cores; what has not been asked for goes first",
        ),
        key(
            "answer_bytes",
            Kind::Bytes(KIB, 32 * MIB),
            "1 MiB",
            "\"4 MiB\"",
            "longer answers are not kept",
        ),
    ],
};

pub(super) const OF_WORKLOAD: Section = Section {
    path: "workloads.*.cache",
    help: "which answers of a workload are given again",
    keys: &[
        table("exact", "answers to the same request"),
        table("semantic", "answers to the same question in other words"),
    ],
};

pub(super) const SEMANTIC: Section = Section {
    path: "workloads.*.cache.semantic",
    help: "answers that are given to the same question in other words, where guards and what was learned allow it",
    keys: &[
        key(
            "embeddings",
            Kind::Text,
            "built-in",
            "\"openai/text-embedding-3-small\"",
            "the model that makes vectors of questions, over an embeddings API; or built-in: vectors of letters, made here",
        ),
        key(
            "error",
            Kind::Percent(1, 20),
            "2%",
            "\"1%\"",
            "how many answers may be wrong; hits that turn out wrong more often put the cache of the workload off",
        ),
        key(
            "compare",
            Kind::Percent(1, 100),
            "2%",
            "\"5%\"",
            "how many hits are compared with what the model says; more while there are few",
        ),
        key(
            "similarity",
            Kind::Percent(1, 100),
            "50%",
            "\"75%\"",
            "the least similarity of two vectors, whatever was learned",
        ),
        key(
            "ttl",
            Kind::Duration(SECOND, MAX),
            "1h",
            "\"6h\"",
            "how long an answer is given to other words; as long as it is kept, at most",
        ),
        key(
            "patience",
            Kind::Duration(Duration::from_millis(10), Duration::from_secs(60)),
            "2s",
            "\"500ms\"",
            "how long a vector may take; later it is a miss",
        ),
    ],
};

pub(super) const EXACT: Section = Section {
    path: "workloads.*.cache.exact",
    help: "answers that are given again to the same request",
    keys: &[TTL, SHARE, COALESCE, TTL_HEADER],
};

const TTL: Key =
    key("ttl", Kind::Duration(SECOND, MAX), "1h", "\"1h\"", "how long an answer is given again");

const SHARE: Key = key(
    "share",
    Kind::Choice(&["organisation", "team", "project", "key"]),
    "team",
    "\"key\"",
    "who is given what was answered to another; what a key has not (a team, a project) it shares with nobody",
);

const COALESCE: Key = key(
    "coalesce",
    Kind::DurationOrOff(SECOND, Duration::from_secs(600)),
    "30s",
    "\"off\"",
    "how long a request waits for the answer to the same one that is under way, before it goes by itself",
);

const TTL_HEADER: Key = key(
    "ttl_header",
    Kind::Flag,
    "false",
    "true",
    "whether x-faregate-cache-ttl says how long this answer is kept, and how old one it may get",
);
