"""Which events of the ledger a replay sends, and how it reads them without a long statement.

The ledger is walked in windows of its ids, up to the horizon read at the start: no transaction that
is open then, or comes later, adds an event at or below it. So a walk sees everything it is to see,
and no snapshot lives longer than one window takes. Rows go meanwhile only by a prune, and then they
are simply not sent.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import psycopg
from psycopg import errors

from relay.commands.session import only_row

_WINDOW_IDS = 10_000
_PAGE = 500

_HORIZON = "SELECT coalesce((SELECT id FROM ledger_horizon), 0)"

_CHOSEN = """
    (%(stream)s::text IS NULL OR stream = %(stream)s::text)
    AND (%(image)s::bigint IS NULL OR image_id = %(image)s::bigint)
    AND (%(user)s::text IS NULL OR user_id = %(user)s::text)
    AND (%(since)s::timestamptz IS NULL OR recorded_at >= %(since)s::timestamptz)
    AND (%(until)s::timestamptz IS NULL OR recorded_at < %(until)s::timestamptz)
"""

# Worth no more than this: without bounds a walk only takes longer. The sums keep the planner from
# walking along the ids, which is the one way that finds neither a stream nor a time quickly.
_BOUNDS_MILLISECONDS = 5_000
_LIMIT_BOUNDS = f"SET LOCAL statement_timeout = {_BOUNDS_MILLISECONDS}"
_BOUNDS = f"""
SELECT coalesce(min(id + 0), 0), coalesce(max(id + 0), 0)
FROM events
WHERE id <= %(horizon)s AND {_CHOSEN}
"""  # noqa: S608 - composed of constants

# Over a hole of any size in one step.
_NEXT = "SELECT min(id) FROM events WHERE id > %(after)s AND id <= %(last)s"

_COUNT = f"""
SELECT count(*) FILTER (WHERE skipped_at IS NULL),
       count(*) FILTER (WHERE skipped_at IS NOT NULL)
FROM events
WHERE id BETWEEN %(first)s AND %(last)s AND {_CHOSEN}
"""  # noqa: S608 - as above

_READ = f"""
SELECT id, event_id::text, key, payload, headers::text
FROM events
WHERE id > %(after)s AND id <= %(last)s AND skipped_at IS NULL AND {_CHOSEN}
ORDER BY id
LIMIT {_PAGE}
"""  # noqa: S608 - as above

# Whatever an event of the ledger ever went to is live, whether or not it is among the selected and
# however long ago that was. From each topic straight to the next one by the index.
_TOPICS = """
WITH RECURSIVE found AS (
    SELECT min(topic) AS topic FROM events
    UNION ALL
    SELECT (SELECT min(events.topic) FROM events WHERE events.topic > found.topic)
    FROM found
    WHERE found.topic IS NOT NULL
)
SELECT topic FROM found WHERE topic IS NOT NULL
"""

# Recorded, and not yet proven to be in its final place.
_ABOVE = f"SELECT EXISTS (SELECT FROM events WHERE id > %(horizon)s AND {_CHOSEN})"  # noqa: S608 - as above


class LedgerEvent(NamedTuple):
    """One event as it was encoded when recorded.

    Attributes:
        id: Its place in the ledger.
        headers: JSON, as stored.
    """

    id: int
    event_id: str
    key: str
    payload: bytes
    headers: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What a walk over the ledger found.

    Attributes:
        horizon: The highest id that was looked at.
        events: How many there are to send.
        skipped: How many an operator left out.
        above: Whether events above the horizon are selected too; looked at only if none is below.
        windows: First and last id of each window with something to send.
    """

    horizon: int
    events: int
    skipped: int
    above: bool
    windows: tuple[tuple[int, int], ...]


def topics_of_ledger(session: psycopg.Connection) -> frozenset[str]:
    """Return every topic that an event of the ledger is for.

    Raises:
        psycopg.Error: The session is lost or the statement failed.
    """
    return frozenset(topic for (topic,) in session.execute(_TOPICS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """All conditions that are given hold for each selected event.

    Attributes:
        container: The service's id of a container.
        image: Of an image: its own events and those of its containers.
        user: Whose.
        since: Recorded then or later.
        until: Recorded before.
    """

    container: int | None = None
    image: int | None = None
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def survey(self, session: psycopg.Connection, between_steps: Callable[[], None]) -> Survey:
        """Walk over the ledger once.

        Args:
            between_steps: Called between two statements; may raise to end the walk.

        Raises:
            psycopg.Error: The session is lost or a statement failed.
        """
        (horizon,) = only_row(session.execute(_HORIZON))
        after, last = self._bounds(session, horizon)
        events = skipped = 0
        windows = []
        while (
            first := only_row(session.execute(_NEXT, {"after": after, "last": last}))[0]
        ) is not None:
            between_steps()
            after = min(first + _WINDOW_IDS - 1, last)
            window = {"first": first, "last": after}
            more, left_out = only_row(session.execute(_COUNT, {**self._chosen, **window}))
            events, skipped = events + more, skipped + left_out
            if more:
                windows.append((first, after))
        above = False
        if not events + skipped:
            (above,) = only_row(session.execute(_ABOVE, {**self._chosen, "horizon": horizon}))
        return Survey(horizon, events, skipped, above, tuple(windows))

    def read(self, session: psycopg.Connection, survey: Survey) -> Iterator[LedgerEvent]:
        """Yield the events to send in the order of the ledger.

        Raises:
            psycopg.Error: The session is lost or a statement failed.
        """
        for first, last in survey.windows:
            after = first - 1
            while True:
                cursor = session.cursor(binary=True)
                cursor.execute(_READ, {**self._chosen, "after": after, "last": last})
                page = [LedgerEvent(*row) for row in cursor]
                yield from page
                if len(page) < _PAGE:
                    break
                after = page[-1].id

    @property
    def _chosen(self) -> dict[str, object]:
        return {
            "stream": None if self.container is None else f"container/{self.container}",
            "image": self.image,
            "user": self.user,
            "since": self.since,
            "until": self.until,
        }

    def _bounds(self, session: psycopg.Connection, horizon: int) -> tuple[int, int]:
        """Return ids between which everything selected lies, the first of them excluded."""
        with contextlib.suppress(errors.QueryCanceled), session.transaction():
            session.execute(_LIMIT_BOUNDS)
            lowest, highest = only_row(
                session.execute(_BOUNDS, {**self._chosen, "horizon": horizon})
            )
            return lowest - 1, highest
        return 0, horizon
