"""The composition root: which adapter stands behind which port, in each process.

The only file that knows dependency-injector. Its containers are synchronous and wire nothing:
pools and threads are opened and closed by the process that owns them (`entrypoints.http`,
`entrypoints.worker`), in an order that can be read there.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import UUID, uuid4

import uuid_utils.compat
from dependency_injector import containers, providers

from adapters.archive.build_context_extractor import BuildContextExtractor
from adapters.archive.limits import ArchiveLimits
from adapters.docker.container_engine import DockerContainerEngine
from adapters.docker.event_stream import DockerEventStream
from adapters.docker.readiness_prober import SelectorReadinessProber
from adapters.postgres.census import PostgresCensus
from adapters.postgres.engines import PostgresEngineRegistry
from adapters.postgres.pool import create_pool
from adapters.postgres.reader import PostgresReader
from adapters.postgres.signals import Channel, PostgresListener, PostgresNotifier
from adapters.postgres.unit_of_work import PostgresTransactionRunner
from adapters.volume.context_store import VolumeContextStore
from adapters.wire.events import EventEncoder
from application.bring_up_container import BringUpContainer
from application.change_container import ChangeContainerHandler
from application.change_image import ChangeImageHandler
from application.create_containers import CreateContainersHandler
from application.delete_image import DeleteImageHandler
from application.keep_instances import KeepInstances
from application.keep_leases import KeepLeases
from application.leases import Work
from application.pass_over_engine import PassOverEngine
from application.reconcile_container import ReconcileContainer
from application.remove_image import RemoveImage
from application.run_build import RunBuild
from application.take_down_container import TakeDownContainer
from application.upload_image import UploadImageHandler
from entrypoints.http.outcome_waiter import OutcomeWaiter
from entrypoints.settings import Settings
from entrypoints.worker.dispatcher import Dispatcher
from entrypoints.worker.engine_events import EngineEvents
from entrypoints.worker.engine_monitor import EngineAddress, EngineMonitor
from entrypoints.worker.engine_passes import EnginePasses
from entrypoints.worker.instance_keeper import InstanceKeeper
from entrypoints.worker.scratch_folder import ScratchFolder
from entrypoints.worker.setbacks import note_setback


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_event_id() -> UUID:
    """Return a UUIDv7: unique, and sorted by time within a ledger's index."""
    return uuid_utils.compat.uuid7()


class Storage(containers.DeclarativeContainer):
    """What api and worker share: the database and the volume."""

    settings = providers.Dependency(instance_of=Settings)
    application_name = providers.Dependency(instance_of=str)

    pool = providers.Singleton(
        create_pool,
        settings.provided.database_url,
        application_name=application_name,
        size=settings.provided.database_pool_size,
    )
    registry = providers.Singleton(PostgresEngineRegistry, pool)
    notifier = providers.Singleton(PostgresNotifier, settings.provided.database_url)
    store = providers.Singleton(VolumeContextStore, settings.provided.context_folder)
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
        lease_seconds=settings.provided.lease_seconds,
    )


class Api(Storage):
    """The process that faces the network; it knows no engine."""

    reader = providers.Singleton(PostgresReader, Storage.pool, Storage.store.provided.log_tail)
    extractor = providers.Singleton(
        BuildContextExtractor,
        providers.Factory(
            ArchiveLimits,
            total_bytes=Storage.settings.provided.max_context_bytes,
            entries=Storage.settings.provided.max_context_entries,
        ),
    )
    upload_image = providers.Singleton(
        UploadImageHandler,
        Storage.transactions,
        extractor,
        Storage.store,
        providers.Object(utc_now),
        Storage.settings.provided.ceiling,
    )
    change_image = providers.Singleton(
        ChangeImageHandler,
        Storage.transactions,
        providers.Object(utc_now),
        Storage.settings.provided.ceiling,
    )
    delete_image = providers.Singleton(
        DeleteImageHandler, Storage.transactions, providers.Object(utc_now)
    )
    create_containers = providers.Singleton(
        CreateContainersHandler,
        Storage.transactions,
        providers.Object(utc_now),
        providers.Object(uuid4),
    )
    change_container = providers.Singleton(
        ChangeContainerHandler, Storage.transactions, providers.Object(utc_now)
    )
    waiter = providers.Singleton(OutcomeWaiter, reader)
    listener = providers.Singleton(
        PostgresListener,
        Storage.settings.provided.database_url,
        (Channel.OUTCOME,),
        waiter.provided.wake,
    )


