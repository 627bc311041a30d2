"""A Prometheus histogram that takes a batch at a time: one event at a time costs a tenth of all."""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import isinf

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector


class BatchHistogram(Collector):
    """Cumulative buckets with a sum, as Prometheus wants them.

    Args:
        name: Ends in its unit.
        documentation: Its HELP line.
        buckets: Upper bounds, ascending; infinity is added.
        registry: Where it is scraped.
    """

    def __init__(
        self, name: str, documentation: str, buckets: Iterable[float], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._bounds = [*buckets, float("inf")]
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0
        # A scrape comes from another thread; the sum and the buckets must belong together.
        self._lock = threading.Lock()
        registry.register(self)

    def observe(self, values: Iterable[float]) -> None:
        with self._lock:
            for value in values:
                self._counts[bisect_left(self._bounds, value)] += 1
                self._sum += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        with self._lock:
            counts, total = list(accumulate(self._counts)), self._sum
        bounds = ["+Inf" if isinf(bound) else str(float(bound)) for bound in self._bounds]
        buckets = list(zip(bounds, counts, strict=True))
        yield HistogramMetricFamily(
            self._name, self._documentation, buckets=buckets, sum_value=total
        )
