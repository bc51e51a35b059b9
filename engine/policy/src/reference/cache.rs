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
    keys: &[table("exact", "answers to the same request")],
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
