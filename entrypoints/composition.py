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
from adapters.failpoints.calls import (
    engine_with_failpoints,
    extractor_with_failpoints,
    store_with_failpoints,
)
from adapters.failpoints.names import UseCase
from adapters.failpoints.registry import Failpoints
from adapters.failpoints.transactions import with_failpoints
from adapters.postgres.audit_records import PostgresRecords
from adapters.postgres.census import PostgresCensus
from adapters.postgres.engines import PostgresEngineRegistry
from adapters.postgres.lost_engines import PostgresLostEngines
from adapters.postgres.pool import create_pool
from adapters.postgres.quarantine import PostgresQuarantine
from adapters.postgres.reader import PostgresReader
from adapters.postgres.signals import Channel, PostgresListener, PostgresNotifier
from adapters.postgres.sweep_register import PostgresSweepRegister
from adapters.postgres.unit_of_work import PostgresTransactionRunner
from adapters.volume.context_store import VolumeContextStore
from adapters.volume.disk_space import VolumeDiskSpace
from adapters.volume.stored_files import VolumeStoredFiles
from adapters.volume.survey import VolumeSurvey
from adapters.wire.events import EventEncoder
from application.audit.run_audit import RunAudit
from application.bring_up_container import BringUpContainer
from application.cancel_build import CancelBuildHandler
from application.change_container import ChangeContainerHandler
from application.change_image import ChangeImageHandler
from application.create_containers import CreateContainersHandler
from application.declare_engine_lost import DeclareEngineLostHandler
from application.delete_image import DeleteImageHandler
from application.keep_instances import KeepInstances
from application.keep_leases import KeepLeases
from application.leases import BuildQuota, Work
from application.pass_over_engine import PassOverEngine
from application.rebuild_image import RebuildImageHandler
from application.reconcile_container import ReconcileContainer
from application.remove_image import RemoveImage
from application.run_build import RunBuild
from application.sweep_leftovers import SweepLeftovers
from application.take_down_container import TakeDownContainer
from application.unit_of_work import TransactionRunner
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
from entrypoints.worker.sweeps import Sweeps


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
    # None but in a test: then nothing of them is in what follows.
    failpoints = providers.Singleton(Failpoints.parse, settings.provided.orchestrator_failpoints)
    registry = providers.Singleton(PostgresEngineRegistry, pool)
    notifier = providers.Singleton(PostgresNotifier, settings.provided.database_url)
    volume = providers.Singleton(VolumeContextStore, settings.provided.context_folder)
    store = providers.Singleton(store_with_failpoints, volume, failpoints)
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
        lease_seconds=settings.provided.lease_seconds,
    )


def _transactions_of(use_case: UseCase) -> providers.Singleton[TransactionRunner]:
    return providers.Singleton(with_failpoints, Storage.transactions, Storage.failpoints, use_case)


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
        _transactions_of(UseCase.UPLOAD),
        extractor,
        Storage.store,
        providers.Object(utc_now),
        Storage.settings.provided.ceiling,
    )
    change_image = providers.Singleton(
        ChangeImageHandler,
        _transactions_of(UseCase.PATCH),
        providers.Object(utc_now),
        Storage.settings.provided.ceiling,
    )
    delete_image = providers.Singleton(
        DeleteImageHandler, _transactions_of(UseCase.DELETE_IMAGE), providers.Object(utc_now)
    )
    cancel_build = providers.Singleton(
        CancelBuildHandler,
        _transactions_of(UseCase.CANCEL),
        Storage.store,
        providers.Object(utc_now),
    )
    rebuild_image = providers.Singleton(
        RebuildImageHandler,
        _transactions_of(UseCase.REBUILD),
        Storage.store,
        providers.Object(utc_now),
    )
    create_containers = providers.Singleton(
        CreateContainersHandler,
        _transactions_of(UseCase.CREATE),
        providers.Object(utc_now),
        providers.Object(uuid4),
    )
    change_container = providers.Singleton(
        ChangeContainerHandler, _transactions_of(UseCase.CHANGE), providers.Object(utc_now)
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
    docker = providers.Singleton(
        DockerContainerEngine,
        docker_host=Storage.settings.provided.docker_host,
        installation_id=Storage.installation_id,
        publish_host_ip=Storage.settings.provided.publish_address,
        scratch=scratch.provided.path,
    )
    engine = providers.Singleton(engine_with_failpoints, docker, Storage.failpoints)
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
        _transactions_of(UseCase.RECONCILE),
        engine,
        providers.Object(utc_now),
        bring_up,
        take_down,
        providers.Object(note_setback),
        Storage.settings.provided.restart_backoff,
    )
    # Of this process: what it has in hand is counted under it.
    worker_id = providers.Singleton(uuid4)
    builds = providers.Singleton(
        RunBuild,
        _transactions_of(UseCase.BUILD),
        engine,
        Storage.store,
        providers.Object(utc_now),
        providers.Object(note_setback),
        providers.Factory(
            BuildQuota,
            worker_id,
            Storage.settings.provided.concurrent_builds,
            Storage.settings.provided.concurrent_builds_per_user,
        ),
        Storage.space,
        timeout_seconds=Storage.settings.provided.build_timeout_seconds,
    )
    removals = providers.Singleton(
        RemoveImage,
        _transactions_of(UseCase.REMOVE_IMAGE),
        engine,
        Storage.store,
        providers.Object(utc_now),
        providers.Object(note_setback),
    )
    leases = providers.Singleton(
        KeepLeases,
        _transactions_of(UseCase.LEASES),
        lease_seconds=Storage.settings.provided.lease_seconds,
    )
    instances = providers.Singleton(
        InstanceKeeper,
        providers.Singleton(
            KeepInstances,
            _transactions_of(UseCase.KEEP_INSTANCES),
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
    sweep_register = providers.Singleton(PostgresSweepRegister, Storage.pool)
    sweep_leftovers = providers.Singleton(
        SweepLeftovers,
        engine,
        providers.Singleton(VolumeStoredFiles, Storage.settings.provided.context_folder),
        sweep_register,
        providers.Object(utc_now),
        grace_seconds=Storage.settings.provided.sweep_grace_seconds,
    )
    sweeps = providers.Singleton(
        Sweeps,
        sweep_leftovers,
        sweep_register,
        monitor,
        interval_seconds=Storage.settings.provided.sweep_interval_seconds,
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
        dispatcher.provided.wake,
    )
    audit = providers.Singleton(
        RunAudit,
        providers.Singleton(PostgresRecords, Storage.pool),
        engine,
        providers.Singleton(VolumeSurvey, Storage.settings.provided.context_folder),
        providers.Object(time.monotonic),
        providers.Object(time.sleep),
        grace_seconds=Storage.settings.provided.sweep_grace_seconds,
    )
    quarantine = providers.Singleton(PostgresQuarantine, Storage.pool)
    declare_lost = providers.Singleton(
        DeclareEngineLostHandler,
        Storage.transactions,
        providers.Singleton(PostgresLostEngines, Storage.pool),
        providers.Object(utc_now),
    )
    listener = providers.Singleton(
        PostgresListener,
        Storage.settings.provided.database_url,
        (Channel.WORK,),
        providers.Callable(lambda dispatcher: lambda _: dispatcher.wake(), dispatcher),
    )
