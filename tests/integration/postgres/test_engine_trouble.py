"""What waits for an engine says why, whether it is a container or an image."""

from collections.abc import Iterator

import pytest

from domain.container_status import Desired
from tests.integration.postgres.installation import ENGINE, Installation

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


def _make(installation: Installation, changes: str) -> None:
    installation.execute(f"UPDATE engines SET {changes} WHERE engine_id = '{ENGINE}'")
