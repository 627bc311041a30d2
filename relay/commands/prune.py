"""``prune``: remove the history of containers and images that were deleted long enough ago.

A stream is removed only if it is over: the last of its events tells that its container, or its
image, was deleted, so nobody will ever write to it again. A container that exists, or has an open
run, has no such event and keeps all of its history; so does a stream with anything in the outbox,
or blocked.

A stream's last event is locked before anything is removed, and passed over where somebody else
holds it, so two prunes share the work. A chunk is one short transaction: readers and writers do not
wait for it, and the horizon, which a writer of the ledger holds up while it is open, moves on
between two of them.

A stream longer than a chunk goes from its oldest event upwards. What is left of it in between, or
after an interruption, begins with a gap and still ends with its end: a replay never shows what was
deleted as alive, and the next prune finds it over and removes the rest.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from relay.commands.errors import CommandError, Refused
from relay.commands.interruption import Interruption
from relay.commands.output import moment, say
from relay.commands.session import command_session, database_errors, only_row
from relay.settings import DatabaseSettings, read_only

_PAGE = 500
# At most so many events go in one transaction.
_CHUNK = 5_000

_IS_PAST = "SELECT %(before)s <= clock_timestamp()"

# Only candidates, so that the statement is bounded whatever it finds; _OVER decides.
_LIST = """
SELECT id, sequence, recorded_at
FROM events
WHERE type IN ('container.deleted', 'image.deleted') AND recorded_at < %(before)s
  AND (recorded_at, id) > (coalesce(%(after_time)s::timestamptz, '-infinity'), %(after_id)s)
ORDER BY recorded_at, id
LIMIT %(page)s
"""

_OVER = """
SELECT last.stream, last.event_id
FROM events AS last
WHERE last.id = ANY(%(ids)s)
  AND last.type IN ('container.deleted', 'image.deleted')
  AND last.recorded_at < %(before)s
  AND NOT EXISTS (
      SELECT FROM events AS later
      WHERE later.stream = last.stream AND later.sequence > last.sequence
  )
  AND NOT EXISTS (SELECT FROM blocked_streams WHERE blocked_streams.stream = last.stream)
  AND NOT EXISTS (SELECT FROM outbox WHERE outbox.stream = last.stream)
"""

_COUNT = f"""
WITH over AS MATERIALIZED ({_OVER})
SELECT count(DISTINCT stream), count(*) FROM events JOIN over USING (stream)
"""  # noqa: S608 - composed of constants

# Beginning above what the chunk before removed, so that no chunk walks over its dead rows.
_REMOVE = f"""
WITH over AS MATERIALIZED ({_OVER} FOR UPDATE OF last SKIP LOCKED),
     oldest AS MATERIALIZED (
         SELECT events.event_id
         FROM over JOIN events USING (stream)
         WHERE events.sequence > %(above)s
         ORDER BY events.sequence
         LIMIT {_CHUNK}
     ),
     removed AS (
         DELETE FROM events USING oldest
         WHERE events.event_id = oldest.event_id
         RETURNING events.event_id, events.sequence
     )
SELECT count(*) FILTER (WHERE event_id IN (SELECT event_id FROM over)),
       count(*),
       coalesce(max(sequence), 0)
FROM removed
"""  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class Prune:
    """Removes streams that were over before a moment.

    Attributes:
        before: The last event of a stream was recorded before this.
        dry_run: Count what would be removed, and change nothing.
    """

    before: datetime
    dry_run: bool

    def run(self, environment: Mapping[str, str]) -> None:
        """Remove them, chunk by chunk; what was removed before an error stays removed.

        Raises:
            Refused: The moment lies in the future, by the database's clock.
            Failed: The database did not do all of it.
            Interrupted: A signal came between two chunks.
            SettingsError: ``DATABASE_URL`` is missing or malformed.
            ReaderGone: Nobody reads the outcome.
        """
        settings = read_only(DatabaseSettings, environment)
        streams = events = 0
        done = "counted" if self.dry_run else "removed"

        def so_far() -> str:
            return f"{streams} streams with {events} events {done} so far"

        with Interruption() as interruption, command_session(settings.database_url) as session:
            (is_past,) = only_row(session.execute(_IS_PAST, {"before": self.before}))
            if not is_past:
                raise Refused("--before is in the future")
            between_steps = interruption.between_steps(lambda: f"prune: {so_far()}")
            try:
                with database_errors():
                    for ids in self._chunks(session):
                        for more_streams, more_events in self._take(session, ids, between_steps):
                            streams += more_streams
                            events += more_events
            except CommandError as exc:
                exc.add(so_far())
                raise
        verb = "would prune" if self.dry_run else "pruned"
        say(f"{verb} streams={streams} events={events} before={moment(self.before)}")

    def _chunks(self, session: psycopg.Connection) -> Iterator[list[int]]:
        """Yield the last events of candidates, by how many events their streams may have."""
        ids: list[int] = []
        expected = 0
        for id_, sequence in self._candidates(session):
            if ids and expected + sequence > _CHUNK:
                yield ids
                ids, expected = [], 0
            ids.append(id_)
            expected += sequence
        if ids:
            yield ids

    def _candidates(self, session: psycopg.Connection) -> Iterator[tuple[int, int]]:
        after_time, after_id = None, 0
        while True:
            page = session.execute(
                _LIST,
                {
                    "before": self.before,
                    "after_time": after_time,
                    "after_id": after_id,
                    "page": _PAGE,
                },
            ).fetchall()
            yield from ((id_, sequence) for id_, sequence, _ in page)
            if len(page) < _PAGE:
                return
            after_id, _, after_time = page[-1]

    def _take(
        self, session: psycopg.Connection, ids: Sequence[int], between_steps: Callable[[], None]
    ) -> Iterator[tuple[int, int]]:
        """Yield, step by step, how many streams and events were removed, or would be."""
        asked = {"ids": list(ids), "before": self.before}
        if self.dry_run:
            between_steps()
            streams, events = only_row(session.execute(_COUNT, asked))
            yield streams, events
            return
        above, events = 0, _CHUNK
        while events == _CHUNK:
            between_steps()
            removed = session.execute(_REMOVE, {**asked, "above": above})
            streams, events, above = only_row(removed)
            yield streams, events
