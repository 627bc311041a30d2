"""Somebody keeps a row of the outbox locked: nothing is sent again for it, nobody waits long."""

import psycopg
import pytest

from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.recording import prepare_streams, write, write_many
from tests.integration.relay.harness import count, wait_until

pytestmark = pytest.mark.broker

_LOCK = "SELECT FROM outbox WHERE stream = 'container/7' FOR UPDATE"


def test_a_row_that_somebody_has_locked_makes_nothing_be_sent_again(
    database: str, topic: str, consumer: FollowingConsumer, start_relay: StartRelay
) -> None:
    prepare_streams(database, 201)
    write_many(database, topic, 200, 1)
    with psycopg.connect(database) as holder:
        holder.execute(_LOCK)
        relay = start_relay()
        relay.wait_for("outbox rows are locked", seconds=RECOVERY_SECONDS)
        write(database, topic, 201)
        write(database, topic, 7)
        consumer.wait_for(202, RECOVERY_SECONDS)
        wait_until(lambda: count(database, "outbox") == 1, "all but the locked row are deleted")

    wait_until(lambda: count(database, "outbox") == 0, "the row is deleted when it is free")
    consumer.expect_ledger(database, RECOVERY_SECONDS)
    assert consumer.duplicates == 0
    assert not any(line["event"] == "session lost" for line in relay.lines)
