"""Limits under any order of events, over the real PostgreSQL unit of work.

Users upload, create, wish and delete; a worker claims, records, loses its lease, is handed back;
time passes; and every operation may die after its last write, before its commit. After each step
the tables are held against a plain model: nothing of a crash may be seen, in no table.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from application.container_outcomes import ContainerOutcomes
from application.errors import LeaseLost
from application.leases import Lease, Settlement
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.errors import ContainerRefuses, IllegalTransition, NoFreePort
from tests.integration.postgres.installation import ENGINE, Installation, utc_now
from tests.property.container_model import EVERY_OUTCOME, OUTCOMES
from tests.property.installed_machine import acts
from tests.property.limits_tables import expect_tables_as_the_model
from tests.property.limits_users import CRASHES, PORTS, UsersMachine, expect_refusal

# What usually comes of the step that a claim shows.
USUAL = {
    "creating": "running",
    "starting": "running",
    "stopping": "stopped",
    "deleting": "deleted",
}


class LimitsMachine(UsersMachine):
    """What users do, and a worker that claims, records, loses its lease and is handed back."""

    # ---- a worker --------------------------------------------------------------------------

    @precondition(lambda self: any(image.build == "queued" for image in self.model.images.values()))
    @rule(data=st.data(), crash=CRASHES)
    def finish_a_build(self, data: st.DataObject, *, crash: bool) -> None:
        queued = [number for number, image in self.model.images.items() if image.build == "queued"]
        image_id = data.draw(st.sampled_from(queued))
        build = self.op(
            lambda transactions: self.installation.build(image_id, transactions), crash=crash
        )

        if not self.crashed(build, crash=crash):
            image = self.model.images[image_id]
            image.build, image.status = "succeeded", "ready"
            image.told.append("image.ready")

    @rule()
    def claim(self) -> None:
        held = {lease.id for lease in self.leases}
        due = {
            number
            for number, container in self.model.containers.items()
            if container.wants_a_worker and number not in held
        }

        leases = self.installation.claim(limit=50)

        assert {lease.id for lease in leases} == due
        for lease in leases:
            container = self.model.containers[lease.id]
            container.claim()
            assert lease.generation == container.generation
        self.leases += leases

    @rule()
    def work_as_usual(self) -> None:
        self.claim()
        for lease in list(self.leases):
            status = self.model.containers[lease.id].status
            self._record_outcome(lease, USUAL.get(status, "unchanged"), crash=False)

    @precondition(lambda self: bool(self.leases))
    @rule(data=st.data(), crash=CRASHES)
    def record(self, data: st.DataObject, *, crash: bool) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        status = self.model.containers[lease.id].status
        outcome = data.draw(st.sampled_from([*sorted(OUTCOMES[status]), "unchanged"]))
        self._record_outcome(lease, outcome, crash=crash)

    @precondition(lambda self: any(c.status == "running" for c in self.model.containers.values()))
    @rule(data=st.data(), outcome=st.sampled_from(["running", "exited", "vanished"]))
    def observe_a_change(self, data: st.DataObject, outcome: str) -> None:
        running = [n for n, c in self.model.containers.items() if c.status == "running"]
        container_id = data.draw(st.sampled_from(running))
        self.installation.execute(
            f"UPDATE containers SET next_attempt_at = now() WHERE id = {container_id}"
        )
        self.model.containers[container_id].due = True
        self.claim()

        for lease in self.leases.copy():
            # A wish that came first is the step that was claimed.
            status = self.model.containers[lease.id].status
            if lease.id == container_id and outcome in OUTCOMES[status]:
                self._record_outcome(lease, outcome, crash=False)

    @precondition(lambda self: bool(self.leases))
    @rule(data=st.data(), outcome=st.sampled_from(EVERY_OUTCOME))
    def attempt_what_is_not_allowed(self, data: st.DataObject, outcome: str) -> None:
        lease = data.draw(st.sampled_from(self.leases))

        if not self.model.containers[lease.id].allows(outcome):
            with pytest.raises(IllegalTransition):
                self._record(lease, outcome, 0, self.installation.transactions)

    @precondition(lambda self: bool(self.stale))
    @rule(data=st.data(), outcome=st.sampled_from([*EVERY_OUTCOME, "unchanged"]))
    def record_what_a_paused_worker_saw(self, data: st.DataObject, outcome: str) -> None:
        lease = data.draw(st.sampled_from(self.stale))

        with pytest.raises(LeaseLost):
            self._record(lease, outcome, 0, self.installation.transactions)

    @precondition(lambda self: bool(self.leases))
    @rule(data=st.data(), crash=CRASHES)
    def move_port(self, data: st.DataObject, *, crash: bool) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        move = self.op(
            lambda transactions: self.installation.outcomes(lease, transactions).moved_port(),
            crash=crash,
        )

        if not self.model.next_ports():
            expect_refusal((NoFreePort, ContainerRefuses), move)
        elif self.model.containers[lease.id].status != "creating":
            expect_refusal(ContainerRefuses, move)
        elif not self.crashed(move, crash=crash):
            self.model.move_port(lease.id)

    @precondition(lambda self: bool(self.leases))
    @rule(data=st.data(), later=st.booleans())
    def hand_back(self, data: st.DataObject, *, later: bool) -> None:
        lease = data.draw(st.sampled_from(self.leases))

        self.installation.settle(lease, Settlement.retry(3600) if later else Settlement.again())

        self.leases.remove(lease)
        container = self.model.containers[lease.id]
        container.settled_generation, container.due = lease.generation, not later

    @precondition(lambda self: bool(self.leases))
    @rule()
    def lose_every_lease_to_another_worker(self) -> None:
        held = {lease.id for lease in self.leases}
        self.installation.execute("UPDATE containers SET next_attempt_at = now()")
        for container in self.model.containers.values():
            container.due = True

        self.installation.expire_leases()
        self.stale, self.leases = self.leases, []
        self.claim()

        assert held <= {lease.id for lease in self.leases}

    @rule()
    def remove_images_that_nothing_uses(self) -> None:
        due = {
            number
            for number, image in self.model.images.items()
            if image.status == "deleting"
            and all(
                container.status == "deleted"
                for container in self.model.containers.values()
                if container.image == number
            )
        }

        leases = self.installation.transactions.run(
            lambda uow: uow.leases.claim_image_removals(ENGINE, 50)
        )
        for lease in leases:
            self._remove(lease)

        assert {lease.id for lease in leases} == due
        for number in due:
            self.model.images[number].status = "deleted"
            self.model.images[number].told.append("image.deleted")

    # ---- time ------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([31, 62, 620]))
    def wait(self, seconds: int) -> None:
        self.installation.execute(
            f"UPDATE host_ports SET free_after = free_after - interval '{seconds} seconds'"
        )
        self.model.now += seconds

    # ---- what holds at every moment --------------------------------------------------------

    @invariant()
    def tables_are_as_the_model(self) -> None:
        expect_tables_as_the_model(self.installation, self.model)

    # ---- detail ----------------------------------------------------------------------------

    def _record_outcome(self, lease: Lease, outcome: str, *, crash: bool) -> None:
        self.runs += 1
        run = self.runs
        container = self.model.containers[lease.id]
        record = self.op(
            lambda transactions: self._record(lease, outcome, run, transactions), crash=crash
        )

        if self.crashed(record, crash=crash):
            return
        if outcome != "unchanged":
            self.model.take(lease.id, outcome, run)
        if outcome != "run_ended":
            self.leases.remove(lease)
            container.settled_generation = lease.generation
            container.due = not container.settled

    def _record(
        self, lease: Lease, outcome: str, run: int, transactions: TransactionRunner
    ) -> None:
        outcomes = self.installation.outcomes(lease, transactions)
        if outcome == "vanished":
            self._vanish(lease, outcomes)
        elif outcome == "unchanged":
            self._leave(lease, outcomes)
        else:
            acts(outcomes, lease.id, run)[outcome]()

    def _leave(self, lease: Lease, outcomes: ContainerOutcomes) -> None:
        """End the claim without an outcome: it is as desired, or has to be tried again."""
        if self.model.containers[lease.id].settled:
            outcomes.looked()
        else:
            outcomes.settle(Settlement.again())

    def _vanish(self, lease: Lease, outcomes: ContainerOutcomes) -> None:
        self.installation.note_missing(lease.id)
        outcomes.vanished()

    def _remove(self, lease: Lease) -> None:
        def work(uow: UnitOfWork) -> None:
            hostname = self.model.images[lease.id].hostname
            uow.hostnames.lock(hostname)
            uow.leases.hold(lease)
            image = uow.images.lock(lease.id)
            image.record_deleted(utc_now())
            uow.images.save(image)
            uow.hostnames.release_unheld(hostname)
            uow.leases.settle(lease, Settlement.done())

        self.installation.transactions.run(work)


@pytest.fixture(scope="module")
def ports() -> int:
    return PORTS


# Hypothesis spends up to five minutes on making a failure smaller before it prints it.
@pytest.mark.timeout(600)
def test_limits_hold_in_any_order_of_events_and_crashes(installation: Installation) -> None:
    LimitsMachine.run_over(installation, settings(max_examples=100, stateful_step_count=40))
