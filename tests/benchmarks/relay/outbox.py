"""Fills the outbox from the ledger, and notices when the relay has emptied it."""

import time
from collections.abc import Iterable

import psycopg

from tests.benchmarks.relay.stage import BenchmarkError, await_that
from tests.integration.relay.relay_process import RelayUnderTest

_NOTIFY = "NOTIFY orchestrator_outbox"

_FILL = """
WITH filled AS (
    INSERT INTO outbox (event_id, topic, key, stream, sequence, bucket)
    SELECT event_id, topic, key, stream, sequence, mod(image_id, 64)
    FROM events
    WHERE id > %(first)s AND id <= %(last)s
    ORDER BY id
    RETURNING id
)
SELECT count(*), max(id) FROM filled
"""

# The look at the last row costs the same whatever lies dead before it.
_LAST_IS_THERE = "SELECT EXISTS (SELECT FROM outbox WHERE id = %(last)s)"
_ANY_IS_THERE = "SELECT EXISTS (SELECT FROM outbox WHERE id > %(last)s::bigint - 10000)"
_EMPTY = "SELECT NOT EXISTS (SELECT FROM outbox)"

_TIDY = "VACUUM (ANALYZE) outbox"
_CLEAR = "TRUNCATE outbox"


class Outbox:
    """The outbox over a ledger whose ids begin at 1; uses a session of its own."""

    def __init__(self, database_url: str) -> None:
        self._session = psycopg.connect(database_url, autocommit=True)

    def close(self) -> None:
        self._session.close()

    def fill(self, first: int, events: int) -> int:
        """Put ledger rows into the outbox, in one transaction that has committed at the return.

        Args:
            first: How many ledger rows come before.
            events: How many rows.

        Returns:
            The highest id.
        """
        row = self._session.execute(_FILL, {"first": first, "last": first + events}).fetchone()
        if row is None or row[0] != events:
            raise BenchmarkError(f"the ledger has no {events} events after {first}")
        return int(row[1])

    def tidy(self) -> None:
        """Let no measurement pay for the dead rows of the one before."""
        self._session.execute(_TIDY)

    def clear(self) -> None:
        """Take out what nobody published."""
        self._session.execute(_CLEAR)

    def drain(self, relay: RelayUnderTest, first: int, events: int) -> float:
        """Let a relay that leads and has nothing to do publish ledger rows that it never saw.

        Returns:
            Events a second, from the end of the writer's COMMIT to the last row's deletion.
        """
        last = self.fill(first, events)
        began = time.perf_counter()
        self._session.execute(_NOTIFY)
        # A hundredth of what is measured, at most.
        pause = min(0.02, max(0.0005, events / 10_000_000))

        def drained() -> bool:
            if not relay.alive:
                raise BenchmarkError("the relay has ended")
            asked: Iterable[str] = (_LAST_IS_THERE, _ANY_IS_THERE)
            return not any(self._true(question, last) for question in asked)

        ended = await_that(drained, "the outbox is drained", every_seconds=pause)
        if not self._true(_EMPTY, last):
            raise BenchmarkError("rows were left behind")
        self.tidy()
        return events / (ended - began)

    def _true(self, question: str, last: int) -> bool:
        row = self._session.execute(question.encode(), {"last": last}).fetchone()
        return row is not None and bool(row[0])
