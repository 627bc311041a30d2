-- A pending row can no longer name another stream or number than its ledger row: the relay orders by
-- the first, consumers by what is in the second.
ALTER TABLE events
    ADD CONSTRAINT events_event_id_stream_sequence_key UNIQUE (event_id, stream, sequence),
    -- The age of a pending event is computed from it.
    ADD CONSTRAINT events_recorded_at_check CHECK (isfinite(recorded_at));

ALTER TABLE outbox
    DROP CONSTRAINT outbox_event_id_fkey,
    ADD CONSTRAINT outbox_event_fkey FOREIGN KEY (event_id, stream, sequence)
        REFERENCES events (event_id, stream, sequence) ON DELETE RESTRICT;
