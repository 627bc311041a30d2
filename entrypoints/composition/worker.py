"""The process that drives Docker."""

from __future__ import annotations

import time
from uuid import uuid4

from dependency_injector import providers

from adapters.docker.container_engine import DockerContainerEngine
from adapters.docker.event_stream import DockerEventStream
from adapters.docker.readiness_prober import SelectorReadinessProber
from adapters.failpoints.calls import engine_with_failpoints, files_with_failpoints
from adapters.failpoints.names import UseCase
from adapters.postgres.audit_records import PostgresRecords
from adapters.postgres.census import PostgresCensus
from adapters.postgres.lost_engines import PostgresLostEngines
from adapters.postgres.presence import PostgresPresence
from adapters.postgres.quarantine import PostgresQuarantine
from adapters.postgres.restoration import PostgresRestoration
from adapters.postgres.signals import Channel, PostgresListener
from adapters.postgres.sweep_register import PostgresSweepRegister
from adapters.volume.survey import VolumeSurvey
from application.audit.look import Graces
from application.audit.run_audit import RunAudit
from application.bring_up_container import BringUpContainer
from application.declare_engine_lost import DeclareEngineLostHandler
from application.keep_instances import KeepInstances
from application.keep_leases import KeepLeases
from application.leases import BuildQuota, Work
from application.pass_over_engine import PassOverEngine
from application.reconcile_container import ReconcileContainer
from application.remove_image import RemoveImage
from application.run_build import RunBuild
from application.sweep_leftovers import SweepLeftovers
from application.take_down_container import TakeDownContainer
from entrypoints.composition.storage import (
    Storage,
    own_transaction_of,
    transactions_of,
    utc_now,
)
from entrypoints.settings import Settings
from entrypoints.worker.dispatcher import Dispatcher
from entrypoints.worker.engine_events import EngineEvents
from entrypoints.worker.engine_monitor import EngineAddress, EngineMonitor
from entrypoints.worker.engine_passes import EnginePasses
from entrypoints.worker.instance_keeper import InstanceKeeper
from entrypoints.worker.presence import Presence
from entrypoints.worker.scratch_folder import ScratchFolder
from entrypoints.worker.setbacks import note_setback
from entrypoints.worker.sweeps import Sweeps


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


def _graces(settings: Settings) -> Graces:
    grace = settings.sweep_grace_seconds
    # The sweep that removes it comes within an interval of that.
    return Graces(volume=grace, engine=grace + settings.sweep_interval_seconds)


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
        transactions_of(UseCase.RECONCILE),
        engine,
        providers.Object(utc_now),
        bring_up,
        take_down,
        providers.Object(note_setback),
        Storage.settings.provided.restart_backoff,
    )
    builds = providers.Singleton(
        RunBuild,
        transactions_of(UseCase.BUILD),
        engine,
        Storage.store,
        providers.Object(utc_now),
        providers.Object(note_setback),
        providers.Factory(
            BuildQuota,
            Storage.settings.provided.concurrent_builds,
            Storage.settings.provided.concurrent_builds_per_user,
        ),
        Storage.space,
        Storage.claim_volume.provided.check,
        away_seconds=monitor.provided.away_seconds,
        timeout_seconds=Storage.settings.provided.build_timeout_seconds,
    )
    removals = providers.Singleton(
        RemoveImage,
        transactions_of(UseCase.REMOVE_IMAGE),
        engine,
        Storage.store,
        providers.Object(utc_now),
        providers.Object(note_setback),
    )
    leases = providers.Singleton(
        KeepLeases,
        transactions_of(UseCase.LEASES),
        lease_seconds=Storage.settings.provided.lease_seconds,
    )
    instances = providers.Singleton(
        InstanceKeeper,
        providers.Singleton(
            KeepInstances,
            transactions_of(UseCase.KEEP_INSTANCES),
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
    presence = providers.Singleton(
        Presence,
        providers.Singleton(
            PostgresPresence,
            Storage.settings.provided.database_url,
            Storage.process_id,
            Storage.notifier.provided.signal,
            own_transaction_of(UseCase.PRESENCE),
        ),
    )
    census = providers.Singleton(
        PostgresCensus,
        Storage.pool,
        Storage.notifier.provided.signal,
        own_transaction_of(UseCase.CENSUS),
    )
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
    sweep_register = providers.Singleton(
        PostgresSweepRegister, Storage.pool, own_transaction_of(UseCase.SWEEP)
    )
    sweep_leftovers = providers.Singleton(
        SweepLeftovers,
        engine,
        providers.Singleton(files_with_failpoints, Storage.files, Storage.failpoints),
        sweep_register,
        providers.Object(utc_now),
        Storage.claim_volume.provided.check,
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
        providers.Object(utc_now),
        providers.Callable(_graces, Storage.settings),
    )
    quarantine = providers.Singleton(
        PostgresQuarantine, Storage.pool, own_transaction_of(UseCase.TRUST)
    )
    restoration = providers.Singleton(
        PostgresRestoration,
        Storage.settings.provided.database_url,
        own_transaction_of(UseCase.RESTORED),
    )
    declare_lost = providers.Singleton(
        DeclareEngineLostHandler,
        transactions_of(UseCase.LOST),
        providers.Singleton(PostgresLostEngines, Storage.pool, own_transaction_of(UseCase.LOST)),
        Storage.store,
        providers.Object(utc_now),
    )
    listener = providers.Singleton(
        PostgresListener,
        Storage.settings.provided.database_url,
        (Channel.WORK,),
        providers.Callable(lambda dispatcher: lambda _: dispatcher.wake(), dispatcher),
    )
