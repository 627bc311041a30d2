"""Ends database sessions, as an operator, a failover or a crashed network would."""

import psycopg

LEADER = "orchestrator-relay candidate %"
WAKEUP = "orchestrator-relay wakeup"
WATCHER = "orchestrator-relay watcher"
WRITER = "fault suite writer"
RELAY = "orchestrator-relay %"
EVERYBODY = "%"

_END = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
  AND pid <> pg_backend_pid() AND application_name LIKE %(name)s
"""
_LISTENS = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %(name)s AND state = 'idle'
  AND query LIKE 'LISTEN %%'
"""
_NUMBER = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE %(name)s
"""
_LEADER_PID = """
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def end_sessions(database: str, name: str) -> int:
    """Terminate this database's sessions of that application name; return how many there were."""
    with psycopg.connect(database) as operator:
        row = operator.execute(_END, {"name": name}).fetchone()
    assert row is not None
    return int(row[0])


def number_of_sessions(database: str, name: str) -> int:
    """Return how many sessions of that application name this database has."""
    with psycopg.connect(database) as operator:
        row = operator.execute(_NUMBER, {"name": name}).fetchone()
    assert row is not None
    return int(row[0])


def is_listening(database: str) -> bool:
    """Return whether a relay's session has asked for notifications, and waits for them."""
    with psycopg.connect(database) as operator:
        return operator.execute(_LISTENS, {"name": WAKEUP}).fetchone() is not None


def leader_pid(database: str) -> int | None:
    """Return the backend that holds the relay's lock, None while nobody does."""
    with psycopg.connect(database) as operator:
        row = operator.execute(_LEADER_PID).fetchone()
    return None if row is None else int(row[0])
