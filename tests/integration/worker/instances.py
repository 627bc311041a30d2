"""What is asked of an image that keeps its min_instances, and what befalls its containers."""

from collections.abc import Sequence
from datetime import timedelta

from psycopg.rows import DictRow

from application.views import ImageView
from tests.contracts.fake_docker import App
from tests.integration.worker.worker import Worker

CRASHES = App(exits_with=1)


def containers(worker: Worker, *statuses: str) -> Sequence[DictRow]:
    """Every container that is not deleted, or those in a status, in the order of their making."""
    rows = worker.installation.rows("SELECT * FROM containers ORDER BY id")
    return [row for row in rows if row["status"] in (statuses or {row["status"]} - {"deleted"})]


def image(worker: Worker, image_id: int) -> ImageView:
    """What its user sees of an image."""
    return worker.installation.reader.image("user-1", image_id)


def end(worker: Worker, container_id: int, exit_code: int = 0) -> None:
    """Let the container end by itself, and be seen to have."""
    worker.docker.end(worker.installation.row("containers", container_id)["docker_id"], exit_code)
    worker.carry_out(worker.observe(container_id))


def rest(worker: Worker) -> float:
    """How many seconds the image waits before its next instance, by the database's clock."""
    (row,) = worker.installation.rows("SELECT replenish_after - now() AS wait FROM images")
    wait: timedelta | None = row["wait"]
    return 0.0 if wait is None else wait.total_seconds()


def rest_is_over(worker: Worker) -> None:
    """Let so much time pass that the next instance may be tried."""
    worker.installation.execute("UPDATE images SET replenish_after = now()")
