-- Streams that the relay set aside: one event of each cannot be published as it is, so none behind
-- it may be. An operator ends it: release (try again) or skip (leave that event out for good).
CREATE TABLE blocked_streams (
    stream     text        NOT NULL,
    event_id   uuid        NOT NULL,
    -- MALFORMED, OUT_OF_ORDER, or librdkafka's name of the error.
    code       text        NOT NULL,
    detail     text        NOT NULL,
    blocked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT blocked_streams_pkey PRIMARY KEY (stream),
    -- To the ledger and not to the outbox: there it would cost a look-up for every row deleted.
    CONSTRAINT blocked_streams_event_id_fkey FOREIGN KEY (event_id) REFERENCES events (event_id) ON DELETE RESTRICT
);

-- The trace of an event that an operator left out: consumers of its stream see a gap.
ALTER TABLE events
    ADD COLUMN skipped_at  timestamptz,
    ADD COLUMN skip_reason text,
    ADD CONSTRAINT events_skip_check CHECK ((skipped_at IS NULL) = (skip_reason IS NULL));

-- No transaction that is still open, or still to come, adds an event at or below this id: whoever
-- reads the ledger by id stays at or below it, or loses events that commit late.
CREATE TABLE ledger_horizon (
    singleton boolean     NOT NULL DEFAULT true,
    id        bigint      NOT NULL,
    moved_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ledger_horizon_pkey PRIMARY KEY (singleton),
    CONSTRAINT ledger_horizon_singleton_check CHECK (singleton)
);
INSERT INTO ledger_horizon (id) VALUES (0);

-- Replay and prune by time; rows lie in the order of recording, so a summary of a few kB suffices.
CREATE INDEX events_recorded_at_idx ON events USING brin (recorded_at) WITH (pages_per_range = 32);

-- Prune looks for streams that are over.
CREATE INDEX events_last_idx ON events (recorded_at) WHERE type IN ('container.deleted', 'image.deleted');

-- Every row dies young. Vacuum comes by count, not by share of the table, works without pauses,
-- and never cuts the file's end off, for which it would lock writers out: the space is used again.
ALTER TABLE outbox SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 100000,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 50000,
    vacuum_truncate = false
);
