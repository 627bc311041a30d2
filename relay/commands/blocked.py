"""``blocked``: the streams that wait for a decision, each with the event that blocks it."""

from collections.abc import Mapping
from dataclasses import dataclass

from relay.commands.output import moment, say
from relay.commands.session import command_session
from relay.settings import DatabaseSettings, read_only

_LIST = """
SELECT blocked.stream,
       events.sequence,
       blocked.event_id::text,
       events.type,
       blocked.code,
       events.topic,
       octet_length(events.payload),
       blocked.blocked_at,
       count(outbox.id) FILTER (WHERE outbox.event_id <> blocked.event_id),
       blocked.detail
FROM blocked_streams AS blocked
JOIN events ON events.event_id = blocked.event_id
LEFT JOIN outbox ON outbox.stream = blocked.stream
GROUP BY blocked.stream, events.event_id
ORDER BY blocked.blocked_at, blocked.stream
"""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Works with the database alone."""

    def run(self, environment: Mapping[str, str]) -> None:
        """Write one line a stream, the one that waits longest first; nothing if there is none.

        Raises:
            Failed: The database did not answer.
            SettingsError: ``DATABASE_URL`` is missing or malformed.
            ReaderGone: Nobody reads the outcome.
        """
        settings = read_only(DatabaseSettings, environment)
        with command_session(settings.database_url) as session:
            rows = session.execute(_LIST).fetchall()
        for stream, sequence, event_id, type_, code, topic, size, since, behind, detail in rows:
            say(
                f"stream={stream} sequence={sequence} event_id={event_id} type={type_}"
                f" code={code} topic={topic} bytes={size} since={moment(since)} behind={behind}"
                f" detail={detail}"
            )
