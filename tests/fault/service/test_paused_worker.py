"""A worker that is stopped past its lease while another acts, and then goes on.

A lease fences what it records, not what it does on Docker: the call that it stood before is made
late. What that changes is an observation like any other: the next pass finds it, what is wished
rules, and nothing is told twice.
"""

from dataclasses import dataclass

import pytest

from adapters.failpoints.names import ENGINE
from domain.container_status import Desired
from tests.fault.lengths import LONG
from tests.fault.service.ends import DELETED, READY, End, Told
from tests.fault.service.ground import Ground
from tests.fault.service.operations import OPERATIONS, Driven

_RUN = ("started", "stopped")


@dataclass(frozen=True, slots=True)
class Late:
    """One call that is made late.

    Attributes:
        then: what is wished and carried out after the take-over, before the late call.
        end: how everything ends.
    """

    operation: str
    call: str
    then: Desired | None
    end: End


# A late stop and a late start each make a run end, or begin, behind our back; both are told.
LATE = (
    Late("create", "create", None, OPERATIONS["create"].done),
    Late(
        "create", "create", Desired.DELETED,
        End(READY, (DELETED,)),
    ),
    Late(
        "create", "start", Desired.STOPPED,
        End(READY, (Told("stopped", ("created", *_RUN * 2)),)),
    ),
    Late(
        "stop", "stop", Desired.RUNNING,
        End(READY, (Told("running", ("created", *_RUN * 2, "started")),)),
    ),
    Late(
        "start", "start", Desired.STOPPED,
        End(READY, (Told("stopped", ("created", *_RUN * 3)),)),
    ),
    Late("delete", "stop", None, OPERATIONS["delete"].done),
    Late("delete", "remove", None, OPERATIONS["delete"].done),
    Late("build", "tag", None, OPERATIONS["build"].done),
    Late("image-delete", "remove-tag", None, OPERATIONS["image-delete"].done),
)  # fmt: skip


@pytest.mark.parametrize("late", LATE, ids=lambda late: f"{late.operation}-{late.call}-{late.then}")
def test_what_a_paused_worker_does_late_is_repaired_by_the_next_pass(
    late: Late, ground: Ground
) -> None:
    subject = ground.prepare(late.operation)
    paused = ground.begin(late.operation, subject, f"engine.before-{late.call}=hang")
    paused.expect_stopped()
    ground.recover()
    if late.then is not None:
        ground.wish(late.then)
        ground.recover()

    paused.go_on()
    paused.expect_ended()
    ground.recover()

    ground.expect_agreement(late.end)


def test_the_late_result_of_a_build_moves_nothing_that_is_recorded(ground: Ground) -> None:
    subject = ground.prepare("build")
    paused = ground.begin("build", subject, "engine.before-build=hang")
    paused.expect_stopped()
    ground.recover()
    build = ground.installation.rows("SELECT * FROM builds")
    tag = f"nvidia-app-uuser-1-i{subject}:latest"
    public = ground.docker.snapshot().tags[tag]

    paused.go_on()
    paused.expect_ended()

    assert ground.installation.rows("SELECT * FROM builds") == build
    assert build[0]["docker_image_id"] == public == ground.docker.snapshot().tags[tag]
    assert ground.installation.told(f"image/{subject}") == ["image.build_started", "image.ready"]
    ground.recover()
    ground.expect_agreement(OPERATIONS["build"].done)


# Whoever is stopped in a build that runs is the one here that was to ask for its end: nobody would.
_IN_A_BUILD = {Driven.RUNNING_BUILD, Driven.DELETED_BUILD}


@pytest.mark.skipif(not LONG, reason="the calls that matter are tried above")
@pytest.mark.parametrize(
    "operation", [name for name, each in OPERATIONS.items() if each.driven not in _IN_A_BUILD]
)
def test_a_worker_that_is_paused_before_any_call_spoils_nothing(
    operation: str, ground: Ground
) -> None:
    for turn in ground.turns(operation):
        if not turn.place.startswith(f"{ENGINE}."):
            continue
        paused = ground.let_happen(operation, turn, "hang")
        paused.expect_stopped()
        ground.recover()

        paused.go_on()
        paused.expect_ended()
        ground.recover()

        ground.expect_agreement(OPERATIONS[operation].done)


def test_a_worker_that_is_paused_within_a_transaction_holds_nobody_up(ground: Ground) -> None:
    subject = ground.prepare("stop")
    # Its third commit: it covers the call of stop, and holds the container's row.
    paused = ground.begin("stop", subject, "reconcile.before-commit=hang@3")
    paused.expect_stopped()
    ground.wait_until_none_is_idle_in_a_transaction()

    ground.recover()
    paused.go_on()
    paused.expect_ended()

    ground.expect_agreement(OPERATIONS["stop"].done)
