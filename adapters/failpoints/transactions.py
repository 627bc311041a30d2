"""A transaction runner that can fail before and after each commit of one use case."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from adapters.failpoints.names import COMMIT, UseCase, after, before
from adapters.failpoints.registry import Failpoints
from application.unit_of_work import TransactionRunner, UnitOfWork

T = TypeVar("T")


def with_failpoints(
    transactions: TransactionRunner, points: Failpoints | None, use_case: UseCase
) -> TransactionRunner:
    """Return the runner of a use case; itself if nothing is armed."""
    if points is None:
        return transactions
    return FailpointTransactionRunner(transactions, points, use_case)


class FailpointTransactionRunner:
    """Passes `{use case}.before-commit` once the work is done, and `.after-commit` after it."""

    def __init__(
        self, transactions: TransactionRunner, points: Failpoints, use_case: UseCase
    ) -> None:
        self._transactions = transactions
        self._points = points
        self._use_case = use_case

    def run(self, work: Callable[[UnitOfWork], T]) -> T:
        def until_commit(uow: UnitOfWork) -> T:
            result = work(uow)
            self._points.reach(before(self._use_case, COMMIT))
            return result

        result = self._transactions.run(until_commit)
        self._points.reach(after(self._use_case, COMMIT))
        return result
