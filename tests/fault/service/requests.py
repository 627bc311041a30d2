"""What is asked of the api for an operation, about its subject."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from decimal import Decimal

from application.cancel_build import CancelBuild
from application.change_container import ChangeContainer
from application.change_image import ChangeImage
from application.create_containers import CreateContainers
from application.delete_image import DeleteImage
from application.rebuild_image import RebuildImage
from application.upload_image import UploadImage
from domain.container_status import Desired
from domain.image_spec import ImageSpec
from domain.limits import InstanceLimits, ResourceLimits
from domain.restart_policy import RestartPolicy
from entrypoints.composition.api import Api
from tests.fault.service.ends import Limits
from tests.fault.service.preparations import USER

PATCHED = Limits(1, 1, Decimal(1), "128m", "always")


def small_archive() -> bytes:
    """Return a tar with a Dockerfile, for an engine that reads as much of one."""
    text = b'FROM scratch\nCMD ["/bin/busybox", "httpd"]\n'
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


def nothing(api: Api, subject: int) -> None:
    pass


def upload(api: Api, subject: int) -> None:
    spec = ImageSpec(
        user_id=USER,
        name="My App",
        tag="latest",
        app_hostname="app.example.com",
        container_port=8080,
        instances=InstanceLimits(0, 3),
        resources=ResourceLimits(Decimal("0.5"), "64m"),
    )
    store = api.store()
    received = store.incoming()
    received.write_bytes(small_archive())
    api.upload_image().handle(UploadImage(spec, received, "upload"))
    store.discard(received)


def rebuild(api: Api, subject: int) -> None:
    api.rebuild_image().handle(RebuildImage(USER, subject, "rebuild"))


def cancel(api: Api, subject: int) -> None:
    api.cancel_build().handle(CancelBuild(USER, subject, "cancel"))


def patch(api: Api, subject: int) -> None:
    limits = PATCHED
    api.change_image().handle(
        ChangeImage(
            USER,
            subject,
            limits.min_instances,
            limits.max_instances,
            limits.cpu_limit,
            limits.memory_limit,
            RestartPolicy(limits.restart_policy),
        )
    )


def delete_image(api: Api, subject: int) -> None:
    api.delete_image().handle(DeleteImage(USER, subject, "delete"))


def force_delete(api: Api, subject: int) -> None:
    api.delete_image().handle(DeleteImage(USER, subject, "delete", force=True))


def create(api: Api, subject: int) -> None:
    api.create_containers().handle(CreateContainers(USER, subject, "create"))


def wish(desired: Desired) -> Callable[[Api, int], None]:
    def request(api: Api, subject: int) -> None:
        api.change_container().handle(ChangeContainer(USER, subject, desired, "wish"))

    return request
