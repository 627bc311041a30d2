"""Which messages may be to blame for what Kafka refused, until each of them was tried.

A broker that cannot take one message refuses its whole batch. So after such a failure everything
travels one by one until each message of that batch was answered, or is found to be there no more;
what fails meanwhile is a suspect. What others wait for does not matter: a broker that hangs may not
answer them for hours. A suspect's stream is left alone until it was tried alone, beside all others,
which are published meanwhile. A stream is blocked for nothing less.
"""

from collections.abc import Callable, Iterable

import structlog

from relay.breakdown import Breakdown, Failure
from relay.intake import Intake
from relay.metrics import Metrics
from relay.ordering import Offence
from relay.pending_event import PendingEvent
from relay.trial import Outcome, Sender, Verdict
from relay.trials import Trials


class Suspects:
    """What one leader suspects; made anew for every term."""

    def __init__(self, intake: Intake, metrics: Metrics, new_sender: Callable[[], Sender]) -> None:
        """Suspect nothing.

        Args:
            new_sender: Makes a fresh producer, for one message.
        """
        self._intake = intake
        self._metrics = metrics
        self._log = structlog.get_logger()
        self._together: frozenset[int] = frozenset()
        # Each the first of its stream; these streams are left alone until it is decided.
        self._trials = Trials(new_sender)

    @property
    def together(self) -> frozenset[int]:
        """The ids that failed together and have no answer of their own; go one by one for them."""
        return self._together

    @property
    def look_again_seconds(self) -> float:
        """How soon to go on at the latest; infinite where nothing is undecided."""
        return self._trials.look_again_seconds

    @property
    def streams(self) -> list[str]:
        """Those to leave alone, because an event of theirs is not decided."""
        return [event.stream for event in self._trials.events]

    @property
    def trouble(self) -> str | None:
        """Why some are not decided though they were tried, or None."""
        number = self._trials.silent
        if not number:
            return None
        return f"events sent alone are neither acknowledged nor refused: {number}"

    def note_answered(self, events: Iterable[PendingEvent]) -> None:
        """Take note of what was acknowledged or failed by itself."""
        if self._together:
            self._together -= {event.id for event in events}

    def note_gone_through(self) -> None:
        """Let messages travel together again: all that failed together were sent one by one."""
        self._together = frozenset()

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
        if one_by_one:
            # In trouble, too: it may last for long, and a trial believes nothing too soon.
            self._trials.add(breakdown.suspects)
            self.note_answered(breakdown.suspects)
        if breakdown.trouble is not None:
            raise breakdown.trouble
        if not one_by_one:
            self._together = frozenset(event.id for event in breakdown.suspects)

    def go_on(self) -> Failure | None:
        """Go on with the trials, and block the streams of those found guilty; never waits.

        Returns:
            What no message is to blame for, if a trial met that; its event is suspected no more.

        Raises:
            psycopg.Error: The session is lost.
        """
        return self._judge_each(self._trials.look())

    def settle(self) -> None:
        """Note what is decided already; begin with nothing new.

        Raises:
            psycopg.Error: The session is lost.
        """
        self._judge_each(self._trials.settle())

    def interrupt(self) -> None:
        """Note what is decided already, and begin the other trials anew with the next `go_on`.

        What is under way would be polled by nobody during a pause, and its logs grow without end.

        Raises:
            psycopg.Error: The session is lost.
        """
        self.settle()
        self._trials.take_back()

    def end(self) -> None:
        """Give up the trials under way; whatever is not decided is still pending."""
        self._trials.end()

    def _judge_each(self, verdicts: list[Verdict]) -> Failure | None:
        trouble = None
        for verdict in verdicts:
            event, failure = verdict.event, verdict.failure
            if verdict.outcome is Outcome.SILENT:
                self._log.warning(
                    "suspect gave no sign", stream=event.stream, event_id=event.event_id
                )
                continue
            if verdict.outcome is Outcome.GUILTY and failure is not None:
                self._metrics.delivery_errors.labels(failure.code).inc()
                self._intake.block(Offence(event, failure.code, failure.detail))
                continue
            if verdict.outcome is Outcome.ACKNOWLEDGED:
                self._intake.delete([event])
            else:
                trouble = failure
            self._intake.trust(event.stream)
        return trouble
