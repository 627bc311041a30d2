"""A container: what is desired of it, what was observed, and how one follows from the other.

The api owns `desired` and `generation`: a wish is recorded and never queued, the latest wins, and
delete is never taken back. Workers own everything else and report what they verified in Docker
(`container_runs`). Events are raised while the state changes, so that none is recorded without the
other (`container_state`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.container_runs import ContainerRuns
from domain.container_spec import ContainerSpec
from domain.container_status import ContainerStatus, Desired
from domain.errors import ContainerRefuses
from domain.events import Cause
from domain.wish import Wish

# Hexadecimal digits of the uid that end a container's name.
NAME_SUFFIX_DIGITS = 8

_ADVICE_DELETED = "it is being deleted"
_ADVICE_CREATING = "delete it instead"
_ADVICE_FAILED = "delete it and create another"


@dataclass(slots=True, eq=False)
class Container(ContainerRuns):
    """A container of a user."""

    @classmethod
    def create(
        cls,
        container_id: int,
        uid: UUID,
        spec: ContainerSpec,
        base_name: str,
        slot: int,
        external_port: int,
        wish: Wish,
    ) -> Container:
        """Desire a container that does not exist yet; its name ends in digits of its uid."""
        return cls(
            id=container_id,
            uid=uid,
            spec=spec,
            name=f"{base_name}-{uid.hex[:NAME_SUFFIX_DIGITS]}",
            created_at=wish.at,
            slot=slot,
            external_port=external_port,
            wished_at=wish.at,
            wish_cause=wish.cause,
            request_id=wish.request_id,
            created_by=wish.cause,
        )

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be done until the next wish or observation."""
        return self.fulfils(self.desired)

    def fulfils(self, desired: Desired) -> bool:
        """Whether a wish has been carried out, as far as it can be.

        What failed or is gone gets no nearer to it; an exited container waits for its policy.
        """
        if self.status is ContainerStatus.DELETED:
            return True
        if desired is Desired.DELETED:
            return False
        if self.status is ContainerStatus.FAILED:
            return True
        if desired is Desired.STOPPED:
            return self.status is ContainerStatus.STOPPED
        return self.status in {ContainerStatus.RUNNING, ContainerStatus.EXITED}

    def next_step_in(self, now: datetime) -> float | None:
        """Return in how many seconds a step is due, None if not before a wish or observation."""
        if not self.is_settled:
            return 0.0
        if self.restart_at is None or self.status is not ContainerStatus.EXITED:
            return None
        return max((self.restart_at - now).total_seconds(), 0.0)

    @property
    def has_new_wish(self) -> bool:
        """Whether no worker has taken up the latest wish to its end yet."""
        return self.generation > self.settled_generation

    # ---- wishes: the api's side ------------------------------------------------------------

    def request_start(self, wish: Wish) -> bool:
        """Wish it running; an exited one is started at once by it, whatever its backoff.

        Returns:
            Whether anything is to be done for it.

        Raises:
            ContainerRefuses: if it failed or is being deleted.
        """
        self._refuse_if_over(Desired.RUNNING)
        waits_for_policy = self.status is ContainerStatus.EXITED and not self.has_new_wish
        if self.desired is Desired.RUNNING and not waits_for_policy:
            return False
        self._wish(Desired.RUNNING, wish)
        return True

    def request_stop(self, wish: Wish) -> bool:
        """Wish it stopped; returns whether anything is to be done for it.

        Raises:
            ContainerRefuses: if it is still being created, failed, or is being deleted.
        """
        self._refuse_if_over(Desired.STOPPED)
        if self.status is ContainerStatus.CREATING:
            raise ContainerRefuses(self.status, Desired.STOPPED, _ADVICE_CREATING)
        if self.desired is Desired.STOPPED:
            return False
        self._wish(Desired.STOPPED, wish)
        return True

    def request_delete(self, wish: Wish) -> bool:
        """Wish it gone, in every state; returns whether anything is to be done for it."""
        if self._is_over:
            return False
        self._wish(Desired.DELETED, wish)
        return True

    def lose_engine(self, now: datetime) -> None:
        """It is gone for good with its engine: an open run is told as stopped, then it as deleted.

        What never came up, or failed, was not there to vanish: it is deleted as if wished so.
        """
        if self.status in {ContainerStatus.CREATING, ContainerStatus.FAILED}:
            self.request_delete(Wish(Cause.RECONCILER, None, now))
            self.begin()
        self.record_deleted(now, cause=Cause.RECONCILER)

    # ---- a worker has claimed it -----------------------------------------------------------

    def begin(self) -> bool:
        """Show the step that leads from the status to what is desired; returns whether it moved.

        A stop that was begun is carried through before anything else but a delete. What vanished
        while its deletion was wished is gone already.
        """
        before = self.status
        if self.desired is Desired.DELETED:
            if self.status not in {ContainerStatus.DELETING, ContainerStatus.DELETED}:
                self._move(ContainerStatus.DELETING)
        elif self.desired is Desired.STOPPED and self.status is ContainerStatus.RUNNING:
            self._move(ContainerStatus.STOPPING)
        elif self.desired is Desired.RUNNING and self.status in {
            ContainerStatus.STOPPED,
            ContainerStatus.EXITED,
        }:
            self._move(ContainerStatus.STARTING)
            self.restart_at = None
        return self.status is not before

    def forget_setback(self) -> bool:
        """It is as wished, so nothing is in the way any more; returns whether anything was told.

        What runs or is stopped as wished has no other reason to tell; what ended keeps why it did.
        """
        at_rest = self.status in {ContainerStatus.RUNNING, ContainerStatus.STOPPED}
        if self.status_reason is None or not (at_rest and self.is_settled):
            return False
        self.status_reason = None
        return True

    def rename(self) -> None:
        """Take a longer name while it is being created: a stranger in Docker has the first one.

        Raises:
            ContainerRefuses: its name holds the whole uid already.
        """
        self._only_while_creating("renamed")
        base, _, suffix = self.name.rpartition("-")
        if len(suffix) >= len(self.uid.hex):
            raise ContainerRefuses(self.status, "renamed", "its name holds its whole uid already")
        self.name = f"{base}-{self.uid.hex[: len(suffix) + NAME_SUFFIX_DIGITS]}"

    def move_port(self, external_port: int) -> None:
        """Take another port while it is being created: a stranger on the host has the first one."""
        self._only_while_creating("moved to another port")
        self.external_port = external_port

    def move_to_slot(self, slot: int) -> None:
        """Take another of its image's slots: fewer of them are left."""
        self.slot = slot

    # ---- detail ----------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        """Whether its deletion was wished, or it vanished without that."""
        return self.desired is Desired.DELETED or self.status is ContainerStatus.DELETED

    def _refuse_if_over(self, desired: Desired) -> None:
        if self._is_over:
            raise ContainerRefuses(ContainerStatus.DELETING, desired, _ADVICE_DELETED)
        if self.status is ContainerStatus.FAILED:
            raise ContainerRefuses(self.status, desired, _ADVICE_FAILED)

    def _only_while_creating(self, change: str) -> None:
        if self.status is not ContainerStatus.CREATING:
            raise ContainerRefuses(self.status, change, "its name and port are known by now")
