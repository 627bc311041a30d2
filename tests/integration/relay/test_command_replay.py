"""``replay``: the ledger's events once more, to a topic of their own, and nowhere else."""

import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.integration.relay.command_harness import (
    Row,
    contents,
    expect_one_line,
    raise_horizon,
    record,
    run_command,
    write,
)
from tests.integration.relay.conftest import Broker
from tests.integration.relay.replays import MANY, expect_nothing_sent, messages_in, payloads, replay

pytestmark = pytest.mark.broker

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


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
    assert f"replay: 40 events up to ledger id 42 as {mark}" in ended.err.splitlines()
    assert [message.value() for message in messages] == [row.payload for row in chosen]
    for message, row in zip(messages, chosen, strict=True):
        pairs = [*row.header_pairs, ("replay", mark)]
        assert message.headers() == [(name, value.encode()) for name, value in pairs]
        assert message.key() == b"3"
    assert contents(database) == before


def test_events_come_in_the_order_of_the_ledger(database: str, broker: Broker, target: str) -> None:
    """Through several windows and pages, over a hole, and per partition as Kafka has it."""
    with psycopg.connect(database) as connection:
        connection.execute(MANY, {"streams": 40, "length": 300})
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
