"""What users do, by the use cases of the api.

The archive is missing: a context is made out of nothing, extraction has tests of its own.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from adapters.volume.context_store import VolumeContextStore
from adapters.volume.disk_space import VolumeDiskSpace
from application.cancel_build import CancelBuild, CancelBuildHandler
from application.change_container import ChangeContainer, ChangeContainerHandler
from application.change_image import ChangeImage, ChangeImageHandler
from application.create_containers import CreateContainers, CreateContainersHandler
from application.delete_image import DeleteImage, DeleteImageHandler
from application.ports import Clock, ContextExtractor
from application.rebuild_image import RebuildImage, RebuildImageHandler
from application.unit_of_work import TransactionRunner
from application.upload_image import UploadImage, UploadImageHandler
from domain.container_status import Desired
from domain.image_spec import ImageSpec
from domain.limits import InstanceLimits, ResourceLimits


class _EmptyContext:
    def extract(self, archive: Path, destination: Path) -> None:
        destination.mkdir()
        (destination / "Dockerfile").write_text("FROM scratch\n")


class UserRequests:
    """The requests of users over one database and one volume.

    Each takes the transactions that it runs in, where a test brings its own.
    """

    clock: Clock
    transactions: TransactionRunner
    store: VolumeContextStore

    def upload(
        self,
        user_id: str = "user-1",
        hostname: str = "app.example.com",
        maximum: int = 3,
        transactions: TransactionRunner | None = None,
        minimum: int = 0,
        extractor: ContextExtractor | None = None,
    ) -> int:
        spec = ImageSpec(
            user_id=user_id,
            name="My App",
            tag="latest",
            app_hostname=hostname,
            container_port=8080,
            instances=InstanceLimits(minimum, maximum),
            resources=ResourceLimits(Decimal("0.5"), "64m"),
        )
        handler = UploadImageHandler(
            transactions or self.transactions,
            extractor or _EmptyContext(),
            self.store,
            self.clock,
            spec.resources,
        )
        return handler.handle(UploadImage(spec, self.store.incoming(), "upload"))

    def create(
        self,
        image_id: int,
        count: int = 1,
        user_id: str = "user-1",
        transactions: TransactionRunner | None = None,
    ) -> list[int]:
        handler = CreateContainersHandler(transactions or self.transactions, self.clock, uuid4)
        return handler.handle(CreateContainers(user_id, image_id, "create", count=count))

    def wish(
        self,
        container_id: int,
        desired: Desired,
        user_id: str = "user-1",
        transactions: TransactionRunner | None = None,
    ) -> int:
        handler = ChangeContainerHandler(transactions or self.transactions, self.clock)
        return handler.handle(ChangeContainer(user_id, container_id, desired, "wish"))

    def delete_image(
        self,
        image_id: int,
        user_id: str = "user-1",
        transactions: TransactionRunner | None = None,
        *,
        force: bool = False,
    ) -> None:
        handler = DeleteImageHandler(transactions or self.transactions, self.clock)
        handler.handle(DeleteImage(user_id, image_id, "delete", force=force))

    def change_image(
        self,
        image_id: int,
        user_id: str = "user-1",
        transactions: TransactionRunner | None = None,
        **changes: Any,
    ) -> None:
        handler = ChangeImageHandler(
            transactions or self.transactions, self.clock, ResourceLimits(Decimal(4), "8g")
        )
        handler.handle(ChangeImage(user_id, image_id, **changes))

    def rebuild(self, image_id: int, user_id: str = "user-1") -> int:
        space = VolumeDiskSpace(self.store.path(""), minimum_bytes=0)
        handler = RebuildImageHandler(self.transactions, self.store, space, self.clock)
        return handler.handle(RebuildImage(user_id, image_id, "rebuild"))

    def cancel(
        self,
        image_id: int,
        user_id: str = "user-1",
        transactions: TransactionRunner | None = None,
    ) -> int:
        handler = CancelBuildHandler(transactions or self.transactions, self.store, self.clock)
        return handler.handle(CancelBuild(user_id, image_id, "cancel"))
