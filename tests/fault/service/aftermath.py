"""After something happened: others take over, and then everything has to agree."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from adapters.postgres.presence import BEAT_SECONDS, MISSED_AFTER_SECONDS, PostgresPresence
from tests.contracts.subjects import wait_until
from tests.fault.service.agreement import Agreement, agreement
from tests.fault.service.ends import End, end_of
from tests.integration.postgres.installation import Installation
from tests.integration.worker.auditor import Auditor
from tests.integration.worker.sweeper import Sweeper
from tests.integration.worker.worker import GRACE_SECONDS, Worker

# What the sessions of those are called who may die.
MORTAL = "mortal"

# More turns than any recovery takes.
_TURNS = 12

# RECONCILE_INTERVAL_SECONDS: how late a pass may come.
PASS_SECONDS = 15.0

# When a row can be taken up again: its lease is over, it is due, and it waits for no other one.
_NEXT_DUE = """
SELECT extract(epoch FROM min(at) - now())::float AS seconds FROM (
    SELECT greatest(coalesce(lease_until, now()),
                    CASE WHEN generation > settled_generation OR nominated_at IS NOT NULL
                         THEN now() ELSE next_attempt_at END) AS at
    FROM containers
    WHERE next_attempt_at IS NOT NULL OR generation > settled_generation
       OR nominated_at IS NOT NULL
    UNION ALL
    SELECT greatest(coalesce(lease_until, now()), next_attempt_at) FROM builds
    WHERE next_attempt_at IS NOT NULL
    UNION ALL
    SELECT greatest(coalesce(lease_until, now()), next_attempt_at) FROM images
    WHERE next_attempt_at IS NOT NULL AND status = 'deleting'
      AND NOT EXISTS (SELECT FROM containers c
                      WHERE c.image_id = images.id AND c.status <> 'deleted')
) AS due
"""
_TABLES = ("containers", "builds", "images")

# A dead worker is missed no later than this.
_MISSED_SECONDS = MISSED_AFTER_SECONDS + BEAT_SECONDS
_SILENCE = f"""
UPDATE workers SET joined_at = joined_at - interval '{_MISSED_SECONDS} s',
                   seen_at = clock_timestamp() - interval '{_MISSED_SECONDS} s'
"""
_PRESENT = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'orchestrator-presence'
"""
_ALIVE = f"""
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = '{MORTAL}'
"""


class Aftermath:
    """Takes over on an installation whose workers died, or are stopped.

    Time passes on the database's clock alone.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._presence = PostgresPresence(installation.url, uuid4(), installation.signals.append)
        self._presence.beat()

    def close(self) -> None:
        self._presence.close()

    def recover(self, worker: Worker, stopped: int = 0) -> float:
        """Let another worker do what is to be done; returns how many seconds that takes.

        What has to be waited for, leases, backoff and a pass, is let pass. So is the grace of
        strangers, which is no part of that time: nobody waits for their end.

        Args:
            stopped: how many workers are stopped, and not dead.
        """
        began, waited = time.monotonic(), self._miss_the_dead(stopped)
        for _ in range(_TURNS):
            worker.work()
            if worker.keep():
                continue
            seconds = self._installation.rows(_NEXT_DUE)[0]["seconds"]
            if seconds is not None:
                self._let_pass(max(seconds, 0.0) + 0.001)
                waited += max(seconds, 0.0)
                continue
            # A pass finds nothing that is under way: it would come up on the way anyhow.
            drift = worker.passes.run(worker.engine_id).drift
            assert drift.alarm is None
            if not drift.nominated and not drift.strangers:
                return waited + time.monotonic() - began
            if drift.nominated:
                waited = max(waited, PASS_SECONDS)
            worker.seconds += GRACE_SECONDS
        raise AssertionError(f"not settled after {_TURNS} turns and {waited:.0f} s")

    def expect_agreement(self, worker: Worker, end: End) -> Sequence[str]:
        """Hold everything against each other; returns what was left for a sweep."""
        found = self._agreement(worker)
        assert not found.differences, found.differences
        assert self._end() == end
        if found.left:
            # At a time that is past every grace.
            Sweeper(worker).run()
            swept = self._agreement(worker)
            assert swept == Agreement([], []), swept
        return found.left

    def _miss_the_dead(self, stopped: int) -> float:
        """End the leases of who has died; returns after how many seconds, 0 if there were none."""
        wait_until(lambda: len(self._installation.rows(_PRESENT)) <= 1 + stopped)
        if not stopped:
            # A row that one of them had locked would be left for the next beat.
            wait_until(lambda: not self._installation.rows(_ALIVE))
        self._installation.execute(_SILENCE)
        return _MISSED_SECONDS if self._presence.beat() else 0.0

    def _agreement(self, worker: Worker) -> Agreement:
        auditor = Auditor(worker, grace_seconds=0.0)
        auditor.later = timedelta(days=1)
        return agreement(auditor.run(), self._installation)

    def _end(self) -> End:
        images = self._installation.rows("SELECT id FROM images")
        assert len(images) <= 1
        return end_of(self._installation, images[0]["id"] if images else None)

    def _let_pass(self, seconds: float) -> None:
        for table in _TABLES:
            self._installation.execute(
                f"UPDATE {table} SET lease_until = lease_until - interval '{seconds} s', "
                f"next_attempt_at = next_attempt_at - interval '{seconds} s' "
                "WHERE lease_until IS NOT NULL OR next_attempt_at IS NOT NULL"
            )
