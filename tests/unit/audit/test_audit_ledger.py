"""Each way in which a ledger can fail its aggregates is found, and nothing else is."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from application.audit.audit_ledger import audit_outbox, audit_streams
from application.audit.records import Address, LedgerEntry, Pending, Restoration, Stream
from domain.container_status import ContainerStatus
from domain.image_status import ImageStatus
from tests.unit.audit.worlds import (
    CONTAINER,
    IMAGE,
    container_stream,
    entry,
    image_stream,
    in_status,
    run,
    world,
)
from tests.unit.domain.samples import NOON

CREATED = entry(1, "container.created", "running")
STARTED = entry(2, "container.started", "running")
STOPPED = entry(3, "container.stopped", "stopped")
A_MILLION = 1_000_000
RESTORATION = Restoration(A_MILLION, 150, 10, 10)


def kinds(entries: Sequence[LedgerEntry], **changed: object) -> list[str]:
    """Audit a stream of the container, whose row is running after two events unless changed."""
    container = replace(CONTAINER, **changed)  # type: ignore[arg-type] # fields of the record
    streams = [Stream("container/5", tuple(entries)), image_stream()]
    return sorted(each.kind for each in audit_streams(world(container), streams))


def test_a_healthy_ledger_has_no_differences() -> None:
    assert list(audit_streams(world(), [container_stream(), image_stream()])) == []


def test_a_number_that_is_missing_is_a_gap() -> None:
    late = entry(3, "container.started", "running")

    assert kinds([CREATED, late], sequence=3) == ["sequence-gap"]


def test_a_stream_begins_with_one() -> None:
    later = [replace(each, sequence=each.sequence + 1) for each in (CREATED, STARTED)]
    later = [replace(each, told_sequence=each.sequence) for each in later]

    assert kinds(later, sequence=3) == ["sequence-gap"]


def test_an_event_that_was_counted_and_not_recorded_is_found() -> None:
    assert kinds([CREATED, STARTED], sequence=3) == ["sequence-end"]


def test_a_stream_without_any_row_of_the_ledger_is_found() -> None:
    differences = list(audit_streams(world(), [image_stream()]))

    assert {each.which for each in differences} == {"container/5"}
    assert {each.kind for each in differences} == {"sequence-end", "status-not-told", "open-run"}


def test_ids_that_do_not_rise_with_the_sequence_are_found() -> None:
    assert kinds([CREATED, replace(STARTED, id=CREATED.id - 1)]) == ["ledger-order"]


def test_a_time_that_runs_back_is_found() -> None:
    early = replace(STARTED, occurred_at=NOON - timedelta(seconds=1))

    assert kinds([CREATED, early]) == ["time-runs-back"]


def test_times_of_images_may_come_from_several_clocks() -> None:
    early = entry(2, "image.ready", "ready", occurred_at=NOON - timedelta(seconds=1))
    stream = image_stream(entry(1, "image.build_started", "building"), early)

    assert list(audit_streams(world(), [container_stream(), stream])) == []


@pytest.mark.parametrize("told", [{"told_sequence": 9}, {"told_event_id": uuid.uuid4()}])
def test_a_payload_that_tells_another_identity_is_found(told: dict[str, object]) -> None:
    assert kinds([CREATED, replace(STARTED, **told)]) == ["payload"]  # type: ignore[arg-type] # its fields


def test_events_of_nothing_that_is_recorded_are_found() -> None:
    stream = Stream("container/99", (CREATED,))

    (difference,) = audit_streams(world(), [container_stream(), image_stream(), stream])

    assert (difference.kind, difference.which) == ("unknown-stream", "container/99")


def test_a_row_that_moved_on_without_telling_is_found() -> None:
    assert kinds([CREATED, STARTED], status=ContainerStatus.STOPPED) == ["status-not-told"]


@pytest.mark.parametrize("status", [ContainerStatus.STOPPING, ContainerStatus.DELETING])
def test_a_step_that_was_begun_is_not_told_yet(status: ContainerStatus) -> None:
    assert kinds([CREATED, STARTED], status=status) == []


def test_a_deletion_that_was_not_told_is_found() -> None:
    ended = [CREATED, STARTED, STOPPED]

    found = kinds(ended, sequence=3, status=ContainerStatus.DELETED, open_run_id=None)

    assert found == ["deletion-not-told"]


def test_what_nothing_was_told_of_needs_no_deletion() -> None:
    deleted = in_status(ContainerStatus.DELETED, sequence=0)

    assert list(audit_streams(world(deleted), [image_stream()])) == []


def test_the_pruned_stream_of_a_deleted_container_is_not_missed() -> None:
    deleted = in_status(ContainerStatus.DELETED, sequence=4)

    assert list(audit_streams(world(deleted), [image_stream()])) == []


def test_an_image_that_moved_on_without_telling_is_found() -> None:
    state = world(image=replace(IMAGE, status=ImageStatus.BUILD_FAILED))

    (difference,) = audit_streams(state, [container_stream(), image_stream()])

    assert (difference.kind, difference.which) == ("status-not-told", "image/7")


# ---- runs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(entry(3, "container.started", "running"), id="started twice"),
        pytest.param(
            entry(3, "container.started", "running", run_id=run(2)), id="a second one at once"
        ),
        pytest.param(entry(3, "container.started", "running", run_id=None), id="without an id"),
        pytest.param(
            entry(3, "container.stopped", "running", run_id=run(2)), id="another one stopped"
        ),
        pytest.param(entry(3, "container.created", "running"), id="created twice"),
        pytest.param(entry(3, "container.failed", "running"), id="failed while it runs"),
        pytest.param(entry(3, "container.deleted", "running"), id="deleted while it runs"),
        pytest.param(entry(3, "image.ready", "running"), id="no event of a container"),
    ],
)
def test_a_run_that_is_told_wrongly_is_found(wrong: LedgerEntry) -> None:
    assert "run" in kinds([CREATED, STARTED, wrong], sequence=3)


def test_a_stop_of_no_run_and_an_address_of_none_are_found() -> None:
    again = entry(4, "container.stopped", "stopped")
    moved = entry(4, "container.endpoint_changed", "stopped")
    ended = {"sequence": 4, "status": ContainerStatus.STOPPED, "open_run_id": None}

    assert kinds([CREATED, STARTED, STOPPED, again], **ended) == ["run"]
    assert kinds([CREATED, STARTED, STOPPED, moved], **ended) == ["run"]


def test_a_run_that_was_never_created_is_found() -> None:
    started = entry(1, "container.started", "running")

    assert kinds([started], sequence=1) == ["run"]


def test_another_open_run_than_the_told_one_is_found() -> None:
    assert kinds([CREATED, STARTED], open_run_id=run(9)) == ["open-run"]
    assert kinds([CREATED, STARTED], open_run_id=None) == ["open-run"]


# ---- after a restored backup -------------------------------------------------------------------


def test_a_jump_that_a_restoration_made_is_no_gap() -> None:
    number = 2 + A_MILLION + 1
    late = entry(number, "container.stopped", "stopped", id=A_MILLION + 200)
    stopped = replace(CONTAINER, status=ContainerStatus.STOPPED, open_run_id=None, sequence=number)
    image = replace(IMAGE, sequence=2 + A_MILLION)
    state = world(stopped, image, restorations=[RESTORATION])
    stream = Stream("container/5", (CREATED, STARTED, late))

    assert list(audit_streams(state, [stream, image_stream()])) == []


def test_the_same_jump_without_a_restoration_is_a_gap() -> None:
    number = 2 + A_MILLION + 1
    late = entry(number, "container.stopped", "stopped", id=A_MILLION + 200)

    found = kinds(
        [CREATED, STARTED, late],
        sequence=number,
        status=ContainerStatus.STOPPED,
        open_run_id=None,
    )

    assert found == ["sequence-gap"]


def test_another_jump_than_the_restorations_is_a_gap() -> None:
    number = 2 + A_MILLION
    late = entry(number, "container.stopped", "stopped", id=A_MILLION + 200)
    stopped = replace(CONTAINER, status=ContainerStatus.STOPPED, open_run_id=None, sequence=number)
    image = replace(IMAGE, sequence=2 + A_MILLION)
    state = world(stopped, image, restorations=[RESTORATION])
    stream = Stream("container/5", (CREATED, STARTED, late))

    (difference,) = audit_streams(state, [stream, image_stream()])

    assert difference.kind == "sequence-gap"


def test_what_was_made_after_a_restoration_begins_with_one() -> None:
    after = replace(RESTORATION, last_event_id=50, last_container_id=4, last_image_id=6)

    streams = [container_stream(), image_stream()]

    assert list(audit_streams(world(restorations=[after]), streams)) == []


def test_restorations_in_a_row_add_up() -> None:
    restorations = [RESTORATION, replace(RESTORATION, last_event_id=A_MILLION + 150)]
    container = replace(CONTAINER, sequence=2 + 2 * A_MILLION)
    image = replace(IMAGE, sequence=2 + 2 * A_MILLION)
    state = world(container, image, restorations=restorations)

    assert list(audit_streams(state, [container_stream(), image_stream()])) == []


# ---- the outbox --------------------------------------------------------------------------------

ADDRESS = Address("container-lifecycle", "7", "container/5", 2)
EVENT_ID = uuid.uuid4()


def test_an_outbox_that_is_as_the_ledger_has_no_differences() -> None:
    assert list(audit_outbox([Pending(EVENT_ID, ADDRESS, ADDRESS)])) == []


@pytest.mark.parametrize(
    "ledger",
    [
        None,
        replace(ADDRESS, topic="image-lifecycle"),
        replace(ADDRESS, key="8"),
        replace(ADDRESS, stream="container/6"),
        replace(ADDRESS, sequence=3),
    ],
)
def test_an_outbox_row_unlike_its_ledger_row_is_found(ledger: Address | None) -> None:
    (difference,) = audit_outbox([Pending(EVENT_ID, ADDRESS, ledger)])

    assert (difference.kind, difference.which) == ("outbox", str(EVENT_ID))
