-- What the workers need to bring state, engine and ledger together again, and to keep instances.

ALTER TABLE images
    ADD COLUMN restart_policy      text    NOT NULL DEFAULT 'on-failure',
    -- Instances that min_instances made and that failed in a row, and when the next one is due.
    ADD COLUMN replenish_failures  integer NOT NULL DEFAULT 0,
    ADD COLUMN replenish_after     timestamptz,
    ADD COLUMN replenish_reason    text,
    ADD CONSTRAINT images_restart_policy_check CHECK (restart_policy IN ('always', 'on-failure', 'never')),
    ADD CONSTRAINT images_replenish_failures_check CHECK (replenish_failures >= 0);
-- What a slot is held against: slots are numbered from 1 to max_instances, whatever that becomes.
ALTER TABLE images ADD CONSTRAINT images_id_max_instances_key UNIQUE (id, max_instances);
CREATE INDEX images_min_instances_idx ON images (id) WHERE min_instances > 0 AND status NOT IN ('deleting', 'deleted');

ALTER TABLE builds
    -- Which worker holds the lease: its share of builds is counted here.
    ADD COLUMN leased_by uuid,
    ADD CONSTRAINT builds_leased_by_check CHECK (leased_by IS NULL OR lease_until IS NOT NULL);

ALTER TABLE containers
    ADD COLUMN restart_policy text    NOT NULL DEFAULT 'on-failure',
    ADD COLUMN created_by     text    NOT NULL DEFAULT 'api',
    ADD COLUMN wished_at      timestamptz,
    -- Ends of runs in a row that the policy answers, and when it starts the container again.
    ADD COLUMN crash_count    integer NOT NULL DEFAULT 0,
    ADD COLUMN restart_at     timestamptz,
    ADD COLUMN restart_cause  text,
    -- A list, an event of the engine or a command suggests a fresh look.
    ADD COLUMN nominated_at   timestamptz,
    -- Since when complete lists of the engine lack it.
    ADD COLUMN missing_since  timestamptz,
    ADD CONSTRAINT containers_restart_policy_check CHECK (restart_policy IN ('always', 'on-failure', 'never')),
    ADD CONSTRAINT containers_created_by_check CHECK (created_by IN ('api', 'min_instances')),
    ADD CONSTRAINT containers_crash_count_check CHECK (crash_count >= 0);
-- No more containers live than max_instances, whoever changes either; null once it holds no slot.
ALTER TABLE containers ADD COLUMN slot_limit integer;
UPDATE containers SET slot_limit = max_instances
FROM images WHERE images.id = containers.image_id AND slot IS NOT NULL;
ALTER TABLE containers
    ADD CONSTRAINT containers_slot_limit_fkey FOREIGN KEY (image_id, slot_limit)
        REFERENCES images (id, max_instances) ON UPDATE CASCADE,
    ADD CONSTRAINT containers_slot_limit_check CHECK
        ((slot IS NULL) = (slot_limit IS NULL) AND (slot IS NULL OR slot <= slot_limit));
CREATE INDEX containers_slot_limit_idx ON containers (image_id, slot_limit) WHERE slot_limit IS NOT NULL;
UPDATE containers SET wished_at = created_at;
ALTER TABLE containers ALTER COLUMN wished_at SET NOT NULL;

DROP INDEX containers_due_idx;
CREATE INDEX containers_due_idx ON containers (next_attempt_at)
    WHERE next_attempt_at IS NOT NULL OR generation > settled_generation OR nominated_at IS NOT NULL;

ALTER TABLE engines
    -- Where workers reach it; another engine that answers there is not trusted by itself.
    ADD COLUMN address           text,
    ADD COLUMN next_pass_at      timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN passed_at         timestamptz,
    ADD COLUMN next_sweep_at     timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN quarantined_at    timestamptz,
    ADD COLUMN quarantine_reason text,
    -- When a worker saw it answer last.
    ADD COLUMN reached_at        timestamptz,
    -- Since when an operator vouches for it, until a pass finds nothing alarming.
    ADD COLUMN trusted_at        timestamptz,
    ADD CONSTRAINT engines_quarantine_check CHECK ((quarantined_at IS NULL) = (quarantine_reason IS NULL));
UPDATE engines SET reached_at = checked_at WHERE reachable;

-- What `restored` raised after a backup of this database came back: consumers have seen numbers that
-- are not recorded here any more. Of what is up to these ids the sequences were raised.
CREATE TABLE restorations (
    id                bigint      GENERATED ALWAYS AS IDENTITY,
    at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    raised_by         bigint      NOT NULL,
    last_event_id     bigint      NOT NULL,
    last_image_id     bigint      NOT NULL,
    last_container_id bigint      NOT NULL,
    CONSTRAINT restorations_pkey PRIMARY KEY (id),
    CONSTRAINT restorations_raised_by_check CHECK (raised_by > 0)
);
