"""The whole relay beside the two it is made of: sending alone, and fetching alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.benchmarks.relay.outbox import Outbox
from tests.benchmarks.relay.stage import Stage

_WARM_UP = 2_000


@dataclass(slots=True)
class Rates:
    """Events a second, one figure a round, at one batch size."""

    relay: list[float] = field(default_factory=list)
    produce: list[float] = field(default_factory=list)
    fetch: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The relay's median, to the slower of the other two medians."""
        return median(self.relay) / min(median(self.produce), median(self.fetch))


def measure_throughput(
    stage: Stage, outbox: Outbox, batch_sizes: Sequence[int], *, events: int, rounds: int
) -> dict[int, Rates]:
    """Take turns, so that whatever else the machine does hits all of them.

    Args:
        batch_sizes: Each is measured in every round.
        events: How many a measurement moves.
    """
    rates = {batch_size: Rates() for batch_size in batch_sizes}
    for number in range(1, rounds + 1):
        stage.empty_topic()
        for batch_size in batch_sizes:
            stage.say(f"throughput, round {number} of {rounds}, batches of {batch_size}")
            outbox.fill(_WARM_UP, events)
            outbox.tidy()
            here = rates[batch_size]
            here.fetch.append(stage.rate_of("raw_fetch", batch_size, events))
            here.produce.append(stage.rate_of("raw_produce", batch_size, events))
            outbox.clear()
            with stage.relay(batch_size) as relay:
                outbox.drain(relay, 0, _WARM_UP)
                here.relay.append(outbox.drain(relay, _WARM_UP, events))
                relay.terminate()
    return rates
