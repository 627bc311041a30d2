"""``replay``: the ledger's events once more, to a topic of their own, and nowhere else."""

import contextlib
import re
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from entrypoints.dev import kafka
from tests.integration.relay.command_harness import (
    Ended,
    Row,
    contents,
    expect_one_line,
    raise_horizon,
    record,
    run_command,
    start_command,
    waiting_for_a_lock,
    write,
)
from tests.integration.relay.conftest import Broker
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
PARTITIONS = 3

_MANY = """
INSERT INTO events (event_id, stream, sequence, type, user_id, image_id, container_id, topic, key,
                    payload, headers, occurred_at)
SELECT gen_random_uuid(), 'container/' || number, step, 'container.started', 'user-1', 1, number,
       'live', (number %% 7)::text, convert_to(number || ' ' || step, 'UTF8'), '[]', now()
FROM generate_series(1, %(length)s) AS step, generate_series(1, %(streams)s) AS number
"""


@pytest.fixture
def admin(broker: Broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.bootstrap_servers})


@pytest.fixture
def target(admin: AdminClient) -> Iterator[str]:
    """A topic that is there for this test's replay."""
    name = f"replayed-{uuid.uuid4()}"
    create_topic(admin, name)
    yield name
    admin.delete_topics([name])[name].result(30)


def create_topic(admin: AdminClient, name: str, **config: str) -> None:
    topic = NewTopic(name, num_partitions=PARTITIONS, config=config)
    admin.create_topics([topic])[name].result(30)


