"""What pauses the relay's work.

    RelayError
    └── BrokerTrouble       broker, topic or authentication: pause, lose nothing, try again

``psycopg.Error`` on the leader's session means that the session is lost and the lock with it:
discard the producer, start over.
"""

import psycopg
from psycopg import errors

NOT_MIGRATED = "the database is not migrated: run python -m migrations first"


class RelayError(Exception):
    """Anything of the relay's own."""


class BrokerTrouble(RelayError):  # noqa: N818 - it tells what happened; nobody did wrong
    """Kafka cannot take messages at the moment.

    Attributes:
        code: librdkafka's name of the error, e.g. ``_TRANSPORT``.
        detail: Its text.
        topic: Of the message that met it; None where it was none.
    """

    def __init__(self, code: str, detail: str, topic: str | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.topic = topic
        self.code = code
        self.detail = detail


# The catalogue alone: whoever has a table locked is not waited for.
_TABLES = """
SELECT count(*)
FROM pg_attribute
WHERE NOT attisdropped
  AND (attrelid, attname) IN (
      (to_regclass('events')::oid, 'skipped_at'),
      (to_regclass('outbox')::oid, 'sequence'),
      (to_regclass('blocked_streams')::oid, 'event_id'),
      (to_regclass('ledger_horizon')::oid, 'id')
  )
"""
_COLUMNS = 4


def require_tables(session: psycopg.Connection) -> None:
    """Return if the database is migrated, as far as the relay rests on it.

    Raises:
        psycopg.errors.UndefinedTable: It is not.
        psycopg.Error: The session is lost.
    """
    if session.execute(_TABLES).fetchone() != (_COLUMNS,):
        raise errors.UndefinedTable(NOT_MIGRATED)


def describe(error: psycopg.Error) -> str:
    """Return what PostgreSQL or the connection to it has to say, in one line.

    The text of a failed connection names host and role, never the password.
    """
    if isinstance(error, (errors.UndefinedTable, errors.UndefinedColumn)):
        return NOT_MIGRATED
    text = error.diag.message_primary or str(error)
    return " ".join(text.split()) or type(error).__name__
