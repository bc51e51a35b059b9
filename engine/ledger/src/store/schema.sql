-- The books as tables. Money is in nano-dollars, time in nanoseconds since 1970 UTC, unless the name says otherwise.
-- Everything here can be built again from the journal.

-- Texts that recur, each once: teams, models, keys, …
CREATE TABLE IF NOT EXISTS text (
    id    INTEGER PRIMARY KEY,
    value TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE IF NOT EXISTS row (
    node INTEGER NOT NULL, boot INTEGER NOT NULL, number INTEGER NOT NULL,
    kind INTEGER NOT NULL,               -- 0 request, 1 unsettled, 2 correction, 3 lost lease
    sign INTEGER NOT NULL,               -- 1, or -1 for a correction that gives back
    corrects TEXT,                       -- node/boot/number
    reserved_at INTEGER NOT NULL, settled_at INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    organisation INTEGER NOT NULL REFERENCES text, team INTEGER NOT NULL REFERENCES text,
    project INTEGER NOT NULL REFERENCES text, agent INTEGER NOT NULL REFERENCES text,
    key INTEGER NOT NULL REFERENCES text, user INTEGER NOT NULL REFERENCES text,
    session TEXT NOT NULL,
    tags INTEGER NOT NULL REFERENCES text,       -- a JSON object with sorted names, '{}' for none
    surface INTEGER NOT NULL REFERENCES text, model_asked INTEGER NOT NULL REFERENCES text,
    provider INTEGER NOT NULL REFERENCES text, model INTEGER NOT NULL REFERENCES text,
    region INTEGER NOT NULL REFERENCES text,
    route_reason TEXT NOT NULL, status INTEGER NOT NULL, fault INTEGER NOT NULL REFERENCES text,
    attempts INTEGER NOT NULL, cache_hit INTEGER NOT NULL,
    input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_long INTEGER NOT NULL,
    audio_input INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL, audio_output INTEGER NOT NULL,
    usage_source INTEGER NOT NULL,       -- 0 provider, 1 counted, 2 estimated, 3 absent
    price_id INTEGER NOT NULL REFERENCES text,
    cost INTEGER NOT NULL, reserved INTEGER NOT NULL,
    saved_by_cache INTEGER NOT NULL, saved_by_routing INTEGER NOT NULL, wasted INTEGER NOT NULL,
    scopes TEXT NOT NULL,                -- names, one a line
    duration_us INTEGER NOT NULL, ttft_us INTEGER NOT NULL, generation INTEGER NOT NULL,
    PRIMARY KEY (node, boot, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS row_settled_at ON row (settled_at);

-- Sums of an hour by everything that reports group by, so that they need not read each row. Written in the same transaction.
CREATE TABLE IF NOT EXISTS hour (
    hour INTEGER NOT NULL,               -- settled_at / 3,600,000,000,000
    organisation INTEGER NOT NULL, team INTEGER NOT NULL, project INTEGER NOT NULL, agent INTEGER NOT NULL,
    key INTEGER NOT NULL, user INTEGER NOT NULL, tags INTEGER NOT NULL,
    surface INTEGER NOT NULL, model_asked INTEGER NOT NULL, provider INTEGER NOT NULL, model INTEGER NOT NULL,
    region INTEGER NOT NULL, usage_source INTEGER NOT NULL, price_id INTEGER NOT NULL, kind INTEGER NOT NULL,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL,
    input INTEGER NOT NULL, cache_read INTEGER NOT NULL, cache_write INTEGER NOT NULL, cache_write_long INTEGER NOT NULL,
    audio_input INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL, audio_output INTEGER NOT NULL,
    cost INTEGER NOT NULL,               -- credits taken off
    saved_by_cache INTEGER NOT NULL, saved_by_routing INTEGER NOT NULL, wasted INTEGER NOT NULL,
    PRIMARY KEY (hour, organisation, team, project, agent, key, user, tags, surface, model_asked, provider, model, region,
                 usage_source, price_id, kind)
) STRICT, WITHOUT ROWID;

-- How far the journal has been folded.
CREATE TABLE IF NOT EXISTS folded (
    node INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL
) STRICT;

-- Months that are closed: nothing is added to them, a later mistake is a correction in a later month.
CREATE TABLE IF NOT EXISTS closed_month (
    month TEXT PRIMARY KEY,              -- 2026-11
    closed_at INTEGER NOT NULL, rows INTEGER NOT NULL, cost INTEGER NOT NULL,
    sha256 TEXT NOT NULL                 -- of all rows of the month in the order of their names
) STRICT;
