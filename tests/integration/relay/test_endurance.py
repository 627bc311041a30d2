"""Whatever dies, what was written is published, and a relay ends when it is told to."""

from collections.abc import Callable

import psycopg
import pytest

from tests.integration.relay.conftest import Broker
from tests.integration.relay.harness import (
    Event,
    RelayUnderTest,
    consume,
    count,
    expect_every_event_in_order,
    record,
    streams_of,
    wait_until,
)

pytestmark = pytest.mark.broker

StartRelay = Callable[..., RelayUnderTest]

# It stands still there: a quick one is through with everything before a test has seen it begin.
_IN_THE_MIDDLE = "after-delete=hang@3"

_END_LEADER = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'orchestrator-relay candidate %'
"""


def test_a_relay_killed_in_the_middle_leaves_nothing_missing_for_the_next(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    events = streams_of(topic, streams=20, length=200)
    with psycopg.connect(database) as writer:
        record(writer, events)

    killed = start_relay(RELAY_BATCH_SIZE="10", RELAY_FAILPOINTS=_IN_THE_MIDDLE)
    wait_until(lambda: killed.paused, "the first batches are out")
    killed.kill()
    left = count(database, "outbox")
    start_relay()
    messages = consume(broker.bootstrap_servers, topic, events)

    assert left > 0
    expect_every_event_in_order(messages, events)
    wait_until(lambda: count(database, "outbox") == 0, "the outbox is empty")


def test_sigterm_under_load_ends_the_relay_within_five_seconds(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    events = streams_of(topic, streams=20, length=500)
    with psycopg.connect(database) as writer:
        record(writer, events)
    relay = start_relay(
        RELAY_BATCH_SIZE="10", RELAY_FAILPOINTS=_IN_THE_MIDDLE, RELAY_FLUSH_SECONDS="3"
    )
    wait_until(lambda: relay.paused, "the first batches are out")

    code, seconds = relay.terminate()
    left = count(database, "outbox")
    start_relay()
    messages = consume(broker.bootstrap_servers, topic, events)

    assert (code, seconds < 5, left > 0) == (0, True, True), seconds
    expect_every_event_in_order(messages, events)
    # What was acknowledged was deleted before the end: nothing is sent twice, unless the broker
    # takes longer than all that it may be given.
    assert len(messages) == len(events)


def test_a_second_relay_stands_by_and_takes_over_when_the_first_ends(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    first = start_relay()
    first.wait_for("leading")
    second = start_relay()
    second.wait_for("standing by")
    wait_until(second.ready, "a standby is ready")
    assert (first.metric("relay_leader"), second.metric("relay_leader")) == (1, 0)

    first.kill()
    second.wait_for("leading")
    event = Event("container:1", 1, topic)
    with psycopg.connect(database) as writer:
        record(writer, [event])
    messages = consume(broker.bootstrap_servers, topic, [event])

    expect_every_event_in_order(messages, [event])
    assert second.metric("relay_leader") == 1


def test_a_leader_whose_session_is_ended_starts_over(
    database: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    events = streams_of(topic, streams=20, length=200)
    relay = start_relay(RELAY_BATCH_SIZE="20")
    relay.wait_for("leading")
    with psycopg.connect(database) as writer:
        record(writer, events)
    wait_until(lambda: count(database, "outbox") < len(events), "the first batch is out")

    with psycopg.connect(database) as operator:
        operator.execute(_END_LEADER)
    relay.wait_for("session lost")
    messages = consume(broker.bootstrap_servers, topic, events)

    expect_every_event_in_order(messages, events)
    wait_until(lambda: count(database, "outbox") == 0, "the outbox is empty")
    wait_until(lambda: relay.metric("relay_takeovers_total") == 2, "it leads again")


def test_a_database_that_is_away_is_waited_for(start_relay: StartRelay) -> None:
    relay = start_relay(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")

    relay.wait_for("session lost")
    code, unready = relay.get("/readyz")
    ended, seconds = relay.terminate()

    assert code == 503
    assert '"database":"ok"' not in unready
    assert (ended, seconds < 5) == (0, True), seconds
