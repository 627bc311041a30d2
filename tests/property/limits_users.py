"""What several users do, in any order, over the real PostgreSQL unit of work.

Every operation may die after its last write, before its commit: then the model stays as it was.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from application.errors import NotFound
from application.leases import Lease
from application.unit_of_work import TransactionRunner
from domain.container_status import Desired
from domain.errors import (
    ContainerRefuses,
    HostnameTaken,
    ImageHasLiveContainers,
    ImageNotUsable,
    InstanceLimitReached,
    NoFreePort,
)
from tests.integration.postgres.crashes import Crash, CrashingTransactions
from tests.integration.postgres.installation import FIRST_PORT
from tests.property.installed_machine import InstalledMachine
from tests.property.limits_model import ImageModel, LimitsModel

T = TypeVar("T")
Refused = TypeVar("Refused", bound=Exception)

USERS = st.sampled_from(["user-1", "user-2", "user-3"])
HOSTNAMES = st.sampled_from(["a.example", "b.example"])
WISHES = st.sampled_from(list(Desired))
CRASHES = st.sampled_from([False, False, False, True])
OWN = st.sampled_from([True, True, True, False])
PORTS = 6


class UsersMachine(InstalledMachine):
    """Several users' images and containers."""

    def __init__(self) -> None:
        super().__init__()
        self.model = LimitsModel(range(FIRST_PORT, FIRST_PORT + PORTS))
        self.leases: list[Lease] = []
        self.stale: list[Lease] = []

    @initialize(counts=st.tuples(st.integers(0, 2), st.integers(0, 3)))
    def begin_with_containers_of_two_users(self, counts: tuple[int, int]) -> None:
        for user, hostname, count in zip(
            ("user-1", "user-2"), ("a.example", "b.example"), counts, strict=True
        ):
            image_id = self.installation.ready_image(user, hostname, 3)
            self.model.images[image_id] = ImageModel(user, hostname, 3, "ready", "succeeded")
            self.model.images[image_id].told.append("image.ready")
            if count:
                ids = self.installation.create(image_id, count, user)
                self.model.add_containers(image_id, ids)

    # ---- users -----------------------------------------------------------------------------

    @rule(user=USERS, hostname=HOSTNAMES, maximum=st.integers(1, 4), crash=CRASHES)
    def upload(self, user: str, hostname: str, maximum: int, *, crash: bool) -> None:
        upload = self.op(
            lambda transactions: self.installation.upload(user, hostname, maximum, transactions),
            crash=crash,
            spared=1,  # the image's id comes from a transaction of its own
        )

        if self.model.owner(hostname) not in {None, user}:
            with pytest.raises(HostnameTaken):
                upload()
        elif (image_id := self.surviving(upload, crash=crash)) is not None:
            self.model.images[image_id] = ImageModel(user, hostname, maximum)

    @precondition(lambda self: bool(self.model.images))
    @rule(data=st.data(), user=USERS, own=OWN, count=st.integers(1, 3), crash=CRASHES)
    def create(self, data: st.DataObject, user: str, count: int, *, own: bool, crash: bool) -> None:
        usable = [number for number, image in self.model.images.items() if image.status == "ready"]
        going = [n for n, image in self.model.images.items() if image.status == "deleting"]
        image_id = data.draw(st.sampled_from([*usable, *going, *sorted(self.model.images)]))
        image = self.model.images[image_id]
        asking = image.user if own else user
        create = self.op(
            lambda transactions: self.installation.create(image_id, count, asking, transactions),
            crash=crash,
        )

        if asking != image.user or image.status == "deleted":
            expect_refusal(NotFound, create)
        elif image.status != "ready":
            expect_refusal(ImageNotUsable, create)
        elif count > self.model.left(image_id):
            refusal = expect_refusal(InstanceLimitReached, create)
            assert refusal.left == self.model.left(image_id)
        elif count > len(self.model.next_ports()):
            expect_refusal(NoFreePort, create)
        elif (ids := self.surviving(create, crash=crash)) is not None:
            assert len(ids) == count
            self.model.add_containers(image_id, ids)

    @precondition(lambda self: bool(self.model.containers))
    @rule(data=st.data(), user=USERS, own=OWN, desired=WISHES, crash=CRASHES)
    def wish(
        self, data: st.DataObject, user: str, desired: Desired, *, own: bool, crash: bool
    ) -> None:
        container_id = data.draw(st.sampled_from(sorted(self.model.containers)))
        container = self.model.containers[container_id]
        owner = self.model.images[container.image].user
        asking = owner if own else user
        wish = self.op(
            lambda transactions: self.installation.wish(
                container_id, desired, asking, transactions
            ),
            crash=crash,
        )

        if asking != owner or container.status == "deleted":
            expect_refusal(NotFound, wish)
            return
        before = replace(container)
        if container.wish(desired, "api") == "refused":
            expect_refusal(ContainerRefuses, wish)
        elif (generation := self.surviving(wish, crash=crash)) is not None:
            assert generation == container.generation
        else:
            self.model.containers[container_id] = before

    @precondition(lambda self: bool(self.model.images))
    @rule(data=st.data(), crash=CRASHES)
    def delete_image(self, data: st.DataObject, *, crash: bool) -> None:
        image_id = data.draw(st.sampled_from(sorted(self.model.images)))
        image = self.model.images[image_id]
        delete = self.op(
            lambda transactions: self.installation.delete_image(image_id, image.user, transactions),
            crash=crash,
        )

        if image.status == "deleted":
            expect_refusal(NotFound, delete)
        elif image.status != "deleting" and self.model.live(image_id):
            refusal = expect_refusal(ImageHasLiveContainers, delete)
            assert refusal.count == len(self.model.live(image_id))
        elif not self.crashed(delete, crash=crash) and image.status != "deleting":
            image.status = "deleting"
            if image.build == "queued":
                image.build = "cancelled"
                image.told.append("image.build_cancelled")
            for container in self.model.containers.values():
                if container.image == image_id and container.status == "failed":
                    container.wish("deleted", "api")

    # ---- detail ----------------------------------------------------------------------------

    def op(
        self, operation: Callable[[TransactionRunner], T], *, crash: bool, spared: int = 0
    ) -> Callable[[], T]:
        real = self.installation.transactions
        return lambda: operation(CrashingTransactions(real, spared) if crash else real)

    def surviving(self, operation: Callable[[], T], *, crash: bool) -> T | None:
        """Carry an operation out; None if it crashed, as it was to."""
        if not crash:
            return operation()
        with pytest.raises(Crash):
            operation()
        return None

    def crashed(self, operation: Callable[[], object], *, crash: bool) -> bool:
        self.surviving(operation, crash=crash)
        return crash


def expect_refusal(
    errors: type[Refused] | tuple[type[Refused], ...], operation: Callable[[], object]
) -> Refused:
    with pytest.raises(errors) as refusal:
        operation()
    return refusal.value
