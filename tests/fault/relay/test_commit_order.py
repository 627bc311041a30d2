"""Ids are dealt out in one order and commit in another, or never."""

import pytest

from tests.fault.lengths import PROMPTLY_SECONDS, RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.ledger import horizon, newest_id, wait_until_published
from tests.fault.relay.recording import prepare_streams, raise_and_record, write, writing_session
from tests.integration.relay.harness import wait_until

pytestmark = pytest.mark.broker

_ASIDE = 50


@pytest.mark.parametrize("later_events", [1, 700], ids=["one", "more-than-a-batch"])
def test_a_lower_id_that_commits_late_is_published(
    later_events: int,
    database: str,
    topic: str,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
) -> None:
    prepare_streams(database, 2)
    start_relay(RELAY_BATCH_SIZE="500")
    with writing_session(database) as slow:
        raise_and_record(slow, topic, 1)
        write(database, topic, 2, later_events)
        wait_until_published(database, RECOVERY_SECONDS)
        consumer.wait_for(later_events, RECOVERY_SECONDS)
        assert consumer.last_of("container/1") == 0

        slow.commit()
        consumer.expect_ledger(database, PROMPTLY_SECONDS)

    assert consumer.duplicates == 0


def test_lower_ids_that_commit_late_under_load_are_published(
    database: str,
    topic: str,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
) -> None:
    prepare_streams(database, _ASIDE + 5)
    start_relay(RELAY_BATCH_SIZE="20")
    with start_writers() as writers:
        for aggregate in range(_ASIDE, _ASIDE + 5):
            with writing_session(database) as slow:
                raise_and_record(slow, topic, aggregate, 2)
                writers.wait_for_more(100)

    consumer.expect_ledger(database, PROMPTLY_SECONDS)


def test_the_hole_that_a_rollback_leaves_holds_up_nothing(
    database: str, topic: str, consumer: FollowingConsumer, start_relay: StartRelay
) -> None:
    prepare_streams(database, 2)
    start_relay()
    with writing_session(database) as given_up:
        raise_and_record(given_up, topic, 1, 3)
        write(database, topic, 2)
        given_up.rollback()
    write(database, topic, 1, 2)

    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    assert events == 3
    wait_until(lambda: horizon(database) >= newest_id(database), "the horizon passes the hole")


def test_the_horizon_stays_below_an_event_that_has_not_committed(
    database: str, topic: str, consumer: FollowingConsumer, start_relay: StartRelay
) -> None:
    prepare_streams(database, 2)
    start_relay()
    write(database, topic, 2)
    wait_until(lambda: horizon(database) >= newest_id(database), "the horizon is at the newest id")
    before = horizon(database)
    with writing_session(database) as slow:
        raise_and_record(slow, topic, 1)
        # One by one: time for the leader to raise it, were it to.
        for applied in range(2, 42):
            write(database, topic, 2)
            consumer.wait_for(applied, RECOVERY_SECONDS)

        held = horizon(database)
        slow.commit()

    wait_until(lambda: horizon(database) >= newest_id(database), "the horizon goes on")
    consumer.expect_ledger(database, RECOVERY_SECONDS)
    assert held == before
