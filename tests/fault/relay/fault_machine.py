"""Any sequence of faults, while writers write: a state machine for Hypothesis.

Each example has a database, a topic and a consumer of its own, writers that never pause, and two
relays. A fault may fall into the middle of another. At the end everything is healed, every stream
that waits for an operator is released, and the consumer is held against the ledger.
"""

import random
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from entrypoints.dev.kafka import Broker
from entrypoints.dev.postgres import Postgres
from relay.commands.errors import Refused
from relay.commands.release import Release
from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.ledger import blocked_streams
from tests.fault.relay.recording import prepare_streams, write
from tests.fault.relay.sessions import EVERYBODY, LEADER, WAKEUP, WATCHER, WRITER, end_sessions
from tests.fault.relay.topics import create_topic, delete_topic, limit_messages
from tests.fault.relay.writers import Writers
from tests.integration.relay.harness import count, wait_until
from tests.integration.relay.relay_process import RelayUnderTest

_PER_SECOND = 800
# What the topic takes until an operator mends it, and an event that is beyond.
_LIMIT_BYTES, _TOO_LARGE_BYTES, _MENDED_BYTES = 100_000, 150_000, 1_000_000
# Streams beyond those of the writers.
_FIRST_POISONED = 10_001
_PLACES = st.sampled_from([0, 1])


@dataclass
class Stage:
    """What all examples share, and what they add up to."""

    broker: Broker
    server: Postgres
    new_database: Callable[[], str]
    start_relay: Callable[..., RelayUnderTest]
    rng: random.Random
    examples: int = 0
    events: int = 0
    duplicates: int = 0
    faults: list[str] = field(default_factory=list)


class FaultMachine(RuleBasedStateMachine):
    """Two relays that may be dead or paused, a broker that may be down or frozen."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self._broker = stage.broker
        self._database = stage.new_database()
        self._topic = f"lifecycle-{uuid.uuid4()}"
        self._open = ExitStack()
        self._frozen = False
        self._poisoned = 0
        create_topic(self._broker, self._topic, max_message_bytes=_LIMIT_BYTES)
        self._consumer = self._open.enter_context(
            FollowingConsumer(self._broker.bootstrap_servers, self._topic)
        )
        self._writers = self._open.enter_context(
            Writers(self._database, self._topic, stage.rng, per_second=_PER_SECOND)
        )
        self._relays = [self._start_relay(), self._start_relay()]

    @rule(events=st.integers(1, 300))
    def write(self, events: int) -> None:
        self._writers.wait_for_more(events)

    @rule(place=_PLACES)
    def kill_a_relay(self, place: int) -> None:
        self._fault("relay killed")
        self._relays[place].kill()
        self._relays[place] = self._start_relay()

    @rule(place=_PLACES)
    def end_a_relay(self, place: int) -> None:
        if self._relays[place].paused:
            return
        self._fault("relay terminated")
        self._relays[place].terminate()
        self._relays[place] = self._start_relay()

    @rule(place=_PLACES)
    def pause_a_relay(self, place: int) -> None:
        self._fault("relay paused")
        self._relays[place].pause()

    @rule(place=_PLACES)
    def resume_a_relay(self, place: int) -> None:
        self._relays[place].resume()

    @rule(name=st.sampled_from([LEADER, LEADER, WAKEUP, WATCHER, WRITER, EVERYBODY]))
    def end_sessions(self, name: str) -> None:
        self._fault("sessions ended")
        end_sessions(self._database, name)

    @precondition(lambda self: self._broker.running)
    @rule()
    def kill_the_broker(self) -> None:
        self._fault("broker killed")
        self._broker.kill()
        self._frozen = False

    @precondition(lambda self: not self._broker.running)
    @rule()
    def start_the_broker(self) -> None:
        self._broker.start()

    @precondition(lambda self: self._broker.running and not self._frozen)
    @rule()
    def freeze_the_broker(self) -> None:
        self._fault("broker frozen")
        self._broker.freeze()
        self._frozen = True

    @precondition(lambda self: self._frozen)
    @rule()
    def thaw_the_broker(self) -> None:
        self._broker.thaw()
        self._frozen = False

    @rule()
    def write_what_the_topic_refuses(self) -> None:
        """Two events of a stream: the first too large, and one behind it."""
        self._fault("poison")
        aggregate = _FIRST_POISONED + self._poisoned
        self._poisoned += 1
        prepare_streams(self._database, 1, first=aggregate)
        write(self._database, self._topic, aggregate, padding=_TOO_LARGE_BYTES)
        write(self._database, self._topic, aggregate)

    @precondition(lambda self: self._poisoned and self._broker.running and not self._frozen)
    @rule()
    def mend_the_topic_and_release(self) -> None:
        self._fault("release")
        limit_messages(self._broker, self._topic, _MENDED_BYTES)
        self._release()

    @precondition(lambda self: self._broker.running and not self._frozen)
    @rule()
    def make_the_topic_anew(self) -> None:
        """What Kafka deletes with it is no loss of the relay's: the consumer has read it before.

        Of what is in the topic once both relays are dead everything acknowledged is there; what
        comes later was acknowledged to nobody.
        """
        self._fault("topic made anew")
        for relay in self._relays:
            relay.kill()
        self._consumer.catch_up(RECOVERY_SECONDS)
        delete_topic(self._broker, self._topic)
        self._consumer.topic_is_gone()
        create_topic(self._broker, self._topic, max_message_bytes=_LIMIT_BYTES)
        self._relays = [self._start_relay(), self._start_relay()]

    @rule(crash=st.booleans())
    def restart_the_database(self, *, crash: bool) -> None:
        self._fault("database crashed" if crash else "database restarted")
        self._stage.server.restart(crash=crash)

    @invariant()
    def the_consumer_sees_no_gap(self) -> None:
        assert self._consumer.fault is None, self._consumer.fault

    def teardown(self) -> None:
        with self._open:
            self._heal()
            self._writers.stop()
            # One that was judged before the topic was mended is blocked only afterwards.
            wait_until(self._everything_is_published, "nothing is pending", RECOVERY_SECONDS)
            events = self._consumer.expect_ledger(self._database, RECOVERY_SECONDS)
            self._stage.examples += 1
            self._stage.events += events
            self._stage.duplicates += self._consumer.duplicates

    def _heal(self) -> None:
        self._broker.thaw()
        if not self._broker.running:
            self._broker.start()
        for relay in self._relays:
            relay.resume()
        limit_messages(self._broker, self._topic, _MENDED_BYTES)

    def _everything_is_published(self) -> bool:
        self._release()
        return count(self._database, "outbox") == 0

    def _release(self) -> None:
        for stream in blocked_streams(self._database):
            with suppress(Refused):
                Release(stream).run({"DATABASE_URL": self._database})

    def _fault(self, name: str) -> None:
        self._stage.faults.append(name)

    def _start_relay(self) -> RelayUnderTest:
        relay = self._stage.start_relay(
            DATABASE_URL=self._database, KAFKA_TOPIC=self._topic, KAFKA_IMAGE_TOPIC=self._topic
        )
        return self._open.enter_context(relay)
