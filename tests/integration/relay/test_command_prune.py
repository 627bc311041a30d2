"""``prune``: whole streams that are over, and nothing that anybody could still need."""

import signal
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.integration.relay.command_harness import (
    Ended,
    Row,
    block,
    contents,
    event_ids,
    expect_one_line,
    finished,
    record,
    run_command,
    start_command,
    waiting_for_a_lock,
)
from tests.integration.relay.harness import wait_until

CUT = datetime(2026, 6, 1, tzinfo=UTC)
BEFORE = "2026-06-01T00:00:00Z"
LONG_AGO = CUT - timedelta(days=30)

_HOLD = "SELECT FROM events WHERE stream = %(stream)s AND type = 'container.deleted' FOR UPDATE"
_END_COMMAND = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'orchestrator-relay command'
"""
_MANY = """
INSERT INTO events (event_id, stream, sequence, type, user_id, image_id, container_id, topic, key,
                    payload, headers, occurred_at, recorded_at)
SELECT gen_random_uuid(), 'container/' || number, step,
       CASE step WHEN 10 THEN 'container.deleted' ELSE 'container.started' END,
       'user-1', 1, number, 'live', '1', '', '[]', now(),
       '2026-01-01T00:00:00Z'::timestamptz + make_interval(secs => number)
FROM generate_series(1, %(streams)s) AS number, generate_series(1, 10) AS step
"""
_LONG = """
INSERT INTO events (event_id, stream, sequence, type, user_id, image_id, container_id, topic, key,
                    payload, headers, occurred_at, recorded_at)
SELECT gen_random_uuid(), 'container/1', step,
       CASE step WHEN %(length)s THEN 'container.deleted' ELSE 'container.started' END,
       'user-1', 1, 1, 'live', '1', '', '[]', now(), '2026-01-01T00:00:00Z'
FROM generate_series(1, %(length)s) AS step
"""


def life(container: int, *types: str, last_at: datetime = LONG_AGO) -> list[Row]:
    """Return a container's stream, a minute apart, the last event recorded at ``last_at``."""
    return [
        Row(
            container,
            sequence,
            f"container.{type_}",
            recorded_at=last_at - timedelta(minutes=len(types) - sequence),
        )
        for sequence, type_ in enumerate(types, start=1)
    ]


def over(container: int, last_at: datetime = LONG_AGO) -> list[Row]:
    return life(container, "created", "started", "stopped", "deleted", last_at=last_at)


_LONG_STREAM = [
    *(Row(1, number, recorded_at=LONG_AGO) for number in range(1, 6_001)),
    Row(1, 6_001, "container.deleted", recorded_at=LONG_AGO),
]


def ids(rows: Sequence[Row]) -> set[str]:
    return {row.event_id for row in rows}


def prune(database: str, *more: str, before: str = BEFORE) -> Ended:
    return run_command("prune", "--before", before, *more, database=database)


def test_streams_that_are_over_go_and_every_other_stays_whole(database: str) -> None:
    gone = [
        *over(1),
        *over(2),
        Row(None, 1, "image.build_started", image=5, recorded_at=LONG_AGO),
        Row(None, 2, "image.deleted", image=5, recorded_at=LONG_AGO),
    ]
    kept = [
        *life(11, "created", "started"),  # its run is open
        *life(12, "created", "started", "stopped"),  # it exists
        *life(13, "failed"),
        *over(14, last_at=CUT),  # not before
        *over(15, last_at=CUT + timedelta(days=1)),
        *life(16, "created", "deleted", "started"),  # whatever that was, it is not over
        Row(None, 1, "image.ready", image=6, recorded_at=LONG_AGO),
    ]
    blocked, pending = over(17), over(18)
    record(database, *gone, *kept)
    record(database, *blocked[:-1], *pending[:-1])
    record(database, pending[-1], pending=True)
    record(database, blocked[-1])
    block(database, blocked[-1])
    before = contents(database)

    dry = prune(database, "--dry-run")
    after_dry = contents(database)
    ended = prune(database)

    assert after_dry == before
    assert dry.out == "would prune streams=3 events=10 before=2026-06-01T00:00:00.000Z\n"
    assert ended.out == "pruned streams=3 events=10 before=2026-06-01T00:00:00.000Z\n"
    assert (dry.code, dry.err, ended.code, ended.err) == (0, "", 0, "")
    assert event_ids(database) == ids([*kept, *blocked, *pending])
    assert contents(database)[1:] == before[1:]


def test_a_stream_goes_by_its_last_event_wherever_its_others_lie(database: str) -> None:
    """The last event is before the moment by a microsecond; an offset counts."""
    gone = over(1, last_at=CUT - timedelta(microseconds=1))
    record(database, *gone)

    ended = prune(database, before="2026-06-01T02:00:00+02:00")

    assert (ended.values["events"], event_ids(database)) == ("4", set())


def test_a_second_prune_finds_nothing(database: str) -> None:
    record(database, *over(1))

    prune(database)
    ended = prune(database)

    assert (ended.code, ended.values["streams"], ended.values["events"]) == (0, "0", "0")


def test_an_earlier_event_that_is_pending_keeps_the_whole_stream(database: str) -> None:
    first, *rest = over(1)
    record(database, first, pending=True)
    record(database, *rest)

    ended = prune(database)

    assert (ended.values["events"], event_ids(database)) == ("0", ids([first, *rest]))


