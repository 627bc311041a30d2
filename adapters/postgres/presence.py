"""Which workers are there, so that the leases of a dead one need not run out.

A lease covers the longest call of the engine, so after a worker was killed what it had in hand
would rest for half a minute. But its calls end with it (`adapters.docker.cli_calls`), and so does
its session, which the kernel closes. Hence a worker holds an advisory lock on a session of its own
for as long as it lives, and says every second that it does.

Leases are ended early only of a process that has died. Its lock goes at once, when the others have
hardly begun to miss it. A worker that is paused keeps the lock, and so does one that is cut off,
whose calls go on: until PostgreSQL misses its client, after 10 s. So each of the others decides by
its first look at a silence, and stays with that until the worker is heard again:

    the lock is free   it died: its leases are ended now, and at the next looks what was skipped
    it is held         it is paused or cut off: its leases run out, though the lock goes later
    it is too late     PostgreSQL may have missed one that was cut off, or, where the own session
                       has broken since, have begun anew: nobody knows, and the leases run out

A worker that has just begun judges nobody for its first three seconds: after an outage everybody
was silent. But it looks from its first beat on, and so finds dead who died a few seconds before it
came; of who died earlier, or went with a machine or a network, it cannot tell.

What is ended so is fenced like everything else by the epoch of the next claim.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow

from adapters.postgres.errors import translated_errors
from adapters.postgres.pool import (
    VANISHED_CLIENT_SECONDS,
    Transaction,
    connection_options,
    plain_transaction,
)
from adapters.postgres.signals import Channel

# Who is present says so this often, and is missed after three times of silence.
BEAT_SECONDS = 1.0
MISSED_AFTER_SECONDS = 3.0
# Of a silence that is younger than this a free lock tells that it was not the server who ended the
# session; the second is for its clocks.
_TELLING_SECONDS = VANISHED_CLIENT_SECONDS - 1.0

# The seed keeps the locks apart from others on the same number ("ORCHWORK" in ASCII).
_LOCK_SEED = int.from_bytes(b"ORCHWORK", "big")
_TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%(id)s::text, %(seed)s)) AS locked"
# Shared: who looks at the same time must not take each other for the one who is looked for.
_TRY_LOCK_OF = """
SELECT pg_try_advisory_xact_lock_shared(hashtextextended(%(id)s::text, %(seed)s)) AS free
"""

_JOIN = """
INSERT INTO workers (worker_id) VALUES (%(id)s)
ON CONFLICT ON CONSTRAINT workers_pkey DO UPDATE
SET joined_at = clock_timestamp(), seen_at = clock_timestamp()
RETURNING joined_at
"""

# After an outage of the database everybody was silent: who is back first gives the others time.
_BEAT = """
UPDATE workers SET seen_at = clock_timestamp() WHERE worker_id = %(id)s
RETURNING joined_at < clock_timestamp() - make_interval(secs => %(missed_after)s) AS may_judge
"""

# Where the server has begun anew since a worker was heard, its lock is free whatever became of it:
# so it may have been when a session of ours broke.
_SILENT = """
SELECT worker_id, seen_at,
       seen_at > greatest(clock_timestamp() - make_interval(secs => %(telling)s),
                          %(rejoined_at)s) AS lock_tells
FROM workers
WHERE worker_id <> %(id)s
  AND seen_at < clock_timestamp() - make_interval(secs => %(missed_after)s)
