"""Growing pauses between attempts."""

import math
import random


class Backoff:
    """Pauses with jitter: 0.2 s doubling to ``ceiling`` seconds, until reset."""

    def __init__(self, ceiling: float = 5.0) -> None:
        self._ceiling = ceiling
        self._step = 0

    def next(self) -> float:
        pause = min(self._ceiling, math.ldexp(0.2, self._step))
        self._step = min(self._step + 1, 10)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing

    def reset(self) -> None:
        self._step = 0
