"""The pending set: rows of ``outbox`` joined with the ledger row that holds their bytes.

Ids commit out of order, so nothing here remembers "the last id": every fetch asks for whatever is
there, lowest id first. Each function is one autocommit statement: no transaction is open while the
relay waits for Kafka, and a dead session loses nothing that a new fetch does not find again.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec
import psycopg

# As the client wants them; bytes never occur here.
Headers = list[tuple[str, str | bytes | None]]

_HEADERS = msgspec.json.Decoder(list[tuple[str, str | None]])
# Kafka's own grammar; a topic beyond it does not exist, and asking for it would pause every stream.
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")

_FETCH = """
SELECT pending.id,
       pending.event_id::text,
       pending.topic,
       pending.key,
       pending.stream,
       pending.sequence,
       events.payload,
       events.headers::text,
       extract(epoch FROM clock_timestamp() - events.recorded_at)::float8,
       (pending.topic, pending.key, pending.stream, pending.sequence)
           = (events.topic, events.key, events.stream, events.sequence)
FROM (
    SELECT id, event_id, topic, key, stream, sequence
    FROM outbox
    WHERE stream <> ALL(%(set_aside)s)
    ORDER BY id
    LIMIT %(limit)s
) AS pending
JOIN events USING (event_id)
ORDER BY pending.id
"""

_DELETE = "DELETE FROM outbox WHERE id = ANY(%(ids)s)"


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """One message that Kafka has not acknowledged yet, as it was encoded when recorded.

    Attributes:
        id: Of the outbox row; rises with ``sequence`` within a stream.
        age_seconds: Since it was recorded, by the database's clock, when it was fetched.
        defect: Why it cannot be published, or None.
    """

    id: int
    event_id: str
    topic: str
    key: str
    stream: str
    sequence: int
    payload: bytes
    headers: Headers
    age_seconds: float
    defect: str | None


def fetch_pending(
    session: psycopg.Connection, *, limit: int, set_aside: Collection[str] = ()
) -> list[PendingEvent]:
    """Return up to ``limit`` pending events in id order, without those of the streams set aside.

    Raises:
        psycopg.Error: The session is lost or the statement failed.
    """
    with session.cursor(binary=True) as cursor:
        cursor.execute(_FETCH, {"limit": limit, "set_aside": list(set_aside)})
        return [_decode(row) for row in cursor]


def delete_acknowledged(session: psycopg.Connection, ids: Sequence[int]) -> int:
    """Delete what Kafka acknowledged; return how many rows were still there.

    Raises:
        psycopg.Error: The session is lost or the statement failed; the rows will be sent again.
    """
    if not ids:
        return 0
    return session.execute(_DELETE, {"ids": list(ids)}).rowcount


def _decode(row: tuple[int, str, str, str, str, int, bytes, str, float, bool]) -> PendingEvent:
    id_, event_id, topic, key, stream, sequence, payload, raw_headers, age, agrees = row
    headers: Headers = []
    defect = None
    try:
        headers = list(_HEADERS.decode(raw_headers))
    except msgspec.DecodeError as exc:
        defect = f"headers: {exc}"
    if not _TOPIC.fullmatch(topic):
        defect = "the topic is not a name that Kafka allows"
    if not agrees:
        defect = "the outbox row contradicts its ledger row"
    return PendingEvent(id_, event_id, topic, key, stream, sequence, payload, headers, age, defect)