"""

# Who holds one of the rows at the moment may be frozen: it is left for the next time.
_END_LEASES: LiteralString = """
WITH held AS (
    SELECT id FROM @table WHERE leased_by = %(id)s AND lease_until IS NOT NULL
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE @table AS held_by_it SET lease_until = NULL@nominated FROM held WHERE held.id = held_by_it.id
"""

_END: tuple[LiteralString, ...] = (
    _END_LEASES.replace("@table", "images").replace("@nominated", ""),
    _END_LEASES.replace("@table", "builds").replace("@nominated", ""),
    # Whatever suggested a look at it, the claim has taken that for done.
    _END_LEASES.replace("@table", "containers").replace("@nominated", ", nominated_at = now()"),
)

_LEAVE = """
DELETE FROM workers
WHERE worker_id = %(id)s
  AND NOT EXISTS (SELECT FROM images WHERE leased_by = %(id)s AND lease_until IS NOT NULL)
  AND NOT EXISTS (SELECT FROM builds WHERE leased_by = %(id)s AND lease_until IS NOT NULL)
  AND NOT EXISTS (SELECT FROM containers WHERE leased_by = %(id)s AND lease_until IS NOT NULL)
"""


class PostgresPresence:
    """One worker among the others; used by one thread.

    Args:
        database_url: where PostgreSQL is; must bypass transaction poolers.
        worker_id: under which it claims.
        signal: is told the channels to wake when leases were ended.
        transaction: begins the one in which they are.
    """

    def __init__(
        self,
        database_url: str,
        worker_id: UUID,
        signal: Callable[[set[Channel]], None],
        transaction: Transaction = plain_transaction,
    ) -> None:
        self._database_url = database_url
        self._parameters: dict[str, object] = {
            "id": worker_id,
            "seed": _LOCK_SEED,
            "missed_after": MISSED_AFTER_SECONDS,
            "telling": _TELLING_SECONDS,
            "rejoined_at": None,
        }
        self._signal = signal
        self._transaction = transaction
        self._session: Connection[DictRow] | None = None
        self._locked = self._has_joined = False
        # Of each worker that is silent, since when, and whether it has died.
        self._verdicts: dict[UUID, tuple[datetime, bool]] = {}

    def beat(self) -> dict[UUID, int]:
        """Be present for the next seconds, and end the leases of those who are not.

        Returns:
            How many leases were ended, by the worker who held them.

        Raises:
            DatabaseUnavailable: nobody knows; the next call makes a new session.
        """
        with translated_errors():
            try:
                return self._beat()
            except psycopg.Error:
                self.close()
                raise

    def close(self) -> None:
        """End the session; what is still leased is ended by the others, or runs out."""
        if self._session is not None:
            self._session.close()
        self._session, self._locked = None, False

    def _beat(self) -> dict[UUID, int]:
        session = self._session or self._connect()
        if not self._locked:
            # An earlier session of ours may still have it: the server has not missed that one yet.
            row = session.execute(_TRY_LOCK, self._parameters).fetchone()
            self._locked = row is not None and row["locked"]
        row = session.execute(_BEAT, self._parameters).fetchone()
        if row is None:
            # Missed by others, who have ended its leases: what it did meanwhile is fenced.
            session.execute(_JOIN, self._parameters)
            return {}
        self._look(session)
        if not row["may_judge"]:
            return {}
        ended = {}
        for worker_id, (_, died) in self._verdicts.items():
            if died:
                ended[worker_id] = self._end_leases_of(session, worker_id)
            elif self._is_free(session, worker_id):
                # Once its leases have run out and been taken up, it leaves nothing but its row.
                session.execute(_LEAVE, {"id": worker_id})
        ended = {worker_id: leases for worker_id, leases in ended.items() if leases}
        if ended:
            self._signal({Channel.WORK})
        return ended

    def _connect(self) -> Connection[DictRow]:
        self._session = psycopg.connect(
            self._database_url, autocommit=True, **connection_options("orchestrator-presence")
        )
        row = self._session.execute(_JOIN, self._parameters).fetchone()
        if self._has_joined and row is not None:
            self._parameters["rejoined_at"] = row["joined_at"]
        self._has_joined = True
        return self._session

    def _look(self, session: Connection[DictRow]) -> None:
        """Look at those who are silent, and judge whom that is new of."""
        verdicts: dict[UUID, tuple[datetime, bool]] = {}
        for row in session.execute(_SILENT, self._parameters).fetchall():
            worker_id, since = row["worker_id"], row["seen_at"]
            known = self._verdicts.get(worker_id)
            if known is None or known[0] != since:
                known = since, row["lock_tells"] and self._is_free(session, worker_id)
            verdicts[worker_id] = known
        self._verdicts = verdicts

    def _is_free(self, session: Connection[DictRow], worker_id: UUID) -> bool:
        row = session.execute(_TRY_LOCK_OF, {**self._parameters, "id": worker_id}).fetchone()
        return row is not None and bool(row["free"])

    def _end_leases_of(self, session: Connection[DictRow], worker_id: UUID) -> int:
        parameters = {**self._parameters, "id": worker_id}
        with self._transaction(session):
            if not self._is_free(session, worker_id):
                # It is back, or another one ends its leases just now.
                return 0
            ended = sum(session.execute(sql, parameters).rowcount for sql in _END)
            session.execute(_LEAVE, parameters)
            return ended
