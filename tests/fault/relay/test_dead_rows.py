"""An open transaction keeps every published row as a dead one; fetches stay cheap."""

import pytest

from tests.fault.conftest import Note
from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay
from tests.fault.relay.costs import (
    buffers_without_floor,
    cost_of_a_trickle,
    let_it_look_below,
    require_counts_of_sessions,
)
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.ledger import wait_until_published
from tests.fault.relay.recording import (
    prepare_streams,
    raise_and_record,
    write_many,
    writing_session,
)
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

# So short that none is left out: what is passed over beside a writer costs room below the floor.
_DEAD_STREAMS = 1_800
_DEAD_LENGTH = 50
_TRICKLE, _HELD = _DEAD_STREAMS + 1, _DEAD_STREAMS + 2
_MOST_BUFFERS = 150


def test_90000_dead_rows_beside_an_open_writer_leave_fetches_and_latency_as_they_were(
    database: str, topic: str, consumer: FollowingConsumer, start_relay: StartRelay, note: Note
) -> None:
    require_counts_of_sessions(database)
    prepare_streams(database, _HELD)
    relay = start_relay()
    wait_until(relay.ready, "the relay is ready")
    before = cost_of_a_trickle(database, topic, _TRICKLE, relay, consumer)
    # Its snapshot keeps the rows, its lock the frontier; and its own event is still to come.
    with writing_session(database) as slow:
        raise_and_record(slow, topic, _HELD, 1)
        write_many(database, topic, _DEAD_STREAMS, _DEAD_LENGTH)
        wait_until_published(database, RECOVERY_SECONDS)
        consumer.wait_for(_DEAD_STREAMS * _DEAD_LENGTH, RECOVERY_SECONDS)

        let_it_look_below(database, relay)
        after = cost_of_a_trickle(database, topic, _TRICKLE, relay, consumer)
        without_floor = buffers_without_floor(database)
        slow.commit()
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(
        f"{before}; with {_DEAD_STREAMS * _DEAD_LENGTH} dead rows beside an open writer {after}; "
        f"one fetch without the floor {without_floor} buffers; {events} events"
    )
    assert without_floor > _MOST_BUFFERS * 5, "the rows are not dead enough to prove anything"
    assert after.buffers < _MOST_BUFFERS
    assert after.seconds < 3 * before.seconds + 0.1
