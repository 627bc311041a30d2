"""What is asked of an image: its status, its builds, what is told of it, where its tag leads."""

from tests.contracts.fake_docker import App
from tests.integration.worker.worker import Worker


def uploaded(worker: Worker) -> int:
    """Upload an image whose build succeeds, and do nothing more."""
    worker.docker.app_of_builds = App()
    return worker.installation.upload()


def image(worker: Worker, image_id: int) -> str:
    """The status of an image."""
    return str(worker.installation.row("images", image_id)["status"])


def image_and_reason(worker: Worker, image_id: int) -> tuple[str, str | None]:
    """The status of an image, and why."""
    row = worker.installation.row("images", image_id)
    return row["status"], row["status_reason"]


def build(worker: Worker, image_id: int) -> tuple[str, int]:
    """The status and the attempts of an image's only build."""
    (row,) = worker.installation.rows(f"SELECT * FROM builds WHERE image_id = {image_id}")
    return row["status"], row["attempt"]


def builds_of(worker: Worker, image_id: int) -> list[int]:
    """The ids of all of its builds, in their order."""
    rows = worker.installation.rows(
        f"SELECT id FROM builds WHERE image_id = {image_id} ORDER BY id"
    )
    return [row["id"] for row in rows]


def made_by(worker: Worker, build_id: int) -> str | None:
    """The Docker image that a build recorded."""
    digest: str | None = worker.installation.row("builds", build_id)["docker_image_id"]
    return digest


def told(worker: Worker, image_id: int) -> list[str]:
    """The types of its events, in their order."""
    types = worker.installation.told(f"image/{image_id}")
    return [type_.removeprefix("image.") for type_ in types]


def public_tag(image_id: int) -> str:
    """The tag under which its users know it."""
    return f"nvidia-app-uuser-1-i{image_id}:latest"


def publicly_tagged(worker: Worker, image_id: int) -> str | None:
    """The Docker image that the public tag leads to."""
    return worker.engine.snapshot().tags.get(public_tag(image_id))
