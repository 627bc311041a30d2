"""The process that faces the network; it imports nothing that drives an engine."""

from __future__ import annotations

from uuid import uuid4

from dependency_injector import providers

from adapters.archive.build_context_extractor import BuildContextExtractor
from adapters.archive.limits import ArchiveLimits
from adapters.failpoints.calls import extractor_with_failpoints
from adapters.failpoints.names import UseCase
from adapters.postgres.reader import PostgresReader
from adapters.postgres.signals import Channel, PostgresListener
from application.cancel_build import CancelBuildHandler
from application.change_container import ChangeContainerHandler
from application.change_image import ChangeImageHandler
from application.create_containers import CreateContainersHandler
from application.delete_image import DeleteImageHandler
from application.rebuild_image import RebuildImageHandler
from application.upload_image import UploadImageHandler
from entrypoints.composition.storage import Storage, transactions_of, utc_now
from entrypoints.http.outcome_waiter import OutcomeWaiter


class Api(Storage):
    """The process that faces the network; it knows no engine."""

    reader = providers.Singleton(PostgresReader, Storage.pool, Storage.store.provided.log_tail)
    extractor = providers.Singleton(
        extractor_with_failpoints,
        providers.Singleton(
            BuildContextExtractor,
            providers.Factory(
                ArchiveLimits,
                total_bytes=Storage.settings.provided.max_context_bytes,
                entries=Storage.settings.provided.max_context_entries,
            ),
        ),
        Storage.failpoints,
    )
    upload_image = providers.Singleton(
        UploadImageHandler,
        transactions_of(UseCase.UPLOAD),
        extractor,
        Storage.store,
        providers.Object(utc_now),
        Storage.settings.provided.ceiling,
    )
    change_image = providers.Singleton(
        ChangeImageHandler,
        transactions_of(UseCase.PATCH),
        providers.Object(utc_now),
        Storage.settings.provided.ceiling,
    )
    delete_image = providers.Singleton(
        DeleteImageHandler, transactions_of(UseCase.DELETE_IMAGE), providers.Object(utc_now)
    )
    cancel_build = providers.Singleton(
        CancelBuildHandler,
        transactions_of(UseCase.CANCEL),
        Storage.store,
        providers.Object(utc_now),
    )
    rebuild_image = providers.Singleton(
        RebuildImageHandler,
        transactions_of(UseCase.REBUILD),
        Storage.store,
        Storage.space,
        providers.Object(utc_now),
    )
    create_containers = providers.Singleton(
        CreateContainersHandler,
        transactions_of(UseCase.CREATE),
        providers.Object(utc_now),
        providers.Object(uuid4),
    )
    change_container = providers.Singleton(
        ChangeContainerHandler, transactions_of(UseCase.CHANGE), providers.Object(utc_now)
    )
    waiter = providers.Singleton(OutcomeWaiter, reader)
    listener = providers.Singleton(
        PostgresListener,
        Storage.settings.provided.database_url,
        (Channel.OUTCOME,),
        waiter.provided.wake,
    )
