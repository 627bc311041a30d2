"""One PostgreSQL transaction, as the use cases see it.

Saving an aggregate writes its state, its ledger rows and its outbox rows, or none of them. No call
on an engine is ever made inside of one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from application.lease_table import LeaseTable
from application.repositories import BuildRepository, ContainerRepository, ImageRepository

T = TypeVar("T")


class HostnameRegistry(Protocol):
    """Who owns which hostname; locked before any image."""

    def claim(self, hostname: str, user_id: str) -> None:
        """Take the hostname for the user, or confirm that it is theirs.

        Raises:
            HostnameTaken: if another user's image holds it.
        """

    def lock(self, hostname: str) -> None:
        """Lock the hostname's row before the images that hold it."""

    def release_unheld(self, hostname: str) -> None:
        """Give the hostname up if no image holds it any more."""


class HostPortPool(Protocol):
    """The host ports of an engine: held by a container, cooling down, or free."""

    def reserve(self, engine_id: str, container_id: int) -> int:
        """Take the port that was released longest ago.

        Raises:
            NoFreePort: if all are held or cooling down.
        """

    def release(self, container_id: int, cool_down_seconds: float) -> None:
        """Give the container's port back; nobody gets it before the cool-down is over."""


class EngineDirectory(Protocol):
    """The engines that workers have registered."""

    def host(self, engine_id: str) -> str:
        """Return the address under which the external ports of the engine are reached."""

    def request_pass(self, engine_id: str) -> None:
        """Let the next pass over the engine be due at once."""


class UnitOfWork(Protocol):
    """One transaction. Lock order: folder, hostname, image, build, container ascending."""

    @property
    def images(self) -> ImageRepository: ...
    @property
    def builds(self) -> BuildRepository: ...
    @property
    def containers(self) -> ContainerRepository: ...
    @property
    def hostnames(self) -> HostnameRegistry: ...
    @property
    def host_ports(self) -> HostPortPool: ...
    @property
    def engines(self) -> EngineDirectory: ...
    @property
    def leases(self) -> LeaseTable: ...

    def now(self) -> datetime:
        """Return the time by the database's clock, which is the same for all processes."""


class TransactionRunner(Protocol):
    """Runs work in a transaction: commits when it returns, rolls back when it raises."""

    def run(self, work: Callable[[UnitOfWork], T]) -> T:
        """Carry out `work`, again if PostgreSQL reports a serialisation failure or deadlock.

        Raises:
            DatabaseUnavailable: if no connection is to be had, or it broke.
        """
