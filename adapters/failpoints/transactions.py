"""Transactions that can fail before and after each commit of one use case.

Most use cases run theirs by a runner; what has a transaction of its own begins it by a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from psycopg import Connection
from psycopg.rows import DictRow

from adapters.failpoints.names import COMMIT, UseCase, after, before
from adapters.failpoints.registry import Failpoints
from adapters.postgres.pool import Transaction, plain_transaction
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


def transaction_with_failpoints(points: Failpoints | None, use_case: UseCase) -> Transaction:
    """Return how a use case begins a transaction of its own; the plain way if nothing is armed."""
    return plain_transaction if points is None else FailpointTransaction(points, use_case).begun


class FailpointTransaction:
    """Begins transactions that pass the same places as a runner's."""

    def __init__(self, points: Failpoints, use_case: UseCase) -> None:
        self._points = points
        self._use_case = use_case

    @contextmanager
    def begun(self, connection: Connection[DictRow]) -> Iterator[None]:
        with connection.transaction():
            yield
            self._points.reach(before(self._use_case, COMMIT))
        self._points.reach(after(self._use_case, COMMIT))
