"""Transactions that lose against others are repeated, each time after a longer pause."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from adapters.postgres.errors import TransactionConflict
from application.errors import DatabaseUnavailable

T = TypeVar("T")

# A transaction that lost this often against others is given up: something else is wrong.
_ATTEMPTS = 10
_FIRST_PAUSE_SECONDS = 0.005


def repeated(transaction: Callable[[], T]) -> T:
    """Carry out a transaction until it does not lose.

    Raises:
        DatabaseUnavailable: it lost too often, or something else was wrong.
    """
    pause = _FIRST_PAUSE_SECONDS
    for _ in range(_ATTEMPTS):
        try:
            return transaction()
        except TransactionConflict:
            time.sleep(random.uniform(0, pause))  # noqa: S311 - jitter, no secret
            pause *= 2
    raise DatabaseUnavailable("the transaction lost against others too often")
