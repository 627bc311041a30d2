"""An attempt whose end the database does not take is handed back, and no other one is uncounted."""

import pytest

from application.engine_calls import BuildOrder
from application.errors import (
    AttemptUnrecorded,
    DatabaseUnavailable,
    EngineTransient,
    LeaseLost,
)
from application.leases import Lease
from application.record_build import MAX_BROKEN_OFF
from tests.integration.worker.images import build, image, told, uploaded
from tests.integration.worker.worker import Worker


def lose_database(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(worker.builds._transactions, "run", away)


def unrecorded(worker: Worker, lease: Lease, call: str) -> None:
    """Let the database be away from the end of a call of the engine on."""
    with pytest.MonkeyPatch.context() as patch:
        method = getattr(worker.engine, call)

        def lose(*arguments: object) -> object:
            result = method(*arguments)
            lose_database(worker, patch)
            return result

        patch.setattr(worker.engine, call, lose)
        with pytest.raises(AttemptUnrecorded):
            worker.builds.act(lease, worker.engine_id)


def test_an_attempt_whose_end_is_not_recorded_is_uncounted_by_its_hand_back(
    worker: Worker,
) -> None:
    image_id, lease = uploaded(worker), worker.claim_build()
    unrecorded(worker, lease, "build")
    counted = build(worker, image_id)

    worker.builds.hand_back(lease)
    handed_back = build(worker, image_id)
    worker.come_due()
    worker.work()

    assert (counted, handed_back) == (("running", 1), ("running", 0))
    assert build(worker, image_id) == ("succeeded", 1)
    with pytest.raises(LeaseLost):
        worker.builds.hand_back(lease)


def test_a_build_that_was_cancelled_meanwhile_is_cancelled_by_its_hand_back(
    worker: Worker,
) -> None:
    image_id, lease = uploaded(worker), worker.claim_build()
    unrecorded(worker, lease, "build")
    worker.installation.cancel(image_id)

    worker.builds.hand_back(lease)

    assert (image(worker, image_id), build(worker, image_id)) == (
        "build_cancelled",
        ("cancelled", 1),
    )
    assert told(worker, image_id) == ["build_started", "build_cancelled"]


def test_a_build_that_has_succeeded_gets_its_tag_after_its_hand_back(worker: Worker) -> None:
    image_id, lease = uploaded(worker), worker.claim_build()
    unrecorded(worker, lease, "tag")

    worker.builds.hand_back(lease)
    worker.work()

    (row,) = worker.installation.rows("SELECT public_tag_set, lease_until FROM builds")
    assert build(worker, image_id) == ("succeeded", 1)
    assert row == {"public_tag_set": True, "lease_until": None}
    assert told(worker, image_id) == ["build_started", "ready"]


def test_a_build_that_takes_the_database_down_each_time_is_given_up(worker: Worker) -> None:
    """A step that fills the disk does so, if both are on one."""
    image_id = uploaded(worker)

    for _ in range(MAX_BROKEN_OFF):
        lease = worker.claim_build()
        unrecorded(worker, lease, "build")
        worker.builds.hand_back(lease)
        worker.come_due()

    assert build(worker, image_id) == ("failed", 0)
    assert told(worker, image_id) == ["build_started", "build_failed"]
    assert worker.work() == 0


def test_an_attempt_that_was_not_begun_is_nothing_to_hand_back(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = uploaded(worker)

    def end(_: BuildOrder) -> str:
        raise EngineTransient("the engine ended")

    with monkeypatch.context() as patch:
        patch.setattr(worker.engine, "build", end)
        worker.builds.act(worker.claim_build(), worker.engine_id)
    worker.come_due()
    lease = worker.claim_build()
    with monkeypatch.context() as patch:
        lose_database(worker, patch)
        with pytest.raises(DatabaseUnavailable) as away:
            worker.builds.act(lease, worker.engine_id)

    assert not isinstance(away.value, AttemptUnrecorded)
    assert build(worker, image_id) == ("running", 1)
