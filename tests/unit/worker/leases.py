"""Leases without a database: what is asked of them is noted, and may wait or fail."""

import threading
import time
from collections.abc import Collection, Mapping
from typing import cast

from application.keep_leases import KeepLeases
from application.leases import Lease, Leased, Renewal, Work

LONG = 600.0


def build_lease(id_: int = 1) -> Lease:
    return Lease(Leased.BUILD, id_, 1, Work.BUILD, epoch=1)


def start_lease(id_: int = 1, epoch: int = 1) -> Lease:
    return Lease(Leased.CONTAINER, id_, 1, Work.START, epoch=epoch, generation=1)


class FakeLeases:
    """Stands for `KeepLeases`.

    Attributes:
        answer: what a renewal tells of each lease; a lease that is missing in it was lost.
        silent: while it is set, renewals wait as for a database that does not answer.
        trouble: raised when a lease is handed back.
    """

    def __init__(self) -> None:
        self.answer: dict[Lease, Renewal] = {}
        self.silent = threading.Event()
        self.trouble: Exception | None = None
        self.renewed: list[Lease] = []
        self.handed_back: list[Lease] = []
        self.pauses: list[float] = []

    def port(self) -> KeepLeases:
        return cast(KeepLeases, self)

    def renew(self, leases: Collection[Lease]) -> Mapping[Lease, Renewal]:
        self.renewed.extend(leases)
        deadline = time.monotonic() + 10
        while self.silent.is_set() and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        return {lease: self.answer[lease] for lease in leases if lease in self.answer}

    def hand_back(self, lease: Lease, retry_in_seconds: float = 0.0) -> None:
        self.handed_back.append(lease)
        self.pauses.append(retry_in_seconds)
        if self.trouble is not None:
            raise self.trouble
