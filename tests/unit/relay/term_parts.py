"""What a term works with, faked: a pending set, a client of Kafka, and an end after a while."""

from collections.abc import Callable, Collection, Iterable, Sequence

from relay.breakdown import Failure
from relay.intake import Intake
from relay.kafka_client import Options
from relay.ordering import Offence
from relay.pending_event import PendingEvent
from relay.shutdown import Shutdown
from relay.wakeup import WakeUp
from tests.unit.relay.fake_broker import Answer


class FakeWakeUp(WakeUp):
    """Ends the process as soon as there is nothing to do."""

    def __init__(self, shutdown: Shutdown) -> None:
        self._shutdown = shutdown

    def clear(self) -> None:
        """Nobody notifies."""

    def wait(self, seconds: float) -> None:
        self._shutdown.request()


class FakeShutdown(Shutdown):
    """Never waits, and ends the process after some pauses."""

    def __init__(self, pauses: int = 20) -> None:
        super().__init__()
        self._left = pauses
        self.on_pause: Callable[[], object] = lambda: None

    def wait(self, seconds: float) -> bool:
        self.on_pause()
        self._left -= 1
        if self._left <= 0:
            self.request()
        return self.requested


class FakeIntake(Intake):
    """A pending set in memory, which one fetch returns whole."""

    def __init__(self, pending: Sequence[PendingEvent]) -> None:
        self._pending = list(pending)
        self._known: set[int] = set()
        self._aside: set[str] = set()
        self.published: list[int] = []
        self.blocked: list[int] = []
        self.found_nothing = False
        self.reached = 0

    @property
    def spread(self) -> int:
        return 0

    @property
    def held(self) -> int:
        return 0

    @property
    def leaves_out(self) -> bool:
        return False

    def look_around(self) -> None:
        """Nothing moves here."""

    def start_over(self, suspected: Iterable[str] = ()) -> None:
        self._known.clear()
        self._aside = set(suspected)
        self.found_nothing = False
        self.reached = 0

    def trust(self, stream: str) -> None:
        self._aside.discard(stream)

    def request(self, acknowledged: Sequence[PendingEvent]) -> None:
        self.delete(acknowledged)

    def receive(self) -> None:
        """It is all there."""

    def result(self, missing: Callable[[Collection[str]], Collection[str]]) -> list[PendingEvent]:
        fetched = [
            event
            for event in self._pending
            if event.id not in self._known and event.stream not in self._aside
        ]
        self.reached = 1_000_000
        self.found_nothing = not fetched
        assert not missing({event.topic for event in fetched})
        self._known.update(event.id for event in fetched)
        return fetched

    def delete(self, acknowledged: Sequence[PendingEvent]) -> None:
        self.published += [event.id for event in acknowledged]
        self._pending = [event for event in self._pending if event.id not in self.published]

    def skip(self, id_: int) -> None:
        self._pending = [event for event in self._pending if event.id != id_]

    def block(self, offence: Offence) -> None:
        self.blocked.append(offence.event.id)
        self._pending.remove(offence.event)


class FakeKafka:
    """Makes clients that report what a test says, for the events' ids.

    Attributes:
        made: The options of each that was made.
        open: Those that were not discarded.
    """

    def __init__(self, answer: Answer, shutdown: Shutdown, polls: int = 300) -> None:
        self.answer = answer
        self.polls_left = polls
        self.shutdown = shutdown
        self.made: list[Options] = []
        self.open: list[FakeClient] = []

    def client(self, options: Options, _log: object) -> "FakeClient":
        self.made.append(options)
        self.open.append(FakeClient(self, options))
        return self.open[-1]


class FakeClient:
    """In the place of a `KafkaClient`; what is not answered stays in flight."""

    def __init__(self, kafka: FakeKafka, options: Options) -> None:
        self._kafka = kafka
        self.options = options
        self._events: dict[int, PendingEvent] = {}
        self._acknowledged: list[PendingEvent] = []
        self.in_flight: dict[int, float] = {}
        self.failures: list[Failure] = []

    @property
    def has_acknowledged(self) -> bool:
        return bool(self._acknowledged)

    def hand_over(self, event: PendingEvent) -> bool:
        self._events[event.id] = event
        self.in_flight[event.id] = 0.0
        return True

    def poll(self, _seconds: float = 0.0) -> None:
        self._kafka.polls_left -= 1
        if self._kafka.polls_left <= 0:
            self._kafka.shutdown.request()
        for id_ in list(self.in_flight):
            code = self._kafka.answer(id_)
            if code is None:
                continue
            del self.in_flight[id_]
            event = self._events[id_]
            if code:
                self.failures.append(Failure(code, "refused", event))
            else:
                self._acknowledged.append(event)

    def flush(self) -> None:
        self.poll()

    def take_acknowledged(self) -> tuple[list[PendingEvent], list[float]]:
        acknowledged, self._acknowledged = self._acknowledged, []
        return acknowledged, []

    def take_slowest(self) -> float:
        return 1e9

    def give_up(self, code: str, detail: str, event: PendingEvent | None = None) -> None:
        self.failures.append(Failure(code, detail, event))

    def discard(self) -> None:
        self._kafka.open.remove(self)
