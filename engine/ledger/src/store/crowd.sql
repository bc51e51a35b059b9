-- Version 2: sums of hours over users and tags, so that a question for hours that asks for neither reads a few cells an
-- hour and not one for each user. `payer` is the record without a user and without tags.

CREATE TABLE crowd_hour (
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

INSERT OR IGNORE INTO payer (organisation, team, project, agent, key_name, user_name, tags)
    SELECT DISTINCT organisation, team, project, agent, key_name, '', '{}' FROM payer;
INSERT INTO crowd_hour
    SELECT hour.span, crowd.id, hour.work, sum(requests), sum(errors), sum(cache_hits), sum(input), sum(cache_read),
        sum(cache_write), sum(cache_write_long), sum(audio_input), sum(output), sum(reasoning), sum(audio_output), sum(cost),
        sum(saved_by_cache), sum(saved_by_routing), sum(wasted), sum(entries)
    FROM hour JOIN payer ON payer.id = hour.payer
        JOIN payer AS crowd ON (crowd.organisation, crowd.team, crowd.project, crowd.agent, crowd.key_name)
            = (payer.organisation, payer.team, payer.project, payer.agent, payer.key_name)
            AND crowd.user_name = '' AND crowd.tags = '{}'
    GROUP BY hour.span, crowd.id, hour.work;
