"""The figures as text: ratios first, because they say the same on every machine."""

from collections.abc import Iterator, Mapping, Sequence
from math import isinf
from statistics import median, quantiles

from tests.benchmarks.relay.backlogs import BacklogRates
from tests.benchmarks.relay.latency import Latencies
from tests.benchmarks.relay.throughput import Rates

_AIM_OF_THE_WHOLE = 0.6
_AIM_OF_THE_BACKLOG = 0.9


def describe(
    throughput: Mapping[int, Rates],
    backlogs: BacklogRates,
    latencies: Latencies,
    *,
    short: int,
    long: int,
) -> Iterator[str]:
    """Yield the report line by line.

    Args:
        short: Events of the short backlog.
        long: Events of the long one.
    """
    yield "RATIOS (of medians; they do not depend on the machine)"
    yield ""
    for batch_size, rates in throughput.items():
        yield _judged(
            f"whole relay / slower of the two alone, batches of {batch_size}",
            rates.ratio,
            _AIM_OF_THE_WHOLE,
        )
    yield _judged(
        f"rate at a backlog of {long:,} / at {short:,}", backlogs.ratio, _AIM_OF_THE_BACKLOG
    )
    longer = median(latencies.relay) / median(latencies.produce)
    yield f"  {'latency through the relay / of a bare client, p50':64}{longer:5.2f}"
    yield ""
    yield "EVENTS A SECOND (median; lowest to highest)"
    yield ""
    yield f"  {'batch':>6}{'whole relay':>28}{'produce alone':>28}{'fetch alone':>28}"
    for batch_size, rates in throughput.items():
        columns = (rates.relay, rates.produce, rates.fetch)
        yield f"  {batch_size:>6}" + "".join(f"{_spread(column):>28}" for column in columns)
    yield ""
    yield f"  backlog of {short:>9,}{_spread(backlogs.short):>28}"
    yield f"  backlog of {long:>9,}{_spread(backlogs.long):>28}"
    yield ""
    yield "MILLISECONDS AT 100 EVENTS A SECOND"
    yield ""
    yield f"  {'':52}{'p50':>8}{'p99':>8}{'most':>8}"
    yield _times("relay: COMMIT returned -> a consumer has it", latencies.relay)
    yield _times("bare client: produce() called -> a consumer has it", latencies.produce)
    p50, p99 = (1_000 * _quantile(latencies.acknowledged, share) for share in (0.5, 0.99))
    yield f"  {'relay: recorded -> acknowledged, by its own metric':52}{p50:>8.1f}{p99:>8.1f}"


def _judged(what: str, ratio: float, aim: float) -> str:
    verdict = "met" if ratio >= aim else "MISSED"
    return f"  {what:64}{ratio:5.2f}   aim {aim:.1f}: {verdict}"


def _spread(rates: Sequence[float]) -> str:
    return f"{median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})"


def _times(what: str, seconds: Sequence[float]) -> str:
    cuts = quantiles(seconds, n=100, method="inclusive")
    figures = (1_000 * value for value in (cuts[49], cuts[98], max(seconds)))
    return f"  {what:52}" + "".join(f"{figure:>8.1f}" for figure in figures)


def _quantile(cumulative: Mapping[float, int], share: float) -> float:
    """Return what `histogram_quantile` of Prometheus would: evenly spread within a bucket."""
    bounds = sorted(cumulative)
    wanted = share * cumulative[bounds[-1]]
    below, lower = 0, 0.0
    for upper in bounds:
        if cumulative[upper] >= wanted and cumulative[upper] > below:
            if isinf(upper):
                break
            return lower + (upper - lower) * (wanted - below) / (cumulative[upper] - below)
        below, lower = cumulative[upper], upper
    return lower
