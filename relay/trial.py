"""Finds the guilty among suspects: a broker that cannot take one message refuses its batch."""

from collections.abc import Callable, Iterable, Iterator

from relay.breakdown import Failure
from relay.errors import BrokerTrouble
from relay.pending_event import PendingEvent
from relay.publisher import Publisher


def tried_alone(
    suspects: Iterable[PendingEvent],
    new_publisher: Callable[[], Publisher],
    keep_waiting: Callable[[], bool],
) -> Iterator[tuple[PendingEvent, Failure | None]]:
    """Send each suspect with nothing else in flight, and tell what became of it.

    One that fails is sent once more by a fresh producer, and only then believed to be guilty.

    Args:
        suspects: Each the first event of its stream that is not published; one of a stream.
        new_publisher: Makes a fresh producer.
        keep_waiting: Asked several times a second, and before each suspect; may raise. What is not
            tried when it says no is still pending.

    Yields:
        Each suspect, with None when it was acknowledged, else with its second failure.

    Raises:
        BrokerTrouble: A failure that no message is to blame for, or the wait was given up.
    """
    publisher = new_publisher()
    try:
        for event in suspects:
            if not keep_waiting():
                return
            failure = _send_alone(publisher, event, keep_waiting)
            if failure is not None:
                publisher.discard()
                publisher = new_publisher()
                failure = _send_alone(publisher, event, keep_waiting)
                if failure is not None:
                    publisher.discard()
                    publisher = new_publisher()
            yield event, failure
    finally:
        publisher.discard()


def _send_alone(
    publisher: Publisher, event: PendingEvent, keep_waiting: Callable[[], bool]
) -> Failure | None:
    publisher.take([event])
    publisher.send()
    publisher.await_rest(keep_waiting)
    if publisher.take_acknowledged():
        return None
    breakdown = publisher.breakdown()
    if breakdown is None:
        raise BrokerTrouble("_TIMED_OUT", "not acknowledged in time")
    if breakdown.trouble is not None:
        raise breakdown.trouble
    return breakdown.cause
