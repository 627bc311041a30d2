"""``status``: who leads, how much is pending, how far a reader of the ledger may go."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from relay.commands.output import moment, say
from relay.commands.session import command_session, only_row
from relay.leadership import LOCK, process_of
from relay.settings import DatabaseSettings, read_only

# Of other roles' sessions only pg_read_all_stats sees more than pid and application name.
_LEADER = """
SELECT holder.pid,
       host(holder.client_addr),
       holder.backend_start,
       greatest(holder.state_change, holder.query_start),
       extract(
           epoch FROM clock_timestamp() - greatest(holder.state_change, holder.query_start)
       )::float8,
       holder.application_name
FROM pg_locks AS held JOIN pg_stat_activity AS holder USING (pid)
WHERE held.locktype = 'advisory' AND held.granted
  AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND held.classid = %(class)s AND held.objid = %(share)s AND held.objsubid = 2
"""

# The first pending row stands for the oldest, as in the relay's metrics.
_PENDING = """
SELECT (SELECT count(*) FROM outbox),
       coalesce((
           SELECT extract(epoch FROM clock_timestamp() - events.recorded_at)
           FROM outbox JOIN events USING (event_id)
           ORDER BY outbox.id
           LIMIT 1
       ), 0)::float8
"""

_BLOCKED = "SELECT count(*) FROM blocked_streams"

# The newest id ever, whether or not its row was pruned since: the horizon never is above it. A
# sequence that was restarted and has given nothing since has a next value only (``frontier.py``).
_LEDGER = """
SELECT coalesce((SELECT id FROM ledger_horizon), 0),
       coalesce(pg_sequence_last_value('events_id_seq'), last_value - 1)
FROM events_id_seq
"""


@dataclass(frozen=True, slots=True)
class Status:
    """Works with the database alone."""

    def run(self, environment: Mapping[str, str]) -> None:
        """Write four lines.

        Raises:
            Failed: The database did not answer.
            SettingsError: ``DATABASE_URL`` is missing or malformed.
            ReaderGone: Nobody reads the outcome.
        """
        settings = read_only(DatabaseSettings, environment)
        with command_session(settings.database_url) as session:
            leader = session.execute(_LEADER, LOCK).fetchone()
            pending, oldest = only_row(session.execute(_PENDING))
            (blocked,) = only_row(session.execute(_BLOCKED))
            horizon, newest = only_row(session.execute(_LEDGER))
        say("leader none" if leader is None else _describe(*leader))
        say(f"pending events={pending} oldest_seconds={oldest:.3f}")
        say(f"blocked streams={blocked}")
        say(f"ledger horizon={horizon} newest={newest}")


def _describe(
    backend: int,
    address: str | None,
    started_at: datetime | None,
    active_at: datetime | None,
    idle_seconds: float | None,
    application: str,
) -> str:
    """Return the leader's line."""
    if started_at is None or active_at is None or idle_seconds is None:
        client, since, active, idle = ("unknown",) * 4
    else:
        client = address or "local"
        since, active, idle = moment(started_at), moment(active_at), f"{idle_seconds:.3f}"
    return (
        f"leader relay={process_of(application)} backend={backend} client={client}"
        f" session_since={since} last_active={active} idle_seconds={idle}"
    )
