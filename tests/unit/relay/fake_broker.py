"""A broker that answers producers as a test says."""

from collections.abc import Callable, Sequence

from relay.breakdown import Breakdown, Failure
from relay.pending_event import PendingEvent

# What becomes of an event each time that it is sent: None is no answer, "" an acknowledgement, else
# the code of an error.
Answer = Callable[[int], str | None]

TOO_LARGE = "MSG_SIZE_TOO_LARGE"


class FakeSender:
    """A producer for one event."""

    def __init__(self, broker: "FakeBroker") -> None:
        self._broker = broker
        self._event: PendingEvent | None = None

    def take(self, events: Sequence[PendingEvent]) -> None:
        [self._event] = events

    def send(self) -> None:
        assert self._event is not None
        self._broker.sent.append(self._event.id)
        self._broker.open += 1
        self._broker.most_open = max(self._broker.most_open, self._broker.open)

    def poll(self) -> None:
        """Everything is there at once."""

    def take_acknowledged(self) -> list[PendingEvent]:
        assert self._event is not None
        return [self._event] if self._broker.answer(self._event.id) == "" else []

    def breakdown(self) -> Breakdown | None:
        assert self._event is not None
        code = self._broker.answer(self._event.id)
        return Breakdown([Failure(code, "refused", self._event)]) if code else None

    def discard(self) -> None:
        self._broker.open -= 1


class FakeBroker:
    """Refuses everything, unless it is told otherwise.

    Attributes:
        sent: The events' ids, each as often as it was sent.
        open: How many producers were given something and not discarded.
    """

    def __init__(self) -> None:
        self.answer: Answer = lambda _id: TOO_LARGE
        self.sent: list[int] = []
        self.open = self.most_open = 0

    def sender(self) -> FakeSender:
        return FakeSender(self)