def replay(database: str, broker: Broker, topic: str, *arguments: str, **environment: str) -> Ended:
    servers = {"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers}
    arguments = ("replay", *arguments, "--to-topic", topic)
    return run_command(*arguments, database=database, **{**servers, **environment})


def messages_in(broker: Broker, topic: str) -> list[Message]:
    """Return everything that is in the topic now."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "none"})
    messages: list[Message] = []
    try:
        for number in range(PARTITIONS):
            partition = TopicPartition(topic, number, 0)
            _, end = consumer.get_watermark_offsets(partition, timeout=30)
            consumer.assign([partition])
            seen = 0
            while seen < end:
                message = consumer.poll(30)
                assert message is not None
                assert message.error() is None, message.error()
                messages.append(message)
                seen = (message.offset() or 0) + 1
    finally:
        consumer.close()
    return messages


def payloads(messages: Sequence[Message]) -> list[bytes]:
    return sorted(message.value() or b"" for message in messages)


def expect_nothing_sent(broker: Broker, topic: str) -> None:
    assert messages_in(broker, topic) == []


def test_a_replay_carries_what_was_recorded_and_a_mark_of_its_own(
    database: str, broker: Broker, target: str
) -> None:
    chosen = [Row(7, sequence, image=3) for sequence in range(1, 41)]
    record(database, *chosen, Row(8, 1, image=3), Row(None, 1, image=3))
    before = contents(database)

    ended = replay(database, broker, target, "--container", "7")
    messages = messages_in(broker, target)

    mark = ended.values["replay"]
    assert str(uuid.UUID(mark)) == mark
    assert ended.code == 0
    assert ended.out == f"replayed events=40 skipped=0 horizon=42 topic={target} replay={mark}\n"
    assert ended.err == f"replay: 40 events up to ledger id 42 as {mark}\n"
    assert [message.value() for message in messages] == [row.payload for row in chosen]
    for message, row in zip(messages, chosen, strict=True):
        pairs = [*row.header_pairs, ("replay", mark)]
        assert message.headers() == [(name, value.encode()) for name, value in pairs]
        assert message.key() == b"3"
    assert contents(database) == before


def test_events_come_in_the_order_of_the_ledger(database: str, broker: Broker, target: str) -> None:
    """Through several windows and pages, over a hole, and per partition as Kafka has it."""
    with psycopg.connect(database) as connection:
        connection.execute(_MANY, {"streams": 40, "length": 300})
        connection.execute("SELECT setval(pg_get_serial_sequence('events', 'id'), 1000000)")
    record(database, Row(41, 1))

    ended = replay(database, broker, target, "--user", "user-1")
    messages = messages_in(broker, target)

    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT key, payload FROM events ORDER BY id").fetchall()
    assert (ended.values["events"], ended.values["horizon"]) == ("12001", "1000001")
    for key in {key for key, _ in rows}:
        sent = [message.value() for message in messages if message.key() == key.encode()]
        assert sent == [payload for key_, payload in rows if key_ == key]


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (("--container", "1"), {"a", "b"}),
        (("--image", "10"), {"a", "b", "c", "image"}),
        (("--user", "user-2"), {"d"}),
        (("--user", "user-1", "--image", "10", "--container", "2"), {"c"}),
        (("--since", "2026-06-01T12:00:00Z"), {"b", "c", "d", "image"}),
        (("--since", "2026-06-01T14:00:00+02:00", "--until", "2026-06-01T13:00:00Z"), {"b", "c"}),
        (("--until", "2026-06-01T12:00:00Z"), {"a"}),
        (("--since", "2026-06-01T12:30:00Z", "--image", "10"), {"c", "image"}),
    ],
)
def test_every_condition_that_is_given_holds(
    database: str, broker: Broker, target: str, arguments: tuple[str, ...], chosen: set[str]
) -> None:
    rows = {
        "a": Row(1, 1, image=10, recorded_at=NOON - timedelta(microseconds=1)),
        "b": Row(1, 2, image=10, recorded_at=NOON),
        "c": Row(2, 1, image=10, recorded_at=NOON + timedelta(minutes=30)),
        "d": Row(3, 1, image=11, user="user-2", recorded_at=NOON + timedelta(hours=1)),
        "image": Row(None, 1, "image.ready", image=10, recorded_at=NOON + timedelta(hours=2)),
    }
    record(database, *rows.values())

    ended = replay(database, broker, target, *arguments)

    assert (ended.code, ended.values["events"]) == (0, str(len(chosen))), ended
    expected = sorted(rows[name].payload for name in chosen)
    assert payloads(messages_in(broker, target)) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ("--container", "999999"),
        ("--container", "9223372036854775807"),
        ("--image", "999999"),
        ("--user", "nobody"),
        ("--user", "user-2", "--image", "10"),
        ("--until", "2026-06-01T12:00:00Z"),
        ("--container", "2"),
    ],
)
def test_what_is_unknown_or_was_pruned_is_refused(
    database: str, broker: Broker, target: str, arguments: tuple[str, ...]
) -> None:
    gone = Row(2, 1, "container.deleted", image=11, user="user-2", recorded_at=NOON)
    record(database, Row(1, 1, image=10, recorded_at=NOON), gone)
    run_command("prune", "--before", "2026-06-02T00:00:00Z", database=database)
    before = contents(database)

    ended = replay(database, broker, target, *arguments)

    expect_one_line(ended, 2, "nothing in the ledger is selected")
    expect_nothing_sent(broker, target)
    assert contents(database) == before


def test_skipped_events_stay_left_out_and_are_counted(
    database: str, broker: Broker, target: str
) -> None:
    first, skipped, last = (Row(1, sequence) for sequence in (1, 2, 3))
    record(database, first, skipped, last)
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE events SET skipped_at = now(), skip_reason = 'torn' WHERE sequence = 2"
        )

    ended = replay(database, broker, target, "--container", "1")

    assert (ended.values["events"], ended.values["skipped"]) == ("2", "1")
    assert payloads(messages_in(broker, target)) == sorted([first.payload, last.payload])


def test_a_replay_stays_at_or_below_the_horizon(database: str, broker: Broker, target: str) -> None:
    """Else it would pass over the lower id that commits late, and nobody would know."""
    with psycopg.connect(database) as slow_writer:
        write(slow_writer, [late := Row(1, 1)])
        record(database, early := Row(2, 1), horizon=False)
        too_soon = replay(database, broker, target, "--user", "user-1")
        sent_too_soon = messages_in(broker, target)
    raise_horizon(database)

    ended = replay(database, broker, target, "--user", "user-1")

    expect_one_line(too_soon, 1, "all of it is above the ledger's horizon, 0")
    assert sent_too_soon == []
    assert (ended.values["events"], ended.values["horizon"]) == ("2", "2")
    assert payloads(messages_in(broker, target)) == sorted([late.payload, early.payload])


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("KAFKA_TOPIC", "my-containers"),
        ("KAFKA_IMAGE_TOPIC", "my-images"),
        ("", "container-lifecycle"),
        ("", "image-lifecycle"),
    ],
)
def test_a_topic_that_the_relay_publishes_to_is_refused(
    database: str, broker: Broker, admin: AdminClient, variable: str, name: str
) -> None:
    record(database, Row(1, 1))
    if name not in admin.list_topics(timeout=30).topics:
        create_topic(admin, name)
    environment = {variable: name} if variable else {}

    ended = replay(database, broker, name, "--container", "1", **environment)

    expect_one_line(ended, 2, f"topic {name} is live")
    expect_nothing_sent(broker, name)


def test_the_topic_of_a_selected_event_is_refused_whatever_the_settings_say(
    database: str, broker: Broker, target: str
) -> None:
    record(database, Row(1, 1, topic=target), Row(1, 2))

    ended = replay(database, broker, target, "--container", "1")

    expect_one_line(ended, 2, f"topic {target} is live")
    expect_nothing_sent(broker, target)


def test_a_topic_that_other_events_go_to_is_refused_too(
    database: str, broker: Broker, target: str
) -> None:
    """Such as the topic of images, in a shell that lacks KAFKA_IMAGE_TOPIC."""
    record(database, Row(1, 1), Row(None, 1, image=5, topic=target))

    ended = replay(database, broker, target, "--container", "1")

    expect_one_line(ended, 2, f"topic {target} is live")
    expect_nothing_sent(broker, target)


def test_a_topic_that_events_went_to_long_ago_is_refused_too(
    database: str, broker: Broker, target: str
) -> None:
    record(database, Row(None, 1, image=5, topic=target))
    with psycopg.connect(database) as connection:
        connection.execute(_MANY, {"streams": 200, "length": 60})
    raise_horizon(database)

    ended = replay(database, broker, target, "--container", "1")

    expect_one_line(ended, 2, f"topic {target} is live")
    expect_nothing_sent(broker, target)


def test_a_topic_that_does_not_exist_is_refused_and_not_created(
    database: str, broker: Broker, admin: AdminClient
) -> None:
    record(database, Row(1, 1))

    ended = replay(database, broker, "no-such-topic", "--container", "1")

    expect_one_line(ended, 2, "topic no-such-topic does not exist")
    assert "no-such-topic" not in admin.list_topics(timeout=30).topics


def test_a_broker_that_cannot_be_reached_is_one_line(database: str) -> None:
    ended = run_command(
        *("replay", "--container", "1", "--to-topic", "again"),
        database=database,
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
    )

    expect_one_line(ended, 1, "the broker cannot be reached: _TRANSPORT")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", ""),
        ("KAFKA_CLIENT_ACKS", "1"),
        ("KAFKA_CLIENT_NO_SUCH_OPTION", "1"),
        ("KAFKA_CLIENT_COMPRESSION_TYPE", "rar"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    database: str, broker: Broker, name: str, value: str
) -> None:
    ended = replay(database, broker, "again", "--container", "1", **{name: value})

    expect_one_line(ended, 2, f"relay: {name}: ")


def test_an_undeliverable_event_ends_the_replay_and_tells_how_far_it_came(
    database: str, broker: Broker, admin: AdminClient
) -> None:
    create_topic(admin, name := f"narrow-{uuid.uuid4()}", **{"max.message.bytes": "5000"})
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
            announced, progress = read_line(process), read_line(process)
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
