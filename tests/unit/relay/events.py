"""Events of which nothing but their order and their stream matters."""

from relay.pending_event import PendingEvent


def pending_event(id_: int) -> PendingEvent:
    """Return the first event of a stream of its own."""
    return PendingEvent(id_, f"event-{id_}", "topic", "key", f"stream-{id_}", 1, b"", [], 0.0, None)
