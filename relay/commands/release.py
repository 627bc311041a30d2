"""``release``: let the leader try a blocked stream again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from relay.commands.errors import Refused
from relay.commands.output import say
from relay.commands.session import command_session, wake_leader
from relay.settings import DatabaseSettings, read_only

# Waits for whoever decides about the same block, and then finds it gone.
_RELEASE = "DELETE FROM blocked_streams WHERE stream = %(stream)s RETURNING event_id::text"


# What the service calls a stream; a malformed row may have blocked one by any other name.
_STREAM = re.compile(r"(?:container|image)/[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Release:
    """The event that blocked the stream is sent again, and those behind it follow.

    Attributes:
        stream: E.g. ``container/7``.
    """

    stream: str

    def run(self, environment: Mapping[str, str]) -> None:
        """Remove the block.

        Raises:
            Refused: The stream is not blocked, or cannot be one.
            Failed: The database did not do it.
            SettingsError: ``DATABASE_URL`` is missing or malformed.
            ReaderGone: Nobody reads the outcome.
        """
        settings = read_only(DatabaseSettings, environment)
        with command_session(settings.database_url) as session:
            released = session.execute(_RELEASE, {"stream": self.stream}).fetchone()
            if released is None:
                raise Refused(self._not_blocked())
            wake_leader(session)
        say(f"released stream={self.stream} event_id={released[0]}")

    def _not_blocked(self) -> str:
        if _STREAM.fullmatch(self.stream):
            return f"stream {self.stream} is not blocked"
        return f"{self.stream!r} is no stream, expected container/ID or image/ID"
