"""What is to be seen of relays and their database when a test has failed."""

from collections.abc import Iterator, Sequence

from tests.fault.relay.ledger import blocked_streams
from tests.integration.relay.harness import count
from tests.integration.relay.relay_process import RelayUnderTest

_LINES = 40


def evidence(database: str, relays: Sequence[RelayUnderTest]) -> Iterator[str]:
    """Yield, line by line, what is pending and blocked, and what each relay said last."""
    yield f"{count(database, 'outbox')} of {count(database, 'events')} events pending"
    yield f"blocked: {blocked_streams(database)}"
    for relay in relays:
        yield f"relay {relay.pid}, {'alive' if relay.alive else 'ended'}, its last lines:"
        yield from (str(line) for line in relay.lines[-_LINES:])
        if relay.alive and not relay.paused:
            yield from (relay.get(path)[1] for path in ("/readyz", "/metrics"))
