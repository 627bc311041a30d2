"""What api and worker share."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import uuid_utils.compat
from dependency_injector import containers, providers

from adapters.failpoints.calls import store_with_failpoints
from adapters.failpoints.names import UseCase
from adapters.failpoints.registry import Failpoints
from adapters.failpoints.transactions import transaction_with_failpoints, with_failpoints
from adapters.postgres.claims import Claimant
from adapters.postgres.engines import PostgresEngineRegistry
from adapters.postgres.folder_record import PostgresFolderRecord
from adapters.postgres.pool import Transaction, create_pool
from adapters.postgres.signals import PostgresNotifier
from adapters.postgres.unit_of_work import PostgresTransactionRunner
from adapters.volume.context_store import VolumeContextStore
from adapters.volume.disk_space import VolumeDiskSpace
from adapters.volume.installation_mark import VolumeInstallationMark
from adapters.volume.stored_files import VolumeStoredFiles
from adapters.wire.events import EventEncoder
from application.claim_volume import ClaimVolume
from application.unit_of_work import TransactionRunner
from entrypoints.settings import Settings


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_event_id() -> UUID:
    """Return a UUIDv7: unique, and sorted by time within a ledger's index."""
    return uuid_utils.compat.uuid7()


class Storage(containers.DeclarativeContainer):
    """What api and worker share: the database and the volume."""

    settings = providers.Dependency(instance_of=Settings)
    application_name = providers.Dependency(instance_of=str)

    # Under it a worker holds leases; nobody else claims anything.
    process_id = providers.Singleton(uuid4)
    pool = providers.Singleton(
        create_pool,
        settings.provided.database_url,
        application_name=application_name,
        size=settings.provided.database_pool_size,
    )
    # None but in a test: then nothing of them is in what follows.
    failpoints = providers.Singleton(Failpoints.parse, settings.provided.orchestrator_failpoints)
    registry = providers.Singleton(
        PostgresEngineRegistry,
        pool,
        providers.Singleton(transaction_with_failpoints, failpoints, UseCase.ENGINES),
    )
    notifier = providers.Singleton(PostgresNotifier, settings.provided.database_url)
    volume = providers.Singleton(VolumeContextStore, settings.provided.context_folder)
    store = providers.Singleton(store_with_failpoints, volume, failpoints)
    files = providers.Singleton(VolumeStoredFiles, settings.provided.context_folder)
    claim_volume = providers.Singleton(
        ClaimVolume,
        providers.Singleton(VolumeInstallationMark, settings.provided.context_folder),
        files.provided.found,
        providers.Singleton(PostgresFolderRecord, pool),
    )
    space = providers.Singleton(
        VolumeDiskSpace,
        settings.provided.context_folder,
        settings.provided.min_free_disk_bytes,
    )
    # Known only once the database answers: the owner of the process sets it after opening the pool.
    installation_id = providers.Dependency(instance_of=str)
    encoder = providers.Singleton(
        EventEncoder,
        settings.provided.kafka_topic,
        settings.provided.kafka_image_topic,
        providers.Callable("/orchestrator/{}".format, installation_id),
    )
    transactions = providers.Singleton(
        PostgresTransactionRunner,
        pool,
        encoder,
        new_event_id,
        notifier.provided.signal,
        providers.Singleton(Claimant, process_id, settings.provided.lease_seconds),
    )


def transactions_of(use_case: UseCase) -> providers.Singleton[TransactionRunner]:
    return providers.Singleton(with_failpoints, Storage.transactions, Storage.failpoints, use_case)


def own_transaction_of(use_case: UseCase) -> providers.Singleton[Transaction]:
    """Provide how what has transactions of its own begins one."""
    return providers.Singleton(transaction_with_failpoints, Storage.failpoints, use_case)
