"""``release`` and ``skip``: an operator's decision about a blocked stream, all of it or nothing."""

import uuid

import psycopg
import pytest

from tests.integration.relay.command_harness import (
    Row,
    block,
    contents,
    expect_one_line,
    finished,
    record,
    run_command,
    start_command,
    waiting_for_a_lock,
)
from tests.integration.relay.harness import wait_until

_LOCK_BLOCK = "SELECT FROM blocked_streams WHERE stream = 'container/1' FOR UPDATE"
_UNBLOCK = "DELETE FROM blocked_streams WHERE stream = 'container/1'"
_TRACE = "SELECT event_id::text, skipped_at IS NOT NULL, skip_reason FROM events ORDER BY id"
_PENDING = "SELECT event_id::text FROM outbox ORDER BY id"
_BLOCKED = "SELECT stream FROM blocked_streams ORDER BY stream"


@pytest.fixture
def stream(database: str) -> list[Row]:
    """Three pending events of container 1, of which the first blocks it, and one of container 2."""
    rows = [Row(1, 1), Row(1, 2), Row(1, 3), Row(2, 1)]
    record(database, *rows, pending=True)
    block(database, rows[0])
    return rows


def rows_of(database: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute(query.encode()).fetchall()


def test_release_removes_the_block_and_wakes_the_leader(database: str, stream: list[Row]) -> None:
    with psycopg.connect(database, autocommit=True) as leader:
        leader.execute("LISTEN orchestrator_outbox")

        ended = run_command("release", "container/1", database=database)

        assert len(list(leader.notifies(timeout=10, stop_after=1))) == 1
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"released stream=container/1 event_id={stream[0].event_id}\n"
    assert rows_of(database, _BLOCKED) == []
    assert len(rows_of(database, _PENDING)) == 4


@pytest.mark.parametrize("name", ["container/2", "container/99", "image/1"])
def test_release_refuses_a_stream_that_is_not_blocked(
    database: str, stream: list[Row], name: str
) -> None:
    before = contents(database)

    ended = run_command("release", name, database=database)

    expect_one_line(ended, 2, f"stream {name} is not blocked")
    assert contents(database) == before


@pytest.mark.parametrize("name", ["nonsense", "", "container/x", "'; DROP TABLE events"])
def test_release_tells_what_cannot_be_a_stream_from_one_that_is_not_blocked(
    database: str, stream: list[Row], name: str
) -> None:
    before = contents(database)

    ended = run_command("release", name, database=database)

    expect_one_line(ended, 2, "is no stream, expected container/ID or image/ID")
    assert contents(database) == before


def test_skip_leaves_the_event_out_with_a_trace_and_lets_the_rest_go_on(
    database: str, stream: list[Row]
) -> None:
    skipped = stream[0]
    with psycopg.connect(database, autocommit=True) as leader:
        leader.execute("LISTEN orchestrator_outbox")

        ended = run_command(
            "skip", skipped.event_id.upper(), "--reason", " too large: é ", database=database
        )

        assert len(list(leader.notifies(timeout=10, stop_after=1))) == 1
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"skipped event_id={skipped.event_id} stream=container/1 sequence=1\n"
    assert rows_of(database, _TRACE) == [
        (skipped.event_id, True, "too large: é"),
        *((row.event_id, False, None) for row in stream[1:]),
    ]
    assert rows_of(database, _PENDING) == [(row.event_id,) for row in stream[1:]]
    assert rows_of(database, _BLOCKED) == []


def test_skip_refuses_an_event_that_nobody_recorded(database: str, stream: list[Row]) -> None:
    expect_refusal(database, str(uuid.uuid4()), "is unknown")


def test_skip_refuses_an_event_that_was_published(database: str, stream: list[Row]) -> None:
    published = Row(1, 4)
    record(database, published)

    expect_refusal(database, published.event_id, "was published already")


def test_skip_refuses_an_event_whose_stream_is_not_blocked(
    database: str, stream: list[Row]
) -> None:
    expect_refusal(database, stream[3].event_id, "stream container/2 is not blocked")


def test_skip_names_the_event_that_blocks_instead(database: str, stream: list[Row]) -> None:
    text = f"is blocked by event {stream[0].event_id}, not {stream[1].event_id}"

    expect_refusal(database, stream[1].event_id, text)


def test_skip_refuses_an_event_that_was_skipped(database: str, stream: list[Row]) -> None:
    run_command("skip", stream[0].event_id, "--reason", "once", database=database)

    expect_refusal(database, stream[0].event_id, "was skipped already, at 2")


@pytest.mark.parametrize("second", ["release", "skip"])
def test_whoever_decides_second_about_a_block_finds_it_gone(
    database: str, stream: list[Row], second: str
) -> None:
    arguments = {
        "release": ("release", "container/1"),
        "skip": ("skip", stream[0].event_id, "--reason", "second"),
    }
    with psycopg.connect(database) as first:
        first.execute(_LOCK_BLOCK)
        waiting = start_command(*arguments[second], environment={"DATABASE_URL": database})
        wait_until(lambda: waiting_for_a_lock(database) == 1, "the second one waits")

        first.execute(_UNBLOCK)

    expect_one_line(finished(waiting), 2, "stream container/1 is not blocked")
    assert len(rows_of(database, _PENDING)) == 4
    assert all(reason is None for _, _, reason in rows_of(database, _TRACE))


def test_two_skips_of_one_event_leave_one_trace(database: str, stream: list[Row]) -> None:
    with psycopg.connect(database) as gate:
        gate.execute(_LOCK_BLOCK)
        skips = [
            start_command(
                *("skip", stream[0].event_id, "--reason", reason),
                environment={"DATABASE_URL": database},
            )
            for reason in ("one", "two")
        ]
        wait_until(lambda: waiting_for_a_lock(database) == 2, "both wait")

        gate.rollback()
        results = [finished(skip) for skip in skips]

    assert sorted(result.code for result in results) == [0, 2]
    assert [reason for _, _, reason in rows_of(database, _TRACE)].count(None) == 3
    refused = next(result for result in results if result.code == 2)
    expect_one_line(refused, 2, "was skipped already")


def test_a_block_that_somebody_holds_for_long_is_one_line(database: str, stream: list[Row]) -> None:
    with psycopg.connect(database) as holder:
        holder.execute(_LOCK_BLOCK)

        ended = run_command("release", "container/1", database=database)

    expect_one_line(ended, 1, "the database failed: canceling statement due to lock timeout")
    assert rows_of(database, _BLOCKED) == [("container/1",)]


def expect_refusal(database: str, event_id: str, text: str) -> None:
    before = contents(database)

    ended = run_command("skip", event_id, "--reason", "because", database=database)

    expect_one_line(ended, 2, text)
    assert contents(database) == before
