"""The next rows of streams that were left out: just these; and what a row costs the fetch."""

from collections.abc import Iterator

import psycopg
import pytest

from relay import outbox
from relay.floor import Window
from relay.leadership import CANDIDATE, Leadership, open_session
from relay.outbox import Request, Wanted
from tests.integration.relay.harness import Event, record

_STREAMS, _LENGTH = 20, 500
_NOTHING_ELSE = Window(above=_STREAMS * _LENGTH, late=frozenset(), decided=0)
_NOTHING: dict[str, object] = {
    "late": [],
    "above": _NOTHING_ELSE.above,
    "left_out": [],
    "limit": 2_000,
    "returning": [],
    "behind": [],
    "at_most": [],
}
# Of 10,000 rows in some 600 pages of ledger and outbox.
_MOST_BUFFERS_A_ROW = 20


@pytest.fixture
def leader(database: str) -> Iterator[psycopg.Connection]:
    """A leader's session, before 10,000 rows, each stream's in one piece."""
    with psycopg.connect(database, autocommit=True) as owner:
        # As the statistics of an outbox are that was empty when they were made.
        owner.execute("ANALYZE outbox")
        with owner.transaction():
            for number in range(_STREAMS):
                stream = f"container:{number}"
                record(owner, (Event(stream, each, "topic") for each in range(1, _LENGTH + 1)))
    with open_session(database, CANDIDATE) as session:
        assert Leadership(session).try_acquire()
        yield session


def test_of_each_stream_come_its_next_rows_and_no_more_than_wanted(
    leader: psycopg.Connection,
) -> None:
    leader.execute("DELETE FROM outbox WHERE stream = 'container:3' AND sequence BETWEEN 8 AND 60")
    wanted = {
        "container:17": Wanted(behind=50, at_most=3),
        "container:3": Wanted(behind=6, at_most=2),
        "container:9": Wanted(behind=_LENGTH - 1, at_most=50),
        "container:0": Wanted(behind=_LENGTH, at_most=50),
    }

    request = Request(leader, [], _NOTHING_ELSE, wanted.keys(), 2_000, wanted)
    came = [(event.stream, event.sequence) for event in request.result()]

    assert came == [
        ("container:3", 7),
        ("container:3", 61),
        ("container:9", _LENGTH),
        ("container:17", 51),
        ("container:17", 52),
        ("container:17", 53),
    ]


@pytest.mark.parametrize("analyzed", [False, True])
def test_a_row_costs_its_look_ups_wherever_it_lies(
    leader: psycopg.Connection, *, analyzed: bool
) -> None:
    if analyzed:
        leader.execute("ANALYZE outbox, events")
    streams = [f"container:{number}" for number in range(_STREAMS)]
    asked = {"returning": streams, "behind": [50] * _STREAMS, "at_most": [25] * _STREAMS}

    rows, buffers = _cost(leader, {**_NOTHING, **asked})

    assert rows == 25 * _STREAMS
    assert buffers / rows < _MOST_BUFFERS_A_ROW


def test_a_row_costs_its_look_ups_however_small_the_ledger_is(database: str) -> None:
    """So small that to read it whole looks cheap; it is done for each fetch, and it grows."""
    with psycopg.connect(database, autocommit=True) as owner:
        record(owner, (Event("container:1", number, "topic") for number in range(1, 301)))
        owner.execute("DELETE FROM outbox WHERE id < 300")
    with open_session(database, CANDIDATE) as session:
        assert Leadership(session).try_acquire()

        rows, buffers = _cost(session, {**_NOTHING, "above": 299})

    assert rows == 1
    assert buffers < _MOST_BUFFERS_A_ROW


def _cost(session: psycopg.Connection, asked: dict[str, object]) -> tuple[int, int]:
    """Return how many rows the fetch brings, and how many shared buffers it touches."""
    explained = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)" + outbox._FETCH.encode()
    row = session.execute(explained, asked).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Actual Rows"]), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
