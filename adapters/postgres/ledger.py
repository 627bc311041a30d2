"""The ledger and the outbox: an event's two rows, written in the transaction of its state.

The aggregate's row has been updated, and so locked, before this runs: ids therefore rise with the
sequence within a stream, which the relay's order rests on.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from adapters.postgres.signals import Channel
from adapters.wire.events import EventEncoder
from domain.events import Event

# Several leaders can share the work later, each with some of these.
BUCKETS = 64

_INSERT_EVENT = """
INSERT INTO events (event_id, stream, sequence, type, user_id, image_id, container_id,
                    topic, key, payload, headers, occurred_at)
VALUES (%(event_id)s, %(stream)s, %(sequence)s, %(type)s, %(user_id)s, %(image_id)s,
        %(container_id)s, %(topic)s, %(key)s, %(payload)s, %(headers)s, %(occurred_at)s)
"""

_INSERT_OUTBOX = """
INSERT INTO outbox (event_id, topic, key, stream, sequence, bucket)
VALUES (%(event_id)s, %(topic)s, %(key)s, %(stream)s, %(sequence)s, %(bucket)s)
"""


class PostgresLedger:
    """Writes events to the ledger and the outbox of one transaction."""

    def __init__(
        self,
        connection: Connection[DictRow],
        encoder: EventEncoder,
        new_event_id: Callable[[], UUID],
        signals: set[Channel],
    ) -> None:
        self._signals = signals
        self._connection = connection
        self._encoder = encoder
        self._new_event_id = new_event_id

    def record(self, events: Sequence[Event]) -> None:
        """Record events of one aggregate, in their order."""
        for event in events:
            encoded = self._encoder.encode(event, self._new_event_id())
            row = {
                "event_id": encoded.event_id,
                "stream": encoded.stream,
                "sequence": event.sequence,
                "type": event.type,
                "user_id": event.user_id,
                "image_id": event.image_id,
                "container_id": encoded.container_id,
                "topic": encoded.topic,
                "key": encoded.key,
                "payload": encoded.payload,
                "headers": Jsonb([list(header) for header in encoded.headers]),
                "occurred_at": event.occurred_at,
                "bucket": zlib.crc32(encoded.key.encode()) % BUCKETS,
            }
            self._connection.execute(_INSERT_EVENT, row)
            self._connection.execute(_INSERT_OUTBOX, row)
            self._signals.add(Channel.OUTBOX)
