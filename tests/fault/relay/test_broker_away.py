"""The broker is away under a write load: nothing is lost, all arrives when the broker is back."""

import time

import pytest

from entrypoints.dev.kafka import Broker
from tests.fault.conftest import Note
from tests.fault.lengths import OUTAGE_SECONDS, RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

_PER_SECOND = 200
_MISSED = int(_PER_SECOND * OUTAGE_SECONDS)


@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
def test_a_broker_that_is_away_under_a_write_load_gets_everything_when_it_is_back(
    frozen: bool,  # noqa: FBT001 - a parameter of the test
    database: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    relay = start_relay()
    wait_until(relay.ready, "the relay is ready")
    with start_writers(per_second=_PER_SECOND) as writers:
        consumer.wait_for(_PER_SECOND, RECOVERY_SECONDS)
        went_at = time.monotonic()
        if frozen:
            mortal_broker.freeze()
        else:
            mortal_broker.kill()

        # At their pace this takes as long as the outage is meant to last.
        writers.wait_for_more(_MISSED, OUTAGE_SECONDS * 5)
        wait_until(lambda: not relay.ready(), "readiness shows it")
        unready = relay.get("/readyz")[1]
        away = time.monotonic() - went_at
        if frozen:
            mortal_broker.thaw()
        else:
            mortal_broker.start()
        back_at = time.monotonic()
        writers.stop()
        events = consumer.expect_ledger(database, RECOVERY_SECONDS)
        caught_up = time.monotonic() - back_at

    note(
        f"away {away:.0f} s, caught up {caught_up:.1f} s after it was back: {events} events, "
        f"0 lost, {consumer.duplicates} duplicates"
    )
    assert '"database":"ok"' in unready
    wait_until(relay.ready, "the relay is ready again")


def test_a_broker_that_restarts_three_times_in_a_row_under_a_write_load_misses_nothing(
    database: str,
    mortal_broker: Broker,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
    note: Note,
) -> None:
    start_relay()
    with start_writers(per_second=_PER_SECOND) as writers:
        consumer.wait_for(_PER_SECOND, RECOVERY_SECONDS)
        mortal_broker.restart()
        mortal_broker.kill()
        mortal_broker.start()
        mortal_broker.restart()
        writers.wait_for_more(_PER_SECOND)

    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    note(f"{events} events, 0 lost, {consumer.duplicates} duplicates")
