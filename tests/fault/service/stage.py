"""One installation on a real engine, and what the operation that is at it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from entrypoints.dev.example_contexts import archive
from tests.contracts.busybox_contexts import make_busybox_context
from tests.contracts.subjects import wait_until
from tests.fault.service.ends import End, Limits, end_of
from tests.fault.service.real_service import RealService

# As long as a machine may take that is busy with other things.
WAIT = "wait=120"
_CAME_UP_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What an operation is about.

    Attributes:
        image_id: None for the image that it uploads.
        container: as the api shows it.
        after_image, after_container: ids that were given before.
    """

    image_id: int | None
    after_image: int
    after_container: int
    container: Mapping[str, Any] | None = None


class Stage:
    """Brings an installation to where an operation begins, and tells how it ends.

    Args:
        http: an api that nobody arms.
    """

    def __init__(self, service: RealService, http: httpx.Client) -> None:
        self.service = service
        self.http = http
        self._context = archive(make_busybox_context(service.folder / "context"))
        self._shared: int | None = None
        self.subject = Subject(None, 0, 0)

    def clear(self) -> None:
        """Delete everything but the image that operations on containers share."""
        for image in self.http.get("/api/images").json():
            if image["id"] != self._shared:
                self.delete(f"images/{image['id']}?force=true&{WAIT}")
        for container in self.http.get("/api/containers").json():
            self.delete(f"containers/{container['id']}?{WAIT}")
        (last,) = self.service.rows(
            "SELECT (SELECT coalesce(max(id), 0) FROM images) AS image,"
            " (SELECT coalesce(max(id), 0) FROM containers) AS container"
        )
        self.subject = Subject(None, last["image"], last["container"])

    # ---- what a user does ------------------------------------------------------------------

    def share_image(self) -> int:
        """Let the operation be about the image that is never changed."""
        if self._shared is None:
            self._shared = self.build_image()
        self._be_about(self._shared)
        return self._shared

    def build_image(self, minimum: int = 0) -> int:
        """Let it be about an image of its own that is ready."""
        image_id = self.upload(minimum=minimum)
        self.service.wait_until_built(image_id)
        return image_id

    def upload(
        self, http: httpx.Client | None = None, *, run: str | None = None, minimum: int = 0
    ) -> int:
        """Upload an image that it is about.

        Args:
            run: a step of the build that nothing is cached of.
            minimum: its min_instances.
        """
        context = self._context
        if run is not None:
            folder = self.service.folder / uuid4().hex
            context = archive(make_busybox_context(folder, run=f"{run}; : {folder.name}"))
        limits = Limits(minimum)
        form = {name: str(getattr(limits, name)) for name in Limits.__slots__}
        image_id = self.service.uploaded(http or self.http, context, **form)
        self._be_about(image_id)
        return image_id

    def create(self, count: int = 1) -> None:
        """Let it be about the last one of so many containers that run."""
        path = f"/api/containers/{self.image_id}?{WAIT}"
        answer = self.http.post(path, json={"count": count})
        assert answer.status_code == httpx.codes.CREATED, answer.text
        self._be_about(self.image_id, answer.json()[-1])

    def wait_for_instance(self) -> None:
        """Let it be about the container that min_instances makes."""
        path = f"/api/images/{self.image_id}/containers"

        def runs() -> bool:
            return [each["status"] for each in self.http.get(path).json()] == ["running"]

        wait_until(runs, _CAME_UP_SECONDS)
        self._be_about(self.image_id, self.http.get(path).json()[0])

    def delete(self, path: str) -> None:
        """Delete something for good."""
        answer = self.http.delete(f"/api/{path}")
        assert answer.status_code in {httpx.codes.NO_CONTENT, httpx.codes.NOT_FOUND}, answer.text

    def wish(self, http: httpx.Client, verb: str) -> None:
        """Ask for a container's start, stop or deletion."""
        path = f"/api/containers/{self.container['id']}"
        if verb == "delete":
            http.delete(f"{path}?wait=0").raise_for_status()
        else:
            http.post(f"{path}/{verb}?wait=0").raise_for_status()

    # ---- what it is about ------------------------------------------------------------------

    @property
    def image_id(self) -> int:
        assert self.subject.image_id is not None
        return self.subject.image_id

    @property
    def container(self) -> Mapping[str, Any]:
        assert self.subject.container is not None
        return self.subject.container

    def end(self) -> End:
        """Return how it stands with it."""
        subject, image_id = self.subject, self.subject.image_id
        if image_id is None:
            sql = f"SELECT max(id) AS id FROM images WHERE id > {subject.after_image}"
            image_id = self.service.rows(sql)[0]["id"]
        return end_of(self.service, image_id, subject.after_container)

    def _be_about(self, image_id: int, container: Mapping[str, Any] | None = None) -> None:
        before = self.subject
        self.subject = Subject(image_id, before.after_image, before.after_container, container)