def test_many_streams_go_in_chunks_and_the_dry_run_counts_the_same(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(_MANY, {"streams": 1_700})
    kept = life(9_999, "created", "started")
    record(database, *kept)

    dry = prune(database, "--dry-run")
    ended = prune(database)

    assert dry.out == f"would {ended.out.replace('pruned', 'prune', 1)}"
    assert (ended.values["streams"], ended.values["events"]) == ("1700", "17000")
    assert event_ids(database) == ids(kept)


def test_a_stream_longer_than_a_chunk_goes_from_its_oldest_event_upwards(database: str) -> None:
    """No statement grows with it; what an interruption leaves still tells that it is over."""
    record(database, *_LONG_STREAM, *over(2, last_at=LONG_AGO + timedelta(hours=1)))

    with psycopg.connect(database) as gate:
        gate.execute("LOCK TABLE blocked_streams IN ACCESS EXCLUSIVE MODE")
        process = start_command("prune", "--before", BEFORE, environment={"DATABASE_URL": database})
        wait_until(lambda: waiting_for_a_lock(database) == 1, "the first chunk waits")
        process.send_signal(signal.SIGINT)
        gate.rollback()
    interrupted = finished(process)
    left = event_ids(database)
    dry = prune(database, "--dry-run")
    ended = prune(database)

    assert interrupted.code == 130
    assert interrupted.err.endswith("; 0 streams with 5000 events removed so far\n")
    assert left >= ids(_LONG_STREAM[5_000:])
    assert not left & ids(_LONG_STREAM[:5_000])
    assert dry.out.startswith("would prune streams=2 events=1005 ")
    assert ended.out.startswith("pruned streams=2 events=1005 ")
    assert event_ids(database) == set()


def test_a_stream_of_many_chunks_is_counted_once(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(_LONG, {"length": 20_000})
    kept = life(2, "created", "started")
    record(database, *kept)

    dry = prune(database, "--dry-run")
    ended = prune(database)

    assert dry.out.startswith("would prune streams=1 events=20000 ")
    # How far it has come is told to stderr while it takes long.
    assert ended.code == 0
    assert ended.out.startswith("pruned streams=1 events=20000 ")
    assert event_ids(database) == ids(kept)


def test_streams_raised_after_a_restored_backup_are_pruned_too(database: str) -> None:
    raised = [
        Row(1, 1, recorded_at=LONG_AGO),
        Row(1, 1_000_002, "container.deleted", recorded_at=LONG_AGO),
    ]
    record(database, *raised, *over(2))

    ended = prune(database)

    assert (ended.values["streams"], ended.values["events"]) == ("2", "6")


def test_what_another_prune_holds_is_passed_over_and_left_to_it(database: str) -> None:
    held, free = over(1), over(2)
    record(database, *held, *free)

    with psycopg.connect(database) as other:
        other.execute(_HOLD, {"stream": "container/1"})
        ended = prune(database)

    assert (ended.code, ended.values["streams"]) == (0, "1")
    assert event_ids(database) == ids(held)


def test_two_prunes_at_once_remove_each_stream_once(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(_MANY, {"streams": 1_500})
    environment = {"DATABASE_URL": database}

    prunes = [start_command("prune", "--before", BEFORE, environment=environment) for _ in range(2)]
    ended = [finished(process) for process in prunes]

    assert [one.code for one in ended] == [0, 0]
    assert sum(int(one.values["streams"]) for one in ended) == 1_500
    assert sum(int(one.values["events"]) for one in ended) == 15_000
    assert event_ids(database) == set()


def test_a_signal_ends_a_prune_between_two_chunks(database: str) -> None:
    """What was removed stays removed, whole streams of it, and the line tells how much."""
    with psycopg.connect(database) as connection:
        connection.execute(_MANY, {"streams": 1_000})

    with psycopg.connect(database) as gate:
        gate.execute("LOCK TABLE blocked_streams IN ACCESS EXCLUSIVE MODE")
        process = start_command("prune", "--before", BEFORE, environment={"DATABASE_URL": database})
        wait_until(lambda: waiting_for_a_lock(database) == 1, "the first chunk waits")
        process.send_signal(signal.SIGINT)
        gate.rollback()
    ended = finished(process)

    assert (ended.code, ended.out) == (130, "")
    assert ended.err == (
        "relay: interrupted by SIGINT; 500 streams with 5000 events removed so far\n"
    )
    assert len(event_ids(database)) == 5_000


def test_a_session_that_is_ended_is_one_line_that_tells_how_far_it_came(database: str) -> None:
    record(database, *over(1))
    with psycopg.connect(database, autocommit=True) as operator, psycopg.connect(database) as gate:
        gate.execute("LOCK TABLE blocked_streams IN ACCESS EXCLUSIVE MODE")
        process = start_command("prune", "--before", BEFORE, environment={"DATABASE_URL": database})
        wait_until(lambda: waiting_for_a_lock(database) == 1, "the first chunk waits")
        operator.execute(_END_COMMAND)
        ended = finished(process)

    expect_one_line(
        ended,
        1,
        "the database failed: terminating connection due to administrator command",
        "; 0 streams with 0 events removed so far",
    )
    assert len(event_ids(database)) == 4


@pytest.mark.parametrize(
    "before", ["2026-06-01", "2026-06-01T00:00:00", "yesterday", "2026-02-30T00:00:00Z", ""]
)
def test_a_moment_without_an_offset_or_none_at_all_is_refused(database: str, before: str) -> None:
    record(database, *over(1))
    contents_before = contents(database)

    ended = prune(database, before=before)

    expect_one_line(ended, 2, "--before", "is not a time with an offset")
    assert contents(database) == contents_before


def test_a_moment_in_the_future_is_refused(database: str) -> None:
    record(database, *over(1))
    contents_before = contents(database)
    tomorrow = datetime.now(UTC) + timedelta(days=1)

    ended = prune(database, before=tomorrow.isoformat())

    expect_one_line(ended, 2, "--before is in the future")
    assert contents(database) == contents_before
