"""``skip``: leave the event that blocks its stream out for good; the ledger keeps a trace of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg

from relay.commands.errors import Refused
from relay.commands.output import moment, say
from relay.commands.session import command_session, wake_leader
from relay.settings import DatabaseSettings, read_only

_FIND = """
SELECT events.stream,
       events.sequence,
       outbox.id IS NOT NULL,
       events.skipped_at
FROM events LEFT JOIN outbox USING (event_id)
WHERE events.event_id = %(event_id)s
"""

# First of all locks: whoever decides about the same block waits here, and then finds it gone.
_LOCK_BLOCK = """
SELECT event_id::text FROM blocked_streams WHERE stream = %(stream)s FOR UPDATE
"""

_LEAVE_OUT = "DELETE FROM outbox WHERE event_id = %(event_id)s"

_TRACE = """
UPDATE events SET skipped_at = clock_timestamp(), skip_reason = %(reason)s
WHERE event_id = %(event_id)s
"""

_UNBLOCK = "DELETE FROM blocked_streams WHERE stream = %(stream)s"


@dataclass(frozen=True, slots=True)
class Skip:
    """Consumers of the stream see a gap where the event was.

    Attributes:
        event_id: A UUID in its canonical form.
        reason: Why, for whoever reads the ledger later.
    """

    event_id: str
    reason: str

    def run(self, environment: Mapping[str, str]) -> None:
        """Leave the event out, and let what is behind it go on.

        Raises:
            Refused: There is no such event, it was published, or it blocks no stream.
            Failed: The database did not do it.
            SettingsError: ``DATABASE_URL`` is missing or malformed.
            ReaderGone: Nobody reads the outcome.
        """
        settings = read_only(DatabaseSettings, environment)
        with command_session(settings.database_url) as session:
            with session.transaction():
                stream, sequence = self._skip(session)
            wake_leader(session)
        say(f"skipped event_id={self.event_id} stream={stream} sequence={sequence}")

    def _skip(self, session: psycopg.Connection) -> tuple[str, int]:
        (stream, *_) = self._find(session)
        block = session.execute(_LOCK_BLOCK, {"stream": stream}).fetchone()
        # Looked at again, because whoever held the lock before may have left it out.
        _, sequence, pending, skipped_at = self._find(session)
        if skipped_at is not None:
            raise Refused(f"event {self.event_id} was skipped already, at {moment(skipped_at)}")
        if not pending:
            raise Refused(f"event {self.event_id} was published already")
        if block is None:
            raise Refused(f"stream {stream} is not blocked, so event {self.event_id} is on its way")
        if block[0] != self.event_id:
            raise Refused(f"stream {stream} is blocked by event {block[0]}, not {self.event_id}")
        session.execute(_LEAVE_OUT, {"event_id": self.event_id})
        session.execute(_TRACE, {"event_id": self.event_id, "reason": self.reason})
        session.execute(_UNBLOCK, {"stream": stream})
        return stream, sequence

    def _find(self, session: psycopg.Connection) -> tuple[str, int, bool, datetime | None]:
        found = session.execute(_FIND, {"event_id": self.event_id}).fetchone()
        if found is None:
            raise Refused(f"event {self.event_id} is unknown")
        stream, sequence, pending, skipped_at = found
        return stream, sequence, pending, skipped_at
