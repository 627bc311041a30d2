"""How a ``replay`` ends that cannot send all: it tells what, and how far it came."""

import contextlib
import re
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from entrypoints.dev import kafka
from tests.integration.relay.command_harness import Row, record, start_command, waiting_for_a_lock
from tests.integration.relay.conftest import Broker
from tests.integration.relay.harness import wait_until
from tests.integration.relay.replays import messages_in, replay
from tests.integration.relay.topics import create_topic

pytestmark = pytest.mark.broker


def test_an_undeliverable_event_ends_the_replay_and_tells_how_far_it_came(
    database: str, broker: Broker, admin: AdminClient
) -> None:
    create_topic(admin, name := f"narrow-{uuid.uuid4()}", {"max.message.bytes": "5000"})
    record(database, Row(1, 1), Row(1, 2), Row(1, 3, padding=20_000), Row(1, 4))

    # One message at a time, so that the batch of the large one holds no other.
    ended = replay(database, broker, name, "--container", "1", KAFKA_CLIENT_BATCH_NUM_MESSAGES="1")

    assert (ended.code, ended.out) == (1, "")
    # The last one was on its way already; it counts, and comes again with the next replay.
    assert re.fullmatch(
        "relay: not delivered: MSG_SIZE_TOO_LARGE: Broker: Message size too large;"
        " [23] of 4 events were acknowledged, all of them up to ledger id 2",
        ended.err.splitlines()[-1],
    )


def test_an_event_that_is_no_message_is_named(database: str, broker: Broker, target: str) -> None:
    bad = Row(1, 2, headers='{"ce_id": "1"}')
    record(database, Row(1, 1), bad, Row(1, 3))

    ended = replay(database, broker, target, "--container", "1")

    last = ended.err.splitlines()[-1]
    assert (ended.code, ended.out) == (1, "")
    assert last.startswith(f"relay: event {bad.event_id} cannot be sent: headers: ")
    assert last.endswith("; 1 of 3 events were acknowledged, all of them up to ledger id 1")


def test_a_message_beyond_the_clients_limit_is_named(
    database: str, broker: Broker, target: str
) -> None:
    large = Row(1, 2, padding=5_000)
    record(database, Row(1, 1), large)

    ended = replay(
        database, broker, target, "--container", "1", KAFKA_CLIENT_MESSAGE_MAX_BYTES="2000"
    )

    assert ended.code == 1
    assert f"event {large.event_id} cannot be sent: MSG_SIZE_TOO_LARGE" in ended.err


def test_a_client_with_a_short_queue_is_waited_for(
    database: str, broker: Broker, target: str
) -> None:
    rows = [Row(1, sequence) for sequence in range(1, 201)]
    record(database, *rows)
    environment = {"KAFKA_CLIENT_QUEUE_BUFFERING_MAX_MESSAGES": "7"}

    ended = replay(database, broker, target, "--container", "1", **environment)

    assert ended.values["events"] == "200"
    assert len(messages_in(broker, target)) == 200


def test_a_signal_ends_a_replay_and_it_tells_how_far_it_came(
    database: str, mortal_broker: kafka.Broker
) -> None:
    with a_replay_about_to_send(database, mortal_broker) as (process, go_on):
        mortal_broker.freeze()
        try:
            go_on()
            announced = read_line(process)
            while announced == "replay: looking for the events\n":
                # Told every few seconds, and nobody knows how long it was held up.
                announced = read_line(process)
            progress = read_line(process)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
        finally:
            mortal_broker.thaw()

    assert announced.startswith("replay: 20 events up to ledger id 20 as ")
    assert progress == "replay: 0 of 20 events were acknowledged\n"
    assert (process.returncode, out) == (130, "")
    assert err.endswith("relay: interrupted by SIGINT; 0 of 20 events were acknowledged\n")


def test_a_broker_that_goes_away_is_not_waited_for_without_end(
    database: str, mortal_broker: kafka.Broker
) -> None:
    with a_replay_about_to_send(database, mortal_broker) as (process, go_on):
        mortal_broker.kill()
        try:
            go_on()
            out, err = process.communicate(timeout=120)
        finally:
            mortal_broker.start()

    assert (process.returncode, out) == (1, "")
    assert "relay: the broker acknowledged nothing for 30 s: _TRANSPORT" in err
    assert err.endswith("; 0 of 20 events were acknowledged\n")


@contextlib.contextmanager
def a_replay_about_to_send(
    database: str, broker: kafka.Broker
) -> Iterator[tuple[subprocess.Popen[str], Callable[[], None]]]:
    """Start a replay of 20 events that has found its topic, and waits; with what lets it go on."""
    name = f"replayed-{uuid.uuid4()}"
    create_topic(AdminClient({"bootstrap.servers": broker.bootstrap_servers}), name)
    record(database, *(Row(1, sequence) for sequence in range(1, 21)))
    environment = {
        "DATABASE_URL": database,
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
    }
    with psycopg.connect(database) as gate:
        gate.execute("LOCK TABLE ledger_horizon IN ACCESS EXCLUSIVE MODE")
        arguments = ("replay", "--container", "1", "--to-topic", name)
        with start_command(*arguments, environment=environment) as process:
            wait_until(lambda: waiting_for_a_lock(database) == 1, "the topic is found")
            yield process, gate.rollback


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()
