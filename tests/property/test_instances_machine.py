"""min_instances and max_instances under any order of changes, wishes, outcomes and turns.

One user's images over the real PostgreSQL unit of work: limits are changed, containers made,
stopped, deleted by users, kept by workers, and come up, end, fail or vanish. No model says how many
there must be; after each step it is looked whether what was promised holds.
"""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from psycopg.rows import DictRow

from application.errors import InvalidForm, NotFound
from application.leases import Lease
from application.views import ImageView
from domain.container_status import Desired
from domain.errors import (
    BelowMinInstances,
    ContainerRefuses,
    ImageHasLiveContainers,
    ImageInDeletion,
    ImageNotUsable,
    InstanceLimitReached,
    MaxBelowLiveContainers,
    NoFreePort,
)
from domain.instances import Fleet
from domain.restart_policy import RestartPolicy
from tests.integration.postgres.installation import Installation
from tests.property.installed_machine import InstalledMachine, acts

PORTS = 9
# Of an image in deletion there is little to be learned: something has to have happened before.
RUNS_BEFORE_DELETIONS = 12
# What a worker may find after the step that a claim shows; the first is as wished.
OUTCOMES = {
    "creating": ("running", "failed_before_it_was"),
    "starting": ("running", "failed_start"),
    "running": ("exited", "crashed"),
    "stopping": ("stopped",),
    "deleting": ("deleted",),
}


