"""``status`` and ``blocked``: what an operator sees, with the database alone."""

import os
import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.integration.relay.command_harness import (
    Row,
    block,
    contents,
    expect_one_line,
    record,
    run_command,
    start_command,
)
from tests.integration.relay.harness import RelayUnderTest

_LEADERS_PID = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'orchestrator-relay candidate %'
"""


def test_an_empty_database_has_no_leader_and_nothing_pending(database: str) -> None:
    ended = run_command("status", database=database)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "leader none",
        "pending events=0 oldest_seconds=0.000",
        "blocked streams=0",
        "ledger horizon=0 newest=0",
    ]


def test_status_tells_what_is_pending_and_how_far_the_ledger_can_be_read(database: str) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    first, *others = (Row(1, 1, recorded_at=long_ago), Row(1, 2), Row(2, 1))
    record(database, first, *others, pending=True)
    record(database, Row(3, 1), horizon=False)
    block(database, first)

    ended = run_command("status", database=database)

    assert "pending events=3 " in ended.out
    assert 3_600 <= float(ended.values["oldest_seconds"]) < 3_700
    assert "blocked streams=1\n" in ended.out
    assert "ledger horizon=3 newest=4\n" in ended.out


def test_the_newest_id_is_never_below_the_horizon_whatever_was_pruned(database: str) -> None:
    record(database, Row(1, 1), Row(1, 2))
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM events")

    ended = run_command("status", database=database)

    assert "ledger horizon=2 newest=2\n" in ended.out


def test_the_newest_id_is_the_last_that_a_restart_passed_over(database: str) -> None:
    """As after a restored backup: they may have been given before, and never will be again."""
    record(database, Row(1, 1), Row(1, 2))
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE events ALTER COLUMN id RESTART WITH 901")

    ended = run_command("status", database=database)

    assert "ledger horizon=2 newest=900\n" in ended.out


@pytest.mark.broker
def test_status_tells_who_leads(database: str, start_relay: Callable[..., RelayUnderTest]) -> None:
    relay = start_relay()
    relay.wait_for("leading")

    ended = run_command("status", database=database)

    with psycopg.connect(database) as connection:
        pids = [str(pid) for (pid,) in connection.execute(_LEADERS_PID)]
    assert pids == [ended.values["backend"]]
    line = ended.out.splitlines()[0]
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(
        rf"leader relay={re.escape(socket.gethostname()[:25])}:{relay.pid} backend=\d+ client=\S+"
        rf" session_since={moment} last_active={moment} idle_seconds=\d+\.\d{{3}}",
        line,
    )


def test_blocked_lists_a_line_a_stream_with_how_many_wait_behind(database: str) -> None:
    events = [Row(1, 1), Row(1, 2), Row(1, 3), Row(2, 7), Row(3, 1)]
    record(database, *events, pending=True)
    block(database, events[0])
    block(database, events[3], code="MALFORMED", detail="headers: expected `array`")

    ended = run_command("blocked", database=database)

    first, second = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "")
    assert re.fullmatch(
        rf"stream=container/1 sequence=1 event_id={events[0].event_id} type=container\.started"
        rf" code=MSG_SIZE_TOO_LARGE topic={events[0].topic} bytes={len(events[0].payload)}"
        r" since=\S+Z behind=2 detail=too large",
        first,
    )
    assert (
        f"sequence=7 event_id={events[3].event_id} type=container.started code=MALFORMED" in second
    )
    assert second.endswith("behind=0 detail=headers: expected `array`")


def test_no_text_of_a_row_begins_a_line_or_reaches_the_terminal(database: str) -> None:
    event = Row(1, 1)
    record(database, event, pending=True)
    block(database, event, detail="one\ntwo\x1b[2Jthree\u2028four é")

    ended = run_command("blocked", database=database)

    assert ended.out.endswith("detail=one\\ntwo\\x1b[2Jthree\\u2028four é\n")
    assert ended.out.count("\n") == 1


@pytest.mark.parametrize("command", ["status", "blocked"])
def test_looking_changes_nothing(database: str, command: str) -> None:
    event = Row(1, 1)
    record(database, event, pending=True)
    block(database, event)
    before = contents(database)

    run_command(command, database=database)

    assert contents(database) == before


def test_a_reader_that_goes_away_ends_a_command_quietly(database: str) -> None:
    events = [Row(container, 1) for container in range(1, 4)]
    record(database, *events, pending=True)
    for event in events:
        block(database, event)

    # The read end is closed before the command is there to write anything.
    read_end, write_end = os.pipe()
    os.close(read_end)
    environment = {"DATABASE_URL": database}
    with (
        open(write_end, "w") as nobody,  # noqa: PTH123 - a pipe, no file
        start_command("blocked", environment=environment, stdout=nobody) as process,
    ):
        _, err = process.communicate()

    assert (process.returncode, err) == (141, "")


def test_an_outcome_that_cannot_be_written_is_one_line(database: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device, no file
        environment = {"DATABASE_URL": database}
        with start_command("status", environment=environment, stdout=full) as process:
            _, err = process.communicate()

    assert process.returncode == 1
    assert err == "relay: the outcome cannot be written: No space left on device\n"


def test_a_database_that_cannot_be_reached_is_one_line_without_its_password() -> None:
    ended = run_command("status", database="postgresql://relay:s3cret@127.0.0.1:1/none")

    expect_one_line(ended, 1, "the database cannot be reached")
    assert "s3cret" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("blocked",),
        ("release", "container/1"),
        ("skip", "00000000-0000-4000-8000-000000000000", "--reason", "why"),
        ("prune", "--before", "2026-01-01T00:00:00Z"),
        ("replay", "--container", "1", "--to-topic", "again"),
    ],
)
def test_a_database_that_is_not_migrated_is_one_line(
    new_database: Callable[[], str], arguments: tuple[str, ...]
) -> None:
    database = new_database()
    with psycopg.connect(database) as connection:
        connection.execute("DROP TABLE blocked_streams, ledger_horizon, outbox, events")

    ended = run_command(*arguments, database=database, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")

    expect_one_line(ended, 1, "the database is not migrated")
    assert ended.err.endswith("first\n")


@pytest.mark.parametrize(
    ("url", "text"),
    [("", "is not set"), ("postgresql://relay:s3cret@host:port/x", "is not a PostgreSQL")],
)
def test_a_wrong_database_url_is_one_line_and_exit_code_2(url: str, text: str) -> None:
    ended = run_command("status", database=url)

    expect_one_line(ended, 2, f"DATABASE_URL: {text}")
    assert "s3cret" not in ended.err


def test_settings_that_a_command_does_not_need_are_not_looked_at(database: str) -> None:
    ended = run_command(
        "status",
        database=database,
        RELAY_PORT="many",
        KAFKA_CLIENT_ACKS="1",
        RELAY_FAILPOINTS="nonsense",
    )

    assert ended.code == 0


@pytest.mark.parametrize("arguments", [("--help",), ("replay", "--help")])
def test_help_is_written_to_standard_output(arguments: tuple[str, ...]) -> None:
    ended = run_command(*arguments)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("usage: python -m relay")
