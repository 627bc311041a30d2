"""How a replay walks over the ledger: windows, holes, and bounds that it can do without."""

from collections.abc import Iterator

import psycopg
import pytest

from relay.commands import selection
from relay.commands.errors import Interrupted
from relay.commands.selection import Selection, topics_of_ledger
from relay.commands.session import command_session
from tests.integration.relay.command_harness import Row, record

_RAISE_IDS = "SELECT setval(pg_get_serial_sequence('events', 'id'), %(id)s)"

_MANY_LATER = """
INSERT INTO events (event_id, stream, sequence, type, user_id, image_id, container_id, topic, key,
                    payload, headers, occurred_at)
SELECT gen_random_uuid(), 'container/2', step, 'container.started', 'user-1', 1, 2, 'containers',
       '1', '', '[]', now()
FROM generate_series(1, %(events)s) AS step
"""


@pytest.fixture
def session(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """A session over a ledger of windows of four ids."""
    monkeypatch.setattr(selection, "_WINDOW_IDS", 4)
    with command_session(database) as opened:
        yield opened


def nothing() -> None:
    """Between two steps."""


def test_windows_without_anything_to_send_are_not_read_again(
    database: str, session: psycopg.Connection
) -> None:
    rows = [Row(1 if number in (1, 10) else 2, number) for number in range(1, 13)]
    record(database, *rows)
    with psycopg.connect(database) as connection:
        connection.execute(_RAISE_IDS, {"id": 5_000_000_000})
    record(database, last := Row(1, 13))

    chosen = Selection(container=1)
    survey = chosen.survey(session, nothing)

    assert survey.windows == ((1, 4), (9, 12), (5_000_000_001, 5_000_000_001))
    assert (survey.events, survey.horizon) == (3, 5_000_000_001)
    assert [event.event_id for event in chosen.read(session, survey)] == [
        rows[0].event_id,
        rows[9].event_id,
        last.event_id,
    ]


def test_bounds_that_take_too_long_are_done_without(
    database: str, session: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(database, *(Row(1, number) for number in range(1, 11)))
    monkeypatch.setattr(selection, "_LIMIT_BOUNDS", "SET LOCAL statement_timeout = 1")
    monkeypatch.setattr(selection, "_BOUNDS", "SELECT 3, 4 FROM pg_sleep(600)")

    survey = Selection(user="user-1").survey(session, nothing)

    assert (survey.events, survey.horizon) == (10, 10)
    assert session.execute("SHOW statement_timeout").fetchone() == ("30s",)


def test_an_empty_ledger_has_nothing_to_send(session: psycopg.Connection) -> None:
    survey = Selection(user="user-1").survey(session, nothing)

    assert (survey.events, survey.skipped, survey.windows, survey.above) == (0, 0, (), False)
    assert topics_of_ledger(session) == frozenset()


def test_every_topic_of_the_ledger_is_known_however_long_ago_it_was_used(
    database: str, session: psycopg.Connection
) -> None:
    record(database, Row(None, 1, "image.ready", topic="images"), Row(1, 1, topic="before"))
    with psycopg.connect(database) as connection:
        connection.execute(_MANY_LATER, {"events": 20_000})
    session.execute("ANALYZE events")

    topics = topics_of_ledger(session)
    plan = "\n".join(line for (line,) in session.execute(f"EXPLAIN {selection._TOPICS}".encode()))

    assert topics == {"images", "before", "containers"}
    # One look-up a topic, whatever the length of the ledger.
    assert "Seq Scan" not in plan, plan


def test_a_walk_can_be_ended_between_two_windows(
    database: str, session: psycopg.Connection
) -> None:
    record(database, *(Row(1, number) for number in range(1, 11)))
    steps: list[int] = []

    def end_at_the_second() -> None:
        steps.append(1)
        if len(steps) == 2:
            raise Interrupted(2)

    with pytest.raises(Interrupted, match="interrupted by SIGINT"):
        Selection(user="user-1").survey(session, end_at_the_second)