class InstancesMachine(InstalledMachine):
    """Users and workers."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[int] = []

    @initialize(
        limits=st.lists(
            st.tuples(st.integers(0, 2), st.integers(2, 4), st.integers(0, 2)),
            min_size=1,
            max_size=2,
        )
    )
    def upload_and_create(self, limits: list[tuple[int, int, int]]) -> None:
        for number, (minimum, maximum, count) in enumerate(limits):
            image_id = self.installation.ready_image(
                "user-1", f"{number}.example", maximum, minimum
            )
            self.images.append(image_id)
            if count:
                self.installation.create(image_id, count)
        self.keep_instances()
        self.carry_out_as_wished()

    # ---- users -----------------------------------------------------------------------------

    @rule(
        data=st.data(), minimum=st.none() | st.integers(0, 2), maximum=st.none() | st.integers(1, 4)
    )
    def change_limits(self, data: st.DataObject, minimum: int | None, maximum: int | None) -> None:
        image_id = data.draw(st.sampled_from(self.images))
        policy = data.draw(st.sampled_from(RestartPolicy))
        before, live = self._image(image_id), len(self._live(image_id))
        new_minimum = before["min_instances"] if minimum is None else minimum
        new_maximum = before["max_instances"] if maximum is None else maximum

        refusal = self._attempt(
            lambda: self.installation.change_image(
                image_id, min_instances=minimum, max_instances=maximum, restart_policy=policy
            )
        )

        after = self._image(image_id)
        if before["status"] == "deleted":
            assert isinstance(refusal, NotFound)
        elif before["status"] == "deleting":
            assert isinstance(refusal, ImageInDeletion)
        elif new_minimum > new_maximum:
            assert isinstance(refusal, InvalidForm)
        elif new_maximum < live:
            assert isinstance(refusal, MaxBelowLiveContainers)
            assert refusal.count == live
        else:
            assert refusal is None
            assert (after["min_instances"], after["max_instances"]) == (new_minimum, new_maximum)

    @rule(data=st.data(), count=st.integers(1, 3))
    def create(self, data: st.DataObject, count: int) -> None:
        image_id = data.draw(st.sampled_from(self.images))
        room = self._image(image_id)["max_instances"] - len(self._live(image_id))

        refusal = self._attempt(lambda: self.installation.create(image_id, count))

        if self._image(image_id)["status"] != "ready":
            assert isinstance(refusal, NotFound | ImageNotUsable)
        elif count > room:
            assert isinstance(refusal, InstanceLimitReached)
        else:
            assert refusal is None or isinstance(refusal, NoFreePort)

    @precondition(lambda self: bool(self._containers()))
    @rule(data=st.data(), desired=st.sampled_from(list(Desired)))
    def wish(self, data: st.DataObject, desired: Desired) -> None:
        row = data.draw(st.sampled_from(self._containers()))
        image = self._image(row["image_id"])
        others = [
            each
            for each in self._live(row["image_id"])
            if each["desired"] == "running" and each["id"] != row["id"]
        ]

        refusal = self._attempt(lambda: self.installation.wish(row["id"], desired))

        enough = len(others) >= image["min_instances"] or image["status"] == "deleting"
        if desired is Desired.STOPPED and row["desired"] == "running" and refusal is None:
            assert enough
        if isinstance(refusal, BelowMinInstances):
            assert not enough
            assert refusal.left == len(others)
        else:
            assert refusal is None or isinstance(refusal, ContainerRefuses)

    @precondition(lambda self: self.runs >= RUNS_BEFORE_DELETIONS)
    @rule(data=st.data(), force=st.booleans())
    def delete_image(self, data: st.DataObject, *, force: bool) -> None:
        image_id = data.draw(st.sampled_from(self.images))
        before = self._image(image_id)["status"]
        of_users = [row for row in self._live(image_id) if row["created_by"] == "api"]

        refusal = self._attempt(lambda: self.installation.delete_image(image_id, force=force))

        if before == "ready" and of_users and not force:
            assert isinstance(refusal, ImageHasLiveContainers)
            assert refusal.count == len(of_users)
        else:
            assert refusal is None
            assert {row["desired"] for row in self._containers(image_id)} <= {"deleted"}

    # ---- workers ---------------------------------------------------------------------------

    @rule()
    def keep_instances(self) -> None:
        before = {image_id: self._containers(image_id) for image_id in self.images}

        self.installation.keep_instances()

        for image_id in self.images:
            image, shown = self._image(image_id), self._shown(image_id)
            if image["status"] == "deleting":
                assert len(self._containers(image_id)) == len(before[image_id])
                assert shown.instances_short == 0
            elif shown.instances_short:
                assert shown.instances_short_reason is not None
            if image["min_instances"]:
                assert sum(map(_tells_why, self._containers(image_id))) <= 1

    @rule()
    def carry_out_as_wished(self) -> None:
        for lease in self.installation.claim(limit=50):
            status = self.installation.row("containers", lease.id)["status"]
            self._record(lease, OUTCOMES.get(status, ("looked",))[0])

    @rule(data=st.data())
    def carry_out(self, data: st.DataObject) -> None:
        for lease in self.installation.claim(limit=50):
            status = self.installation.row("containers", lease.id)["status"]
            self._record(lease, data.draw(st.sampled_from(OUTCOMES.get(status, ("looked",)))))

    @precondition(lambda self: any(row["status"] == "running" for row in self._containers()))
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        running = [row["id"] for row in self._containers() if row["status"] == "running"]
        container_id = data.draw(st.sampled_from(running))
        self.installation.execute(
            f"UPDATE containers SET next_attempt_at = now() WHERE id = {container_id}"
        )
        self.carry_out(data)

    @rule()
    def time_passes(self) -> None:
        self.installation.execute(
            "UPDATE images SET replenish_after = now() WHERE replenish_after IS NOT NULL"
        )
        self.installation.execute(
            "UPDATE containers SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL"
        )
        self.installation.execute("UPDATE host_ports SET free_after = '-infinity'")

    # ---- what holds at every moment --------------------------------------------------------

    @invariant()
    def no_more_live_than_max_instances(self) -> None:
        for image_id in self.images:
            slots = [row["slot"] for row in self._live(image_id)]
            maximum = self._image(image_id)["max_instances"]
            assert len(slots) == len(set(slots)) <= maximum
            assert set(slots) <= set(range(1, maximum + 1))

    @invariant()
    def what_is_shown_follows_from_the_containers(self) -> None:
        for image_id in self.images:
            image = self._image(image_id)
            if image["status"] != "ready":
                continue
            shown = self._shown(image_id).instances_short
            assert shown == max(image["min_instances"] - self._fleet(image_id).serving, 0)

    # ---- detail ----------------------------------------------------------------------------

    def _record(self, lease: Lease, outcome: str) -> None:
        self.runs += 1
        acts(self.installation.outcomes(lease), lease.id, self.runs)[outcome]()

    def _attempt(self, operation: Callable[[], object]) -> Exception | None:
        try:
            operation()
        except Exception as exc:  # noqa: BLE001 - judged by the rule
            return exc
        return None

    def _image(self, image_id: int) -> DictRow:
        return self.installation.row("images", image_id)

    def _shown(self, image_id: int) -> ImageView:
        return self.installation.reader.image("user-1", image_id)

    def _fleet(self, image_id: int) -> Fleet:
        return self.installation.transactions.run(
            lambda uow: Fleet.of(uow.containers.of_image(image_id))
        )

    def _containers(self, image_id: int | None = None) -> list[DictRow]:
        rows = self.installation.rows(
            "SELECT * FROM containers WHERE status <> 'deleted' ORDER BY id"
        )
        return [row for row in rows if image_id in {None, row["image_id"]}]

    def _live(self, image_id: int) -> list[DictRow]:
        return [row for row in self._containers(image_id) if row["slot"] is not None]


def _tells_why(row: DictRow) -> bool:
    """Whether it is an instance that failed and stays to tell why."""
    told = (row["status"], row["created_by"]) == ("failed", "min_instances")
    return told and row["desired"] != "deleted"


@pytest.fixture(scope="module")
def ports() -> int:
    return PORTS


# Hypothesis spends up to five minutes on making a failure smaller before it prints it.
@pytest.mark.timeout(600)
def test_limits_of_instances_hold_in_any_order_of_events(installation: Installation) -> None:
    InstancesMachine.run_over(installation, settings(max_examples=80, stateful_step_count=30))
