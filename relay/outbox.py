"""The pending set: rows of ``outbox`` joined with the ledger row that holds their bytes.

Deleting what was acknowledged and fetching what comes next travel together, on the session that
holds the lock, and are answered while the client sends what was fetched before. No transaction is
open while the relay waits for Kafka, and a dead session loses nothing that a new fetch does not
find again.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from relay.deletion import DELETE, array_of
from relay.floor import Window
from relay.pending_event import PendingEvent, decoded

# Index scans, so that none walks over what lies between them. What to leave out is a subquery: the
# server looks it up in a hash table, however many there are. Where the rows of one stream are, only
# the ledger has in an index. For each row its counterpart is looked up by itself, whatever the
# server believes of the tables' sizes: OFFSET 0 keeps it from reading a whole one for a join.
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
       (pending.topic, pending.key) = (events.topic, events.key)
FROM (
    (
        (
            SELECT id, event_id, topic, key, stream, sequence
            FROM outbox
            WHERE id = ANY(%(late)s) AND stream NOT IN (SELECT unnest(%(left_out)s::text[]))
            ORDER BY id
            LIMIT %(limit)s
        )
        UNION ALL
        (
            SELECT id, event_id, topic, key, stream, sequence
            FROM outbox
            WHERE id > %(above)s AND stream NOT IN (SELECT unnest(%(left_out)s::text[]))
            ORDER BY id
            LIMIT %(limit)s
        )
        ORDER BY id
        LIMIT %(limit)s
    )
    UNION ALL
    (
        SELECT next.*
        FROM unnest(%(returning)s::text[], %(behind)s::bigint[], %(at_most)s::bigint[])
            AS wanted (stream, behind, at_most)
        CROSS JOIN LATERAL (
            SELECT found.*
            FROM events
            CROSS JOIN LATERAL (
                SELECT id, event_id, topic, key, stream, sequence
                FROM outbox
                WHERE event_id = events.event_id
                OFFSET 0
            ) AS found
            WHERE events.stream = wanted.stream AND events.sequence > wanted.behind
            ORDER BY events.sequence
            LIMIT wanted.at_most
        ) AS next
    )
) AS pending
CROSS JOIN LATERAL (
    SELECT payload, headers, recorded_at, topic, key
    FROM events
    WHERE event_id = pending.event_id
    OFFSET 0
) AS events
ORDER BY pending.id
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The next rows of a stream that was left out, to be fetched beside the others.

    Attributes:
        behind: All their sequences above this one.
        at_most: How many.
    """

    behind: int
    at_most: int


# None of these streams is looked for anywhere else.
Returning = Mapping[str, Wanted]
NONE_RETURNING: Returning = {}


class Request:
    """A deletion and a fetch that the server works on meanwhile.

    Both are one implicit transaction: if either fails, neither happened, and what should have
    been deleted is sent again.

    Attributes:
        sent_at: When, by this process's monotonic clock.
    """

    def __init__(
        self,
        session: psycopg.Connection,
        acknowledged: Sequence[int],
        window: Window,
        left_out: Collection[str],
        limit: int,
        returning: Returning = NONE_RETURNING,
    ) -> None:
        """Send both, and return without their answers.

        Args:
            session: The leader's; nothing else may use it until ``result`` has returned.
            acknowledged: The rows to delete.
            window: The ids to look at.
            left_out: Streams to leave out of it, the returning ones among them.
            limit: The most events to return.
            returning: What to look for beside, and return as well.

        Raises:
            psycopg.Error: The session is lost.
        """
        self.sent_at = time.monotonic()
        self._session = session
        self._pipeline = session.pipeline()
        self._pipeline.__enter__()
        self._deletion = session.cursor() if acknowledged else None
        if self._deletion is not None:
            self._deletion.execute(DELETE, {"ids": array_of(acknowledged)})
        self._fetch = session.cursor(binary=True)
        asked = {
            "late": list(window.late),
            "above": window.above,
            "left_out": list(left_out),
            "limit": limit,
            "returning": list(returning),
            "behind": [wanted.behind for wanted in returning.values()],
            "at_most": [wanted.at_most for wanted in returning.values()],
        }
        # The server begins at once; what ends the transaction goes out when the result is wanted.
        # Prepared by the first fetch, which has nothing to delete. Left to psycopg that is the
        # sixth, and if a deletion fails in front of it, psycopg believes prepared what is not.
        self._fetch.execute(_FETCH, asked, prepare=True)

    def receive(self) -> None:
        """Take what the server has sent of the answer, so that it can send more; never waits.

        Raises:
            psycopg.Error: The session is lost.
        """
        self._session.pgconn.consume_input()

    def result(self) -> list[PendingEvent]:
        """Return the events, in id order.

        Raises:
            psycopg.Error: The session is lost or a statement failed.
        """
        self._pipeline.__exit__(None, None, None)
        return [decoded(row, self.sent_at) for row in self._fetch.fetchall()]

    @property
    def deleted(self) -> int:
        """How many rows were there to be deleted; known after ``result``."""
        return 0 if self._deletion is None else self._deletion.rowcount
