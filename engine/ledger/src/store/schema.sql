-- The books as tables. Money is in nano-dollars, credits below zero; time is in nanoseconds since 1970 UTC, unless a name
-- says otherwise. Everything but closed months can be built again from the journal.
--
-- Version 1. A later version is a further file, applied in a transaction of its own; `schema` says how far a store is.

CREATE TABLE schema (version INTEGER NOT NULL) STRICT;

-- Processes that have written rows. Numbers of 64 bits are kept as SQLite's, with a sign.
CREATE TABLE source (
    id INTEGER PRIMARY KEY, node INTEGER NOT NULL, boot INTEGER NOT NULL, UNIQUE (node, boot)
) STRICT;

-- Who pays: each combination once.
CREATE TABLE payer (
    id INTEGER PRIMARY KEY,
    organisation TEXT NOT NULL, team TEXT NOT NULL, project TEXT NOT NULL, agent TEXT NOT NULL,
    key_name TEXT NOT NULL, user_name TEXT NOT NULL,
    tags TEXT NOT NULL,                  -- a JSON object, names in order; '{}' for none
    UNIQUE (organisation, team, project, agent, key_name, user_name, tags)
) STRICT;

-- What was used: each combination once.
CREATE TABLE work (
    id INTEGER PRIMARY KEY,
    surface TEXT NOT NULL, model_asked TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, region TEXT NOT NULL,
    usage_source INTEGER NOT NULL,       -- 0 provider, 1 counted, 2 estimated, 3 absent
    price_id TEXT NOT NULL,
    kind INTEGER NOT NULL,               -- 0 request, 1 unsettled, 2 correction, 3 lost lease
    UNIQUE (surface, model_asked, provider, model, region, usage_source, price_id, kind)
) STRICT;

CREATE TABLE entry (
    source INTEGER NOT NULL, number INTEGER NOT NULL,
    booked_at INTEGER NOT NULL,          -- settled_at, or the start of the first open month where that one was closed
    payer INTEGER NOT NULL, work INTEGER NOT NULL,
    corrects TEXT NOT NULL,              -- node/boot/number, or ''
    credit INTEGER NOT NULL,             -- 1: gives back, and cost is below zero
    reserved_at INTEGER NOT NULL, settled_at INTEGER NOT NULL,
    request_id TEXT NOT NULL, session TEXT NOT NULL,
    route_reason TEXT NOT NULL, status INTEGER NOT NULL, fault TEXT NOT NULL,
    attempts INTEGER NOT NULL, cache_hit INTEGER NOT NULL,
    input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_long INTEGER NOT NULL,
    audio_input INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL, audio_output INTEGER NOT NULL,
    cost INTEGER NOT NULL, reserved INTEGER NOT NULL,
    saved_by_cache INTEGER NOT NULL, saved_by_routing INTEGER NOT NULL, wasted INTEGER NOT NULL,
    scopes TEXT NOT NULL,                -- names, one a line
    duration_us INTEGER NOT NULL, ttft_us INTEGER NOT NULL, generation INTEGER NOT NULL,
    PRIMARY KEY (source, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_booked_at ON entry (booked_at);

-- Sums of an hour and of a day in UTC, by who and what, so that reports need not read each row. Written in the same
-- transaction as the rows, and kept when rows are deleted.
CREATE TABLE hour (
    span INTEGER NOT NULL,               -- booked_at / 3,600,000,000,000
    payer INTEGER NOT NULL, work INTEGER NOT NULL,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, cache_hits INTEGER NOT NULL,
    input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_long INTEGER NOT NULL,
    audio_input INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL, audio_output INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    saved_by_cache INTEGER NOT NULL, saved_by_routing INTEGER NOT NULL, wasted INTEGER NOT NULL,
    entries INTEGER NOT NULL,            -- rows of every kind
    PRIMARY KEY (span, payer, work)
) STRICT, WITHOUT ROWID;
CREATE TABLE day (
    span INTEGER NOT NULL,               -- booked_at / 86,400,000,000,000
    payer INTEGER NOT NULL, work INTEGER NOT NULL,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, cache_hits INTEGER NOT NULL,
    input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_long INTEGER NOT NULL,
    audio_input INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL, audio_output INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    saved_by_cache INTEGER NOT NULL, saved_by_routing INTEGER NOT NULL, wasted INTEGER NOT NULL,
    entries INTEGER NOT NULL,            -- rows of every kind
    PRIMARY KEY (span, payer, work)
) STRICT, WITHOUT ROWID;

-- How far each journal has been folded.
CREATE TABLE folded (
    node INTEGER PRIMARY KEY, segment INTEGER NOT NULL, at INTEGER NOT NULL
) STRICT;

-- Months of UTC that are closed: nothing is added to them, a later mistake is a correction in a later month.
CREATE TABLE closed_month (
    month TEXT PRIMARY KEY,              -- 2026-11
    closed_at INTEGER NOT NULL, entries INTEGER NOT NULL, cost INTEGER NOT NULL,
    entries_sha256 TEXT NOT NULL,        -- of all rows of the month in the order of their names
    sums_sha256 TEXT NOT NULL            -- of the sums of its hours
) STRICT;

-- Rows before this moment have been deleted; their sums are kept.
CREATE TABLE compacted (before INTEGER NOT NULL) STRICT;

-- Rows with an amount that no request can cost, as JSON: they are in no sum, and reports say how many there are.
CREATE TABLE aside (
    source INTEGER NOT NULL, number INTEGER NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (source, number)
) STRICT;

-- Names of rows that have been deleted, so that one that comes again is still known.
CREATE TABLE gone (
    source INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (source, first)
) STRICT;
