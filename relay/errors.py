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
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


# One column of each migration that the relay rests on; no row is read.
_LOOK_AT_TABLES = """
SELECT FROM events, outbox, blocked_streams, ledger_horizon
WHERE events.skipped_at IS NULL AND outbox.stream IS NULL AND outbox.sequence IS NULL
LIMIT 0
"""


def require_tables(session: psycopg.Connection) -> None:
    """Return if the database is migrated.

    Raises:
        psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn: It is not.
        psycopg.Error: The session is lost.
    """
    session.execute(_LOOK_AT_TABLES)


def describe(error: psycopg.Error) -> str:
    """Return what PostgreSQL or the connection to it has to say, in one line.

    The text of a failed connection names host and role, never the password.
    """
    if isinstance(error, (errors.UndefinedTable, errors.UndefinedColumn)):
        return NOT_MIGRATED
    text = error.diag.message_primary or str(error)
    return " ".join(text.split()) or type(error).__name__
