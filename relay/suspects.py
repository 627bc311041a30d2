"""Which messages may be to blame for what Kafka refused, until each of them was tried.

A broker that cannot take one message refuses its whole batch. So after such a failure everything up
to the last message of that batch travels one by one; what fails then is a suspect. Its stream is
left alone until it was tried alone, and all others are published between the trials. A stream is
blocked for nothing less.
"""

import time
from collections.abc import Callable

import structlog

from relay.breakdown import Breakdown
from relay.intake import Intake
from relay.metrics import Metrics
from relay.ordering import Offence
from relay.pending_event import PendingEvent
from relay.publisher import Publisher
from relay.trial import tried_alone

# How long suspects are tried while all others wait: a fresh producer needs half a second to begin.
_TRIAL_SECONDS = 1.0


class Suspects:
    """What one leader suspects; made anew for every term."""

    def __init__(self, intake: Intake, metrics: Metrics) -> None:
        self._intake = intake
        self._metrics = metrics
        self._log = structlog.get_logger()
        self._up_to = 0
        # To be tried alone, each the first of its stream; these streams are left alone until then.
        self._to_try: list[PendingEvent] = []

    @property
    def up_to(self) -> int:
        """Up to this id messages travel one by one: some of them failed, and may be to blame."""
        return self._up_to

    @property
    def waiting(self) -> bool:
        """Whether there are any to be tried alone."""
        return bool(self._to_try)

    @property
    def streams(self) -> list[str]:
        """Those to leave alone, because an event of theirs is to be tried first."""
        return [event.stream for event in self._to_try]

    def note_gone_through(self) -> None:
        """Let messages travel together again: all that failed together were sent one by one."""
        self._up_to = 0

    def judge(self, breakdown: Breakdown, *, one_by_one: bool) -> None:
        """Find out whether messages or Kafka are to blame.

        Args:
            one_by_one: Whether each of its messages travelled in a request of its own.

        Raises:
            BrokerTrouble: Kafka is.
        """
        for code, number in breakdown.codes.items():
            self._metrics.delivery_errors.labels(code).inc(number)
        # One line for a batch: a broker in trouble fails hundreds of messages at once.
        self._log.error("delivery failed", **breakdown.told)
        if breakdown.trouble is not None:
            raise breakdown.trouble
        if not one_by_one:
            self._up_to = max(event.id for event in breakdown.suspects)
            return
        self._to_try += breakdown.suspects

    def try_alone(
        self, new_publisher: Callable[[], Publisher], keep_waiting: Callable[[], bool]
    ) -> None:
        """Try them for a while, and block the streams of guilty ones; nobody waits longer for them.

        Args:
            new_publisher: Makes a fresh producer.
            keep_waiting: Asked several times a second, and before each of them; may raise.

        Raises:
            BrokerTrouble: Kafka is to blame.
        """
        if not self._to_try:
            return
        ends_at = time.monotonic() + _TRIAL_SECONDS
        for event, guilt in tried_alone(tuple(self._to_try), new_publisher, keep_waiting):
            self._to_try.remove(event)
            if guilt is None:
                self._intake.delete([event])
            else:
                self._metrics.delivery_errors.labels(guilt.code).inc()
                self._intake.block(Offence(event, guilt.code, guilt.detail))
            if time.monotonic() >= ends_at:
                break
