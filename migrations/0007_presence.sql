-- Which worker holds a lease, and which workers are there: the leases of one that died need not run
-- out. `leased_by` is never cleared: it says something only while `lease_until` is set.

CREATE TABLE workers (
    worker_id uuid        NOT NULL,
    -- Since when it has its present session, and when it was heard of last.
    joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT workers_pkey PRIMARY KEY (worker_id)
);

ALTER TABLE images ADD COLUMN leased_by uuid;
ALTER TABLE containers ADD COLUMN leased_by uuid;
ALTER TABLE builds DROP CONSTRAINT builds_leased_by_check;
