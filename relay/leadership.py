"""One leader among any number of relays, by a session advisory lock of PostgreSQL.

The lock lives and dies with the session that also fetches and deletes, so a relay that lost it
cannot delete any more either. What it may still do is send: messages already handed to the client
when its session died. It discards its producer as soon as it notices; what slipped through is a
duplicate that consumers drop by its sequence. It never is a gap: whoever leads next begins with the
first event that is not deleted, so every message of either stands behind its predecessor.

A leader that hangs with its connection open keeps the lock: a stopped process's kernel answers for
it. Its sign of life is the session itself, which it uses at least every few seconds whatever it
waits for, and from its one working thread only. A standby that sees the same sign for 8 s by its
own clock ends the session; nobody's wall clock has a say in it.
"""

import os
import socket
import time
from datetime import datetime

import psycopg
import structlog

# "RLAY"; the second number is the share of the work, of which there is one until buckets divide it.
_LOCK_CLASS = int.from_bytes(b"RLAY", "big")
_WHOLE_OUTBOX = 0
LOCK = {"class": _LOCK_CLASS, "share": _WHOLE_OUTBOX}

# Above the longest wait between two statements of a leader that works (two requests to a broker
# that is away, 3.5 s), and far enough below the 15 s within which a standby is to have taken over.
_STALE_SECONDS = 8.0

# Who it is, for ``status``: PostgreSQL tells of a session's process only its own backend, and cuts
# names at 63 bytes.
_CANDIDATE = "candidate "
_NAME = "orchestrator-relay "
CANDIDATE = f"{_CANDIDATE}{socket.gethostname()[:25]}:{os.getpid()}"

_TRY_LOCK = "SELECT pg_try_advisory_lock(%(class)s, %(share)s)"

# A server that works for its client is a sign of life, unless it waits for the client to read.
_FIND_LEADER = """
SELECT holder.pid,
       greatest(holder.backend_start, holder.state_change, holder.query_start) AS last_sign
FROM pg_locks AS held JOIN pg_stat_activity AS holder USING (pid)
WHERE held.locktype = 'advisory' AND held.granted
  AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND held.classid = %(class)s AND held.objid = %(share)s AND held.objsubid = 2
  AND (holder.state <> 'active' OR holder.wait_event_type = 'Client')
  -- Where nothing is tracked (track_activities), silence says nothing.
  AND holder.state <> 'disabled'
"""

# Only if it gave no sign meanwhile, nor made room for another process of that number.
_END_SESSION = """
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE pid = %(pid)s AND greatest(backend_start, state_change, query_start) = %(last_sign)s
"""

# A cached plan must not outlive a change of the outbox's size by four orders of magnitude, and a
# leader with nothing to do is not an idle session.
_SESSION_SETTINGS = """
SET statement_timeout = '120s';
SET lock_timeout = '10s';
SET idle_session_timeout = 0;
SET plan_cache_mode = force_custom_plan;
SET jit = off
"""

# A deletion lost in a crash of the server is a duplicate: not worth a wait for the disk each batch.
# The planner takes the outbox for what it was at the last analyze. Of one that was empty it would
# read and sort everything pending for each batch, of a small one every page, dead rows and all; the
# index scans of fetch and deletion touch what they return and no more.
_LEADER_SETTINGS = """
SET synchronous_commit = off;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off
"""


def open_session(database_url: str, purpose: str) -> psycopg.Connection:
    """Open an autocommit session of the relay's own.

    Args:
        database_url: Must lead to PostgreSQL itself: a transaction pooler has no sessions.
        purpose: Shown after ``orchestrator-relay`` as the session's application name.

    Returns:
        A session that notices within 10 s that the other host is gone.

    Raises:
        psycopg.OperationalError: The database cannot be reached.
    """
    session = psycopg.connect(
        database_url,
        autocommit=True,
        application_name=f"{_NAME}{purpose}",
        connect_timeout=3,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=10_000,
    )
    session.execute(_SESSION_SETTINGS)
    return session


def process_of(application_name: str) -> str:
    """Return host and pid of the relay whose candidate's session has this name."""
    return application_name.removeprefix(_NAME + _CANDIDATE)


class Leadership:
    """The lock, as seen from one session."""

    def __init__(self, session: psycopg.Connection) -> None:
        self._session = session
        self._last_seen: tuple[int, datetime] | None = None
        self._seen_since = 0.0
        self._log = structlog.get_logger()

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it, or who has it hangs; never waits.

        Raises:
            psycopg.Error: The session is lost.
        """
        row = self._session.execute(_TRY_LOCK, LOCK).fetchone()
        if row == (True,):
            self._session.execute(_LEADER_SETTINGS)
            return True
        found: tuple[int, datetime] | None = self._session.execute(_FIND_LEADER, LOCK).fetchone()
        now = time.monotonic()
        if found is None or found != self._last_seen:
            self._last_seen, self._seen_since = found, now
        elif now - self._seen_since >= _STALE_SECONDS:
            pid, last_sign = found
            self._session.execute(_END_SESSION, {"pid": pid, "last_sign": last_sign})
            # The lock is free as soon as the server has ended the session; the next try finds it.
            self._log.warning("ended the session of a leader that hung", backend=pid)
        return False
