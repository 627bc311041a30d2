"""PostgreSQL hangs: every connection stays open, and none is answered."""

import json
from collections.abc import Iterator

import psycopg
import pytest

from entrypoints.dev.postgres import Postgres
from migrations.runner import migrate
from relay.health import SILENCE_SECONDS
from tests.fault.relay.conftest import StartRelay
from tests.integration.relay.harness import Event, RelayUnderTest, record, wait_until

pytestmark = pytest.mark.broker

# What a slow machine may add to the silence that is allowed.
_NOTICED_SECONDS = SILENCE_SECONDS + 5.0
# The next measurement, and the new session that one of them may need.
_BACK_SECONDS = 20.0
_SILENT = "no answer for "


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        migrate(server.url)
        yield server


@pytest.fixture
def database(own_postgres: Postgres) -> str:
    return own_postgres.url


def test_leader_and_standby_are_unready_while_the_database_hangs_and_gauges_go_on_after_it(
    topic: str, own_postgres: Postgres, start_relay: StartRelay
) -> None:
    leader = start_relay()
    leader.wait_for("leading")
    standby = start_relay()
    standby.wait_for("standing by")
    relays = (leader, standby)
    for relay in relays:
        wait_until(relay.ready, "the relay is ready")

    own_postgres.freeze()
    try:
        for relay in relays:
            _wait_until_unready(relay)
        wait_until(lambda: _silence(leader) >= 2 * SILENCE_SECONDS, "the hang lasts")
    finally:
        own_postgres.thaw()

    for relay in relays:
        wait_until(relay.ready, "the relay is ready again", _BACK_SECONDS)
    with psycopg.connect(own_postgres.url) as writer:
        # It blocks its stream, and stays pending.
        record(writer, [Event("container:1", 1, topic, headers="{}")])
    for relay in relays:
        _wait_until_gauges_go_on(relay)


def test_sigterm_while_the_database_hangs_ends_in_time_and_names_what_did_not_answer(
    own_postgres: Postgres, start_relay: StartRelay
) -> None:
    relay = start_relay()
    wait_until(relay.ready, "the relay is ready")
    own_postgres.freeze()
    try:
        _wait_until_unready(relay)
        code, seconds = relay.terminate()
    finally:
        own_postgres.thaw()

    # It ends itself before 5 s are over; the rest is a busy machine's.
    assert (code, seconds < 8) == (1, True), seconds
    assert relay.wait_for("relay cut short")["no_answer_from"] == "database"


def _wait_until_unready(relay: RelayUnderTest) -> None:
    # Not of whatever else: a broker that takes its time makes it unready, too.
    wait_until(
        lambda: _database(relay).startswith(_SILENT), "the relay tells of it", _NOTICED_SECONDS
    )
    assert not relay.ready()


def _wait_until_gauges_go_on(relay: RelayUnderTest) -> None:
    pending = "relay_pending_events"
    wait_until(lambda: relay.metric(pending) == 1, "the backlog is measured", _BACK_SECONDS)


def _database(relay: RelayUnderTest) -> str:
    text: str = json.loads(relay.get("/readyz")[1])["database"]
    return text


def _silence(relay: RelayUnderTest) -> float:
    return float(_database(relay).removeprefix(_SILENT).removesuffix(" s"))
