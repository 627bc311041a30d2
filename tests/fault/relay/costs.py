"""What it costs the leader to publish a trickle of events: shared buffers and time.

PostgreSQL counts buffers by session from version 18 on, and brings its counts up to date about
once a second, at the end of a statement.
"""

import re
from dataclasses import dataclass

import psycopg

from tests.conftest import unavailable
from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.recording import write
from tests.fault.relay.sessions import leader_pid
from tests.integration.relay.harness import count, wait_until
from tests.integration.relay.relay_process import RelayUnderTest

_COUNTED_SINCE = 180_000
_TOUCHED = """
SELECT coalesce(sum(coalesce(hits, 0) + coalesce(reads, 0)), 0)
FROM pg_stat_get_backend_io(%(pid)s) WHERE object = 'relation'
"""
_FETCH_WITHOUT_FLOOR = """
EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)
SELECT id, event_id, topic, key, stream, sequence FROM outbox WHERE id > 0 ORDER BY id LIMIT 500
"""
_ACKNOWLEDGED = re.compile(r'relay_commit_to_ack_seconds_bucket\{le="([\d.]+)"\} (\S+)')
_PUBLISHED = "relay_published_events_total"
_BLOCKED = "relay_blocked_streams"
# Of a stream that has nothing pending.
_BLOCK = """
INSERT INTO blocked_streams (stream, event_id, code, detail)
SELECT 'none/1', event_id, 'MALFORMED', 'a test' FROM events LIMIT 1
"""
_RELEASE = "DELETE FROM blocked_streams WHERE stream = 'none/1'"
_EVENTS = 60


@dataclass(frozen=True)
class TrickleCost:
    """What the leader needed for events that came one by one.

    Attributes:
        buffers: Shared buffers an event, everything included: fetches, deletions, surveys.
        seconds: From commit to acknowledgement, half of them at most; as the relay's buckets tell.
    """

    buffers: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.buffers:.0f} buffers an event, {self.seconds * 1_000:.0f} ms to its ack"


def require_counts_of_sessions(database: str) -> None:
    """Skip the test on a server that does not count by session; ours does."""
    with psycopg.connect(database) as connection:
        version = connection.info.server_version
    if version < _COUNTED_SINCE:
        unavailable(f"PostgreSQL {version // 10_000} counts no buffers by session: 18 does")


def cost_of_a_trickle(
    database: str, topic: str, aggregate: int, relay: RelayUnderTest, consumer: FollowingConsumer
) -> TrickleCost:
    """Let the relay publish events of one stream, each as soon as the one before was consumed.

    The relay has published all events of the ledger so far, or is about to.
    """
    consumed = _settled(database, relay, consumer)
    earlier = _acknowledged(relay)
    before = _touched_by_leader(database)
    for number in range(1, _EVENTS + 1):
        write(database, topic, aggregate)
        consumer.wait_for(consumed + number, RECOVERY_SECONDS)
    _settled(database, relay, consumer)
    touched = _touched_by_leader(database) - before
    counts = {bound: number - earlier[bound] for bound, number in _acknowledged(relay).items()}
    # Not the average: one pause of a busy machine would be a large part of it.
    median = min(bound for bound, number in counts.items() if number >= _EVENTS / 2)
    return TrickleCost(touched / _EVENTS, median)


def let_it_look_below(database: str, relay: RelayUnderTest) -> None:
    """Let the leader look below its floor, as it does after 30 s: here because of a release."""
    with psycopg.connect(database, autocommit=True) as operator:
        operator.execute(_BLOCK)
        wait_until(lambda: relay.metric(_BLOCKED) == 1, "a stream is blocked", RECOVERY_SECONDS)
        operator.execute(_RELEASE)
        wait_until(lambda: relay.metric(_BLOCKED) == 0, "it is released", RECOVERY_SECONDS)


def buffers_without_floor(database: str) -> int:
    """Return what a fetch touches that walks over all that lies below the first pending row."""
    with psycopg.connect(database) as connection:
        row = connection.execute(_FETCH_WITHOUT_FLOOR).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def _acknowledged(relay: RelayUnderTest) -> dict[float, float]:
    """Return how many events took no longer than each of some times, in seconds."""
    found = _ACKNOWLEDGED.findall(relay.get("/metrics")[1])
    return {float(bound): float(number) for bound, number in found}


def _settled(database: str, relay: RelayUnderTest, consumer: FollowingConsumer) -> int:
    """Wait until everything is acknowledged, deleted and consumed; return how much that is.

    What is touched afterwards is not its.
    """
    events = count(database, "events")
    wait_until(
        lambda: relay.metric(_PUBLISHED) == events, f"all {events} are counted", RECOVERY_SECONDS
    )
    wait_until(lambda: count(database, "outbox") == 0, "all are deleted", RECOVERY_SECONDS)
    consumer.wait_for(events, RECOVERY_SECONDS)
    return events


def _touched_by_leader(database: str) -> int:
    """Return the count of the leader's session as soon as it was brought up to date."""
    pid = leader_pid(database)

    def read() -> int:
        row = observer.execute(_TOUCHED, {"pid": pid}).fetchone()
        assert row is not None
        return int(row[0])

    with psycopg.connect(database, autocommit=True) as observer:
        first = read()
        wait_until(lambda: read() != first, "the counts are brought up to date")
        return read()
