"""A deletion that waits for a row in vain takes the fetch behind it along, and nothing else."""

from collections.abc import Iterator

import psycopg
import pytest

from relay.floor import Window
from relay.leadership import CANDIDATE, Leadership, open_session
from relay.outbox import Request
from tests.integration.relay.harness import Event, record

_ALL = Window(above=0, late=frozenset(), decided=0)
# psycopg prepares by itself what was executed so often.
_PREPARED_AFTER = 5


@pytest.fixture
def leader(database: str) -> Iterator[psycopg.Connection]:
    """A leader's session that does not wait for long, before an outbox of one row."""
    with psycopg.connect(database, autocommit=True) as owner:
        record(owner, [Event("container:1", 1, "topic")])
    with open_session(database, CANDIDATE) as session:
        assert Leadership(session).try_acquire()
        # Longer than it takes to send both statements, whatever else the machine does.
        session.execute("SET lock_timeout = '500ms'")
        yield session


@pytest.mark.parametrize("fetches", range(_PREPARED_AFTER + 2))
def test_a_session_goes_on_after_a_deletion_in_vain(
    database: str, leader: psycopg.Connection, fetches: int
) -> None:
    (event,) = Request(leader, [], _ALL, [], 10).result()
    for _ in range(fetches):
        Request(leader, [], _ALL, [], 10).result()

    with psycopg.connect(database) as holder:
        holder.execute("SELECT FROM outbox FOR UPDATE")
        in_vain = Request(leader, [event.id], _ALL, [], 10)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            in_vain.result()
        while_held = Request(leader, [], _ALL, [], 10).result()

    assert [each.id for each in while_held] == [event.id]
    assert Request(leader, [event.id], _ALL, [], 10).result() == []
