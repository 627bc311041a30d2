-- Attempts in which the engine went away under the build. They are not in `attempt`: an engine that
-- ends for reasons of its own is no fault of the build. But a build may be what ends it each time.
ALTER TABLE builds
    ADD COLUMN broken_off integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT builds_broken_off_check CHECK (broken_off >= 0);
