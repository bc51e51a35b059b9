//! The keys of `[server]`: where the process listens, and what it allows a client.

use std::time::Duration;

use super::{
    Kind, Section,
    rows::{duration, key, table},
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) const SERVER: Section = Section {
    path: "server",
    help: "where Faregate listens and what it allows a client",
    keys: &[
        key(
            "listen",
            Kind::Texts,
            "127.0.0.1:4000",
            "\"0.0.0.0:4000\"",
            "addresses and ports for clients; read at the start only",
        ),
        key(
            "admin",
            Kind::Text,
            "127.0.0.1:4001",
            "\"127.0.0.1:4001\"",
            "address and port for health, metrics and operators, or \"off\"; read at the start \
             only",
        ),
        key(
            "cores",
            Kind::Count(1, 1024),
            "",
            "4",
            "cores to serve with; left out: all that the process may use; read at the start \
             only",
        ),
        key(
            "pin",
            Kind::Flag,
            "true",
            "true",
            "keep each core's thread on its core; read at the start only",
        ),
        key(
            "driver",
            Kind::Choice(&["auto", "epoll"]),
            "auto",
            "\"auto\"",
            "how cores wait for sockets: io_uring where the kernel allows it, or epoll; read \
             at the start only",
        ),
        table("tls", "certificate for clients; left out: they speak in the clear"),
        key(
            "connections",
            Kind::Count(1, 10_000_000),
            "65536",
            "65536",
            "client connections at a time, over all cores",
        ),
        key(
            "head_bytes",
            Kind::Bytes(KIB, MIB),
            "64 KiB",
            "\"64 KiB\"",
            "size of a request's head",
        ),
        key("headers", Kind::Count(8, 256), "256", "128", "fields of a request's head"),
        key(
            "body_bytes",
            Kind::Bytes(KIB, GIB),
            "32 MiB",
            "\"32 MiB\"",
            "size of a request's body",
        ),
        key(
            "access_log",
            Kind::Text,
            "stdout",
            "\"file:/var/log/faregate/access.jsonl\"",
            "where a JSON line for each request goes: \"stdout\", \"stderr\", \"file:PATH\" or \
             \"off\"; read at the start only",
        ),
        key(
            "log_level",
            Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
            "info",
            "\"info\"",
            "what operators are told; read at the start only",
        ),
        key(
            "anonymous",
            Kind::Flag,
            "",
            "true",
            "serve callers that show no key; left out: only when there are no keys and only \
             this machine can connect",
        ),
        key(
            "anonymous_team",
            Kind::Text,
            "",
            "\"public\"",
            "the team that callers without a key belong to",
        ),
        key(
            "passthrough",
            Kind::Text,
            "",
            "\"openai\"",
            "the provider of the paths that name no model (files, batches, …); left out: the \
             provider openai, else the only one",
        ),
        key(
            "strict_translation",
            Kind::Flag,
            "false",
            "false",
            "refuse a request that the dialect of its target cannot say whole, instead of naming \
             what is lost in x-faregate-lost",
        ),
        key(
            "unknown_responses",
            Kind::Choice(&["auto", "refuse", "pass"]),
            "auto",
            "\"auto\"",
            "stored responses that this gateway has not seen made, or no longer knows: refuse \
             them, or pass them on unchecked; auto passes them where there is one caller only",
        ),
        key(
            "responses_file",
            Kind::Text,
            "",
            "\"/var/lib/faregate/responses\"",
            "where it is noted whose the responses are that providers store, for the next start, or \
             \"off\"; left out: responses in FAREGATE_DATA, else in faregate in the user's data folder; read at \
             the start only",
        ),
        key(
            "unpriced",
            Kind::Choice(&["refuse", "free"]),
            "refuse",
            "\"refuse\"",
            "a request whose target has no price, where a limit counts money: refuse it, or let \
             it pass and cost nothing",
        ),
        key(
            "price_catalogue",
            Kind::Text,
            "",
            "\"prices.txt\"",
            "file with the catalogue of prices, made by `faregate prices update`; left out: the \
             one that comes with the program",
        ),
        table("deadlines", "how long a client may take and may have to wait"),
    ],
};

pub(super) const TLS: Section = Section {
    path: "server.tls",
    help: "certificate for clients, read again when it changes",
    keys: &[
        key(
            "cert",
            Kind::Text,
            "",
            "\"/etc/faregate/cert.pem\"",
            "PEM file: the certificate, then what vouches for it",
        ),
        key("key", Kind::Text, "", "\"/etc/faregate/key.pem\"", "PEM file: its private key"),
    ],
};

pub(super) const DEADLINES: Section = Section {
    path: "server.deadlines",
    help: "how long a client may take and may have to wait",
    keys: &[
        key(
            "head",
            duration(HOUR),
            "10s",
            "\"10s\"",
            "for a request's head, and for a TLS handshake",
        ),
        key("idle", duration(DAY), "75s", "\"75s\"", "between two requests of a connection"),
        key(
            "body",
            duration(HOUR),
            "30s",
            "\"30s\"",
            "from a request's head to the end of its body",
        ),
        key(
            "stall",
            duration(HOUR),
            "30s",
            "\"30s\"",
            "for the client to take a piece of the answer",
        ),
        key(
            "total",
            duration(DAY),
            "10m",
            "\"10m\"",
            "from a request's head to the end of its answer",
        ),
        key(
            "drain",
            duration(DAY),
            "30s",
            "\"30s\"",
            "for what is under way when the process ends",
        ),
        key(
            "upstream_idle",
            duration(DAY),
            "60s",
            "\"60s\"",
            "for which an unused connection to a provider is kept",
        ),
        key(
            "keep_alive_comment",
            Kind::DurationOrOff(SECOND, HOUR),
            "15s",
            "\"15s\"",
            "silence of a stream after which the client gets a comment, or \"off\"",
        ),
    ],
};
