"""Whether a long backlog is published as fast as a short one."""

from dataclasses import dataclass, field
from statistics import median

from tests.benchmarks.relay.outbox import Outbox
from tests.benchmarks.relay.stage import Stage

_WARM_UP = 2_000
# A short backlog is gone in a fraction of a second: one figure a round would be noise.
SHORT_ONES_A_ROUND = 12


@dataclass(slots=True)
class BacklogRates:
    """Events a second."""

    short: list[float] = field(default_factory=list)
    long: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return median(self.long) / median(self.short)


def measure_backlogs(
    stage: Stage, outbox: Outbox, batch_size: int, *, short: int, long: int, rounds: int
) -> BacklogRates:
    """Give one relay a round of short backlogs, a long one, and as many short ones again.

    Args:
        batch_size: The relay's own default, if nothing is to be said about another.
        short: Events of a short backlog.
        long: Events of a long one.
    """
    rates = BacklogRates()
    for number in range(1, rounds + 1):
        stage.say(f"backlogs, round {number} of {rounds}: {short:,} and {long:,} events")
        stage.empty_topic()
        with stage.relay(batch_size) as relay:
            outbox.drain(relay, 0, _WARM_UP)
            first = _WARM_UP
            for _ in range(SHORT_ONES_A_ROUND // 2):
                rates.short.append(outbox.drain(relay, first, short))
                first += short
            rates.long.append(outbox.drain(relay, first, long))
            first += long
            for _ in range(SHORT_ONES_A_ROUND // 2):
                rates.short.append(outbox.drain(relay, first, short))
                first += short
            relay.terminate()
    return rates


def events_needed(short: int, long: int) -> int:
    """Return how long a ledger has to be: the relay refuses to send an event again."""
    return _WARM_UP + SHORT_ONES_A_ROUND * short + long
