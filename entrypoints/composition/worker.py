"""The process that drives Docker."""

from __future__ import annotations

import time
from uuid import uuid4

from dependency_injector import providers

from adapters.docker.event_stream import DockerEventStream
from adapters.docker.readiness_prober import SelectorReadinessProber
from adapters.failpoints.names import UseCase
from adapters.postgres.presence import PostgresPresence
from adapters.postgres.signals import Channel, PostgresListener
from application.bring_up_container import BringUpContainer
from application.keep_instances import KeepInstances
from application.keep_leases import KeepLeases
from application.leases import BuildQuota, Work
from application.pass_over_engine import PassOverEngine
from application.reconcile_container import ReconcileContainer
from application.remove_image import RemoveImage
from application.run_build import RunBuild
from application.take_down_container import TakeDownContainer
from entrypoints.composition.engine import Engine
from entrypoints.composition.storage import (
    own_transaction_of,
    transactions_of,
    utc_now,
)
from entrypoints.settings import Settings
from entrypoints.worker.dispatcher import Dispatcher
from entrypoints.worker.engine_events import EngineEvents
from entrypoints.worker.engine_passes import EnginePasses
from entrypoints.worker.instance_keeper import InstanceKeeper
from entrypoints.worker.presence import Presence
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


class Worker(Engine):
    """The threads of the process, and what they carry out."""

    prober = providers.Singleton(SelectorReadinessProber)
    bring_up = providers.Singleton(
        BringUpContainer,
        stop_grace_seconds=Engine.settings.provided.stop_grace_seconds,
        startup_timeout_seconds=Engine.settings.provided.startup_timeout_seconds,
    )
    take_down = providers.Singleton(
        TakeDownContainer, stop_grace_seconds=Engine.settings.provided.stop_grace_seconds
    )
    reconcile = providers.Singleton(
        ReconcileContainer,
        transactions_of(UseCase.RECONCILE),
        Engine.engine,
        providers.Object(utc_now),
        bring_up,
        take_down,
        providers.Object(note_setback),
        Engine.settings.provided.restart_backoff,
    )
    builds = providers.Singleton(
        RunBuild,
        transactions_of(UseCase.BUILD),
        Engine.engine,
        Engine.store,
        providers.Object(utc_now),
        providers.Object(note_setback),
        providers.Factory(
            BuildQuota,
            Engine.settings.provided.concurrent_builds,
            Engine.settings.provided.concurrent_builds_per_user,
        ),
        Engine.space,
        Engine.claim_volume.provided.check_contents,
        timeout_seconds=Engine.settings.provided.build_timeout_seconds,
    )
    removals = providers.Singleton(
        RemoveImage,
        transactions_of(UseCase.REMOVE_IMAGE),
        Engine.engine,
        Engine.store,
        providers.Object(utc_now),
        providers.Object(note_setback),
        Engine.claim_volume.provided.check,
    )
    leases = providers.Singleton(
        KeepLeases,
        transactions_of(UseCase.LEASES),
        lease_seconds=Engine.settings.provided.lease_seconds,
    )
    instances = providers.Singleton(
        InstanceKeeper,
        providers.Singleton(
            KeepInstances,
            transactions_of(UseCase.KEEP_INSTANCES),
            providers.Object(utc_now),
            providers.Object(uuid4),
            Engine.settings.provided.restart_backoff,
        ),
    )
    dispatcher = providers.Singleton(
        Dispatcher,
        reconcile,
        builds,
        removals,
        leases,
        Engine.engine,
        Engine.monitor,
        prober,
        providers.Callable(_limits, Engine.settings),
        probe_host=Engine.settings.provided.probe_address,
        startup_timeout_seconds=Engine.settings.provided.startup_timeout_seconds,
        lease_seconds=Engine.settings.provided.lease_seconds,
    )
    presence = providers.Singleton(
        Presence,
        providers.Singleton(
            PostgresPresence,
            Engine.settings.provided.database_url,
            Engine.process_id,
            Engine.notifier.provided.signal,
            own_transaction_of(UseCase.PRESENCE),
        ),
    )
    passes = providers.Singleton(
        EnginePasses,
        providers.Singleton(
            PassOverEngine,
            Engine.engine,
            Engine.census,
            providers.Object(time.monotonic),
            grace_seconds=Engine.settings.provided.stranger_grace_seconds,
        ),
        Engine.census,
        Engine.monitor,
        interval_seconds=Engine.settings.provided.reconcile_interval_seconds,
    )
    sweeps = providers.Singleton(
        Sweeps,
        Engine.sweep_leftovers,
        Engine.sweep_register,
        Engine.monitor,
        interval_seconds=Engine.settings.provided.sweep_interval_seconds,
    )
    events = providers.Singleton(
        EngineEvents,
        providers.Singleton(
            DockerEventStream,
            docker_host=Engine.settings.provided.docker_host,
            installation_id=Engine.installation_id,
            scratch=Engine.scratch.provided.path,
        ),
        Engine.census,
        Engine.monitor,
        dispatcher.provided.wake,
    )
    listener = providers.Singleton(
        PostgresListener,
        Engine.settings.provided.database_url,
        (Channel.WORK,),
        providers.Callable(lambda dispatcher: lambda _: dispatcher.wake(), dispatcher),
    )
