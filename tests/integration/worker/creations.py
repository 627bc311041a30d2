"""A container that is wished, and one of which nothing but its row is left."""

from tests.contracts.fake_docker import App
from tests.integration.worker.worker import Worker


def created(worker: Worker, app: App | None = None) -> int:
    """Wish a container of an image that behaves like `app`, and do nothing more."""
    (container_id,) = worker.installation.create(worker.ready_image(app))
    return container_id


def expect_failed_without_a_trace(worker: Worker, container_id: int) -> None:
    """Hold that it has failed, and holds neither slot nor port nor anything in Docker."""
    row = worker.installation.row("containers", container_id)
    assert row["status"] == "failed"
    assert (row["slot"], row["external_port"]) == (None, None)
    assert worker.told(container_id) == ["failed"]
    assert worker.engine.snapshot().containers == {}
    assert worker.held_ports() == []
    assert worker.work() == 0
