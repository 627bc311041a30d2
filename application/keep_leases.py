"""Keep the leases of a worker alive, learn what became of them, and give them up early."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from application.leases import Lease, Renewal, Settlement
from application.unit_of_work import TransactionRunner


class KeepLeases:
    """What a worker does with its leases while the work itself goes on elsewhere.

    Args:
        lease_seconds: how long a renewed lease lasts.
    """

    def __init__(self, transactions: TransactionRunner, *, lease_seconds: float) -> None:
        self._transactions = transactions
        self._lease_seconds = lease_seconds

    def renew(self, leases: Collection[Lease]) -> Mapping[Lease, Renewal]:
        """Prolong leases; the ones that are missing in the answer were lost.

        One that could not be prolonged, because somebody held its row, is to be asked for again.
        """
        return self._transactions.run(lambda uow: uow.leases.renew(leases, self._lease_seconds))

    def hand_back(self, lease: Lease, retry_in_seconds: float = 0.0) -> None:
        """Give a lease up without an attempt: the worker ends, or a later wish replaced this one.

        Raises:
            LeaseLost: it was another's already.
        """
        settlement = Settlement.handed_back(lease, retry_in_seconds)
        self._transactions.run(lambda uow: uow.leases.settle(lease, settlement))
