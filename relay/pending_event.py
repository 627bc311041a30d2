"""One message that Kafka has not acknowledged yet, read from a row of the pending set."""

import re

import msgspec

# As the client wants them; bytes never occur here.
Headers = list[tuple[str, str | bytes | None]]

_HEADERS = msgspec.json.Decoder(list[tuple[str, str | None]])
# Kafka's own grammar; a topic beyond it does not exist, and asking for it would pause every stream.
_TOPIC = re.compile(r"(?!\.{1,2}\Z)[a-zA-Z0-9._-]{1,249}")

# In the order in which `outbox.py` selects them: the columns of the outbox row; payload and headers
# of the ledger row; its age in seconds; whether the two rows agree.
Row = tuple[int, str, str, str, str, int, bytes, str, float, bool]


class PendingEvent(msgspec.Struct, frozen=True, gc=False):
    """One message that Kafka has not acknowledged yet, as it was encoded when recorded.

    Attributes:
        id: Of the outbox row; rises with ``sequence`` within a stream.
        recorded_at: When, by this process's monotonic clock; from its age by the database's clock.
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
    recorded_at: float
    defect: str | None


def decoded(row: Row, asked_at: float) -> PendingEvent:
    """Return the event of a row; what is wrong with the row is its defect.

    Args:
        asked_at: When the rows were asked for, by this process's monotonic clock.
    """
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
    return PendingEvent(
        id_,
        event_id,
        topic,
        key,
        stream,
        sequence,
        payload,
        headers,
        asked_at - age,
        defect,
    )
