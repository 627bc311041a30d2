"""Term after term in one process: nothing of one is left in the next."""

import pytest

from tests.fault.conftest import Note
from tests.fault.lengths import LONG, RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.recording import prepare_streams, write
from tests.fault.relay.sessions import LEADER, RELAY, end_sessions, number_of_sessions
from tests.integration.relay.harness import wait_until
from tests.integration.relay.relay_process import RelayUnderTest

pytestmark = pytest.mark.broker

# After these it has had everything at least once.
_FIRST_TERMS = 3
_TERMS = 40 if LONG else 8


def test_threads_files_and_sessions_of_a_term_end_with_it(
    database: str, topic: str, consumer: FollowingConsumer, start_relay: StartRelay, note: Note
) -> None:
    prepare_streams(database, 1)
    relay = start_relay()
    wait_until(relay.ready, "the relay is ready")
    _serve_terms(range(_FIRST_TERMS), database, topic, relay, consumer)
    threads, files = relay.holds
    sessions = number_of_sessions(database, RELAY)

    _serve_terms(range(_FIRST_TERMS, _TERMS), database, topic, relay, consumer)

    assert relay.metric("relay_takeovers_total") >= _TERMS
    wait_until(lambda: relay.holds[0] <= threads, f"{relay.holds[0]} threads, then {threads}")
    wait_until(lambda: relay.holds[1] <= files, f"{relay.holds[1]} files, then {files}")
    wait_until(lambda: number_of_sessions(database, RELAY) <= sessions, f"{sessions} sessions")
    consumer.expect_ledger(database, RECOVERY_SECONDS)
    note(f"{_TERMS} terms: {threads} threads, {files} files, {sessions} sessions, as after the 3rd")


def _serve_terms(
    terms: range, database: str, topic: str, relay: RelayUnderTest, consumer: FollowingConsumer
) -> None:
    """Let it publish one event in each; the session before ends first. The last one goes on."""
    for term in terms:
        if term > 0:
            lines = len(relay.lines)
            wait_until(lambda: end_sessions(database, LEADER) == 1, "its session is ended")
            relay.wait_for("session lost", after=lines)
        write(database, topic, 1)
        consumer.wait_for(term + 1, RECOVERY_SECONDS)