def _limits(settings: Settings) -> dict[Work, int]:
    return {
        Work.BUILD: settings.concurrent_builds,
        Work.START: settings.concurrent_starts,
        Work.STOP: settings.concurrent_stops,
        Work.DELETE: settings.concurrent_deletes,
        Work.OBSERVE: settings.concurrent_starts,
        Work.REMOVE_IMAGE: 1,
    }


def _engine_address(settings: Settings) -> EngineAddress:
    return EngineAddress(settings.engine_address, *settings.port_range, settings.engine_location)


class Worker(Storage):
    """The process that drives Docker."""

    scratch = providers.Singleton(ScratchFolder)
    engine = providers.Singleton(
        DockerContainerEngine,
        docker_host=Storage.settings.provided.docker_host,
        installation_id=Storage.installation_id,
        publish_host_ip=Storage.settings.provided.publish_address,
        scratch=scratch.provided.path,
    )
    monitor = providers.Singleton(
        EngineMonitor,
        engine,
        Storage.registry,
        providers.Callable(_engine_address, Storage.settings),
    )
    prober = providers.Singleton(SelectorReadinessProber)
    bring_up = providers.Singleton(
        BringUpContainer,
        stop_grace_seconds=Storage.settings.provided.stop_grace_seconds,
        startup_timeout_seconds=Storage.settings.provided.startup_timeout_seconds,
    )
    take_down = providers.Singleton(
        TakeDownContainer, stop_grace_seconds=Storage.settings.provided.stop_grace_seconds
    )
    reconcile = providers.Singleton(
        ReconcileContainer,
        Storage.transactions,
        engine,
        providers.Object(utc_now),
        bring_up,
        take_down,
        providers.Object(note_setback),
        Storage.settings.provided.restart_backoff,
    )
    builds = providers.Singleton(
        RunBuild,
        Storage.transactions,
        engine,
        Storage.store,
        providers.Object(utc_now),
        providers.Object(note_setback),
        timeout_seconds=Storage.settings.provided.build_timeout_seconds,
    )
    removals = providers.Singleton(
        RemoveImage,
        Storage.transactions,
        engine,
        Storage.store,
        providers.Object(utc_now),
        providers.Object(note_setback),
    )
    leases = providers.Singleton(
        KeepLeases, Storage.transactions, lease_seconds=Storage.settings.provided.lease_seconds
    )
    instances = providers.Singleton(
        InstanceKeeper,
        providers.Singleton(
            KeepInstances,
            Storage.transactions,
            providers.Object(utc_now),
            providers.Object(uuid4),
            Storage.settings.provided.restart_backoff,
        ),
        providers.Object(time.monotonic),
    )
    dispatcher = providers.Singleton(
        Dispatcher,
        reconcile,
        builds,
        removals,
        leases,
        engine,
        monitor,
        prober,
        providers.Callable(_limits, Storage.settings),
        keep_instances=instances.provided.take_turn,
        probe_host=Storage.settings.provided.probe_address,
        startup_timeout_seconds=Storage.settings.provided.startup_timeout_seconds,
        lease_seconds=Storage.settings.provided.lease_seconds,
    )
    census = providers.Singleton(PostgresCensus, Storage.pool, Storage.notifier.provided.signal)
    passes = providers.Singleton(
        EnginePasses,
        providers.Singleton(
            PassOverEngine,
            engine,
            census,
            providers.Object(time.monotonic),
            grace_seconds=Storage.settings.provided.stranger_grace_seconds,
        ),
        census,
        monitor,
        interval_seconds=Storage.settings.provided.reconcile_interval_seconds,
    )
    events = providers.Singleton(
        EngineEvents,
        providers.Singleton(
            DockerEventStream,
            docker_host=Storage.settings.provided.docker_host,
            installation_id=Storage.installation_id,
            scratch=scratch.provided.path,
        ),
        census,
        monitor,
    )
    listener = providers.Singleton(
        PostgresListener,
        Storage.settings.provided.database_url,
        (Channel.WORK,),
        providers.Callable(lambda dispatcher: lambda _: dispatcher.wake(), dispatcher),
    )
