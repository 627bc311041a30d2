"""Streams that wait for an operator, because one of their events cannot be published as it is.

They are rows, so that every leader leaves them alone and a restart forgets nothing.
"""

import psycopg

from relay.pending_event import PendingEvent

_READ = "SELECT stream FROM blocked_streams"

# A second block of the same stream can only come from a relay that lost its leadership.
_BLOCK = """
INSERT INTO blocked_streams (stream, event_id, code, detail)
VALUES (%(stream)s, %(event_id)s, %(code)s, %(detail)s)
ON CONFLICT (stream) DO NOTHING
"""


def blocked_streams(session: psycopg.Connection) -> frozenset[str]:
    """Return the streams that nothing may be sent of.

    Raises:
        psycopg.Error: The session is lost or the statement failed.
    """
    return frozenset(stream for (stream,) in session.execute(_READ))


def block_stream(session: psycopg.Connection, event: PendingEvent, code: str, detail: str) -> None:
    """Record that ``event`` cannot be published, and with it nothing behind it.

    Args:
        session: The leader's.
        event: The event that blocks its stream.
        code: One of ``ordering.py``, or librdkafka's name of the error.
        detail: For the operator.

    Raises:
        psycopg.Error: The session is lost or the statement failed.
    """
    session.execute(
        _BLOCK,
        {"stream": event.stream, "event_id": event.event_id, "code": code, "detail": detail},
    )
