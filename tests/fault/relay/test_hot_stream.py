"""A stream with thousands of events behind, and others that have one now and then."""

import time
from statistics import median

import psycopg
import pytest

from tests.fault.conftest import Note
from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.recording import prepare_streams, write, write_many
from tests.integration.relay.command_harness import run_command
from tests.integration.relay.harness import count, wait_until

pytestmark = pytest.mark.broker

_BACKLOG = 6_000
_TRICKLE = 12

_CONTRADICT = "UPDATE outbox SET key = %(key)s WHERE stream = 'container/50'"
_IS_PENDING = "SELECT EXISTS (SELECT FROM outbox WHERE stream = %(stream)s)"


def test_streams_do_not_wait_for_the_backlog_of_another(
    database: str,
    topic: str,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    note: Note,
) -> None:
    prepare_streams(database, 100)
    relay = start_relay(RELAY_BATCH_SIZE="500")
    wait_until(relay.ready, "the relay is ready")
    idle = [_published_after(database, topic, aggregate) for aggregate in range(10, 15)]

    write_many(database, topic, 1, _BACKLOG)
    began = time.monotonic()
    busy = [_published_after(database, topic, aggregate) for aggregate in range(20, 20 + _TRICKLE)]
    seconds = time.monotonic() - began
    left = count(database, "outbox")
    rate = (_BACKLOG - left) / seconds
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(
        f"an event of another stream took {median(idle):.2f} s (idle), {median(busy):.2f} s, at"
        f" most {max(busy):.2f} s; the backlog moved by {rate:.0f} events/s"
    )
    assert left > 0, "the backlog was gone before the others were published"
    # All but one: a pause of a busy machine is not the backlog.
    assert sorted(busy)[-2] < 1.0 + 3 * max(idle)
    assert consumer.duplicates == 0


def _published_after(database: str, topic: str, aggregate: int) -> float:
    """Write an event of the stream; return after how many seconds the relay had deleted it."""
    stream = {"stream": f"container/{aggregate}"}
    with psycopg.connect(database, autocommit=True) as reader:
        began = time.monotonic()
        write(database, topic, aggregate)
        wait_until(
            lambda: reader.execute(_IS_PENDING, stream).fetchone() == (False,),
            f"the event of {stream['stream']} is published",
        )
        return time.monotonic() - began


def test_a_released_stream_does_not_wait_for_the_backlog_of_another(
    database: str, topic: str, consumer: FollowingConsumer, start_relay: StartRelay
) -> None:
    prepare_streams(database, 100)
    write(database, topic, 50, 2)
    with psycopg.connect(database) as operator:
        operator.execute(_CONTRADICT, {"key": "another"})
    relay = start_relay(RELAY_BATCH_SIZE="500")
    relay.wait_for("stream blocked")
    write_many(database, topic, 1, _BACKLOG)
    wait_until(lambda: consumer.last_of("container/1") > 0, "the backlog moves")

    with psycopg.connect(database) as operator:
        operator.execute(_CONTRADICT, {"key": str(50 // 4)})
    run_command("release", "container/50", database=database)
    wait_until(lambda: consumer.last_of("container/50") == 2, "the released stream is through")
    left = count(database, "outbox")
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    assert left > _BACKLOG / 10, "it waited for the backlog"
    assert consumer.duplicates == 0
