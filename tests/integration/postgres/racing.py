"""Threads that start together, so that a race is one."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

DEADLINE_SECONDS = 60.0


def race(racers: Sequence[Callable[[], T]]) -> list[T | Exception]:
    """Call everything at once; returns what each returned or raised, in the order given."""
    results: list[T | Exception | None] = [None] * len(racers)
    together = threading.Barrier(len(racers))

    def run(place: int, racer: Callable[[], T]) -> None:
        together.wait(DEADLINE_SECONDS)
        try:
            results[place] = racer()
        except Exception as exc:  # noqa: BLE001 - judged by the test
            results[place] = exc

    threads = [
        threading.Thread(target=run, args=(place, racer), daemon=True)
        for place, racer in enumerate(racers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert not any(thread.is_alive() for thread in threads)
    return [result for result in results if result is not None]


def raised(results: Sequence[object], error: type[Exception]) -> list[Exception]:
    return [result for result in results if isinstance(result, error)]
