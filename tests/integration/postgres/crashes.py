"""A process that dies after its last write, before its commit."""

from collections.abc import Callable
from typing import TypeVar

from application.unit_of_work import TransactionRunner, UnitOfWork

T = TypeVar("T")


class Crash(Exception):  # noqa: N818 - no error: the process died
    """The process ended here."""


class CrashingTransactions:
    """Runs work to its end, and dies before the commit.

    Args:
        spared: how many transactions are committed before that.
    """

    def __init__(self, transactions: TransactionRunner, spared: int = 0) -> None:
        self._transactions = transactions
        self._spared = spared

    def run(self, work: Callable[[UnitOfWork], T]) -> T:
        def die(uow: UnitOfWork) -> T:
            work(uow)
            raise Crash

        if self._spared:
            self._spared -= 1
            return self._transactions.run(work)
        return self._transactions.run(die)
