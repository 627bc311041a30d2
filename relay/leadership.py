"""One leader among any number of relays, by a session advisory lock of PostgreSQL.

The lock lives and dies with the session that also fetches and deletes, so a relay that lost it
cannot delete any more either. What it may still do is send: messages already handed to the client
when its session died. It discards its producer as soon as it notices, which it does within a
second because it confirms its session while it waits for Kafka; what slipped through is a
duplicate that consumers drop by its sequence.
"""

import psycopg

from relay.errors import LeadershipLost

# "RLAY"; the second number is the share of the work, of which there is one until buckets divide it.
_LOCK_CLASS = int.from_bytes(b"RLAY", "big")
_WHOLE_OUTBOX = 0

_TRY_LOCK = "SELECT pg_try_advisory_lock(%(class)s, %(share)s)"

_HOLDS_LOCK = """
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid = %(class)s AND objid = %(share)s AND objsubid = 2
)
"""

# A cached plan must not outlive a change of the outbox's size by four orders of magnitude, and a
# leader with nothing to do is not an idle session.
_SESSION_SETTINGS = """
SET statement_timeout = '30s';
SET lock_timeout = '10s';
SET idle_session_timeout = 0;
SET plan_cache_mode = force_custom_plan;
SET jit = off
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
        application_name=f"orchestrator-relay {purpose}",
        connect_timeout=3,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=10_000,
    )
    session.execute(_SESSION_SETTINGS)
    return session


class Leadership:
    """The lock, as seen from one session."""

    def __init__(self, session: psycopg.Connection) -> None:
        self._session = session
        self._parameters = {"class": _LOCK_CLASS, "share": _WHOLE_OUTBOX}

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it; never waits.

        Raises:
            psycopg.Error: The session is lost.
        """
        row = self._session.execute(_TRY_LOCK, self._parameters).fetchone()
        return row == (True,)

    def confirm(self) -> None:
        """Return if this session still holds the lock.

        Raises:
            LeadershipLost: It does not.
            psycopg.Error: The session is lost, and the lock with it.
        """
        row = self._session.execute(_HOLDS_LOCK, self._parameters).fetchone()
        if row != (True,):
            raise LeadershipLost("the session no longer holds the lock")
