"""What waits for an engine says why, whether it is a container or an image."""

from collections.abc import Iterator

import pytest

from domain.container_status import Desired
from tests.integration.postgres.installation import ENGINE, Installation
from tests.integration.postgres.observations import ended

UNREACHABLE = "the engine is not reachable at the moment"
QUARANTINE = "the engine is in quarantine: an operator has to look"
OTHER = "engine-2"


@pytest.fixture(autouse=True)
def _engines(installation: Installation) -> Iterator[None]:
    """Let the engine be usable before each test, and alone."""
    installation.execute(f"DELETE FROM engines WHERE engine_id = '{OTHER}'")
    _make(installation, "quarantined_at = NULL, quarantine_reason = NULL")
    installation.registry.heartbeat(ENGINE, "10.0.0.1", "26.1.5", reachable=True, detail=None)
    yield
    installation.empty()


@pytest.mark.parametrize(
    ("engine", "told", "told_of_a_first_build"),
    [
        ("reachable = true", None, None),
        ("reachable = false", UNREACHABLE, UNREACHABLE),
        ("quarantined_at = now(), quarantine_reason = 'odd'", QUARANTINE, QUARANTINE),
        (
            "checked_at = now() - interval '31 seconds'",
            "no worker is there for its engine",
            "no worker is there",
        ),
    ],
)
def test_whatever_is_wished_tells_what_is_wrong_with_its_engine(
    installation: Installation, engine: str, told: str | None, told_of_a_first_build: str | None
) -> None:
    container_id = installation.run_container()
    installation.wish(container_id, Desired.STOPPED)
    rebuilt, deleted, cancelled = (installation.ready_image() for _ in range(3))
    installation.rebuild(rebuilt)
    installation.delete_image(deleted)
    installation.rebuild(cancelled)
    installation.execute(
        "UPDATE builds SET status = 'running', lease_until = now() + interval '1 minute'"
        f" WHERE image_id = {cancelled} AND status = 'queued'"
    )
    installation.cancel(cancelled)
    first = installation.upload()

    _make(installation, engine)

    reader = installation.reader
    shown = [(each.status, each.status_reason) for each in reader.containers("user-1")]
    assert shown == [("stopping", told)]
    reasons = {each.id: (each.status, each.status_reason) for each in reader.images("user-1")}
    assert reasons[rebuilt] == ("building", told)
    assert reasons[deleted] == ("deleting", told)
    assert reasons[cancelled] == ("building", told)
    assert reasons[first] == ("building", told_of_a_first_build)
    one = reader.image("user-1", deleted)
    assert (one.status, one.status_reason) == reasons[deleted]
    listed = {each.id: each.status_reason for each in reader.images_with_containers("user-1")}
    assert listed == {image_id: reason for image_id, (_, reason) in reasons.items()}


@pytest.mark.parametrize(
    ("wished", "shown"),
    [
        (Desired.RUNNING, "starting"),
        (Desired.DELETED, "deleting"),
    ],
)
@pytest.mark.parametrize(("reachable", "told"), [("true", None), ("false", UNREACHABLE)])
def test_a_wish_for_what_ended_tells_what_it_waits_for_and_not_why_that_ended(
    installation: Installation, wished: Desired, shown: str, reachable: str, told: str | None
) -> None:
    container_id = _exited(installation)
    _make(installation, f"reachable = {reachable}")
    before = installation.reader.container("user-1", container_id)

    installation.wish(container_id, wished)

    assert (before.status, before.status_reason) == ("exited", "exited with code 3")
    view = installation.reader.container("user-1", container_id)
    assert (view.status, view.status_reason, view.exit_code) == (shown, told, 3)


def test_a_stop_of_what_ended_tells_why_it_ended_unless_it_waits_for_its_engine(
    installation: Installation,
) -> None:
    container_id = _exited(installation)
    installation.wish(container_id, Desired.STOPPED)
    well = installation.reader.container("user-1", container_id)

    _make(installation, "reachable = false")

    assert (well.status, well.status_reason) == ("exited", "exited with code 3")
    assert installation.reader.container("user-1", container_id).status_reason == UNREACHABLE


def test_a_first_build_needs_one_usable_engine_whatever_the_others_are(
    installation: Installation,
) -> None:
    image_id = installation.upload()
    _make(installation, "reachable = false")

    installation.registry.heartbeat(OTHER, "10.0.0.2", "26.1.5", reachable=True, detail=None)

    assert installation.reader.image("user-1", image_id).status_reason is None


def test_what_waits_for_no_engine_tells_nothing_of_it(installation: Installation) -> None:
    image_id = installation.ready_image()
    container_id = installation.run_container(image_id)

    _make(installation, "reachable = false")

    assert installation.reader.image("user-1", image_id).status_reason is None
    assert installation.reader.container("user-1", container_id).status_reason is None


def test_what_a_build_waits_for_is_told_while_nothing_is_wrong_with_its_engine(
    installation: Installation,
) -> None:
    image_id = installation.upload()
    installation.execute("UPDATE images SET status_reason = 'it waits for disk space'")

    assert installation.reader.image("user-1", image_id).status_reason == "it waits for disk space"


def _exited(installation: Installation) -> int:
    """A container whose app has ended with an exit code of 3."""
    container_id = installation.run_container()
    installation.execute("UPDATE containers SET next_attempt_at = now()")
    (lease,) = installation.claim()
    installation.outcomes(lease).exited(ended(container_id, exit_code=3))
    return container_id


def _make(installation: Installation, changes: str) -> None:
    installation.execute(f"UPDATE engines SET {changes} WHERE engine_id = '{ENGINE}'")
